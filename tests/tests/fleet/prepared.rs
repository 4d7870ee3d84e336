//! What several tests begin with.

use std::{path::PathBuf, time::Duration};

use passereau_contracts::HarvestRequest;
use passereau_sandbox::generate::{GenerateOptions, generate};
use passereau_tests::{Fleet, FleetConfig, SUBSCRIPTION, query};
use tempfile::TempDir;

/// Long enough for two loaded cores; nothing is ever waited out in full.
pub const SOON: Duration = Duration::from_secs(90);

/// Records of a generated archive: small, with every kind of record in it.
pub const RECORDS: u64 = 600;

/// A generated archive in a folder of its own.
pub fn generated(records: u64) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("generated.zip");
    generate(&GenerateOptions { records, seed: 7, revision: 1 }, &path).unwrap();
    (folder, path)
}

/// A fleet whose sandbox hands out one archive.
pub async fn fleet(archive: PathBuf) -> Fleet {
    Fleet::start(FleetConfig::handing_out(vec![archive])).await.unwrap()
}

/// The request of the tests: a query, under a subscription.
pub fn request() -> HarvestRequest {
    HarvestRequest { subscription: Some(SUBSCRIPTION.into()), query: Some(query("passereau")), ..Default::default() }
}

/// The request of a real archive of the store.
pub fn of_archive(key: String) -> HarvestRequest {
    HarvestRequest { archive: Some(key), ..Default::default() }
}
