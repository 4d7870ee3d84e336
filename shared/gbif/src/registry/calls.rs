//! The calls about datasets and their publishers.

use passereau_http::{Answer, Call};
use uuid::Uuid;

use super::{Dataset, Organization};
use crate::client::{read, refused};
use crate::{GbifClient, GbifError};

/// Cap of a document, in bytes; the largest seen has 200 kB.
const DOCUMENT_LIMIT_BYTES: usize = 4 * 1024 * 1024;

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
