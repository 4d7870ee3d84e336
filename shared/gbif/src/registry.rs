//! What GBIF's registry tells of datasets and of those who publish them. Public: no account is sent.
//!
//! Source: gbif/registry, `DatasetResource` and `OrganizationResource`; gbif/gbif-api, `Dataset`. Fields we do not use are not
//! read, fields we do not know are no error.

use chrono::{DateTime, Utc};
use passereau_http::{Answer, Call};
use serde::Deserialize;
use uuid::Uuid;

use crate::client::{read, refused};
use crate::{GbifClient, GbifError};

/// Cap of a document, in bytes; the largest seen has 200 kB.
const DOCUMENT_LIMIT_BYTES: usize = 4 * 1024 * 1024;

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
    #[serde(default)]
    pub title: Option<String>,
    /// Its description, often with HTML in it.
    #[serde(default)]
    pub description: Option<String>,
    /// Its DOI, bare.
    #[serde(default)]
    pub doi: Option<String>,
    /// Address of its licence.
    #[serde(default)]
    pub license: Option<String>,
    /// How it asks to be cited.
    #[serde(default)]
    pub citation: Option<Citation>,
    /// What it is: `OCCURRENCE`, `CHECKLIST`, `SAMPLING_EVENT`, `METADATA` …
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// When its description last changed.
    #[serde(default)]
    pub modified: Option<DateTime<Utc>>,
    /// When its publisher withdrew it.
    #[serde(default)]
    pub deleted: Option<DateTime<Utc>>,
}

/// A citation as the registry writes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Citation {
    /// Its words.
    #[serde(default)]
    pub text: Option<String>,
}

/// One publisher.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Organization {
    /// Its key.
    pub key: Uuid,
    /// Its name.
    #[serde(default)]
    pub title: Option<String>,
}

impl GbifClient {
    /// A dataset; `None` if the registry knows no such key.
    pub async fn dataset(&self, key: Uuid) -> Result<Option<Dataset>, GbifError> {
        let doing = "asking the registry for a dataset";
        let answer = self.look_up(doing, &["dataset", &key.to_string()]).await?;
        answer.map(|answer| read(doing, &answer)).transpose()
    }

    /// The EML document that the registry makes of a dataset; `None` if there is none.
    pub async fn dataset_document(&self, key: Uuid) -> Result<Option<Vec<u8>>, GbifError> {
        let answer =
            self.look_up("asking the registry for a document", &["dataset", &key.to_string(), "document"]).await?;
        Ok(answer.map(|answer| answer.body.to_vec()))
    }

    /// A publisher; `None` if the registry knows no such key.
    pub async fn organization(&self, key: Uuid) -> Result<Option<Organization>, GbifError> {
        let doing = "asking the registry for a publisher";
        let answer = self.look_up(doing, &["organization", &key.to_string()]).await?;
        answer.map(|answer| read(doing, &answer)).transpose()
    }

    async fn look_up(&self, doing: &'static str, path: &[&str]) -> Result<Option<Answer>, GbifError> {
        let answer = self.send(doing, Call::get(self.url(path)).limit_bytes(DOCUMENT_LIMIT_BYTES)).await?;
        match answer.status {
            404 => Ok(None),
            _ if answer.is_success() => Ok(Some(answer)),
            _ => Err(refused(doing, &answer)),
        }
    }
}
