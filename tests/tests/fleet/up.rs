//! All workers in one process, and partners who reach it where an address is given.

use std::time::Duration;

use passereau_testing::wait_until;
use passereau_tests::{Fleet, FleetConfig, own_address};

use crate::prepared::{SOON, generated};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_serves_flows_only_where_it_is_told_an_address() {
    let (_folder, archive) = generated(10);
    let address = own_address().unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let config = || FleetConfig { in_one_process: true, ..FleetConfig::handing_out(vec![archive.clone()]) };
    let told = vec![("PASSEREAU_GATEWAY_LISTEN", address.to_string())];
    let fleet = Fleet::start(FleetConfig { environment: told, ..config() }).await.unwrap();
    let document = wait_until("the gateway", SOON, async || {
        client.get(format!("http://{address}/openapi.json")).send().await.ok()
    })
    .await;
    assert_eq!(document.status(), 200);
    let refused = client.get(format!("http://{address}/flows/atlas/latest.csv")).bearer_auth("psr_wrong").send().await;
    assert_eq!(refused.unwrap().status(), 401, "the database is asked");
    fleet.stop().await.unwrap();

    let fleet = Fleet::start(config()).await.unwrap();
    wait_until("the workers", SOON, async || fleet.log("passereau").contains("\"working\"").then_some(())).await;
    assert!(!fleet.log("passereau").contains("serving flows"));
    fleet.stop().await.unwrap();
}
