//! A record as rows of the three tables.

use std::fmt;

use uuid::Uuid;

use crate::{
    cases::Case,
    dice::{mix, mix_text},
    event_date::Form,
    layout::Row,
    media::{self, Medium},
    record::{License, Record, Source},
    seeds::UNKNOWN_TAXON_KEY,
    taxa::Taxon,
    texts::Texts,
};

mod purpose {
    pub const HTTP: u64 = 401;
    pub const STAMP: u64 = 402;
    pub const FRACTION: u64 = 403;
    pub const IDENTIFIER: u64 = 404;
    pub const PHOTO: u64 = 407;
    pub const ELEVATION: u64 = 408;
    pub const DETERMINER: u64 = 410;
    pub const ISSUE: u64 = 415;
}

/// A Java double as text: `100.0`, never `100`.
fn double(value: f64) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "{value:?}"))
}

/// The key of a higher taxon: those of kingdoms are GBIF's own, the others are invented from the name.
fn higher_key(name: &str) -> impl fmt::Display + '_ {
    fmt::from_fn(move |f| match name {
        "" => Ok(()),
        "Animalia" => f.write_str("1"),
        "Fungi" => f.write_str("5"),
        "Plantae" => f.write_str("6"),
        _ => write!(f, "{}", 98_000_000 + mix_text(name) % 900_000),
    })
}

/// A moment of August or later 2026, as GBIF stamps its processing: the fraction disappears when it is zero.
fn stamp(record: &Record, revision: u32, hour: u64) -> impl fmt::Display {
    let bits = record.dice.bits(purpose::STAMP);
    let whole = record.dice.below(purpose::FRACTION, 500) == 0;
    fmt::from_fn(move |f| {
        // Each revision is a month later; the year rolls over as it must.
        let months = u64::from(revision - 1) + 7;
        let (year, month, day) = (2026 + months / 12, months % 12 + 1, 10 + bits % 8);
        let (minute, second, milli) = (bits / 8 % 60, bits / 480 % 60, bits / 28_800 % 999 + 1);
        write!(f, "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if whole { f.write_str("Z") } else { write!(f, ".{milli:03}Z") }
    })
}

fn references(record: &Record) -> impl fmt::Display {
    let (source, number) = (record.source, record.catalog_number);
    fmt::from_fn(move |f| match source {
        Source::Inaturalist => write!(f, "https://www.inaturalist.org/observations/{number}"),
        Source::Plants => write!(f, "https://herbier.example.org/specimen/JAE-{number:07}"),
        Source::Animals | Source::Unknown | Source::National => Ok(()),
    })
}

/// iNaturalist: the stored `uri`, seldom with `http`. Others: a catalogue URN, a UUID in one of its forms, or nothing.
fn occurrence_id(record: &Record) -> impl fmt::Display {
    let (dice, source, number, bits) = (record.dice, record.source, record.catalog_number, record.uuid_bits);
    fmt::from_fn(move |f| match source {
        Source::Inaturalist => {
            let scheme = if dice.chance(purpose::HTTP, 70) { "http" } else { "https" };
            write!(f, "{scheme}://www.inaturalist.org/observations/{number}")
        }
        Source::Animals => write!(f, "urn:catalog:MVAL:ZOO:{number}"),
        Source::Plants => write_uuid(f, uuid(bits), dice.below(purpose::IDENTIFIER, 10)),
        Source::National => write_uuid(f, uuid(bits), NATIONAL_ADDRESS),
        Source::Unknown => Ok(()),
    })
}

fn uuid(bits: u64) -> Uuid {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&bits.to_be_bytes());
    bytes[8..].copy_from_slice(&mix(bits).to_be_bytes());
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// The way of [`write_uuid`] that gives a permanent address of the French information system on nature.
const NATIONAL_ADDRESS: u64 = 2;

/// Producers write their UUIDs in several ways: of ten, one as a URN, one in capitals, one as a national permanent address, the
/// rest bare.
fn write_uuid(f: &mut fmt::Formatter<'_>, uuid: Uuid, way: u64) -> fmt::Result {
    match way {
        0 => write!(f, "urn:uuid:{uuid}"),
        1 => f.write_str(&uuid.to_string().to_uppercase()),
        NATIONAL_ADDRESS => write!(f, "https://openobs.mnhn.fr/occurrence/{uuid}"),
        _ => write!(f, "{uuid}"),
    }
}

fn catalog_number(record: &Record) -> impl fmt::Display {
    let (source, number) = (record.source, record.catalog_number);
    fmt::from_fn(move |f| match source {
        Source::Inaturalist => write!(f, "{number}"),
        Source::Plants => write!(f, "JAE-{number:07}"),
        Source::Animals => write!(f, "MVAL.ZOO.{number}"),
        Source::Unknown | Source::National => write!(f, "{number}"),
    })
}

/// `informationWithheld`, in iNaturalist's words.
fn withheld(record: &Record) -> impl fmt::Display {
    let (case, uncertainty_m) = (record.case, record.uncertainty_m.unwrap_or_default());
    fmt::from_fn(move |f| match case {
        Case::ObscuredForTaxon => {
            write!(f, "Coordinate uncertainty increased to {uncertainty_m:.0}m to protect threatened taxon")
        }
        Case::ObscuredByObserver => {
            write!(f, "Coordinate uncertainty increased to {uncertainty_m:.0}m at the request of the observer")
        }
        Case::HiddenCoordinates => f.write_str("Coordinates hidden at the request of the observer"),
        _ => Ok(()),
    })
}

fn remarks(row: &mut Row, record: &Record, texts: &Texts) {
    let remarks = texts.remarks.unwrap_or("");
    if record.remarked_at > 1 {
        row.put("occurrenceRemarks", format_args!("{remarks} (revu, révision {})", record.remarked_at));
    } else {
        row.text("occurrenceRemarks", remarks);
    }
}

fn basis(record: &Record) -> (&'static str, &'static str) {
    match (record.case, record.source) {
        (Case::Fossil, _) => ("FOSSIL_SPECIMEN", "FossilSpecimen"),
        (Case::Living, _) => ("LIVING_SPECIMEN", "LivingSpecimen"),
        (Case::MaterialSample, _) => ("MATERIAL_SAMPLE", "MaterialSample"),
        (Case::Machine, _) => ("MACHINE_OBSERVATION", "MachineObservation"),
        (Case::Absent | Case::CountZero, _) => ("HUMAN_OBSERVATION", "HumanObservation"),
        (_, Source::Animals | Source::Plants) => ("PRESERVED_SPECIMEN", "PreservedSpecimen"),
        _ => ("HUMAN_OBSERVATION", "HumanObservation"),
    }
}

/// GBIF's flags on anything but the name: some that say nothing of the record, and for a suspicious one a flag that does.
fn other_issues(record: &Record) -> String {
    const DOUBTFUL: [&str; 4] = [
        "COUNTRY_COORDINATE_MISMATCH",
        "PRESUMED_SWAPPED_COORDINATE",
        "RECORDED_DATE_MISMATCH",
        "PRESUMED_NEGATED_LONGITUDE",
    ];
    let usual = match (record.point, record.source) {
        (None, _) => "",
        (_, Source::Inaturalist) => "COORDINATE_ROUNDED;CONTINENT_DERIVED_FROM_COORDINATES",
        _ => "CONTINENT_DERIVED_FROM_COORDINATES;GEODETIC_DATUM_ASSUMED_WGS84",
    };
    match record.case {
        Case::Suspicious => format!("{usual};{}", record.dice.pick(purpose::ISSUE, &DOUBTFUL)),
        _ => usual.to_owned(),
    }
}

/// Columns that both record tables hold with the same value.
fn shared(row: &mut Row, record: &Record, texts: &Texts) {
    let dataset = record.source.dataset();
    let inaturalist = record.source == Source::Inaturalist;
    row.put("gbifID", record.gbif_id);
    row.put("modified", stamp(record, record.moved_at.max(record.remarked_at), 6));
    row.put("references", references(record));
    row.text("rightsHolder", if inaturalist { record.observer } else { dataset.publisher });
    row.text("institutionCode", dataset.institution);
    row.text("collectionCode", dataset.collection);
    row.text("datasetName", if inaturalist { "iNaturalist research-grade observations" } else { dataset.title });
    row.put("informationWithheld", withheld(record));
    row.text("dataGeneralizations", texts.generalizations);
    row.text("dynamicProperties", texts.properties);
    row.put("occurrenceID", occurrence_id(record));
    row.put("catalogNumber", catalog_number(record));
    row.text("recordedBy", record.observer);
    if let Some(count) = texts.count {
        row.put("individualCount", count);
    }
    row.text("organismQuantity", texts.quantity.0);
    row.text("organismQuantityType", texts.quantity.1);
    row.text("caste", texts.caste);
    row.text("behavior", texts.behavior);
    row.text("vitality", texts.vitality);
    row.text("habitat", texts.habitat);
    remarks(row, record, texts);
    if record.date.has_time() {
        row.put("eventTime", format_args!("{}{}", record.date.clock(), record.date.offset()));
    }
    row.put("verbatimEventDate", record.date);
    row.text("countryCode", "FR");
    if record.case != Case::Outside {
        row.text("stateProvince", "Auvergne-Rhône-Alpes");
    }
    if !inaturalist {
        row.text("county", record.place.department);
        row.text("municipality", record.place.commune);
        row.put("locality", format_args!("{}, {}", record.place.commune, texts.habitat));
        row.text("identifiedBy", determiner(record));
        row.text("preparations", if basis(record).0 == "PRESERVED_SPECIMEN" { "collection sèche" } else { "" });
    } else {
        row.put("identificationID", record.catalog_number * 3 + 17);
        row.text("identifiedBy", determiner(record));
        row.put("taxonID", record.names.taxon.map_or(0, |taxon| mix_text(taxon.canonical_name) % 1_500_000));
    }
    row.put("verbatimLocality", format_args!("{}, {}, FR", record.place.commune, record.place.department));
    if let Some(taxon) = record.names.taxon {
        row.text("kingdom", taxon.kingdom);
        row.text("phylum", taxon.phylum);
        row.text("class", taxon.class);
        row.text("order", taxon.order);
        row.text("family", taxon.family);
        row.text("genus", taxon.genus());
    }
}

fn determiner(record: &Record) -> &'static str {
    if record.source == Source::Inaturalist {
        record.dice.pick(purpose::DETERMINER, &["Camille Faure", "lepido_aura", "P. Blanc", "Sylvie Rousseau", ""])
    } else {
        record.dice.pick(purpose::DETERMINER, &["J. Coulon", "M. Favre", "", "Benoît Lefèvre"])
    }
}

/// Fills a row of `occurrence.txt`. `small` downloads leave the split issue columns empty.
pub fn occurrence(row: &mut Row, record: &Record, small: bool) {
    row.clear();
    let texts = Texts::new(record);
    shared(row, record, &texts);
    let inaturalist = record.source == Source::Inaturalist;
    row.text("license", record.license.code);
    row.text("basisOfRecord", basis(record).0);
    row.text("sex", texts.sex);
    row.text("lifeStage", texts.life_stage);
    row.text("reproductiveCondition", texts.condition);
    row.text("establishmentMeans", texts.establishment);
    row.text("degreeOfEstablishment", texts.degree);
    row.text("occurrenceStatus", if record.case == Case::Absent { "ABSENT" } else { "PRESENT" });
    date_columns(row, record);
    row.text("continent", "EUROPE");
    if let Some((longitude, latitude)) = record.point {
        row.put("decimalLatitude", double(latitude));
        row.put("decimalLongitude", double(longitude));
    }
    if let Some(uncertainty_m) = record.uncertainty_m {
        row.put("coordinateUncertaintyInMeters", double(uncertainty_m));
    }
    let issues = (other_issues(record), record.names.issue);
    let separator = if issues.0.is_empty() || issues.1.is_empty() { "" } else { ";" };
    row.put("issue", format_args!("{}{separator}{}", issues.0, issues.1));
    if !small {
        row.text("nonTaxonomicIssue", &issues.0);
        row.text("taxonomicIssue", issues.1);
    }
    if !inaturalist {
        row.put("elevation", double(small_integer(200 + record.dice.below(purpose::ELEVATION, 2400))));
    }
    row.put("mediaType", media::types(record));
    row.put("hasCoordinate", record.point.is_some());
    row.put("hasGeospatialIssues", record.case == Case::Suspicious);
    row.text("datasetKey", record.source.dataset().key);
    row.text("publishingCountry", if inaturalist { "US" } else { "FR" });
    row.text("protocol", "DWC_ARCHIVE");
    row.put("lastInterpreted", stamp(record, record.interpreted_at, 14));
    row.put("lastParsed", stamp(record, record.interpreted_at, 14));
    row.put("lastCrawled", stamp(record, record.interpreted_at, 3));
    row.text("repatriated", if inaturalist { "true" } else { "false" });
    row.text("isSequenced", "false");
    row.text("gbifRegion", "EUROPE");
    row.text("publishedByGbifRegion", if inaturalist { "NORTH_AMERICA" } else { "EUROPE" });
    row.text("level0Gid", "FRA");
    row.text("level0Name", "France");
    if record.case != Case::Outside {
        row.text("level1Gid", "FRA.1_1");
        row.text("level1Name", "Auvergne-Rhône-Alpes");
        row.text("level2Name", record.place.department);
    }
    taxon_columns(row, record);
}

#[expect(clippy::cast_precision_loss, reason = "elevations in metres")]
const fn small_integer(value: u64) -> f64 {
    value as f64
}

fn date_columns(row: &mut Row, record: &Record) {
    let date = record.date;
    row.put("eventDate", date);
    if date.to_string().is_empty() {
        return;
    }
    row.put("year", date.year);
    if date.form != Form::Year {
        row.put("month", date.month);
    }
    if date.has_day() {
        let end = if date.form == Form::DayInterval { date.length_days } else { 0 };
        if end == 0 {
            row.put("day", date.day);
        }
        row.put("startDayOfYear", date.day_of_year());
        row.put("endDayOfYear", date.day_of_year() + end);
        if record.source == Source::Inaturalist {
            row.put("dateIdentified", format_args!("{}-{:02}-{:02}T21:20:38", date.year, date.month, date.day + 1));
        }
    }
}

fn taxon_columns(row: &mut Row, record: &Record) {
    row.text("verbatimScientificName", published_name(record));
    let (Some(taxon), Some(accepted)) = (record.names.taxon, record.names.accepted) else {
        row.text("scientificName", "incertae sedis");
        row.text("taxonKey", UNKNOWN_TAXON_KEY);
        row.text("acceptedTaxonKey", UNKNOWN_TAXON_KEY);
        row.text("taxonomicStatus", "DOUBTFUL");
        return;
    };
    row.text("scientificName", taxon.scientific_name);
    row.text("genericName", taxon.genus());
    row.text("specificEpithet", taxon.specific_epithet());
    row.text("infraspecificEpithet", taxon.infraspecific_epithet());
    row.text("taxonRank", taxon.rank);
    row.text("taxonomicStatus", if accepted.gbif_key == taxon.gbif_key { "ACCEPTED" } else { "SYNONYM" });
    row.text("taxonKey", taxon.gbif_key);
    row.text("acceptedTaxonKey", accepted.gbif_key);
    row.text("acceptedScientificName", accepted.scientific_name);
    row.put("kingdomKey", higher_key(taxon.kingdom));
    row.put("phylumKey", higher_key(taxon.phylum));
    row.put("classKey", higher_key(taxon.class));
    row.put("orderKey", higher_key(taxon.order));
    row.put("familyKey", higher_key(taxon.family));
    row.put("genusKey", higher_key(accepted.genus()));
    if let Some(species) = record.names.species {
        row.text("speciesKey", species.gbif_key);
        row.text("species", species.canonical_name);
    }
    if taxon.sensitive {
        row.text("iucnRedListCategory", "VU");
    }
}

/// The name as its publisher wrote it: iNaturalist without authors, museums with.
fn published_name(record: &Record) -> &'static str {
    let matched = |taxon: &'static Taxon| {
        if record.source == Source::Inaturalist { taxon.canonical_name } else { taxon.scientific_name }
    };
    record.names.published.or(record.names.taxon.map(matched)).unwrap_or("")
}

/// Fills a row of `verbatim.txt`: the record as its publisher wrote it.
pub fn verbatim(row: &mut Row, record: &Record) {
    row.clear();
    let texts = Texts::new(record);
    shared(row, record, &texts);
    row.text("license", record.license.url);
    row.text("basisOfRecord", basis(record).1);
    row.put("sex", fmt::from_fn(|f| f.write_str(&texts.sex.to_lowercase())));
    row.put("lifeStage", fmt::from_fn(|f| f.write_str(&texts.life_stage.to_lowercase())));
    row.text("reproductiveCondition", texts.condition);
    row.put("establishmentMeans", fmt::from_fn(|f| f.write_str(&texts.establishment.to_lowercase())));
    row.put("degreeOfEstablishment", fmt::from_fn(|f| f.write_str(&texts.degree.to_lowercase())));
    row.text("occurrenceStatus", if record.case == Case::Absent { "absent" } else { "" });
    // The interpreted date loses the offset, except `Z`.
    let offset = if record.date.form == Form::Utc { "" } else { record.date.offset() };
    row.put("eventDate", format_args!("{}{offset}", record.date));
    row.text("country", "France");
    if let Some((longitude, latitude)) = record.point {
        row.put("decimalLatitude", format_args!("{latitude:.10}"));
        row.put("decimalLongitude", format_args!("{longitude:.10}"));
    }
    if let Some(uncertainty_m) = record.uncertainty_m {
        row.put("coordinateUncertaintyInMeters", format_args!("{uncertainty_m:.0}"));
    }
    row.text("scientificName", published_name(record));
    if let Some(taxon) = record.names.taxon {
        row.text("vernacularName", taxon.vernacular_name);
        row.put("taxonRank", fmt::from_fn(|f| f.write_str(&taxon.rank.to_lowercase())));
    }
}

/// Fills row `number` (from 0) of `multimedia.txt`.
pub fn multimedia(row: &mut Row, record: &Record, number: u64) {
    row.clear();
    let License { url, .. } = record.license;
    let Medium { kind, licensed, long } = media::medium(record, number);
    let file = 20_000_000 + record.catalog_number * 4 + number;
    row.put("gbifID", record.gbif_id);
    row.text("type", kind.name());
    row.text("format", kind.format());
    if licensed {
        row.text("license", url);
    }
    if record.source == Source::Inaturalist {
        let date = record.date;
        match kind {
            media::Kind::Sound => {
                row.put(
                    "identifier",
                    format_args!("https://static.inaturalist.org/sounds/{file}.{}", kind.extension()),
                );
            }
            _ => {
                let address = format_args!("https://inaturalist-open-data.s3.amazonaws.com/photos/{file}/original.jpg");
                row.put("identifier", address);
                row.put("references", format_args!("https://www.inaturalist.org/photos/{file}"));
            }
        }
        if date.has_time() {
            row.put("created", format_args!("{}-{:02}-{:02}T{}Z", date.year, date.month, date.day, date.clock()));
        }
        row.text("creator", record.observer);
        row.text("publisher", "iNaturalist");
        row.text("rightsHolder", record.observer);
    } else {
        let folder = if long { LONG_FOLDER } else { "images" };
        row.put("identifier", format_args!("https://medias.example.org/{folder}/{file}.{}", kind.extension()));
        row.put("title", format_args!("Part \"{}\"", record.dice.below(purpose::PHOTO, 9)));
        row.text("rightsHolder", record.source.dataset().publisher);
    }
}

/// A folder that makes an address longer than the 255 characters of GeoNature's `t_medias.media_url`.
const LONG_FOLDER: &str = "iiif/3/collections%2Fherbier%2Fplanches%2Fnumerisation-2019-2023%2Flot-0042%2Fhaute-resolution%2Fplanche-entiere-\
avec-etiquettes-et-mire-de-couleurs%2Fversion-corrigee%2Ffichiers-de-diffusion-publique%2Fsans-filigrane%2Fderniere-revision/full/max/0/default";
