//! What a flow selects of the synthèse.

use serde::{Deserialize, Serialize};

/// What a flow does with sensitive records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sensitive {
    /// They leave as the area that their level allows.
    #[default]
    Blurred,
    /// They do not leave.
    Excluded,
    /// They leave exactly: only with an authorisation and a second person's approval. What is not to be diffused at all stays.
    Precise,
}

impl Sensitive {
    /// The word of an agreement.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blurred => "blurred",
            Self::Excluded => "excluded",
            Self::Precise => "precise",
        }
    }
}

/// Which records, and up to which precision. An empty list asks nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Name of the flow: its row holds the territory and the key of its pseudonyms.
    pub flow: String,
    /// The version of its agreement that the rest follows. While another one is in force nothing leaves: the row's territory is that one's.
    pub version: i32,
    /// What becomes of sensitive records.
    pub sensitive: Sensitive,
    /// Whether the flow has a territory.
    pub has_territory: bool,
    /// SPDX names of the licences that may leave.
    pub licences: Vec<String>,
    /// SPDX name of the licence of records whose source names none, GBIF's excepted.
    pub own_licence: Option<String>,
    /// Kingdoms of TAXREF.
    pub regne: Vec<String>,
    /// INPN groups 1.
    pub group1_inpn: Vec<String>,
    /// INPN groups 2.
    pub group2_inpn: Vec<String>,
    /// INPN groups 3.
    pub group3_inpn: Vec<String>,
    /// Orders.
    pub ordre: Vec<String>,
    /// Families.
    pub famille: Vec<String>,
    /// Accepted names, with all below them.
    pub cd_ref: Vec<String>,
    /// Names of sources.
    pub sources: Vec<String>,
    /// Names of sources that are left out.
    pub sources_excluded: Vec<String>,
    /// UUIDs of datasets.
    pub datasets: Vec<String>,
    /// UUIDs of datasets that are left out.
    pub datasets_excluded: Vec<String>,
}

impl Selection {
    /// Whether some taxa are asked for, and not all.
    #[must_use]
    pub fn has_taxa(&self) -> bool {
        [&self.regne, &self.group1_inpn, &self.group2_inpn, &self.group3_inpn, &self.ordre, &self.famille, &self.cd_ref]
            .iter()
            .any(|list| !list.is_empty())
    }
}
