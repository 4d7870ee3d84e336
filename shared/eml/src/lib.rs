//! Descriptions of datasets: EML documents as GBIF writes them, and the texts of its registry. Pure and synchronous.
//!
//! Terms: a *document* is one EML file, `dataset/<key>.xml` of an archive or `/v1/dataset/{key}/document` of the registry
//! (one program of GBIF writes both); a *party* is a person, an organisation or a person of an organisation.
//!
//! Invariants:
//! - versions 2.1.1 and 2.2.0 are read alike, by the names of their elements;
//! - texts come without markup, entities of HTML and control characters, so that a database and a person can read them;
//! - a document cannot ask for more memory or time than its size explains: no document type, no entities but XML's five,
//!   limits on bytes, elements and depth.
//!
//! Fails with [`EmlError`] for what is no EML, or has no title.
//!
//! Sources: <https://eml.ecoinformatics.org>, <https://rs.gbif.org/schema/eml-gbif-profile/>, and gbif/registry,
//! `registry-metadata`.

mod error;
mod party;
mod text;
mod tree;

pub use error::EmlError;
pub use party::Party;
pub use text::{line, paragraphs};

use std::collections::BTreeSet;

use tree::Element;

/// Largest document that is read, in bytes. The largest seen has 200 kB.
pub const MAX_BYTES: usize = 4 << 20;

/// What an EML document tells of its dataset. Texts are trimmed; one that is empty is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Eml {
    /// The title, on one line, of any length.
    pub title: String,
    /// The bare DOI, such as `10.15468/ab3s5x`.
    pub doi: Option<String>,
    /// The abstract; an empty line separates its paragraphs.
    pub description: Option<String>,
    /// The address of the licence, or what the publisher says about rights where there is no address.
    pub license: Option<String>,
    /// How the dataset asks to be cited.
    pub citation: Option<String>,
    /// Whom to ask about it.
    pub contacts: Vec<Party>,
    /// Who made it.
    pub creators: Vec<Party>,
    /// Who described it.
    pub metadata_providers: Vec<Party>,
}

impl Eml {
    /// Reads a document.
    ///
    /// # Errors
    /// [`EmlError`]: too large, no XML, no EML, without a title.
    pub fn parse(bytes: &[u8]) -> Result<Self, EmlError> {
        if bytes.len() > MAX_BYTES {
            return Err(EmlError::TooLarge { what: "bytes", limit: MAX_BYTES });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| EmlError::NotUtf8)?;
        let root = tree::parse(text.trim_start_matches('\u{feff}'))?;
        if root.name != "eml" {
            return Err(EmlError::NotEml { root: root.name });
        }
        let dataset = root.child("dataset").ok_or(EmlError::NoDataset)?;
        let title = dataset.children("title").find_map(|title| line(&title.text())).ok_or(EmlError::NoTitle)?;
        let parties = |role| dataset.children(role).filter_map(Party::read).collect();
        let citation = root.path(&["additionalMetadata", "metadata", "gbif", "citation"]);
        Ok(Self {
            title,
            doi: dataset.children("alternateIdentifier").find_map(|identifier| doi(&identifier.text())),
            description: dataset.child("abstract").and_then(|text| paragraphs(&text.text())),
            license: license(dataset),
            citation: citation.and_then(|citation| line(&citation.text())),
            contacts: parties("contact"),
            creators: parties("creator"),
            metadata_providers: parties("metadataProvider"),
        })
    }

    /// The organisation to ask about the dataset, else the one that made it.
    pub fn contact_organization(&self) -> Option<&str> {
        self.contacts.iter().chain(&self.creators).find_map(|party| party.organization.as_deref())
    }

    /// The organisation that handed the dataset in, else the one that made it.
    pub fn provider_organization(&self) -> Option<&str> {
        self.metadata_providers.iter().chain(&self.creators).find_map(|party| party.organization.as_deref())
    }

    /// The people to ask and those who made it, each once, as text.
    pub fn persons(&self) -> Option<String> {
        // A set beside the list: a document of 4 MiB has room for tens of thousands of people.
        let mut seen = BTreeSet::new();
        let named = self.contacts.iter().chain(&self.creators).filter_map(Party::person_text);
        let persons: Vec<String> = named.filter(|person| seen.insert(person.clone())).collect();
        (!persons.is_empty()).then(|| persons.join("; "))
    }
}

/// GBIF writes the DOI bare, publishers also as `doi:…` or as an address.
fn doi(identifier: &str) -> Option<String> {
    let identifier = line(identifier)?;
    let start = identifier.find("10.")?;
    let (before, bare) = identifier.split_at_checked(start)?;
    let is_prefix = matches!(
        before.to_ascii_lowercase().as_str(),
        "" | "doi:" | "https://doi.org/" | "http://doi.org/" | "http://dx.doi.org/" | "https://dx.doi.org/"
    );
    let (registrant, suffix) = bare.strip_prefix("10.")?.split_once('/')?;
    let is_doi = registrant.len() >= 4
        && registrant.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && !suffix.is_empty()
        && !suffix.contains(' ');
    (is_prefix && is_doi).then(|| bare.to_owned())
}

/// Since 2020 a link in the rights; before, their words or nothing.
fn license(dataset: &Element) -> Option<String> {
    let rights = dataset.child("intellectualRights");
    let linked = rights.and_then(|rights| rights.descendant("ulink")).and_then(|link| link.url.as_deref());
    let named = || dataset.path(&["licensed", "url"]).and_then(|url| line(&url.text()));
    linked.and_then(line).or_else(named).or_else(|| rights.and_then(|rights| paragraphs(&rights.text())))
}

#[cfg(test)]
mod tests {
    use super::doi;

    #[test]
    fn a_doi_is_bare_whatever_stands_before_it() {
        for text in ["10.15468/ab3s5x", " doi:10.15468/ab3s5x", "https://doi.org/10.15468/ab3s5x"] {
            assert_eq!(doi(text).as_deref(), Some("10.15468/ab3s5x"), "{text}");
        }
        for text in ["", "10.1", "10.15468/", "101c500d-103b-323c", "https://ipt.example.org/10.15468/ab3s5x", "10.x/y"]
        {
            assert_eq!(doi(text), None, "{text}");
        }
    }
}
