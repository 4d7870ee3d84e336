//! One invented record: everything that the tables of an archive say about it.
//!
//! [`World::record`] is a pure function of (seed, index, revision). The shares, in 1000 records: 600 iNaturalist,
//! 240 museum animals, 150 herbarium, 10 of the dataset that no platform knows; 3 with an unknown taxon; about 5 with a
//! taxon that TAXREF does not link; 10 at one of five shared points; 5 museum records that are absences.
//!
//! Revisions imitate what GBIF brings a month later. From each revision to the next, of 100 records one has moved, one has
//! other remarks, one has vanished for good, one was only interpreted again (`lastInterpreted` differs, nothing else), and
//! for every 100 records one new one appears at the end.

use std::collections::HashMap;

use crate::{
    dice::Dice,
    event_date::EventDate,
    places::{PLACES, Place},
    seeds::{Dataset, INATURALIST, LATITUDE_RANGE, LONGITUDE_RANGE, MUSEUM_ANIMALS, MUSEUM_PLANTS, UNKNOWN_DATASET},
    taxa::{Taxon, taxa},
};

/// Purposes of throws; each question has its own number so that adding one changes no other answer.
mod purpose {
    pub const SOURCE: u64 = 1;
    pub const TAXON: u64 = 2;
    pub const TAXON_AGAIN: u64 = 3;
    pub const TAXON_UNKNOWN: u64 = 4;
    pub const PLACE: u64 = 5;
    pub const LONGITUDE: u64 = 6;
    pub const LATITUDE: u64 = 7;
    pub const SHARED_POINT: u64 = 8;
    pub const SHARED_POINT_CHOICE: u64 = 9;
    pub const PRECISION: u64 = 10;
    pub const OBSCURED: u64 = 11;
    pub const UNCERTAINTY: u64 = 12;
    pub const UNCERTAINTY_VALUE: u64 = 13;
    pub const GBIF_ID: u64 = 14;
    pub const CATALOG: u64 = 15;
    pub const PERSON: u64 = 17;
    pub const LICENSE: u64 = 18;
    pub const ABSENT: u64 = 19;
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
}

impl Source {
    /// The dataset of the source.
    pub const fn dataset(self) -> Dataset {
        match self {
            Self::Inaturalist => INATURALIST,
            Self::Animals => MUSEUM_ANIMALS,
            Self::Plants => MUSEUM_PLANTS,
            Self::Unknown => UNKNOWN_DATASET,
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
    /// Source.
    pub source: Source,
    /// Taxon, or `None` for a name that no checklist links.
    pub taxon: Option<&'static Taxon>,
    /// The accepted name of `taxon` (itself when accepted).
    pub accepted: Option<&'static Taxon>,
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
    /// Degrees, WGS84.
    pub longitude: f64,
    /// Degrees, WGS84.
    pub latitude: f64,
    /// `coordinateUncertaintyInMeters`; `None` is an empty cell.
    pub uncertainty_m: Option<f64>,
    /// Whether the source has hidden the true position.
    pub obscured: bool,
    /// Whether the record says that the taxon was not there.
    pub absent: bool,
    /// Revision at which the position changed last; 1 when never.
    pub moved_at: u32,
    /// Revision at which the remarks changed last; 1 when never.
    pub remarked_at: u32,
    /// Revision at which GBIF interpreted the record last; 1 when never again.
    pub interpreted_at: u32,
}

/// The lists that records draw from.
#[derive(Debug)]
pub struct World {
    seed: u64,
    animals: Vec<&'static Taxon>,
    plants: Vec<&'static Taxon>,
    all: Vec<&'static Taxon>,
    accepted: HashMap<i32, &'static Taxon>,
}

impl World {
    /// The world of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut all: Vec<&'static Taxon> = Vec::new();
        for taxon in taxa() {
            // GBIF has one name per key: of an ambiguous key only the first entry can stand in an archive.
            if all.iter().all(|known| known.gbif_key != taxon.gbif_key) {
                all.push(taxon);
            }
        }
        all.sort_by_key(|taxon| crate::dice::mix_text(taxon.canonical_name));
        let animals = all.iter().copied().filter(|taxon| taxon.kingdom == "Animalia").collect();
        let plants = all.iter().copied().filter(|taxon| taxon.kingdom != "Animalia").collect();
        let accepted = taxa().iter().filter(|taxon| taxon.is_accepted()).map(|taxon| (taxon.cd_nom, taxon)).collect();
        Self { seed, animals, plants, all, accepted }
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
        let source = match dice.below(purpose::SOURCE, 1000) {
            0..600 => Source::Inaturalist,
            600..840 => Source::Animals,
            840..990 => Source::Plants,
            _ => Source::Unknown,
        };
        let taxon = self.taxon(dice, source);
        let obscured = source == Source::Inaturalist
            && (taxon.is_some_and(|taxon| taxon.sensitive) || dice.chance(purpose::OBSCURED, 40));
        let place = dice.pick(purpose::PLACE, &PLACES);
        let (longitude, latitude) = position(dice, source, place, moved_at, obscured);
        Some(Record {
            gbif_id: 4_000_000_000 + index * 3 + dice.below(purpose::GBIF_ID, 3),
            dice,
            source,
            taxon,
            accepted: taxon.and_then(|taxon| self.accepted.get(&taxon.cd_ref).copied()),
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
            date: EventDate::new(dice, source == Source::Inaturalist),
            place,
            longitude,
            latitude,
            uncertainty_m: uncertainty(dice, source, obscured, latitude),
            obscured,
            absent: source == Source::Animals && dice.chance(purpose::ABSENT, 20),
            moved_at,
            remarked_at,
            interpreted_at,
        })
    }

    fn taxon(&self, dice: Dice, source: Source) -> Option<&'static Taxon> {
        if dice.chance(purpose::TAXON_UNKNOWN, 3) {
            return None;
        }
        let list = match source {
            Source::Animals => &self.animals,
            Source::Plants => &self.plants,
            Source::Inaturalist | Source::Unknown => &self.all,
        };
        let draw = |purpose| {
            // Squared, so that a few taxa are common and most are rare, as in real data.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a position in a short list"
            )]
            let position = (dice.unit(purpose).powi(2) * list.len() as f64) as usize;
            list.get(position).copied()
        };
        let taxon = draw(purpose::TAXON)?;
        // Taxa without a link stay rare: three of four throws are made again.
        if !taxon.linked && dice.below(purpose::TAXON_AGAIN, 4) != 0 { draw(purpose::TAXON_AGAIN) } else { Some(taxon) }
    }
}

/// Side of the cell in which iNaturalist draws an obscured point, in degrees (inaturalist/inaturalist, `observation.rb`).
const OBSCURED_CELL: f64 = 0.2;

fn position(dice: Dice, source: Source, place: Place, moved_at: u32, obscured: bool) -> (f64, f64) {
    // A move is a new throw, so that each revision gives another point.
    let shift = u64::from(moved_at - 1) * 10_000;
    let (east, north) = (dice.unit(purpose::LONGITUDE + shift), dice.unit(purpose::LATITUDE + shift));
    let (mut longitude, mut latitude) = (place.longitude + (east - 0.5) * 0.4, place.latitude + (north - 0.5) * 0.4);
    if obscured {
        longitude = ((place.longitude / OBSCURED_CELL).floor() + east) * OBSCURED_CELL;
        latitude = ((place.latitude / OBSCURED_CELL).floor() + north) * OBSCURED_CELL;
    } else if moved_at == 1 && dice.chance(purpose::SHARED_POINT, 10) {
        (longitude, latitude) = dice.pick(purpose::SHARED_POINT_CHOICE, &SHARED_POINTS);
    }
    let scale = match source {
        Source::Inaturalist => 1e6,
        _ => dice.pick(purpose::PRECISION, &[1e2, 1e3, 1e4, 1e5]),
    };
    let within = |value: f64, (low, high): (f64, f64)| ((value * scale).round() / scale).clamp(low, high);
    (within(longitude, LONGITUDE_RANGE), within(latitude, LATITUDE_RANGE))
}

fn uncertainty(dice: Dice, source: Source, obscured: bool, latitude: f64) -> Option<f64> {
    if obscured {
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
