//! What an agreement must say, as far as it alone can tell. The database's part is in [`crate::known`].

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use passereau_gate::{Field, REQUIRED, Sensitive};

use crate::{Agreement, agreement::Csv, problem::Found, schedule::pause_beyond, territory::file::Kind};

/// More codes, names or UUIDs in one list are a mistake, or an area of a larger type.
const MOST_IN_LIST: usize = 10_000;

/// All problems. `given` tells whether the file has a key.
pub(crate) fn check(agreement: &Agreement, given: &dyn Fn(&str) -> bool, now: DateTime<Utc>) -> Vec<Found> {
    let mut found = Vec::new();
    who(agreement, &mut found);
    territory(agreement, &mut found);
    lists(agreement, &mut found);
    files(agreement, &mut found);
    columns(agreement, &mut found);
    time(agreement, given, now, &mut found);
    licences(agreement, &mut found);
    sensitive(agreement, given, now, &mut found);
    found
}

/// Whether a text is there at all.
fn text(key: &str, value: &str, instead: &str, found: &mut Vec<Found>) {
    if value.trim().is_empty() {
        found.push(Found::new(key, "is missing or empty", instead));
    }
}

fn who(agreement: &Agreement, found: &mut Vec<Found>) {
    if agreement.name.is_empty() {
        found.push(Found::new("name", "is missing or empty", "write the flow's name, such as name = \"atlas-isere\""));
    } else if !is_name(&agreement.name) {
        let instead = "write at most 63 small letters without accents, digits and hyphens, such as \"atlas-isere\", not beginning with gpkg-, rtree- or sqlite-";
        found.push(Found::new("name", "is no name of a flow", instead));
    }
    text("structure", &agreement.structure, "write the name of the structure that asks for the flow", found);
    let manager = &agreement.technical_manager;
    text("technical_manager.name", &manager.name, "write who integrates the flow at the partner's", found);
    if !is_address(&manager.email) {
        let problem = if manager.email.is_empty() { "is missing or empty" } else { "is no address of electronic mail" };
        found.push(Found::new("technical_manager.email", problem, "write an address such as \"name@example.org\""));
    }
    if agreement.studies.is_empty() {
        let instead = "write [[studies]] with name and nature, for each study that needs the flow";
        found.push(Found::new("studies", "is missing or empty", instead));
    }
    for (index, study) in agreement.studies.iter().enumerate() {
        text(&format!("studies[{index}].name"), &study.name, "write the study's name", found);
        let nature = "write what the study is: atlas, commune inventory, management of a site, …";
        text(&format!("studies[{index}].nature"), &study.nature, nature, found);
    }
    let in_return = "write what the partner gives in return, such as the regional records that it produces";
    text("in_return", &agreement.in_return, in_return, found);
}

/// The name of a flow is that of its layer in a GeoPackage, too, where these beginnings belong to the format and to SQLite
/// (OGC 12-128r19, 1.1.1.1.1 and 2.1.3; <https://www.sqlite.org/fileformat2.html#internal_schema_objects>).
const RESERVED: [&str; 3] = ["gpkg-", "rtree-", "sqlite-"];

fn is_name(name: &str) -> bool {
    if RESERVED.iter().any(|reserved| name.starts_with(reserved)) {
        return false;
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 63 && name.bytes().all(allowed) && !name.starts_with('-') && !name.ends_with('-')
}

fn is_address(text: &str) -> bool {
    let parts: Vec<&str> = text.split('@').collect();
    matches!(parts[..], [person, host] if !person.is_empty() && host.contains('.') && !host.starts_with('.') && !host.ends_with('.'))
        && !text.contains(char::is_whitespace)
}

fn territory(agreement: &Agreement, found: &mut Vec<Found>) {
    let territory = &agreement.territory;
    text("territory.description", &territory.description, "write the territory in words", found);
    if territory.file.is_some() && !territory.areas.is_empty() {
        let problem = "stands beside territory.areas, and nothing tells which one is the territory";
        found.push(Found::new("territory.file", problem, "keep one of them"));
    }
    if let Some(file) = &territory.file {
        if Kind::of(file).is_none() {
            let instead = "name a zipped Shapefile (.zip), .gpkg, .geojson or .wkt";
            found.push(Found::new("territory.file", "has no extension that is known", instead));
        }
        let path = std::path::Path::new(file);
        if path.is_absolute() || path.components().any(|part| part == std::path::Component::ParentDir) {
            let instead = "put the file beside the agreement and write its name alone";
            found.push(Found::new("territory.file", "leaves the agreement's folder", instead));
        }
    }
    for (index, areas) in territory.areas.iter().enumerate() {
        let key = format!("territory.areas[{index}]");
        text(&format!("{key}.type"), &areas.area_type, "write a type of ref_geo, such as \"DEP\" or \"COM\"", found);
        if areas.codes.is_empty() {
            let problem = "is missing or empty, which could be read as all or as none";
            found.push(Found::new(format!("{key}.codes"), problem, "write codes of that type, such as [\"38\"]"));
        }
    }
}

fn lists(agreement: &Agreement, found: &mut Vec<Found>) {
    let taxa = &agreement.taxa;
    for (name, list) in taxa.texts() {
        for (index, value) in list.iter().enumerate() {
            text(&format!("taxa.{name}[{index}]"), value, "write a name of TAXREF, or take the entry out", found);
        }
    }
    for (index, both) in both(&agreement.sources.include, &agreement.sources.exclude) {
        let problem = format!("{both} is included and excluded");
        found.push(Found::new(format!("sources.exclude[{index}]"), problem, "keep it in one of the lists"));
    }
    for (index, both) in both(&agreement.datasets.include, &agreement.datasets.exclude) {
        let problem = format!("{both} is included and excluded");
        found.push(Found::new(format!("datasets.exclude[{index}]"), problem, "keep it in one of the lists"));
    }
    let codes = agreement.territory.areas.iter().map(|areas| areas.codes.len()).sum();
    let sizes = [
        ("territory.areas", codes),
        ("taxa.cd_ref", taxa.cd_ref.len()),
        ("datasets.include", agreement.datasets.include.len()),
        ("datasets.exclude", agreement.datasets.exclude.len()),
    ];
    for (key, size) in sizes.into_iter().chain(taxa.texts().map(|(_, list)| ("taxa", list.len()))) {
        if size > MOST_IN_LIST {
            let problem = format!("has {size} entries, more than {MOST_IN_LIST}");
            found.push(Found::new(key, problem, "name larger areas or groups that hold them"));
        }
    }
}

/// What both lists have, by its index in the second.
fn both<'a, T: PartialEq>(first: &[T], second: &'a [T]) -> Vec<(usize, &'a T)> {
    second.iter().enumerate().filter(|(_, value)| first.contains(value)).collect()
}

fn files(agreement: &Agreement, found: &mut Vec<Found>) {
    let formats = &agreement.formats;
    if formats.is_empty() {
        let instead = "write some of \"csv\", \"json\", \"geojson\", \"geojsonl\", \"gpkg\" between brackets";
        found.push(Found::new("formats", "is missing or empty", instead));
    }
    for (index, format) in formats.iter().enumerate().filter(|(index, format)| formats[..*index].contains(format)) {
        let problem = format!("{} stands there twice", format.extension());
        found.push(Found::new(format!("formats[{index}]"), problem, "take one of them out"));
    }
    if !Csv::SEPARATORS.contains(&agreement.csv.separator.as_str()) {
        let instead = "write \";\", \",\", \"|\" or \"\\t\"";
        found.push(Found::new("csv.separator", "is no separator of cells", instead));
    }
    if agreement.statuses && !agreement.fields().iter().any(|field| field.name == "cd_ref") {
        let problem = "needs the column cd_ref, which fields.remove takes out: the file would have no row";
        found.push(Found::new("statuses", problem, "keep cd_ref, or take the line out"));
    }
    if !(1..=100).contains(&agreement.keep) {
        let problem = format!("{} versions cannot be kept", agreement.keep);
        found.push(Found::new("keep", problem, "write a number from 1 to 100"));
    }
}

fn columns(agreement: &Agreement, found: &mut Vec<Found>) {
    let fields = &agreement.fields;
    for (list, names) in [("add", &fields.add), ("remove", &fields.remove)] {
        for (index, name) in names.iter().enumerate() {
            if Field::find(name).is_none() {
                let problem = format!("`{}` is no field", name.chars().take(60).collect::<String>());
                found.push(Found::new(format!("fields.{list}[{index}]"), problem, meant(name)));
            }
        }
    }
    for (index, name) in fields.remove.iter().enumerate() {
        let key = || format!("fields.remove[{index}]");
        if REQUIRED.contains(&name.as_str()) {
            let problem = format!("{name} cannot be removed: the partner must know what may be redistributed");
            found.push(Found::new(key(), problem, "take it out of the list"));
        } else if fields.add.contains(name) {
            found.push(Found::new(key(), format!("{name} is added and removed"), "keep it in one of the lists"));
        }
    }
}

/// What to write instead of a name that is no field's.
fn meant(name: &str) -> String {
    let same = |other: &str| other.eq_ignore_ascii_case(name.trim());
    if let Some(field) = Field::all().iter().find(|field| same(field.name) || field.occtax.is_some_and(same)) {
        return format!("write {}, its name in agreements", field.name);
    }
    let near = Field::all().iter().min_by_key(|field| distance(field.name, name)).filter(|field| {
        // A third of the letters may be wrong.
        distance(field.name, name) * 3 <= field.name.len()
    });
    let list = "`passereau flow fields` shows their names";
    near.map_or_else(|| list.to_owned(), |field| format!("did you mean {}? {list}", field.name))
}

/// Levenshtein's distance.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, character) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, compared) in other.iter().enumerate() {
            let change = diagonal + usize::from(character != *compared);
            diagonal = row[column + 1];
            row[column + 1] = change.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

fn time(agreement: &Agreement, given: &dyn Fn(&str) -> bool, now: DateTime<Utc>, found: &mut Vec<Found>) {
    if !given("period") {
        found.push(Found::new("period", "is missing", "write how often it is delivered at least, such as \"P1M\""));
    }
    let zone: Option<Tz> = agreement.time_zone.parse().ok();
    if zone.is_none() {
        let instead = "write an IANA name such as \"Europe/Paris\" or \"America/Guadeloupe\"";
        found.push(Found::new("time_zone", "is no time zone", instead));
    }
    let today = now.with_timezone(&agreement.zone()).date_naive();
    if !given("ends_on") {
        found.push(Found::new("ends_on", "is missing", "write the last day of the flow, such as 2027-12-31"));
    } else if agreement.ends_on < today {
        found.push(Found::new("ends_on", format!("{} has passed", agreement.ends_on), "write a later day"));
    }
    if agreement.schedule.is_some() {
        schedule(agreement, now, found);
    }
}

fn schedule(agreement: &Agreement, now: DateTime<Utc>, found: &mut Vec<Found>) {
    // A time zone that is none is told above.
    let utc = Agreement { time_zone: agreement.zone().to_string(), ..agreement.clone() };
    if utc.expression().starts_with(['P', 'p']) {
        let instead = "write it as period, and take the schedule out";
        found.push(Found::new("schedule", "is a period and no cron expression", instead));
        return;
    }
    match utc.recurrence(now) {
        Err(error) => {
            let text = error.to_string();
            let (problem, instead) = text.split_once("; ").unwrap_or((&text, "write five cron fields"));
            found.push(Found::new("schedule", problem, instead));
        }
        Ok(recurrence) => {
            if let Some(pause) = pause_beyond(&recurrence, &agreement.period, now) {
                let problem = format!(
                    "pauses for {} hours, longer than the period {}: the flow would be late each time",
                    pause.num_hours(),
                    agreement.period
                );
                let instead = "write a longer period, or a schedule that comes more often";
                found.push(Found::new("schedule", problem, instead));
            }
        }
    }
}

fn licences(agreement: &Agreement, found: &mut Vec<Found>) {
    let licences = &agreement.licences;
    let instead = "write names of SPDX, such as [\"CC0-1.0\", \"CC-BY-4.0\", \"etalab-2.0\"]";
    if licences.allowed.is_empty() {
        found.push(Found::new("licences.allowed", "is missing or empty: nothing could leave", instead));
    }
    for (index, name) in licences.allowed.iter().enumerate().filter(|(_, name)| !is_spdx(name)) {
        let problem = format!("`{}` is no name of SPDX", name.chars().take(60).collect::<String>());
        found.push(Found::new(format!("licences.allowed[{index}]"), problem, instead));
    }
    if let Some(own) = &licences.own {
        if !is_spdx(own) {
            found.push(Found::new("licences.own", "is no name of SPDX", "write one name, such as \"etalab-2.0\""));
        } else if !licences.allowed.contains(own) {
            let problem = format!("{own} is not among licences.allowed: the platform's own records could not leave");
            found.push(Found::new("licences.own", problem, "add it to licences.allowed, or take the line out"));
        }
    }
}

fn is_spdx(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'+');
    !name.is_empty() && name.len() <= 64 && name.bytes().all(allowed)
}

fn sensitive(agreement: &Agreement, given: &dyn Fn(&str) -> bool, now: DateTime<Utc>, found: &mut Vec<Found>) {
    let is_precise = agreement.sensitive == Sensitive::Precise;
    match &agreement.authorisation {
        None if is_precise => {
            let instead = "write [authorisation] with reference, signatory and ends_on, or sensitive = \"blurred\"";
            found.push(Found::new("authorisation", "is missing: sensitive = \"precise\" needs one", instead));
        }
        None => {}
        Some(authorisation) => {
            if !is_precise {
                let problem = format!("has no effect with sensitive = \"{}\"", agreement.sensitive.as_str());
                let instead = "take it out, or write sensitive = \"precise\" if that is what it allows";
                found.push(Found::new("authorisation", problem, instead));
            }
            let reference = "write the reference of the document that allows it";
            text("authorisation.reference", &authorisation.reference, reference, found);
            text("authorisation.signatory", &authorisation.signatory, "write who signed it", found);
            let today = now.with_timezone(&agreement.zone()).date_naive();
            if !given("authorisation.ends_on") {
                let instead = "write the last day on which it holds, such as 2027-12-31";
                found.push(Found::new("authorisation.ends_on", "is missing", instead));
            } else if authorisation.ends_on < today {
                let problem = format!("{} has passed", authorisation.ends_on);
                let instead = "write that of a new authorisation, or sensitive = \"blurred\"";
                found.push(Found::new("authorisation.ends_on", problem, instead));
            }
        }
    }
}
