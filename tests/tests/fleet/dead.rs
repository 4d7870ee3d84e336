//! `passereau dead` on what a fleet gave up, and what becomes of the harvest.

use passereau_harvest::State;
use passereau_tests::Fleet;
use serde_json::Value;

use crate::prepared::{RECORDS, SOON, fleet, generated, of_archive};

async fn json(fleet: &Fleet, args: &[&str]) -> Value {
    serde_json::from_str(&fleet.run_command(&[args, &["--json"]].concat()).await.unwrap()).unwrap()
}

async fn rows(fleet: &Fleet) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM gn_synthese.synthese").fetch_one(&fleet.database.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_harvest_whose_message_gave_up_says_so_and_goes_on_once_it_is_replayed() {
    let (_folder, archive) = generated(RECORDS);
    let fleet = fleet(archive.clone()).await;
    let late = fleet.submit(&of_archive("archives/generated.zip".into())).await.unwrap();
    assert_eq!(fleet.ended(late, SOON).await.state, State::Failed);
    let id = late.to_string();
    let shown = fleet.run_command(&["harvest", "show", &id]).await.unwrap();
    for part in ["state         failed", "not in the store", "archive.load, rejected", "passereau dead replay"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }

    // Replayed before anything is mended: a second death of the same message.
    fleet.run_command(&["dead", "replay", "--harvest", &id]).await.unwrap();
    fleet.ended(late, SOON).await;
    let letters = json(&fleet, &["dead", "list", "--harvest", &id, "--settled"]).await;
    let of = |field: &str| letters.as_array().unwrap().iter().map(|letter| letter[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("state"), ["replayed", "waiting"]);
    assert_eq!(of("message_id")[0], of("message_id")[1]);
    let letter = of("id")[1].as_str().unwrap().to_owned();
    let died = fleet.run_command(&["dead", "show", &letter]).await.unwrap();
    assert_eq!(died.matches("not in the store").count(), 2, "{died}");
    assert!(died.contains("; replayed "), "{died}");

    fleet.put_archive(&archive).unwrap();
    let said = fleet.run_command(&["dead", "replay", &letter]).await.unwrap();
    assert!(said.contains("is on its way again"), "{said}");
    let done = fleet.ended(late, SOON).await;
    assert_eq!((done.state, done.reason), (State::Completed, None));
    let written = rows(&fleet).await;
    assert!(written > 0 && written == done.counts.inserted, "{:?}", done.counts);
    assert!(!fleet.command(&["dead", "replay", &letter]).await.unwrap().status.success(), "once");
    assert!(fleet.run_command(&["dead", "replay", "--all"]).await.unwrap().contains("no dead letter"));
    assert_eq!(rows(&fleet).await, written);
    fleet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_strangers_are_listed_shown_replayed_and_dropped_like_others() {
    let (_folder, archive) = generated(10);
    let fleet = fleet(archive).await;
    let bytes = fleet.publish("harvest.request", b"\xff\x1b[2J{".to_vec()).await.unwrap();
    let misspelt = fleet.publish("harvest.approve", b"{\"harvest\": 1}".to_vec()).await.unwrap();
    for message in [bytes, misspelt] {
        fleet.dead_letter(message, SOON).await;
    }
    let unsure = fleet.command(&["dead", "drop"]).await.unwrap();
    assert!(!unsure.status.success() && String::from_utf8_lossy(&unsure.stderr).contains("--all"), "{unsure:?}");

    let by_kind = json(&fleet, &["dead", "list", "--kind", "harvest.request", "--reason", "malformed"]).await;
    assert_eq!(by_kind.as_array().unwrap().len(), 1);
    assert_eq!(by_kind[0].get("body"), None, "a list has no bodies");
    let id = by_kind[0]["id"].as_str().unwrap();
    assert_eq!(json(&fleet, &["dead", "show", id]).await["body_hex"], "ff1b5b324a7b");
    let shown = fleet.run_command(&["dead", "show", id]).await.unwrap();
    assert!(shown.contains("malformed") && !shown.contains('\u{1b}'), "{shown}");

    let told = json(&fleet, &["dead", "replay", "--harvest", &bytes.to_string()]).await;
    assert_eq!((told.as_array().unwrap().len(), &told[0]["sent"]), (1, &Value::Bool(true)));
    passereau_testing::wait_until("its second death", SOON, async || {
        let waits = json(&fleet, &["dead", "list", "--kind", "harvest.request"]).await;
        (waits.as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    let dropped = fleet.run_command(&["dead", "drop", "--reason", "malformed"]).await.unwrap();
    assert_eq!(dropped.matches("is dropped").count(), 2, "{dropped}");
    assert!(fleet.run_command(&["dead", "list"]).await.unwrap().contains("0 waiting"));
    fleet.stop().await.unwrap();
}
