//! The messages that a harvest sends along its own way, from stage to stage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Message;

/// Take one of the account's places at GBIF and ask for the download of a harvest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DownloadRequest {
    /// The harvest.
    pub harvest_id: Uuid,
}

/// Ask GBIF how the download of a harvest goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DownloadPoll {
    /// The harvest.
    pub harvest_id: Uuid,
}

/// Fetch the archive of a harvest into the store and verify it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArchiveFetch {
    /// The harvest.
    pub harvest_id: Uuid,
}

/// Load the archive of a harvest into a new generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArchiveLoad {
    /// The harvest.
    pub harvest_id: Uuid,
}

/// Ask iNaturalist for the UUIDs of one batch of observations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InatEnrich {
    /// The harvest.
    pub harvest_id: Uuid,
    /// Which batch of it, from 0.
    pub batch: u32,
}

/// Ask GBIF's registry about the datasets of one batch: who publishes them, and what no archive has described.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetDescribe {
    /// The harvest.
    pub harvest_id: Uuid,
    /// Which batch of it, counted with those of iNaturalist from 0.
    pub batch: u32,
}

/// Compare the new generation of a harvest with what was last written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HarvestPlan {
    /// The harvest.
    pub harvest_id: Uuid,
}

/// Write one slice of a plan into the synthèse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyntheseUpsert {
    /// The harvest.
    pub harvest_id: Uuid,
    /// Which slice of it, from 0.
    pub slice: u32,
}

/// Check the sums of a harvest and make its generation the current one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HarvestFinish {
    /// The harvest.
    pub harvest_id: Uuid,
}

impl Message for DownloadRequest {
    const KIND: &'static str = "download.request";
}
impl Message for DownloadPoll {
    const KIND: &'static str = "download.poll";
}
impl Message for ArchiveFetch {
    const KIND: &'static str = "archive.fetch";
}
impl Message for ArchiveLoad {
    const KIND: &'static str = "archive.load";
}
impl Message for InatEnrich {
    const KIND: &'static str = "inat.enrich";
}
impl Message for DatasetDescribe {
    const KIND: &'static str = "dataset.describe";
}
impl Message for HarvestPlan {
    const KIND: &'static str = "harvest.plan";
}
impl Message for SyntheseUpsert {
    const KIND: &'static str = "synthese.upsert";
}
impl Message for HarvestFinish {
    const KIND: &'static str = "harvest.finish";
}
