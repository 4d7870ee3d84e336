//! One invented record: everything that the tables of an archive say about it.
//!
//! [`World::record`] is a pure function of (seed, index, revision). Of 1000 records about 600 are iNaturalist's, 240 a museum's
//! animals, 140 a herbarium's plants; what is awkward about them, and how often, stands in [`crate::cases`].
//!
//! Revisions imitate what GBIF brings a month later. From each revision to the next, of 100 records one has moved, one has
//! other remarks, one has vanished for good, one was only interpreted again (`lastInterpreted` differs, nothing else), and
//! for every 100 records one new one appears at the end.

use crate::{
    cases::{BLOCK, Case},
    dice::{Dice, mix},
    event_date::EventDate,
    identification::{Checklist, Group, Identification, is_animal},
    places::{OUTSIDE, PLACES, Place},
    seeds::{
        Dataset, INATURALIST, LATITUDE_RANGE, LONGITUDE_RANGE, MUSEUM_ANIMALS, MUSEUM_PLANTS, NATIONAL, UNKNOWN_DATASET,
    },
};

/// Purposes of throws; each question has its own number so that adding one changes no other answer.
mod purpose {
    pub const SOURCE: u64 = 1;
    pub const PLACE: u64 = 5;
    pub const LONGITUDE: u64 = 6;
    pub const LATITUDE: u64 = 7;
    pub const SHARED_POINT: u64 = 8;
    pub const SHARED_POINT_CHOICE: u64 = 9;
    pub const PRECISION: u64 = 10;
    pub const UNCERTAINTY: u64 = 12;
    pub const UNCERTAINTY_VALUE: u64 = 13;
    pub const GBIF_ID: u64 = 14;
    pub const CATALOG: u64 = 15;
    pub const PERSON: u64 = 17;
    pub const LICENSE: u64 = 18;
    pub const UUID: u64 = 20;
    pub const REVISION: u64 = 1_000;
}

/// Where a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// iNaturalist research-grade observations.
    Inaturalist,
    /// The invented zoological collection.
    Animals,
    /// The invented herbarium.
    Plants,
    /// The dataset that no platform knows.
    Unknown,
    /// A dataset of the French national platform.
    National,
}

impl Source {
    /// The dataset of the source.
    pub const fn dataset(self) -> Dataset {
        match self {
            Self::Inaturalist => INATURALIST,
            Self::Animals => MUSEUM_ANIMALS,
            Self::Plants => MUSEUM_PLANTS,
            Self::Unknown => UNKNOWN_DATASET,
            Self::National => NATIONAL,
        }
    }
}

/// A licence in the three spellings that an archive uses.
#[derive(Clone, Copy, Debug)]
pub struct License {
    /// In `occurrence.txt`.
    pub code: &'static str,
    /// In `verbatim.txt` and `multimedia.txt`.
    pub url: &'static str,
}

const LICENSES: [License; 10] = {
    const ZERO: License = License { code: "CC0_1_0", url: "http://creativecommons.org/publicdomain/zero/1.0/" };
    const BY: License = License { code: "CC_BY_4_0", url: "http://creativecommons.org/licenses/by/4.0/" };
    const BY_NC: License = License { code: "CC_BY_NC_4_0", url: "http://creativecommons.org/licenses/by-nc/4.0/" };
    [BY_NC, BY_NC, BY_NC, BY_NC, BY_NC, BY_NC, BY_NC, BY, BY, ZERO]
};

const PEOPLE: [&str; 24] = [
    "Camille Faure",
    "Jean-Noël Roux",
    "amelie_73",
    "Hélène Girard",
    "P. Blanc",
    "Zoé Chevalier",
    "marmotte38",
    "Étienne Morel",
    "Lucie Perrin",
    "Thierry Gauthier",
    "naturaliste_du_dimanche",
    "Anne-Laure Bonnet",
    "Mathis Fontaine",
    "R. Lambert",
    "odonata_ain",
    "Sylvie Rousseau",
    "Benoît Lefèvre",
    "Clara Moulin",
    "François d'Ussel",
    "Nadia Benali",
    "herbiers-et-cie",
    "Olivier Mercier",
    "Jeanne Vidal",
    "Marc Dupuis",
];

/// Points given by several records: a car park, a hut, a museum's address.
const SHARED_POINTS: [(f64, f64); 5] =
    [(5.7245, 45.1885), (4.8357, 45.764), (6.8694, 45.9237), (3.0863, 45.7797), (5.3701, 44.7533)];

/// What the tables say about one record.
#[derive(Clone, Debug)]
pub struct Record {
    /// GBIF's identifier, increasing with the index.
    pub gbif_id: u64,
    /// Throws for details that only the tables need.
    pub dice: Dice,
    /// What is awkward about it.
    pub case: Case,
    /// Source.
    pub source: Source,
    /// Its names.
    pub names: Identification,
    /// Number of the record at its source: the observation's id at iNaturalist.
    pub catalog_number: u64,
    /// Who saw or collected it.
    pub observer: &'static str,
    /// Licence of the record.
    pub license: License,
    /// When.
    pub date: EventDate,
    /// The commune around which the point lies.
    pub place: Place,
    /// Longitude and latitude in degrees, WGS84; `None` when the record does not tell.
    pub point: Option<(f64, f64)>,
    /// `coordinateUncertaintyInMeters`; `None` is an empty cell.
    pub uncertainty_m: Option<f64>,
    /// Bits of the UUID that its producer gives it, where he gives one.
    pub uuid_bits: u64,
    /// Revision at which the position changed last; 1 when never.
    pub moved_at: u32,
    /// Revision at which the remarks changed last; 1 when never.
    pub remarked_at: u32,
    /// Revision at which GBIF interpreted the record last; 1 when never again.
    pub interpreted_at: u32,
}

/// The records of one seed.
#[derive(Debug)]
pub struct World {
    seed: u64,
    checklist: Checklist,
}

impl World {
    /// The world of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, checklist: Checklist::new() }
    }

    /// How many indices there are at `revision`, of which some have vanished.
    pub fn indices(records: u64, revision: u32) -> u64 {
        records + u64::from(revision.saturating_sub(1)) * records.div_ceil(100)
    }

    /// The record at `index`, or `None` when it has vanished by `revision` (1 is the first).
    pub fn record(&self, index: u64, records: u64, revision: u32) -> Option<Record> {
        let dice = Dice::new(self.seed, index);
        let born = if index < records {
            1
        } else {
            let group = (index - records) / records.div_ceil(100).max(1);
            u32::try_from(group + 2).unwrap_or(u32::MAX)
        };
        let (mut moved_at, mut remarked_at, mut interpreted_at) = (1, 1, born);
        for step in born + 1..=revision.max(1) {
            match dice.below(purpose::REVISION + u64::from(step), 100) {
                0 => (moved_at, interpreted_at) = (step, step),
                1 => (remarked_at, interpreted_at) = (step, step),
                2 => return None,
                3 => interpreted_at = step,
                _ => {}
            }
        }
        let case = Case::of(self.seed, index);
        let (source, names) = self.source_and_names(dice, case);
        let place = match case {
            Case::Outside => dice.pick(purpose::PLACE, &OUTSIDE),
            _ => dice.pick(purpose::PLACE, &PLACES),
        };
        let point = case.has_coordinates().then(|| position(dice, source, case, place, moved_at));
        Some(Record {
            gbif_id: 4_000_000_000 + index * 3 + dice.below(purpose::GBIF_ID, 3),
            dice,
            case,
            source,
            names,
            catalog_number: match source {
                // Sparse, increasing and unique, as observation ids are.
                Source::Inaturalist => 10_000_000 + index * 211 + dice.below(purpose::CATALOG, 211),
                _ => index + 1,
            },
            observer: dice.pick(purpose::PERSON, &PEOPLE),
            license: match source {
                Source::Inaturalist => dice.pick(purpose::LICENSE, &LICENSES),
                Source::Plants => LICENSES[9],
                _ => LICENSES[7],
            },
            date: EventDate::new(dice, source == Source::Inaturalist, case),
            place,
            point,
            uncertainty_m: point.and_then(|point| uncertainty(dice, source, case, point)),
            uuid_bits: match case {
                Case::SharedUuid => mix(mix(self.seed) ^ (index / BLOCK)),
                _ => dice.bits(purpose::UUID),
            },
            moved_at,
            remarked_at,
            interpreted_at,
        })
    }

    fn source_and_names(&self, dice: Dice, case: Case) -> (Source, Identification) {
        let source = match case {
            Case::UnknownDataset => Source::Unknown,
            Case::OwnData => Source::National,
            Case::HiddenCoordinates
            | Case::Outside
            | Case::ObscuredForTaxon
            | Case::ObscuredByObserver
            | Case::VeryImprecise => Source::Inaturalist,
            Case::Absent
            | Case::CountZero
            | Case::Fossil
            | Case::NoDate
            | Case::Future
            | Case::Ancient
            | Case::NoCoordinates
            | Case::Machine
            | Case::MaterialSample => Source::Animals,
            Case::Living | Case::SharedUuid => Source::Plants,
            _ => match dice.below(purpose::SOURCE, 1000) {
                0..650 => Source::Inaturalist,
                650..860 => Source::Animals,
                _ => Source::Plants,
            },
        };
        match self.checklist.of_case(dice, case) {
            None => {
                let group = match source {
                    Source::Animals => Group::Animals,
                    Source::Plants => Group::Plants,
                    Source::Inaturalist | Source::Unknown | Source::National => Group::All,
                };
                (source, self.checklist.ordinary(dice, group))
            }
            // iNaturalist publishes no authors, so a name that is told by its author comes from a collection.
            Some(names) if source != Source::Inaturalist || case.is_about_the_name() => (
                names.taxon.map_or(source, |taxon| if is_animal(taxon) { Source::Animals } else { Source::Plants }),
                names,
            ),
            Some(names) => (source, names),
        }
    }
}

/// Side of the cell in which iNaturalist draws an obscured point, in degrees (inaturalist/inaturalist, `observation.rb`).
const OBSCURED_CELL: f64 = 0.2;

fn position(dice: Dice, source: Source, case: Case, place: Place, moved_at: u32) -> (f64, f64) {
    // A move is a new throw, so that each revision gives another point.
    let shift = u64::from(moved_at - 1) * 10_000;
    let (east, north) = (dice.unit(purpose::LONGITUDE + shift), dice.unit(purpose::LATITUDE + shift));
    let (mut longitude, mut latitude) = (place.longitude + (east - 0.5) * 0.4, place.latitude + (north - 0.5) * 0.4);
    if case.is_obscured() {
        longitude = ((place.longitude / OBSCURED_CELL).floor() + east) * OBSCURED_CELL;
        latitude = ((place.latitude / OBSCURED_CELL).floor() + north) * OBSCURED_CELL;
    } else if case == Case::Ordinary && moved_at == 1 && dice.chance(purpose::SHARED_POINT, 10) {
        (longitude, latitude) = dice.pick(purpose::SHARED_POINT_CHOICE, &SHARED_POINTS);
    }
    let scale = match source {
        Source::Inaturalist => 1e6,
        _ => dice.pick(purpose::PRECISION, &[1e2, 1e3, 1e4, 1e5]),
    };
    let rounded = |value: f64| (value * scale).round() / scale;
    if case == Case::Outside {
        // A third of the scatter: the places lie close to the border.
        let near = |value: f64, centre: f64| rounded(centre + (value - centre) / 3.0);
        return (near(longitude, place.longitude), near(latitude, place.latitude));
    }
    let within = |value: f64, (low, high): (f64, f64)| rounded(value).clamp(low, high);
    (within(longitude, LONGITUDE_RANGE), within(latitude, LATITUDE_RANGE))
}

fn uncertainty(dice: Dice, source: Source, case: Case, (_, latitude): (f64, f64)) -> Option<f64> {
    if case == Case::VeryImprecise {
        return Some(350_202.0);
    }
    if case.is_obscured() {
        // Diagonal of the cell on a sphere of 6,371 km, rounded up to a metre.
        let degree = 6_371_000.0_f64.to_radians();
        let south = (latitude / OBSCURED_CELL).floor() * OBSCURED_CELL;
        let height = OBSCURED_CELL * degree;
        let width = height * south.to_radians().cos();
        return Some(height.hypot(width).ceil());
    }
    let (empty, choices) = match source {
        Source::Inaturalist => (300, [3.0, 4.0, 5.0, 8.0, 12.0, 31.0, 122.0, 5_384.0]),
        _ => (450, [10.0, 50.0, 100.0, 250.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0]),
    };
    (!dice.chance(purpose::UNCERTAINTY, empty)).then(|| dice.pick(purpose::UNCERTAINTY_VALUE, &choices))
}
