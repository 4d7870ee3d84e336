//! The hours in which slices may go into the synthèse.

use crate::platform::{Platform, code, record};
use crate::slow::worker;
use passereau_harvest::State;
use passereau_testing::wait_until;

async fn opens_at(platform: &Platform, hours: &str, zone: &str, at: &str) -> Option<String> {
    sqlx::query_scalar(
        "SELECT to_char(passereau.opens_at($1, $2, $3::timestamptz) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')",
    )
    .bind(hours)
    .bind(zone)
    .bind(at)
    .fetch_one(&platform.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_window_opens_and_closes_by_the_clock_on_the_wall() {
    let platform = Platform::new().await;
    let paris = "Europe/Paris";
    for (hours, zone, at, expected) in [
        // Winter: Paris is an hour ahead of UTC.
        ("20:00-06:00", paris, "2026-01-15T18:59:59Z", Some("2026-01-15 19:00")),
        ("20:00-06:00", paris, "2026-01-15T19:00:00Z", None),
        ("20:00-06:00", paris, "2026-01-15T23:30:00Z", None),
        ("20:00-06:00", paris, "2026-01-16T04:59:59Z", None),
        ("20:00-06:00", paris, "2026-01-16T05:00:00Z", Some("2026-01-16 19:00")),
        // Summer: two.
        ("20:00-06:00", paris, "2026-07-15T17:59:59Z", Some("2026-07-15 18:00")),
        ("08:30-12:00", paris, "2026-07-15T10:00:00Z", Some("2026-07-16 06:30")),
        ("08:30-12:00", paris, "2026-07-15T09:59:59Z", None),
        // The evening before the clocks change, for a window of the morning after.
        ("08:00-09:00", paris, "2026-03-28T20:00:00Z", Some("2026-03-29 06:00")),
        ("08:00-09:00", paris, "2026-10-24T20:00:00Z", Some("2026-10-25 07:00")),
        // The hour that spring leaves out: it begins when that hour is over, and is not there at all when it ends before.
        ("02:30-04:00", paris, "2026-03-29T00:30:00Z", Some("2026-03-29 01:30")),
        ("02:30-04:00", paris, "2026-03-29T01:30:00Z", None),
        ("02:15-02:45", paris, "2026-03-29T01:20:00Z", Some("2026-03-30 00:15")),
        // The hour that autumn repeats.
        ("02:30-03:00", paris, "2026-10-25T00:45:00Z", None),
        ("02:30-03:00", paris, "2026-10-25T01:45:00Z", None),
        // Several, the end of the day, the other side of the world.
        ("12:00-13:00, 22:00-24:00", paris, "2026-01-15T13:00:00Z", Some("2026-01-15 21:00")),
        ("12:00-13:00, 22:00-24:00", paris, "2026-01-15T22:59:00Z", None),
        ("12:00-13:00, 22:00-24:00", paris, "2026-01-15T23:00:00Z", Some("2026-01-16 11:00")),
        ("20:00-06:00", "Indian/Reunion", "2026-01-15T16:00:00Z", None),
        ("20:00-06:00", "Indian/Reunion", "2026-01-15T15:00:00Z", Some("2026-01-15 16:00")),
    ] {
        assert_eq!(opens_at(&platform, hours, zone, at).await.as_deref(), expected, "{hours} {zone} at {at}");
    }
    let always = "SELECT count(passereau.opens_at(NULL, 'Europe/Paris', now()))";
    assert_eq!(platform.count(always).await, 0);
}

#[tokio::test]
async fn hours_that_mean_nothing_are_refused_where_they_are_written() {
    let platform = Platform::new().await;
    for (name, wrong) in [
        ("upsert_hours", "20h-6h"),
        ("upsert_hours", "20:00"),
        ("upsert_hours", "20:00-20:00"),
        ("upsert_hours", "24:00-06:00"),
        ("upsert_hours", "20:00-06:00,"),
        ("upsert_time_zone", "Europe/Grenoble"),
    ] {
        let refused = sqlx::query("UPDATE pinv_gbif.setting SET value = $2 WHERE name = $1")
            .bind(name)
            .bind(wrong)
            .execute(&platform.pool)
            .await
            .unwrap_err();
        assert_eq!(code(&refused), "PS001", "{name} {wrong}: {refused}");
    }
}

#[tokio::test]
async fn hours_convert_nothing_again_and_other_settings_do() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &[record(1)]).await;
    platform.run(harvest).await;
    platform.execute("UPDATE pinv_gbif.setting SET value = '20:00-06:00' WHERE name = 'upsert_hours'").await;
    platform.execute("UPDATE pinv_gbif.setting SET value = 'Indian/Reunion' WHERE name = 'upsert_time_zone'").await;
    assert!(platform.look_out().await.is_empty());
    platform.execute("UPDATE pinv_gbif.setting SET value = '1850-01-01' WHERE name = 'oldest_date'").await;
    let (counts, _) = platform.look_out().await.pop().unwrap();
    assert_eq!((counts.landed, counts.unchanged), (1, 1));
}

#[tokio::test]
async fn slices_wait_for_the_hours_and_go_on_at_once_when_they_are_lifted() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &[record(1), record(2)]).await;
    platform
        .execute(
            "UPDATE pinv_gbif.setting SET value = to_char(now() AT TIME ZONE 'Europe/Paris' + interval '5 hours', 'HH24:MI')
                 || '-' || to_char(now() AT TIME ZONE 'Europe/Paris' + interval '6 hours', 'HH24:MI')
             WHERE name = 'upsert_hours'",
        )
        .await;
    let bench = worker(platform, &[]).await;
    bench.send(&passereau_contracts::HarvestPlan { harvest_id: harvest }).await;
    bench.waits("synthese.upsert", 3600.0).await;
    let waiting = bench.find(harvest).await.unwrap();
    assert_eq!((waiting.state, waiting.counts.inserted), (State::Upserting, 0));

    sqlx::query("UPDATE pinv_gbif.setting SET value = NULL WHERE name = 'upsert_hours'")
        .execute(bench.pool())
        .await
        .unwrap();
    let done = wait_until("the end of the harvest", passereau_testing::SOON, async || {
        bench.find(harvest).await.filter(|harvest| harvest.state == State::Completed)
    })
    .await;
    assert_eq!(done.counts.inserted, 2);
    bench.finish().await;
}
