//! `passereau flow fields`: the dictionary, what the platform's nomenclatures say, and what its table leaves of a column when the record is blurred.

use std::{
    collections::BTreeMap,
    fmt::{Error, Write},
    io,
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use passereau_gate::{Dialect, Field, GEOMETRY, Kind, REQUIRED};
use serde_json::json;
use sqlx::PgPool;

use super::{
    at_hand::AtHand,
    language::{Lang, Language},
    show, show_json,
    spreadsheet::Spreadsheet,
    unless_closed,
};

/// Whose names, and how to show them.
#[derive(Args, Debug)]
pub struct Fields {
    /// Show the names that columns bear in files of this dialect, beside those of agreements.
    #[arg(long, value_enum, default_value_t = Named::Geonature)]
    dialect: Named,
    /// Only the basic preset.
    #[arg(long)]
    basic: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Print a CSV for a spreadsheet, to hand to a partner.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    language: Language,
    #[command(flatten)]
    database: AtHand,
}

/// Labels by nomenclature, in their order.
type Labels = BTreeMap<String, Vec<String>>;

/// Treatments by field and type of area, `*` for all that have none of their own.
type Rules = BTreeMap<String, BTreeMap<String, String>>;

/// A dialect as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Named {
    /// GeoNature's export.
    Geonature,
    /// SINP OccTax v2.
    Occtax,
}

impl From<Named> for Dialect {
    fn from(named: Named) -> Self {
        match named {
            Named::Geonature => Self::GeoNature,
            Named::Occtax => Self::OccTax,
        }
    }
}

/// What the platform's own tables say of fields.
#[derive(Debug, Default)]
struct Platform {
    labels: Labels,
    rules: Option<Rules>,
}

impl Fields {
    /// Prints them.
    ///
    /// # Errors
    /// The database, where there is one.
    pub async fn run(self) -> anyhow::Result<()> {
        let fields: Vec<&Field> = Field::all().iter().filter(|field| field.is_basic || !self.basic).collect();
        let dialect = self.dialect.into();
        let platform = match self.database.open().await? {
            Some(pool) => Platform { labels: labels(&pool, &fields).await?, rules: Some(rules(&pool).await?) },
            None => Platform::default(),
        };
        if self.json {
            let one = |field: &&Field| {
                json!({
                    "name": field.name, "column": field.name_in(dialect), "occtax": field.occtax, "values": field.kind,
                    "nomenclature": field.nomenclature, "labels": field.nomenclature.and_then(|of| platform.labels.get(of)),
                    "is_basic": field.is_basic, "is_required": REQUIRED.contains(&field.name), "blurred": platform.blurred(field),
                    "fr": field.fr, "en": field.en,
                })
            };
            return show_json(&fields.iter().map(one).collect::<Vec<_>>());
        }
        let lines = lines(&fields, &platform, dialect, self.language.or_session());
        if self.csv {
            return unless_closed(spread(io::stdout().lock(), &lines)).context("printing");
        }
        show(&table(&lines)?)?;
        eprintln!("{}", self.language.or_session().pick(LEGEND));
        Ok(())
    }
}

const LEGEND: [&str; 2] = [
    "1 : dans le flux de base ; 1! : dans tous les fichiers, ne peut être retirée ; floutée : ce que devient la colonne quand la donnée part floutée",
    "1: in the basic preset; 1!: in every file, cannot be removed; blurred: what becomes of the column when the record leaves as an area",
];

impl Lang {
    fn pick(self, [fr, en]: [&str; 2]) -> &str {
        if self == Self::Fr { fr } else { en }
    }
}

impl Platform {
    /// What becomes of a field in a blurred record, by type of area; nothing is known without the platform's table.
    fn blurred(&self, field: &Field) -> Option<BTreeMap<&str, &'static str>> {
        let known = self.rules.as_ref()?.get(field.name);
        let everywhere = field.treatment(known.and_then(|rules| rules.get("*")).map(String::as_str));
        let mut treatments = BTreeMap::from([("*", everywhere)]);
        for (area_type, rule) in known.into_iter().flatten().filter(|(area_type, _)| *area_type != "*") {
            treatments.insert(area_type, field.treatment(Some(rule)));
        }
        Some(treatments)
    }
}

/// What the table says of columns.
async fn rules(pool: &PgPool) -> Result<Rules, sqlx::Error> {
    let rows: Vec<(String, String, String)> =
        sqlx::query_as("SELECT field, area_type, treatment FROM passereau.blur_rule").fetch_all(pool).await?;
    let mut rules = Rules::new();
    for (field, area_type, treatment) in rows {
        rules.entry(field).or_default().insert(area_type, treatment);
    }
    Ok(rules)
}

/// The labels that the columns of nomenclatures hold on this platform, which may have edited them.
async fn labels(pool: &PgPool, fields: &[&Field]) -> Result<Labels, sqlx::Error> {
    let wanted: Vec<&str> = fields.iter().filter_map(|field| field.nomenclature).collect();
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT y.mnemonique::text, n.label_default::text FROM ref_nomenclatures.bib_nomenclatures_types y
         JOIN ref_nomenclatures.t_nomenclatures n ON n.id_type = y.id_type AND n.active
         WHERE y.mnemonique = ANY ($1) ORDER BY y.mnemonique, n.hierarchy, n.cd_nomenclature",
    )
    .bind(wanted)
    .fetch_all(pool)
    .await?;
    let mut labels = Labels::new();
    for (nomenclature, label) in rows {
        labels.entry(nomenclature).or_default().push(label);
    }
    Ok(labels)
}

/// A row of the dictionary: field, column, values, whether it is basic, what becomes of it in a blurred record, definition, labels.
type Line = [String; 7];

/// Headings and rows. The last one is the geometry's, which is in every file and no field.
fn lines(fields: &[&Field], platform: &Platform, dialect: Dialect, lang: Lang) -> Vec<Line> {
    let headings = match lang {
        Lang::Fr => ["champ", "colonne", "valeurs", "base", "floutée", "définition", "libellés"],
        Lang::En => ["field", "column", "values", "basic", "blurred", "definition", "labels"],
    };
    let of_field = |field: &&Field| {
        let values = field.nomenclature.unwrap_or_else(|| lang.pick(kind(field.kind)));
        // The two that no agreement can remove.
        let basic = match (REQUIRED.contains(&field.name), field.is_basic) {
            (true, _) => "1!",
            (false, true) => "1",
            (false, false) => "",
        };
        let labels = field.nomenclature.and_then(|of| platform.labels.get(of)).map(|labels| labels.join(" | "));
        [
            field.name,
            field.name_in(dialect),
            values,
            basic,
            &platform.blurred(field).map(|treatments| in_words(&treatments, lang)).unwrap_or_default(),
            lang.pick([field.fr, field.en]),
            &labels.unwrap_or_default(),
        ]
        .map(str::to_owned)
    };
    let area = platform.rules.as_ref().map_or("", |_| lang.pick(["généralisée", "generalised"]));
    let geometry = ["–", dialect.geometry(), lang.pick(["géométrie", "geometry"]), "1!", area, lang.pick(GEOMETRY), ""];
    let headings = [headings.map(str::to_owned)].into_iter();
    headings.chain(fields.iter().map(of_field)).chain([geometry.map(str::to_owned)]).collect()
}

fn kind(kind: Kind) -> [&'static str; 2] {
    match kind {
        Kind::Text => ["texte", "text"],
        Kind::Integer => ["entier", "integer"],
        Kind::Real => ["décimal", "real"],
        Kind::Date => ["date", "date"],
        Kind::Time => ["heure", "time"],
        Kind::DateTime => ["date et heure", "datetime"],
        Kind::Json => ["JSON", "JSON"],
    }
}

/// Such as `emptied (COM: generalised)`.
fn in_words(treatments: &BTreeMap<&str, &'static str>, lang: Lang) -> String {
    let word = |treatment: &str| match treatment {
        "keep" => lang.pick(["gardée", "kept"]),
        "generalise" => lang.pick(["généralisée", "generalised"]),
        _ => lang.pick(["vidée", "emptied"]),
    };
    let everywhere = treatments.get("*").copied().unwrap_or_default();
    let others: Vec<String> = treatments
        .iter()
        .filter(|(_, treatment)| **treatment != everywhere)
        .map(|(area_type, treatment)| format!("{area_type}: {}", word(treatment)))
        .collect();
    if others.is_empty() {
        word(everywhere).to_owned()
    } else {
        format!("{} ({})", word(everywhere), others.join(", "))
    }
}

fn table(lines: &[Line]) -> Result<String, Error> {
    let mut text = String::new();
    for (place, [name, column, values, basic, blurred, definition, labels]) in lines.iter().enumerate() {
        writeln!(text, "{name:<28}  {column:<30}  {values:<16}  {basic:<5}  {blurred:<11}  {definition}")?;
        if place > 0 && !labels.is_empty() {
            writeln!(text, "{:<28}  {labels}", "")?;
        }
    }
    Ok(text)
}

fn spread(out: impl io::Write, lines: &[Line]) -> io::Result<()> {
    let mut spreadsheet = Spreadsheet::new(out)?;
    for line in lines {
        spreadsheet.row(line)?;
    }
    spreadsheet.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_shown_with_its_column_its_values_and_what_it_means() {
        let field = |name| Field::find(name).into_iter();
        let fields: Vec<&Field> = field("alti_min").chain(field("niveau_sensibilite")).chain(field("sexe")).collect();
        let labels = Labels::from([("SEXE".to_owned(), vec!["Femelle".to_owned(), "Mâle".to_owned()])]);
        let platform = Platform { labels, rules: None };
        let lines = lines(&fields, &platform, Dialect::OccTax, Lang::Fr);
        let text = table(&lines).unwrap_or_default();
        let shown: Vec<&str> = text.lines().collect();
        assert!(
            shown[1].starts_with("alti_min ") && shown[1].contains("altitudeMin") && shown[1].contains("entier"),
            "{text}"
        );
        assert!(shown[3].contains(" SEXE ") && shown[4].trim() == "Femelle | Mâle", "{text}");
        assert!(
            shown[2].contains(" SENSIBILITE ")
                && shown[2].contains(" 1! ")
                && shown[2].contains("Niveau de sensibilité"),
            "{text}"
        );
        assert!(shown[5].contains("geometrie ") && shown[5].contains("colonne geom du GeoPackage"), "{text}");
        let mut out = Vec::new();
        spread(&mut out, &lines).unwrap_or_default();
        let sheet = String::from_utf8(out).unwrap_or_default();
        assert!(sheet.starts_with("\u{feff}champ;colonne;valeurs;base;floutée;définition;libellés\n"), "{sheet}");
        assert!(sheet.contains("\nsexe;occSexe;SEXE;1;;Sexe;Femelle | Mâle\n"), "{sheet}");
    }

    /// What the gate does: the rule of the type of area, else that of all, else nothing; the place itself is never kept.
    #[test]
    fn what_becomes_of_a_field_in_a_blurred_record_is_told_by_the_table() {
        let rule = |field: &str, rules: &[(&str, &str)]| {
            let rules = rules.iter().map(|(area, rule)| ((*area).to_owned(), (*rule).to_owned())).collect();
            (field.to_owned(), rules)
        };
        let rules = Rules::from([
            rule("cd_nom", &[("*", "keep")]),
            rule("communes", &[("COM", "generalise")]),
            rule("alti_min", &[("*", "empty"), ("DEP", "keep")]),
            rule("x_centroid_4326", &[("*", "keep")]),
            rule("id_synthese", &[("*", "keep")]),
        ]);
        let platform = Platform { labels: Labels::new(), rules: Some(rules) };
        for (field, told) in [
            ("cd_nom", "kept"),
            ("communes", "emptied (COM: generalised)"),
            ("alti_min", "emptied (DEP: kept)"),
            ("x_centroid_4326", "generalised"),
            ("id_synthese", "emptied"),
            ("nom_lieu", "emptied"),
            ("clause_rediffusion", "generalised"),
        ] {
            let treatments = Field::find(field).and_then(|field| platform.blurred(field)).unwrap_or_default();
            assert_eq!(in_words(&treatments, Lang::En), told, "{field}");
        }
    }
}
