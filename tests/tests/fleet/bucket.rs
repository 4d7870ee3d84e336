//! Workers on several hosts share RabbitMQ, PostgreSQL and a bucket, and no folder.

use std::time::Duration;

use passereau_harvest::State;
use passereau_sandbox::SandboxConfig;
use passereau_testing::wait_until;
use passereau_tests::{Bucket, Fleet, FleetConfig, agreement, own_address};

use crate::prepared::{RECORDS, SOON, generated, request};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_share_a_bucket_need_no_shared_folder() {
    let (folder, archive) = generated(RECORDS);
    let bucket = Bucket::start().await.unwrap();
    let address = own_address().unwrap();
    // Each worker has a host's own disk.
    let mut environment_of: Vec<_> = passereau_contracts::WORKERS
        .iter()
        .map(|worker| {
            let scratch = folder.path().join(worker.worker).display().to_string();
            (worker.worker, vec![("PASSEREAU_SCRATCH_DIR", scratch)])
        })
        .collect();
    environment_of.push(("gateway", vec![("PASSEREAU_GATEWAY_LISTEN", address.to_string())]));
    let config = FleetConfig {
        sandbox: SandboxConfig { archives: vec![archive], ..SandboxConfig::default() },
        environment: bucket.environment(),
        environment_of,
        with_flows: true,
        ..FleetConfig::default()
    };
    let mut fleet = Fleet::start(config).await.unwrap();
    fleet.start_worker("gateway").unwrap();
    let id = fleet.submit(&request()).await.unwrap();
    let harvest = fleet.ended(id, SOON).await;
    assert_eq!(harvest.state, State::Completed, "{:?}", harvest.reason);
    assert!(harvest.counts.inserted > 0);
    let in_a_folder = std::fs::read_dir(fleet.store_folder()).unwrap().count();
    assert_eq!(in_a_folder, 0, "nothing lies in a folder");

    let file = folder.path().join("flow.toml");
    std::fs::write(&file, agreement("atlas", &["csv"])).unwrap();
    fleet.run_command(&["flow", "apply", file.to_str().unwrap(), "--by", "the data manager"]).await.unwrap();
    let token =
        fleet.run_command(&["flow", "token", "create", "atlas", "--partner", "Camille", "--json"]).await.unwrap();
    let token: serde_json::Value = serde_json::from_str(&token).unwrap();
    let token = token["token"].as_str().unwrap();
    let client = reqwest::Client::builder().no_proxy().no_gzip().timeout(10 * SECOND).build().unwrap();
    let csv = wait_until("the delivery", SOON, async || {
        let asked =
            client.get(format!("http://{address}/flows/atlas/latest.csv")).bearer_auth(token).send().await.ok()?;
        if asked.status() != 200 {
            return None;
        }
        asked.text().await.ok()
    })
    .await;
    assert!(csv.lines().count() > 1, "{csv}");
    let part = client
        .get(format!("http://{address}/flows/atlas/latest.csv"))
        .bearer_auth(token)
        .header("range", "bytes=10-29")
        .send()
        .await
        .unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), &csv.as_bytes()[10..30]);
    fleet.stop().await.unwrap();
}
