//! Places at GBIF that somebody else has taken: a 420 that one harvest meets holds for all.

use crate::{query, run};
use passereau_harvest::State;
use passereau_sandbox::{Route, Scripted};
use passereau_testing::{SOON, WorkerBench, wait_until};

const HARVESTS: u32 = 6;

fn full() -> Scripted {
    Scripted::answer(420, "A download limitation is exceeded:")
}

/// A requester whose harvests wait, without a place, until they are [hurried](hurry).
async fn patient() -> WorkerBench {
    run(&["--gbif-user", "passereau", "--gbif-password", "sandbox", "--gbif-place-wait", "600"]).await
}

async fn count(bench: &WorkerBench, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(bench.pool()).await.unwrap()
}

async fn all_wait(bench: &WorkerBench) {
    let far = "SELECT count(*) FROM passereau.outbox
               WHERE routing_key = 'download.request' AND due_at > now() + interval '10 s'";
    wait_until("harvests that all wait", SOON, async || (count(bench, far).await == i64::from(HARVESTS)).then_some(()))
        .await;
}

/// The time of the refusal is over, and all harvests look again.
async fn hurry(bench: &WorkerBench) {
    let mut tx = bench.pool().begin().await.unwrap();
    for sql in [
        "UPDATE passereau.gbif_places SET until = now() - interval '1 ms' WHERE until > now()",
        "UPDATE passereau.outbox SET due_at = now() WHERE routing_key = 'download.request'",
        "SELECT pg_notify('passereau_outbox', '')",
    ] {
        sqlx::query(sql).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_refused_place_is_asked_for_by_one_harvest_at_a_time_until_gbif_gives_it() {
    let bench = patient().await;
    let calls = || bench.sandbox.calls(Route::CreateDownload);
    bench.sandbox.script(Route::CreateDownload, [full()]);
    let first = bench.send_body("harvest.request", query(2000)).await;
    wait_until("the refusal", SOON, async || {
        (count(&bench, "SELECT count(*) FROM passereau.gbif_places").await == 1).then_some(())
    })
    .await;
    bench.reaches(first, State::Requested).await;

    for year in 1..HARVESTS {
        bench.send_body("harvest.request", query(2000 + year)).await;
    }
    all_wait(&bench).await;
    assert_eq!(calls(), 1, "the others believe the first");

    bench.sandbox.script(Route::CreateDownload, [full()]);
    hurry(&bench).await;
    wait_until("one more question", SOON, async || (calls() >= 2).then_some(())).await;
    all_wait(&bench).await;
    assert_eq!(calls(), 2, "one has asked for all");

    // The places are free again: one after the other is taken, up to the setting.
    wait_until("three downloads", SOON, async || {
        hurry(&bench).await;
        (count(&bench, "SELECT count(*) FROM passereau.harvest WHERE state = 'preparing'").await == 3).then_some(())
    })
    .await;
    assert_eq!(calls(), 2 + 3, "GBIF had to refuse none of them");
    bench.finish().await;
}

#[tokio::test]
async fn a_refusal_of_an_hour_ago_is_forgotten() {
    let bench = patient().await;
    sqlx::query("INSERT INTO passereau.gbif_places VALUES ('passereau', 0, now() - interval '61 min'), ('somebody', 0, now() + interval '1 h')")
        .execute(bench.pool())
        .await
        .unwrap();
    for year in 0..3 {
        let id = bench.send_body("harvest.request", query(2000 + year)).await;
        bench.reaches(id, State::Preparing).await;
    }
    bench.finish().await;
}
