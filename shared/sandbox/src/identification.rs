//! What a record is: the name its publisher wrote, the name GBIF has matched, and the keys that follow from it.

use std::collections::HashMap;

use crate::{
    cases::Case,
    dice::{Dice, mix_text},
    taxa::{Stranger, Taxon, strangers, taxa},
};

mod purpose {
    pub const TAXON: u64 = 2;
    pub const NAME: u64 = 3;
}

/// Genera that GBIF has matched where the publisher wrote more. The last name is in no checklist.
const HIGHER_RANK: [(&str, &str); 4] = [
    ("Bombus", "Bombus lapidarius (Linnaeus, 1758)"),
    ("Bombus", "Bombus terrestris (Linnaeus, 1758)"),
    ("Taraxacum", "Taraxacum officinale F.H.Wigg."),
    ("Taraxacum", "Taraxacum sect. Ruderalia Kirschner, H.Øllg. & Štěpánek"),
];

/// Names that GBIF has matched, and the similar ones that were written. The first written one is a name of TAXREF, the others
/// are misspelt.
const FUZZY: [(&str, &str); 3] = [
    ("Aglais io", "Inachis io (Linnaeus, 1758)"),
    ("Maniola jurtina", "Maniola jurtinna (Linnaeus, 1758)"),
    ("Arnica montana", "Arnica montanna L."),
];

/// The names of one record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identification {
    /// The name that GBIF has matched; `None` when it found nothing.
    pub taxon: Option<&'static Taxon>,
    /// The accepted name of `taxon` (itself when accepted).
    pub accepted: Option<&'static Taxon>,
    /// The species of `accepted`; `None` for a genus.
    pub species: Option<&'static Taxon>,
    /// What the publisher wrote, where it is not the name of `taxon`.
    pub published: Option<&'static str>,
    /// GBIF's flag on the match; empty when it was exact.
    pub issue: &'static str,
}

/// Which names a record may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Animals of a museum.
    Animals,
    /// Plants, mosses, fungi and lichens of a herbarium.
    Plants,
    /// Anything.
    All,
}

/// The lists that records draw from.
#[derive(Debug)]
pub struct Checklist {
    animals: Vec<&'static Taxon>,
    plants: Vec<&'static Taxon>,
    all: Vec<&'static Taxon>,
    birds: Vec<&'static Taxon>,
    sensitive: Vec<&'static Taxon>,
    /// Names in TAXREF to which no link leads.
    unlinked: Vec<&'static Taxon>,
    /// First names of the keys that lead to several.
    several: Vec<&'static Taxon>,
    by_name: HashMap<&'static str, &'static Taxon>,
    by_key: HashMap<&'static str, &'static Taxon>,
    by_code: HashMap<i32, &'static Taxon>,
}

impl Checklist {
    /// The lists, in an order that has nothing to do with the names.
    pub fn new() -> Self {
        // GBIF has one name per key: of a key with several only the first entry can stand in an archive.
        let mut first: Vec<&'static Taxon> = Vec::new();
        let mut several: Vec<&'static Taxon> = Vec::new();
        for taxon in taxa() {
            match first.iter().find(|known| known.gbif_key == taxon.gbif_key) {
                None => first.push(taxon),
                Some(known) if several.iter().all(|known| known.gbif_key != taxon.gbif_key) => several.push(known),
                Some(_) => {}
            }
        }
        first.sort_by_key(|taxon| mix_text(taxon.canonical_name));
        let all = || first.iter().copied().filter(|taxon| taxon.linked);
        Self {
            animals: all().filter(|taxon| is_animal(taxon)).collect(),
            plants: all().filter(|taxon| !is_animal(taxon)).collect(),
            birds: all().filter(|taxon| taxon.class == "Aves").collect(),
            sensitive: all().filter(|taxon| taxon.sensitive).collect(),
            all: all().collect(),
            unlinked: first.iter().copied().filter(|taxon| !taxon.linked).collect(),
            several,
            by_name: taxa().iter().map(|taxon| (taxon.canonical_name, taxon)).collect(),
            by_key: first.iter().map(|taxon| (taxon.gbif_key, *taxon)).collect(),
            by_code: taxa().iter().map(|taxon| (taxon.cd_nom, taxon)).collect(),
        }
    }

    /// The names of an ordinary record: a few taxa are common and most are rare, as in real data.
    pub fn ordinary(&self, dice: Dice, group: Group) -> Identification {
        let list = match group {
            Group::Animals => &self.animals,
            Group::Plants => &self.plants,
            Group::All => &self.all,
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a position in a short list"
        )]
        let position = (dice.unit(purpose::TAXON).powi(2) * list.len() as f64) as usize;
        self.of(list.get(position).copied())
    }

    /// The names of a record of this case; `None` when the case is not about names.
    pub fn of_case(&self, dice: Dice, case: Case) -> Option<Identification> {
        let one = |list: &[&'static Taxon]| self.of(self.drawn(dice, list));
        Some(match case {
            Case::IncertaeSedis => Identification {
                published: Some("Espèce indéterminée"),
                issue: "TAXON_MATCH_HIGHERRANK",
                ..Identification::default()
            },
            Case::NotInTaxref | Case::CanonicalOnly | Case::Infraspecific | Case::LinkOfAccepted => {
                self.stranger(dice, case)
            }
            Case::SeveralNames => one(&self.several),
            Case::FullName => one(&self.unlinked),
            Case::HigherRank => self.matched(dice.pick(purpose::NAME, &HIGHER_RANK), "TAXON_MATCH_HIGHERRANK"),
            Case::Fuzzy => self.matched(dice.pick(purpose::NAME, &FUZZY), "TAXON_MATCH_FUZZY"),
            Case::Machine => one(&self.birds),
            Case::ObscuredForTaxon => one(&self.sensitive),
            _ => return None,
        })
    }

    fn drawn(&self, dice: Dice, list: &[&'static Taxon]) -> Option<&'static Taxon> {
        let position = dice.below(purpose::TAXON, list.len() as u64);
        usize::try_from(position).ok().and_then(|position| list.get(position).copied())
    }

    fn of(&self, taxon: Option<&'static Taxon>) -> Identification {
        let accepted = taxon.and_then(|taxon| self.by_code.get(&taxon.cd_ref).copied());
        Identification { taxon, accepted, species: accepted.and_then(|name| self.species(name)), ..Default::default() }
    }

    fn species(&self, name: &'static Taxon) -> Option<&'static Taxon> {
        match name.rank {
            "GENUS" => None,
            "SPECIES" => Some(name),
            _ => self.by_name.get(format!("{} {}", name.genus(), name.specific_epithet()).as_str()).copied(),
        }
    }

    fn stranger(&self, dice: Dice, case: Case) -> Identification {
        let of_case: Vec<&'static Stranger> = strangers().iter().filter(|stranger| stranger.case == case).collect();
        let position = dice.below(purpose::TAXON, of_case.len() as u64);
        let Some(stranger) = usize::try_from(position).ok().and_then(|position| of_case.get(position)) else {
            return Identification::default();
        };
        let taxon = Some(&stranger.taxon);
        let related = self.by_key.get(stranger.related_key).copied();
        let (accepted, species) = match case {
            Case::LinkOfAccepted => (related, related),
            Case::Infraspecific => (taxon, related),
            _ => (taxon, taxon),
        };
        Identification { taxon, accepted, species, ..Default::default() }
    }

    fn matched(&self, (name, published): (&str, &'static str), issue: &'static str) -> Identification {
        Identification { published: Some(published), issue, ..self.of(self.by_name.get(name).copied()) }
    }
}

impl Default for Checklist {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the name belongs in a zoological collection.
pub fn is_animal(taxon: &Taxon) -> bool {
    taxon.kingdom == "Animalia"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_case_about_names_has_its_keys() {
        let checklist = Checklist::new();
        let names = |case| (0..200).map(move |index| (case, Dice::new(1, index)));
        let all = |case| names(case).map(|(case, dice)| checklist.of_case(dice, case).unwrap()).collect::<Vec<_>>();
        for found in all(Case::Infraspecific) {
            assert!(!found.taxon.unwrap().linked && found.species.unwrap().linked);
        }
        for found in all(Case::LinkOfAccepted) {
            assert!(!found.taxon.unwrap().linked && found.accepted.unwrap().linked);
        }
        for found in all(Case::FullName) {
            assert!(!found.taxon.unwrap().linked && found.taxon.unwrap().cd_nom > 0);
        }
        for found in all(Case::HigherRank) {
            assert!(found.taxon.unwrap().rank == "GENUS" && found.published.is_some() && found.species.is_none());
        }
        let keys = |found: Vec<Identification>| {
            found.iter().map(|found| found.taxon.unwrap().gbif_key).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(keys(all(Case::SeveralNames)).len(), 2);
        assert_eq!(keys(all(Case::FullName)).len(), 3);
        assert_eq!(keys(all(Case::NotInTaxref)).len(), 4);
        assert_eq!(keys(all(Case::Fuzzy)).len(), 3);
        let subspecies = checklist.by_name["Vipera aspis atra"];
        assert_eq!(checklist.of(Some(subspecies)).species.unwrap().canonical_name, "Vipera aspis");
    }
}
