//! Pausing, resuming and cancelling from the command line, with the whole fleet at work.

use std::time::Duration;

use passereau_harvest::State;
use passereau_sandbox::{DownloadStatus, Pace, Route, SandboxConfig};
use passereau_testing::wait_until;
use passereau_tests::{Fleet, FleetConfig};
use uuid::Uuid;

use crate::prepared::{SOON, generated, request};

async fn reaches(fleet: &Fleet, id: Uuid, state: State) {
    wait_until(&format!("harvest {state}"), SOON, async || {
        fleet.harvest(id).await.ok().flatten().filter(|harvest| harvest.state == state)
    })
    .await;
}

/// The words with which a command refuses.
async fn refused(fleet: &Fleet, args: &[&str]) -> String {
    let output = fleet.command(args).await.unwrap();
    assert!(!output.status.success(), "{args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_holds_a_harvest_up_lets_it_go_on_and_ends_it() {
    let (_folder, archive) = generated(50);
    let hour = Duration::from_secs(3600);
    let sandbox = SandboxConfig {
        archives: vec![archive],
        pace: Pace::Elapsed { preparing: hour, running: hour },
        ..SandboxConfig::default()
    };
    let fleet = Fleet::start(FleetConfig { sandbox, in_one_process: true, ..FleetConfig::default() }).await.unwrap();
    let id = fleet.submit(&request()).await.unwrap();
    reaches(&fleet, id, State::Preparing).await;
    let name = id.to_string();

    let said = fleet.run_command(&["harvest", "pause", &name, "--reason", "the disk is full"]).await.unwrap();
    assert!(said.contains(&format!("passereau harvest resume {name}")), "{said}");
    wait_until("a parked look", SOON, async || {
        let parked = "SELECT true FROM passereau.outbox WHERE routing_key = 'download.poll' AND due_at = 'infinity'";
        sqlx::query_scalar::<_, bool>(parked).fetch_optional(&fleet.database.pool).await.unwrap()
    })
    .await;
    let shown = fleet.run_command(&["harvest", "show", &name]).await.unwrap();
    for words in
        ["state         preparing", "paused        since", "the disk is full", "deadline      ", "GBIF says     "]
    {
        assert!(shown.contains(words), "{words} in {shown}");
    }
    let listed = fleet.run_command(&["harvest", "list", "--paused"]).await.unwrap();
    assert!(listed.contains("preparing, paused") && listed.contains(&name), "{listed}");
    // Two hours pass at GBIF: the download is made, and waits.
    fleet.sandbox.advance(hour * 2);
    assert!(fleet.run_command(&["harvest", "pause", &name]).await.unwrap().contains("already"));

    fleet.run_command(&["harvest", "resume", &name]).await.unwrap();
    let harvest = fleet.ended(id, SOON).await;
    assert_eq!(harvest.state, State::Completed, "{:?}", harvest.reason);
    assert!(refused(&fleet, &["harvest", "pause", &name]).await.contains("has ended (completed)"));

    // The same question in the same two days would bring the download that is made.
    fleet.sandbox.advance(hour * 49);
    let second = fleet.submit(&request()).await.unwrap();
    reaches(&fleet, second, State::Preparing).await;
    let other = second.to_string();
    let cancel = ["harvest", "cancel", &other, "--by", "Mme Cigogne", "--reason", "wrong region"];
    fleet.run_command(&cancel).await.unwrap();
    assert_eq!(fleet.ended(second, SOON).await.state, State::Cancelled);
    assert_eq!(fleet.sandbox.calls(Route::CancelDownload), 1);
    assert_eq!(fleet.sandbox.downloads()[1].status, DownloadStatus::Cancelled);
    let shown = fleet.run_command(&["harvest", "show", &other]).await.unwrap();
    assert!(shown.contains("cancelled by Mme Cigogne: wrong region"), "{shown}");
    assert!(refused(&fleet, &cancel).await.contains("has ended (cancelled)"));

    let listed = fleet.run_command(&["harvest", "list", "--state", "cancelled"]).await.unwrap();
    assert!(listed.contains(&other) && !listed.contains(&name), "{listed}");
    let listed = fleet.run_command(&["harvest", "list", "--subscription", "aura-all", "--json"]).await.unwrap();
    assert!(listed.contains(&name), "{listed}");
    let listed = fleet.run_command(&["harvest", "list", "--subscription", "another", "--json"]).await.unwrap();
    assert_eq!(listed.trim(), "[]");
    assert!(refused(&fleet, &["harvest", "list", "--state", "sleeping"]).await.contains("sleeping"));
    fleet.stop().await.unwrap();
}
