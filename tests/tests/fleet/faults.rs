//! What goes wrong is named, and the fleet goes on with the next message.

use passereau_contracts::HarvestRequest;
use passereau_harvest::{Harvest, State};
use passereau_sandbox::{Route, SandboxConfig, Scripted};
use passereau_tests::{Fleet, FleetConfig, query};

use crate::prepared::{SOON, fleet, generated, of_archive, request};

async fn run(fleet: &Fleet, request: &HarvestRequest) -> Harvest {
    let id = fleet.submit(request).await.unwrap();
    fleet.ended(id, SOON).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_and_archives_that_are_wrong_are_named_and_hold_up_nobody() {
    let (_folder, archive) = generated(50);
    let fleet = fleet(archive.clone()).await;

    let cut = fleet.publish("harvest.request", b"{\"archive\": \"archi".to_vec()).await.unwrap();
    let (reason, _) = fleet.dead_letter(cut, SOON).await;
    assert_eq!(reason, "malformed");

    let mut wrong = query("somebody-else");
    wrong["format"] = "SIMPLE_CSV".into();
    wrong["predicate"]["predicates"][3] = serde_json::json!({"type": "in", "key": "DATASETKEY", "values": []});
    let refused = fleet.submit(&HarvestRequest { query: Some(wrong), ..Default::default() }).await.unwrap();
    let (reason, error) = fleet.dead_letter(refused, SOON).await;
    assert_eq!(reason, "rejected");
    for part in ["creator", "format", "predicates[3].key", "DATASET_KEY"] {
        assert!(error.contains(part), "every problem is told at once, {part} is not: {error}");
    }
    assert_eq!(fleet.sandbox.calls(Route::CreateDownload), 0, "nothing was sent");
    let shown = fleet.command(&["harvest", "show", &refused.to_string()]).await.unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains("refused"), "{shown:?}");

    let folder = fleet.store_folder().join("archives");
    std::fs::create_dir_all(&folder).unwrap();
    let whole = std::fs::read(&archive).unwrap();
    std::fs::write(folder.join("cut.zip"), &whole[..whole.len() / 2]).unwrap();
    let broken = run(&fleet, &of_archive("archives/cut.zip".into())).await;
    assert_eq!(broken.state, State::Failed);
    assert!(broken.reason.unwrap().contains("archive"), "the reason speaks of the archive");
    let absent = run(&fleet, &of_archive("archives/absent.zip".into())).await;
    assert!(absent.reason.unwrap().contains("not in the store"));
    let trace: Option<String> = sqlx::query_scalar(
        "SELECT headers->>'traceparent' FROM passereau.dead_letter WHERE harvest_id = $1 AND kind = 'archive.load'",
    )
    .bind(absent.id)
    .fetch_one(&fleet.database.pool)
    .await
    .unwrap();
    assert!(trace.is_some_and(|trace| trace.starts_with("00-")), "the trace travels with the message");

    let good = run(&fleet, &request()).await;
    assert_eq!(good.state, State::Completed, "{:?}", good.reason);
    fleet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gbif_answering_html_or_asking_for_patience_only_delays_a_harvest() {
    let (_folder, archive) = generated(50);
    let fleet = fleet(archive).await;
    fleet.sandbox.script(Route::CreateDownload, [Scripted::gbif_slow_down(Some(1))]);
    fleet.sandbox.script(Route::DownloadStatus, [Scripted::html(200), Scripted::answer(503, "down for maintenance")]);
    fleet.sandbox.script(Route::Observations, [Scripted::html(200), Scripted::html(503)]);
    let harvest = run(&fleet, &request()).await;
    assert_eq!(harvest.state, State::Completed, "{:?}", harvest.reason);
    assert_eq!(fleet.sandbox.unplayed_scripts(), 0, "every fault was met");
    fleet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_fail_the_harvest_in_words_and_are_told_to_nobody() {
    let (_folder, archive) = generated(10);
    let sandbox = SandboxConfig { archives: vec![archive], ..SandboxConfig::default() };
    let secret = "correct-horse-battery-staple";
    let environment = vec![("PASSEREAU_GBIF_PASSWORD", secret.to_owned())];
    let config = FleetConfig { sandbox, environment, with_flows: true, ..FleetConfig::default() };
    let fleet = Fleet::start(config).await.unwrap();
    let harvest = run(&fleet, &request()).await;
    assert_eq!(harvest.state, State::Failed);
    let reason = harvest.reason.unwrap();
    assert!(reason.contains("PASSEREAU_GBIF_PASSWORD"), "it names the setting to mend: {reason}");
    for worker in passereau_contracts::WORKERS {
        assert!(!fleet.log(worker.worker).contains(secret), "the {} logged the password", worker.worker);
    }
    fleet.stop().await.unwrap();
}
