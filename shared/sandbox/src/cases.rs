//! What is awkward about a record, if anything.
//!
//! | in 1000 | case | the record |
//! | ---: | --- | --- |
//! | | **does not enter with default settings** | |
//! | 10 | [`UnknownDataset`](Case::UnknownDataset) | belongs to a dataset that no platform has declared |
//! | 4 | [`OwnData`](Case::OwnData) | belongs to a dataset of the French national platform |
//! | 5 | [`Absent`](Case::Absent) | says that the taxon was searched and not found |
//! | 3 | [`CountZero`](Case::CountZero) | is a presence of 0 individuals |
//! | 3 | [`Fossil`](Case::Fossil) | is a `FOSSIL_SPECIMEN` |
//! | 3 | [`Living`](Case::Living) | is a `LIVING_SPECIMEN` of a garden |
//! | 4 | [`NoDate`](Case::NoDate) | has no `eventDate` |
//! | 3 | [`Future`](Case::Future) | is of the year 2099 |
//! | 4 | [`Ancient`](Case::Ancient) | is of 1750 to 1899 |
//! | 3 | [`NoCoordinates`](Case::NoCoordinates) | has no coordinates |
//! | 2 | [`HiddenCoordinates`](Case::HiddenCoordinates) | has none because its observer hides them |
//! | 4 | [`Outside`](Case::Outside) | lies outside the region |
//! | 8 | [`ObscuredForTaxon`](Case::ObscuredForTaxon) | has a random point of a cell of 0.2°, to protect its taxon |
//! | 8 | [`ObscuredByObserver`](Case::ObscuredByObserver) | the same, as its observer wished |
//! | 4 | [`Suspicious`](Case::Suspicious) | carries an issue flag that makes its place doubtful, one in four its date (which is only noted) |
//! | 3 | [`IncertaeSedis`](Case::IncertaeSedis) | is identified to nothing |
//! | 4 | [`NotInTaxref`](Case::NotInTaxref) | has a name that TAXREF lacks |
//! | 2 | [`CanonicalOnly`](Case::CanonicalOnly) | has a name that TAXREF has with its author written otherwise |
//! | 3 | [`SharedUuid`](Case::SharedUuid) | has the UUID of two others of the same thousand: one of them enters |
//! | | **enters, but only one way is right** | |
//! | 5 | [`SeveralNames`](Case::SeveralNames) | its key leads to several names of TAXREF |
//! | 5 | [`FullName`](Case::FullName) | its key leads nowhere, its full name stands in TAXREF |
//! | 4 | [`Infraspecific`](Case::Infraspecific) | a subspecies without key or name in TAXREF, whose species has a link |
//! | 3 | [`LinkOfAccepted`](Case::LinkOfAccepted) | a synonym without key or name in TAXREF, whose accepted name has a link |
//! | 4 | [`HigherRank`](Case::HigherRank) | GBIF has matched the genus only; the published name stands in TAXREF |
//! | 3 | [`Fuzzy`](Case::Fuzzy) | GBIF has matched a name written a little otherwise |
//! | 5 | [`MaterialSample`](Case::MaterialSample) | is a `MATERIAL_SAMPLE`, which is no specimen of a collection |
//! | 5 | [`Machine`](Case::Machine) | is a `MACHINE_OBSERVATION` with a sound |
//! | 5 | [`VeryImprecise`](Case::VeryImprecise) | has an uncertainty of 350 km |
//! | 881 | [`Ordinary`](Case::Ordinary) | |
//!
//! The shares are exact in every thousand of indices, and spread so that a few hundred records hold most cases. Beside them, and
//! by chance: half of the dates of specimens are intervals, months or years; one date of iNaturalist in 33 ends with `Z`; a third
//! of the uncertainties are empty; some records have a sex, a stage, a caste, a behaviour, a vitality, an establishment or a quantity,
//! of which a few are in no vocabulary; media without licence or with addresses that no column of GeoNature holds.

use crate::dice::mix;

/// What is awkward about a record.
#[expect(missing_docs, reason = "the table of the module says it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    UnknownDataset,
    OwnData,
    Absent,
    CountZero,
    Fossil,
    Living,
    NoDate,
    Future,
    Ancient,
    NoCoordinates,
    HiddenCoordinates,
    Outside,
    ObscuredForTaxon,
    ObscuredByObserver,
    Suspicious,
    IncertaeSedis,
    NotInTaxref,
    CanonicalOnly,
    SharedUuid,
    SeveralNames,
    FullName,
    Infraspecific,
    LinkOfAccepted,
    HigherRank,
    Fuzzy,
    MaterialSample,
    Machine,
    VeryImprecise,
    Ordinary,
}

/// Records in 1000; the rest is ordinary.
pub const SHARES: [(Case, u64); 28] = [
    (Case::UnknownDataset, 10),
    (Case::OwnData, 4),
    (Case::Absent, 5),
    (Case::CountZero, 3),
    (Case::Fossil, 3),
    (Case::Living, 3),
    (Case::NoDate, 4),
    (Case::Future, 3),
    (Case::Ancient, 4),
    (Case::NoCoordinates, 3),
    (Case::HiddenCoordinates, 2),
    (Case::Outside, 4),
    (Case::ObscuredForTaxon, 8),
    (Case::ObscuredByObserver, 8),
    (Case::Suspicious, 4),
    (Case::IncertaeSedis, 3),
    (Case::NotInTaxref, 4),
    (Case::CanonicalOnly, 2),
    (Case::SharedUuid, 3),
    (Case::SeveralNames, 5),
    (Case::FullName, 5),
    (Case::Infraspecific, 4),
    (Case::LinkOfAccepted, 3),
    (Case::HigherRank, 4),
    (Case::Fuzzy, 3),
    (Case::MaterialSample, 5),
    (Case::Machine, 5),
    (Case::VeryImprecise, 5),
];

/// Indices among which the shares are exact.
pub const BLOCK: u64 = 1000;

/// Inverse of 619 modulo 1000: neighbouring places of the table are 619 indices apart, nearly the golden section of a block, so that
/// the records of a case are spread over it.
const STEP: u64 = 979;

impl Case {
    /// The case of record `index` in the world `seed`.
    pub fn of(seed: u64, index: u64) -> Self {
        let start = mix(mix(seed) ^ (index / BLOCK)) % BLOCK;
        let mut place = (index % BLOCK * STEP + start) % BLOCK;
        for (case, share) in SHARES {
            if place < share {
                return case;
            }
            place -= share;
        }
        Self::Ordinary
    }

    /// Whether the point is a random one of the cell of 0.2° that holds the true position.
    pub const fn is_obscured(self) -> bool {
        matches!(self, Self::ObscuredForTaxon | Self::ObscuredByObserver)
    }

    /// Whether the case lies in the name that was published.
    pub const fn is_about_the_name(self) -> bool {
        matches!(
            self,
            Self::NotInTaxref
                | Self::CanonicalOnly
                | Self::SeveralNames
                | Self::FullName
                | Self::Infraspecific
                | Self::LinkOfAccepted
                | Self::HigherRank
                | Self::Fuzzy
        )
    }

    /// Whether the record tells where.
    pub const fn has_coordinates(self) -> bool {
        !matches!(self, Self::NoCoordinates | Self::HiddenCoordinates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_in_every_thousand_and_spread() {
        assert_eq!(STEP * 619 % BLOCK, 1);
        assert_eq!(SHARES.iter().map(|(_, share)| share).sum::<u64>(), 119);
        for (seed, block) in [(1, 0), (1, 5), (20_260_818, 3)] {
            let cases: Vec<Case> = (block * BLOCK..(block + 1) * BLOCK).map(|index| Case::of(seed, index)).collect();
            for (case, share) in SHARES {
                assert_eq!(cases.iter().filter(|found| **found == case).count() as u64, share, "{case:?}");
            }
            let early = SHARES.iter().filter(|(case, _)| cases[..500].contains(case)).count();
            assert!(early >= 25, "half a block holds {early} cases");
        }
    }
}
