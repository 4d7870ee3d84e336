//! `passereau retention` and `passereau dead drop`, as the workers' role, on what a real harvest has left.

use std::time::Duration;

use passereau_contracts::HarvestRequest;
use passereau_harvest::State;
use passereau_testing::wait_until;
use passereau_tests::{Fleet, FleetConfig};
use serde_json::Value;

use crate::prepared::{SOON, generated, request};

async fn json(fleet: &Fleet, verb: &str) -> Value {
    serde_json::from_str(&fleet.run_command(&["retention", verb, "--json"]).await.unwrap()).unwrap()
}

fn expired(plan: &Value) -> Vec<(&str, u64)> {
    let kinds = plan["expired"].as_array().unwrap().iter();
    let kinds = kinds.map(|kind| (kind["kind"].as_str().unwrap(), kind["count"].as_u64().unwrap()));
    kinds.filter(|(_, count)| *count > 0).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_what_has_expired_and_takes_it_away() {
    let (_folder, archive) = generated(50);
    let config = FleetConfig { in_one_process: true, ..FleetConfig::handing_out(vec![archive]) };
    let fleet = Fleet::start(config).await.unwrap();
    let pool = &fleet.database.pool;
    // Its schedule is due when it is made.
    wait_until("the day's run", SOON, async || {
        let ended = "SELECT true FROM passereau.retention_run WHERE finished_at IS NOT NULL AND error IS NULL";
        sqlx::query_scalar::<_, bool>(ended).fetch_optional(pool).await.unwrap()
    })
    .await;
    for request in [request(), HarvestRequest { subscription: None, ..request() }] {
        let id = fleet.submit(&request).await.unwrap();
        let harvest = fleet.ended(id, SOON).await;
        assert_eq!(harvest.state, State::Completed, "{:?}", harvest.reason);
        // The same question in the same two days would bring the same download.
        fleet.sandbox.advance(Duration::from_secs(49 * 3600));
    }
    let plan = json(&fleet, "plan").await;
    assert_eq!(expired(&plan), [], "nothing is old enough");
    assert!(plan["last_run"]["finished_at"].is_string(), "{plan}");

    sqlx::raw_sql(
        "UPDATE passereau.harvest SET finished_at = now() - interval '31 days';
         UPDATE passereau.inbox SET handled_at = now() - interval '31 days'",
    )
    .execute(pool)
    .await
    .unwrap();
    let archives = || std::fs::read_dir(fleet.store_folder().join("archives")).unwrap().count();
    assert_eq!(archives(), 2);
    let plan = json(&fleet, "plan").await;
    let kinds: Vec<&str> = expired(&plan).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["archive", "slice", "inbox"]);
    let synthese = "SELECT string_agg(xmin::text || ctid::text, ' ' ORDER BY id_synthese) FROM gn_synthese.synthese";
    let before: String = sqlx::query_scalar(synthese).fetch_one(pool).await.unwrap();
    let run = json(&fleet, "run").await;
    assert_eq!((&run["error"], &run["removed"]["archive"]["count"]), (&Value::Null, &Value::from(1)));
    assert_eq!(archives(), 1, "that of the named subscription stays");
    let after: String = sqlx::query_scalar(synthese).fetch_one(pool).await.unwrap();
    assert_eq!(after, before);
    let shown = fleet.run_command(&["retention", "plan"]).await.unwrap();
    assert!(shown.contains("archive: 1 gone") && shown.contains("for ever"), "{shown}");

    let letter = "INSERT INTO passereau.dead_letter (id, queue, body, reason, error) VALUES (gen_random_uuid(), 'loader', '', 'rejected', 'x')
                  RETURNING id::text";
    let letter: String = sqlx::query_scalar(letter).fetch_one(pool).await.unwrap();
    assert!(fleet.run_command(&["dead", "drop", &letter]).await.unwrap().contains("is dropped"));
    assert!(fleet.run_command(&["dead", "list"]).await.unwrap().contains("0 waiting"));
    for verb in ["drop", "replay"] {
        assert!(!fleet.command(&["dead", verb, &letter]).await.unwrap().status.success(), "{verb}: once is for good");
    }
    fleet.stop().await.unwrap();
}
