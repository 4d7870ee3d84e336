//! What a subscription decides about the records that it brings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of a subscription. A request that gives them replaces those of its subscription as a whole; a request without
/// leaves them. What is not given is the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionSettings {
    /// Largest `coordinateUncertaintyInMeters` that enters, in metres; an empty one is not precise and does not enter either
    /// (see `accept`). Without it every uncertainty enters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_uncertainty_m: Option<f64>,
    /// What becomes of positions that iNaturalist has obscured. Default `reject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obscured: Option<Obscured>,
    /// Longest interval of dates that enters, in days: 0 wants a single moment, 31 lets a month pass. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_interval_days: Option<u16>,
    /// Records that are rejected by default and enter all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<Acceptable>,
    /// The identity of an iNaturalist observation that iNaturalist twice did not know, at least seven days apart. Default
    /// `generate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid_absent: Option<UuidAbsent>,
    /// What becomes of the rows of records that no current generation holds any more. Default `keep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vanished: Option<Vanished>,
    /// What becomes of a record whose UUID stands in the synthèse under another source. Default `reject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub already_present: Option<AlreadyPresent>,
    /// Whether datasets that GeoNature does not know are made. Default `existing_only`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Whether media enter GeoNature. Default no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub media: bool,
    /// How observers, determiners, holders of rights and authors of media are named. Default `name`. A record that several
    /// subscriptions hold is written as the strictest of them says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observers: Option<Observers>,
}

/// How people are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Observers {
    /// As GBIF publishes them.
    Name,
    /// The observer by the name of the account at iNaturalist; nobody else, and nobody in other datasets.
    Login,
    /// Nobody is named.
    None,
}

/// What becomes of positions that iNaturalist has obscured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Obscured {
    /// They do not enter (reason `obscured`).
    Reject,
    /// They enter as the cell of 0.2 by 0.2 degree in which the true place lies, never as a point.
    Cell,
}

/// Records that are rejected unless a subscription accepts them; the names are those of the reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Acceptable {
    /// `occurrenceStatus` is `ABSENT`: enters as STATUT_OBS "No".
    Absent,
    /// `basisOfRecord` is `FOSSIL_SPECIMEN`.
    FossilSpecimen,
    /// `basisOfRecord` is `LIVING_SPECIMEN`.
    LivingSpecimen,
    /// `PRESENT` with an `individualCount` of 0: enters without a count.
    CountZero,
    /// An empty uncertainty, where `max_uncertainty_m` is set.
    UnknownUncertainty,
}

/// The identity of an observation that iNaturalist does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UuidAbsent {
    /// A UUIDv5 of its address at GBIF, as for every other dataset.
    Generate,
    /// It does not enter (reason `uuid_absent`).
    Reject,
}

/// What becomes of the row of a vanished record. Nothing is marked or deleted after an archive that is not complete, or after
/// the predicate has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Vanished {
    /// It stays as it is.
    Keep,
    /// It gets `vanished_at` in its `additional_data`, and nothing else.
    Mark,
    /// It is archived with its media, validations and reports, and deleted.
    Delete,
}

/// What becomes of a record that stands in the synthèse under another source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlreadyPresent {
    /// It does not enter (reason `already_present`).
    Reject,
    /// That row is updated with what GBIF says; it keeps its source, its key and what GBIF does not say.
    Update,
}

/// Whether datasets that GeoNature does not know are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metadata {
    /// Their records wait (reason `dataset_unknown`) until somebody has declared the dataset under its GBIF key.
    ExistingOnly,
    /// They are made from GBIF's metadata, in the platform's acquisition framework.
    Create,
}

impl SubscriptionSettings {
    /// What is wrong with the values, if anything: the field's name and the problem.
    pub fn problem(&self) -> Option<(&'static str, String)> {
        match self.max_uncertainty_m {
            Some(metres) if !(metres.is_finite() && metres > 0.0) => {
                Some(("max_uncertainty_m", format!("{metres} is no number of metres above 0")))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_is_kept() {
        let given = serde_json::json!({"obscured": "cell", "accept": ["count_zero"]});
        let settings: SubscriptionSettings = serde_json::from_value(given.clone()).expect("settings");
        assert_eq!(serde_json::to_value(&settings).expect("JSON"), given);
    }

    #[test]
    fn an_uncertainty_that_is_no_distance_is_told() {
        let settings = SubscriptionSettings { max_uncertainty_m: Some(-1.0), ..SubscriptionSettings::default() };
        assert_eq!(settings.problem().expect("problem").0, "max_uncertainty_m");
        assert_eq!(SubscriptionSettings::default().problem(), None);
    }
}
