//! Limits of GBIF and iNaturalist hold for the whole fleet, however many processes it has.

use std::time::{Duration, Instant};

use passereau_contracts::HarvestRequest;
use passereau_harvest::State;
use passereau_sandbox::{Pace, Route, SandboxConfig};
use passereau_testing::{wait_past_midnight, wait_until};
use passereau_tests::{Fleet, FleetConfig, query};

use crate::prepared::{SOON, generated, request};

/// Processes of the worker that has to share.
const PROCESSES: usize = 8;

async fn fleet_of(worker: &'static str, config: FleetConfig) -> Fleet {
    let mut fleet = Fleet::start(config).await.unwrap();
    for _ in 1..PROCESSES {
        fleet.start_worker(worker).unwrap();
    }
    fleet
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_enrichers_keep_the_pace_of_one_and_the_calls_of_a_day_survive_their_end() {
    const PER_DAY: u64 = 8;
    const INTERVAL: Duration = Duration::from_millis(600);
    wait_past_midnight().await;
    let (_folder, archive) = generated(6_000);
    let mut config = FleetConfig::handing_out(vec![archive]);
    config.environment = vec![
        ("PASSEREAU_INATURALIST_INTERVAL_S", INTERVAL.as_secs_f64().to_string()),
        ("PASSEREAU_INATURALIST_PER_DAY", PER_DAY.to_string()),
    ];
    let mut fleet = fleet_of("inat-enricher", config).await;
    let pool = fleet.database.pool.clone();
    let id = fleet.submit(&request()).await.unwrap();
    wait_until("the calls", SOON, async || (fleet.sandbox.calls(Route::Observations) >= PER_DAY).then_some(())).await;
    // A lower limit far below the seven intervals that are due, and far above what eight who do not share would need: all of them call at once.
    let came: Vec<Instant> = fleet.sandbox.recorded(Route::Observations).iter().map(|call| call.at).collect();
    let took = came[came.len() - 1] - came[0];
    assert!(took >= 2 * INTERVAL, "{PER_DAY} calls came within {took:?}, {INTERVAL:?} apart are due");

    // Tomorrow is far away: what is left waits, and goes on waiting after every process was killed.
    let all_far = "SELECT count(*) > 0 AND bool_and(due_at > now() + interval '1 minute')
                          AND NOT EXISTS (SELECT FROM passereau.sent s WHERE s.routing_key = 'inat.enrich'
                                          AND NOT EXISTS (SELECT FROM passereau.inbox i WHERE i.message_id = s.id))
                   FROM passereau.outbox WHERE routing_key = 'inat.enrich'";
    let waiting = async || {
        let all_far: Option<bool> = sqlx::query_scalar(all_far).fetch_one(&pool).await.unwrap();
        all_far.unwrap_or(false).then_some(())
    };
    wait_until("batches that wait for tomorrow", SOON, &waiting).await;
    fleet.kill_all().await.unwrap();
    fleet.restart_ended().unwrap();
    let hurry = "UPDATE passereau.outbox SET due_at = now() WHERE routing_key = 'inat.enrich'";
    sqlx::query(hurry).execute(&pool).await.unwrap();
    wait_until("batches that wait again", SOON, &waiting).await;
    assert_eq!(fleet.sandbox.calls(Route::Observations), PER_DAY, "no call more than the day has");
    assert_eq!(fleet.harvest(id).await.unwrap().unwrap().state, State::Enriching);
    fleet.stop().await.unwrap();
}

/// Asks for so many harvests, each of a download of its own.
async fn ask_for_downloads(fleet: &Fleet, number: usize) {
    for n in 0..number {
        let mut query = query("passereau");
        query["predicate"]["predicates"][4]["values"] = serde_json::json!([n.to_string()]);
        let request = HarvestRequest {
            subscription: Some(format!("budget-{n}")),
            query: Some(query),
            ..HarvestRequest::default()
        };
        fleet.submit(&request).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_requesters_never_ask_gbif_for_more_downloads_than_the_account_has_places() {
    const PLACES: u64 = 3;
    let (_folder, archive) = generated(50);
    let pace = Pace::Polls { preparing: 1_000_000, running: 0 };
    let sandbox = SandboxConfig { archives: vec![archive], pace, ..SandboxConfig::default() };
    let fleet = fleet_of("requester", FleetConfig { sandbox, ..FleetConfig::default() }).await;
    let pool = fleet.database.pool.clone();
    ask_for_downloads(&fleet, 6).await;
    // Those without a place wait as rows with a date.
    wait_until("three downloads and three that wait", SOON, async || {
        let (preparing, waiting): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM passereau.harvest WHERE state = 'preparing'),
                    (SELECT count(*) FROM passereau.outbox WHERE routing_key = 'download.request' AND due_at > now())",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        (preparing == PLACES.cast_signed() && waiting == 3).then_some(())
    })
    .await;
    assert_eq!(fleet.sandbox.calls(Route::CreateDownload), PLACES, "GBIF had to refuse none");
    fleet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_requesters_believe_the_first_of_them_to_whom_gbif_refuses_a_place() {
    const HARVESTS: i64 = 12;
    let (_folder, archive) = generated(50);
    // Somebody else uses the account.
    let sandbox = SandboxConfig { archives: vec![archive], simultaneous_limit: 0, ..SandboxConfig::default() };
    let fleet = fleet_of("requester", FleetConfig { sandbox, ..FleetConfig::default() }).await;
    let pool = fleet.database.pool.clone();
    ask_for_downloads(&fleet, 12).await;
    wait_until("harvests that all wait", SOON, async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM passereau.outbox WHERE routing_key = 'download.request' AND due_at > now() + interval '1 s'",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        (waiting == HARVESTS).then_some(())
    })
    .await;
    let calls = fleet.sandbox.calls(Route::CreateDownload);
    assert!(
        (1..=3).contains(&calls),
        "{HARVESTS} harvests asked {calls} times; three at once may not know of each other yet"
    );
    fleet.stop().await.unwrap();
}
