//! The taxa of the generated archives: 168 names plausible for Auvergne-Rhône-Alpes, and a few that TAXREF lacks.
//!
//! Names, authors and classification are those in common use; the **GBIF keys and the `cd_nom` are invented** (keys from
//! 99,000,000, `cd_nom` from 9,000,000) and say nothing about the real GBIF backbone or the real TAXREF. Nothing outside
//! tests and demonstrations may use them.
//!
//! The list holds the awkward cases on purpose:
//! - synonyms: `cd_nom != cd_ref`, with a GBIF key of their own; the accepted name is always in the list too;
//! - one GBIF key ([`AMBIGUOUS_KEY`]) with three `cd_nom`, of which exactly one is accepted, and one ([`SYNONYMS_KEY`]) with two,
//!   both synonyms;
//! - three taxa with `linked == false`: present in TAXREF, but no link leads from their GBIF key to it;
//! - sensitive taxa, a genus, a subspecies, and a class without order.
//!
//! [`strangers`] are names that GBIF knows and the seeded TAXREF does not: no row, no link.
//!
//! The data is `data/taxa.tsv` and `data/strangers.tsv`; a malformed line is a defect of this crate and stops the process at first
//! use.

use std::sync::LazyLock;

use crate::cases::Case;

/// The GBIF key that has several `cd_nom` (*Rutpela maculata* and two older combinations).
pub const AMBIGUOUS_KEY: &str = "99000154";

/// The GBIF key that has two `cd_nom`, both synonyms of *Nymphalis polychloros*. The archives call it by the one with the higher
/// `cd_nom`.
pub const SYNONYMS_KEY: &str = "99001169";

/// One link between a GBIF key and a name of TAXREF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taxon {
    /// GBIF taxon key as text (invented).
    pub gbif_key: &'static str,
    /// Name with authorship.
    pub scientific_name: &'static str,
    /// Name without authorship.
    pub canonical_name: &'static str,
    /// Kingdom.
    pub kingdom: &'static str,
    /// Phylum.
    pub phylum: &'static str,
    /// Class.
    pub class: &'static str,
    /// Order; empty where the checklist has none.
    pub order: &'static str,
    /// Family.
    pub family: &'static str,
    /// Rank as GBIF writes it: `SPECIES`, `SUBSPECIES`, `GENUS`.
    pub rank: &'static str,
    /// TAXREF code of this name (invented); 0 for a stranger.
    pub cd_nom: i32,
    /// TAXREF code of the accepted name (invented); equal to `cd_nom` when this name is accepted.
    pub cd_ref: i32,
    /// Whether `taxref_liens` leads from `gbif_key` to `cd_nom`.
    pub linked: bool,
    /// Whether a sensitivity rule should be seeded for it.
    pub sensitive: bool,
    /// French name.
    pub vernacular_name: &'static str,
}

impl Taxon {
    /// First word of the name.
    pub fn genus(&self) -> &'static str {
        self.canonical_name.split(' ').next().unwrap_or(self.canonical_name)
    }

    /// Second word of the name, empty for a genus.
    pub fn specific_epithet(&self) -> &'static str {
        self.canonical_name.split(' ').nth(1).unwrap_or("")
    }

    /// Third word of the name, empty but for a subspecies.
    pub fn infraspecific_epithet(&self) -> &'static str {
        self.canonical_name.split(' ').nth(2).unwrap_or("")
    }

    /// Whether this name is the accepted one.
    pub fn is_accepted(&self) -> bool {
        self.cd_nom == self.cd_ref
    }
}

static TAXA: LazyLock<Vec<Taxon>> = LazyLock::new(|| {
    include_str!("../data/taxa.tsv")
        .lines()
        .skip(1)
        .map(|line| parse(line).unwrap_or_else(|| panic!("data/taxa.tsv has a malformed line, mend the file: {line}")))
        .collect()
});

/// Every taxon, in the order of the file. A GBIF key can occur more than once.
pub fn taxa() -> &'static [Taxon] {
    &TAXA
}

/// A name that the seeded TAXREF lacks.
#[derive(Clone, Copy, Debug)]
pub struct Stranger {
    /// What it is good for.
    pub case: Case,
    /// The name as GBIF has it.
    pub taxon: Taxon,
    /// GBIF key of its species (of an infraspecific name) or of its accepted name (of a synonym); else its own.
    pub related_key: &'static str,
}

static STRANGERS: LazyLock<Vec<Stranger>> = LazyLock::new(|| {
    include_str!("../data/strangers.tsv")
        .lines()
        .skip(1)
        .map(|line| {
            parse_stranger(line)
                .unwrap_or_else(|| panic!("data/strangers.tsv has a malformed line, mend the file: {line}"))
        })
        .collect()
});

/// Every name that TAXREF lacks, in the order of the file.
pub fn strangers() -> &'static [Stranger] {
    &STRANGERS
}

fn parse_stranger(line: &'static str) -> Option<Stranger> {
    let mut fields = line.split('\t');
    let case = match fields.next()? {
        "Infraspecific" => Case::Infraspecific,
        "LinkOfAccepted" => Case::LinkOfAccepted,
        "NotInTaxref" => Case::NotInTaxref,
        "CanonicalOnly" => Case::CanonicalOnly,
        _ => return None,
    };
    let taxon = known_to_gbif(&mut fields)?;
    Some(Stranger { case, taxon, related_key: fields.next()? })
}

fn parse(line: &'static str) -> Option<Taxon> {
    let mut fields = line.split('\t');
    let taxon = known_to_gbif(&mut fields)?;
    let mut next = || fields.next();
    Some(Taxon {
        cd_nom: next()?.parse().ok()?,
        cd_ref: next()?.parse().ok()?,
        linked: next()? == "yes",
        sensitive: next()? == "yes",
        vernacular_name: next()?,
        ..taxon
    })
}

/// What both files tell of a name, and nothing of TAXREF.
fn known_to_gbif(fields: &mut impl Iterator<Item = &'static str>) -> Option<Taxon> {
    let mut next = || fields.next();
    Some(Taxon {
        gbif_key: next()?,
        scientific_name: next()?,
        canonical_name: next()?,
        kingdom: next()?,
        phylum: next()?,
        class: next()?,
        order: next()?,
        family: next()?,
        rank: next()?,
        cd_nom: 0,
        cd_ref: 0,
        linked: false,
        sensitive: false,
        vernacular_name: "",
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn holds_every_awkward_case() {
        let all = taxa();
        assert!((120..200).contains(&all.len()), "{}", all.len());
        assert_eq!(all.iter().filter(|t| !t.linked).count(), 3);
        assert!(all.iter().filter(|t| t.sensitive).count() >= 10);
        assert!(all.iter().filter(|t| !t.is_accepted()).count() >= 5);
        let mut by_key: BTreeMap<&str, Vec<&Taxon>> = BTreeMap::new();
        for taxon in all {
            by_key.entry(taxon.gbif_key).or_default().push(taxon);
        }
        let several: Vec<_> = by_key.iter().filter(|(_, names)| names.len() > 1).collect();
        assert_eq!(several.iter().map(|(key, _)| **key).collect::<Vec<_>>(), [AMBIGUOUS_KEY, SYNONYMS_KEY]);
        assert_eq!(several[0].1.iter().filter(|t| t.is_accepted()).count(), 1);
        assert_eq!(several[1].1.iter().filter(|t| t.is_accepted()).count(), 0);
    }

    #[test]
    fn strangers_stand_nowhere_in_taxref() {
        for Stranger { case, taxon, related_key } in strangers() {
            let same_key = taxa().iter().any(|known| known.gbif_key == taxon.gbif_key);
            let same_name = taxa().iter().any(|known| known.scientific_name == taxon.scientific_name);
            let same_canonical = taxa().iter().any(|known| known.canonical_name == taxon.canonical_name);
            let related = taxa().iter().any(|known| known.gbif_key == *related_key && known.linked);
            assert!(!same_key && !same_name, "{}", taxon.canonical_name);
            assert_eq!(same_canonical, *case == Case::CanonicalOnly, "{}", taxon.canonical_name);
            assert_eq!(related, [Case::Infraspecific, Case::LinkOfAccepted].contains(case), "{}", taxon.canonical_name);
        }
    }

    #[test]
    fn codes_are_unique_and_every_accepted_name_is_listed() {
        let codes: BTreeSet<i32> = taxa().iter().map(|t| t.cd_nom).collect();
        assert_eq!(codes.len(), taxa().len());
        for taxon in taxa() {
            assert!(codes.contains(&taxon.cd_ref), "{}", taxon.canonical_name);
            assert!(taxon.scientific_name.starts_with(taxon.canonical_name));
            assert_ne!(taxon.gbif_key, crate::seeds::UNKNOWN_TAXON_KEY);
        }
    }
}
