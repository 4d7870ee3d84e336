//! A plan that a person looks at, by message and by command; and rows that go because their records have vanished.

use std::time::Duration;

use passereau_contracts::{HarvestApprove, HarvestRequest, Message, SubscriptionSettings, Vanished};
use passereau_harvest::{Harvest, State};
use passereau_sandbox::generate::{GenerateOptions, generate};
use passereau_testing::wait_until;
use passereau_tests::{Fleet, FleetConfig};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harvest::assert_sums,
    prepared::{RECORDS, SOON, request},
};

async fn count(fleet: &Fleet, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&fleet.database.pool).await.unwrap()
}

/// The harvest, once it waits for a person.
async fn waiting(fleet: &Fleet, id: Uuid) -> Harvest {
    wait_until("a plan that waits for approval", SOON, async || {
        let harvest = fleet.harvest(id).await.ok().flatten()?;
        assert!(harvest.state.is_alive(), "{:?}", harvest.reason);
        (harvest.state == State::AwaitingApproval).then_some(harvest)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_waits_until_somebody_approves_it_and_then_does_what_it_told() {
    let folder = tempfile::tempdir().unwrap();
    let archives: Vec<_> = (1..=2)
        .map(|revision| {
            let path = folder.path().join(format!("revision-{revision}.zip"));
            generate(&GenerateOptions { records: RECORDS, seed: 7, revision }, &path).unwrap();
            path
        })
        .collect();
    let fleet = Fleet::start(FleetConfig::handing_out(archives)).await.unwrap();
    let settings = SubscriptionSettings { vanished: Some(Vanished::Delete), ..SubscriptionSettings::default() };
    let asked = HarvestRequest { plan: true, settings: Some(settings), ..request() };

    let id = fleet.submit(&asked).await.unwrap();
    let planned = waiting(&fleet, id).await;
    assert_eq!(planned.reason.as_deref(), Some("a plan was asked for"));
    assert_eq!(count(&fleet, "SELECT count(*) FROM gn_synthese.synthese").await, 0, "no row has moved");
    let plan: Value =
        serde_json::from_str(&fleet.run_command(&["harvest", "plan", &id.to_string(), "--json"]).await.unwrap())
            .unwrap();
    let new = plan["counts"]["new"].as_i64().unwrap();
    assert!(new > 0 && plan["counts"]["rejected"].as_i64() > Some(0), "{plan}");
    let page = folder.path().join("plan.html");
    let page_name = page.to_str().unwrap();
    fleet.run_command(&["harvest", "plan", &id.to_string(), "--lang", "fr", "--html", page_name]).await.unwrap();
    let page = std::fs::read_to_string(&page).unwrap();
    assert!(page.contains("En attente d&#39;approbation") || page.contains("En attente d'approbation"), "{page}");
    assert!(page.contains(&format!("<b>{new}</b>nouvelles")), "{page}");

    fleet.run_command(&["harvest", "approve", &id.to_string(), "--by", "M. Martin"]).await.unwrap();
    let first = fleet.ended(id, SOON).await;
    assert_eq!(first.state, State::Completed, "{:?}", first.reason);
    assert_eq!((first.counts.inserted, first.approved_by.as_deref()), (new, Some("M. Martin")));
    assert_sums(&first.counts);

    // GBIF gives the same download again for two days; then there is another one, some of whose records have vanished.
    fleet.sandbox.advance(Duration::from_secs(3 * 24 * 3600));
    // Nobody asks for a plan this time: it waits because a person has validated the rows that would go.
    sqlx::query("UPDATE gn_synthese.synthese SET validator = 'Anne Martin'")
        .execute(&fleet.database.pool)
        .await
        .unwrap();
    let id = fleet.submit(&HarvestRequest { plan: false, ..asked.clone() }).await.unwrap();
    let planned = waiting(&fleet, id).await;
    assert!(planned.reason.as_deref().unwrap().contains("validated or reported on"), "{:?}", planned.reason);
    let seen = planned.planned_at.unwrap();
    let plan = planned.plan_summary.unwrap();
    let gone = plan["vanished"]["rows"]["delete"].as_i64().unwrap_or_default();
    assert!(gone > 0, "{plan}");
    let before = count(&fleet, "SELECT count(*) FROM gn_synthese.synthese").await;

    // Something that made the plan changes before it is approved, by message this time: it is made anew, and waits once more.
    sqlx::query("UPDATE pinv_gbif.setting SET value = '1901-01-01' WHERE name = 'oldest_date'")
        .execute(&fleet.database.pool)
        .await
        .unwrap();
    // What another system writes is shown to a person at a terminal: it must not be able to move the cursor, or add lines.
    let approval = json!({"harvest_id": id, "by": "another \u{1b}]0;system\u{7}\u{1b}[2J\nstate         refused"});
    let approve = async || fleet.publish(HarvestApprove::KIND, approval.to_string().into_bytes()).await.unwrap();
    approve().await;
    let renewed = wait_until("a plan made anew", SOON, async || {
        let harvest = fleet.harvest(id).await.ok().flatten()?;
        let renewed = harvest.reason.as_deref().is_some_and(|reason| reason.contains("out of date"));
        (harvest.state == State::AwaitingApproval && renewed).then_some(harvest)
    })
    .await;
    assert!(renewed.reason.unwrap().contains("vocabulary"), "the settings are part of it");
    // Somebody else approves what he has seen, which is not this plan; the stray one behind it tells when it was handled.
    let former = json!({"harvest_id": id, "planned_at": seen});
    fleet.publish(HarvestApprove::KIND, former.to_string().into_bytes()).await.unwrap();
    let stray = json!({"harvest_id": Uuid::now_v7()}).to_string().into_bytes();
    let stray = fleet.publish(HarvestApprove::KIND, stray).await.unwrap();
    fleet.dead_letter(stray, SOON).await;
    assert_eq!(fleet.harvest(id).await.unwrap().unwrap().state, State::AwaitingApproval);
    approve().await;
    let second = fleet.ended(id, SOON).await;
    assert_eq!(second.state, State::Completed, "{:?}", second.reason);
    assert_eq!(second.deleted, gone);
    assert_sums(&second.counts);
    let shown = fleet.run_command(&["harvest", "show", &id.to_string()]).await.unwrap();
    assert!(shown.contains("approved by   another") && !shown.contains("\nstate         refused"), "{shown}");
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    let after = count(&fleet, "SELECT count(*) FROM gn_synthese.synthese").await;
    assert_eq!(after, before - gone + second.counts.inserted);
    assert_eq!(count(&fleet, "SELECT count(*) FROM passereau.deleted").await, gone);
    let listed = fleet.run_command(&["harvest", "vanished", &id.to_string()]).await.unwrap();
    assert_eq!(listed.lines().filter(|line| line.contains("deleted")).count() as i64, gone, "{listed}");

    // An approval that comes too late, or for no harvest at all, harms nobody.
    approve().await;
    let stray =
        fleet.publish(HarvestApprove::KIND, json!({"harvest_id": Uuid::now_v7()}).to_string().into_bytes()).await;
    let (_, error) = fleet.dead_letter(stray.unwrap(), SOON).await;
    assert!(error.contains("to approve"), "{error}");
    // Nor does a request whose refusal quotes it.
    let refused = fleet.publish("harvest.request", br#"{"\u001b[2J": 1}"#.to_vec()).await.unwrap();
    let (_, error) = fleet.dead_letter(refused, SOON).await;
    let shown = fleet.run_command(&["harvest", "show", &refused.to_string()]).await.unwrap();
    assert!(error.contains('\u{1b}') && shown.contains("refused") && !shown.contains('\u{1b}'), "{error:?} {shown:?}");
    assert_eq!(fleet.harvest(id).await.unwrap().unwrap().state, State::Completed);
    fleet.stop().await.unwrap();
}
