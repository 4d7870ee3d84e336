//! Pictures, sounds and films of a record: rows of `multimedia.txt`, and their types in `mediaType` of `occurrence.txt`.
//!
//! Most are licensed pictures. A few have no licence (their author kept all rights), and a few an address of more than 255
//! characters, which no column of GeoNature's media holds.

use std::fmt;

use crate::{
    cases::Case,
    record::{Record, Source},
};

mod purpose {
    pub const PICTURES: u64 = 406;
    pub const MUSEUM_PICTURE: u64 = 409;
    pub const SOUND: u64 = 411;
    pub const FILM: u64 = 412;
    pub const UNLICENSED: u64 = 413;
    pub const LONG: u64 = 414;
}

/// `type` of a media, and the `format` that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A picture.
    StillImage,
    /// A sound.
    Sound,
    /// A film.
    MovingImage,
}

impl Kind {
    /// As GBIF writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StillImage => "StillImage",
            Self::Sound => "Sound",
            Self::MovingImage => "MovingImage",
        }
    }

    /// MIME type.
    pub const fn format(self) -> &'static str {
        match self {
            Self::StillImage => "image/jpeg",
            Self::Sound => "audio/mp4",
            Self::MovingImage => "video/mp4",
        }
    }

    /// End of its file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::StillImage => "jpg",
            Self::Sound => "m4a",
            Self::MovingImage => "mp4",
        }
    }
}

/// One media.
#[derive(Clone, Copy, Debug)]
pub struct Medium {
    /// What it is.
    pub kind: Kind,
    /// Whether it has a licence.
    pub licensed: bool,
    /// Whether its address is longer than 255 characters.
    pub long: bool,
}

/// How many media rows the record has: one to three for iNaturalist, seldom one or two for a specimen.
pub fn count(record: &Record) -> u64 {
    let Record { dice, source, case, .. } = record;
    match (source, case) {
        (_, Case::Machine) => 1,
        (Source::Inaturalist, _) => {
            1 + u64::from(dice.chance(purpose::PICTURES, 300)) + u64::from(dice.chance(purpose::SOUND, 20))
        }
        (Source::Plants, _) => u64::from(dice.chance(purpose::MUSEUM_PICTURE, 300)),
        (Source::Animals, _) => 2 * u64::from(dice.chance(purpose::FILM, 20)),
        (Source::Unknown | Source::National, _) => 0,
    }
}

/// Media `number` (from 0) of the record.
pub fn medium(record: &Record, number: u64) -> Medium {
    let Record { dice, source, case, .. } = record;
    let last = number + 1 == count(record);
    let kind = match (source, case) {
        (_, Case::Machine) => Kind::Sound,
        (Source::Inaturalist, _) if last && dice.chance(purpose::SOUND, 20) => Kind::Sound,
        (Source::Animals, _) if last => Kind::MovingImage,
        _ => Kind::StillImage,
    };
    let (unlicensed, long) = match source {
        Source::Inaturalist => (30, 0),
        _ => (200, 100),
    };
    Medium {
        kind,
        licensed: !dice.chance(purpose::UNLICENSED + 10 * number, unlicensed),
        long: dice.chance(purpose::LONG + 10 * number, long),
    }
}

/// `mediaType`: each type once, joined by `;`.
pub fn types(record: &Record) -> impl fmt::Display {
    let mut kinds: Vec<Kind> = Vec::new();
    for number in 0..count(record) {
        let Medium { kind, .. } = medium(record, number);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(";")
}
