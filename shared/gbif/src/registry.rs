//! What GBIF's registry tells of datasets and of those who publish them. Public: no account is sent.
//!
//! Source: gbif/registry, `DatasetResource` and `OrganizationResource`; gbif/gbif-api, `Dataset`. Fields we do not use are not
//! read, fields we do not know are no error.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use crate::storable;

#[cfg(feature = "client")]
mod calls;

/// One dataset.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dataset {
    /// Its key.
    pub key: Uuid,
    /// Who publishes it.
    #[serde(default)]
    pub publishing_organization_key: Option<Uuid>,
    /// Its title.
    #[serde(default, deserialize_with = "storable::text")]
    pub title: Option<String>,
    /// Its description, often with HTML in it.
    #[serde(default, deserialize_with = "storable::text")]
    pub description: Option<String>,
    /// Its DOI, bare.
    #[serde(default, deserialize_with = "storable::text")]
    pub doi: Option<String>,
    /// Address of its licence.
    #[serde(default, deserialize_with = "storable::text")]
    pub license: Option<String>,
    /// How it asks to be cited.
    #[serde(default)]
    pub citation: Option<Citation>,
    /// What it is: `OCCURRENCE`, `CHECKLIST`, `SAMPLING_EVENT`, `METADATA` …
    #[serde(default, rename = "type", deserialize_with = "storable::text")]
    pub kind: Option<String>,
    /// When its description last changed.
    #[serde(default, deserialize_with = "storable::time")]
    pub modified: Option<DateTime<Utc>>,
    /// When its publisher withdrew it.
    #[serde(default, deserialize_with = "storable::time")]
    pub deleted: Option<DateTime<Utc>>,
}

/// A citation as the registry writes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Citation {
    /// Its words.
    #[serde(default, deserialize_with = "storable::text")]
    pub text: Option<String>,
}

/// One publisher.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Organization {
    /// Its key.
    pub key: Uuid,
    /// Its name.
    #[serde(default, deserialize_with = "storable::text")]
    pub title: Option<String>,
}
