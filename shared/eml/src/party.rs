//! People and organisations of a document.

use crate::text::line;
use crate::tree::Element;

/// A person, an organisation, or a person of an organisation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// Name of the organisation.
    pub organization: Option<String>,
    /// Given name and surname.
    pub person: Option<String>,
}

impl Party {
    /// Reads a `contact`, a `creator` or another element of the same type; `None` when it names nobody. Addresses of any
    /// kind are not read: whoever needs them follows the DOI.
    pub(crate) fn read(element: &Element) -> Option<Self> {
        let words = |name| element.child(name).and_then(|child| line(&child.text()));
        let person = element.child("individualName").and_then(|name| {
            let parts = ["givenName", "surName"].map(|part| {
                let parts: Vec<String> = name.children(part).filter_map(|part| line(&part.text())).collect();
                parts.join(" ")
            });
            line(&parts.join(" "))
        });
        let party = Self { organization: words("organizationName"), person };
        (party != Self::default()).then_some(party)
    }

    /// The person with the organisation behind; `None` for an organisation alone.
    pub(crate) fn person_text(&self) -> Option<String> {
        let person = self.person.as_deref()?;
        Some(match &self.organization {
            Some(organization) if organization != person => format!("{person} ({organization})"),
            _ => person.to_owned(),
        })
    }
}
