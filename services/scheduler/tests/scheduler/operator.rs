//! What an operator does with schedules.

use chrono::{DateTime, TimeDelta, Utc};
use passereau_scheduler::{
    Subject,
    fire::fire_due,
    table::{Setting, forget, list, resume, run_now, set, suspend},
};
use passereau_testing::TestDatabase;
use serde_json::json;

use crate::{noon, outbox, without_retention};

fn inaturalist() -> Subject {
    Subject::Subscription("inaturalist".into())
}

fn setting(expression: &str, time_zone: &str) -> Setting {
    Setting {
        subject: inaturalist(),
        expression: expression.into(),
        time_zone: time_zone.into(),
        request: Some(json!({"archive": "archives/april.zip"})),
    }
}

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_schedule_is_made_and_changed_and_keeps_its_step_where_only_the_request_changes() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    let made = set(pool, &setting("0 3 1 * *", "Europe/Paris"), noon()).await.unwrap();
    assert_eq!((made.next_at, made.last_fired_at), (moment("2031-04-01T01:00:00Z"), None));
    let later = noon() + TimeDelta::days(2);
    let monthly = set(pool, &setting("P1M", "UTC"), later).await.unwrap();
    assert_eq!((monthly.anchor_at, monthly.next_at), (later, moment("2031-04-12T12:00:00Z")));
    let request = Some(json!({"archive": "archives/may.zip"}));
    let same_time =
        set(pool, &Setting { request: request.clone(), ..setting("P1M", "UTC") }, later + TimeDelta::days(5)).await;
    let same_time = same_time.unwrap();
    assert_eq!((same_time.next_at, same_time.request), (monthly.next_at, request.clone()));
    // Without a request the one that it has stays.
    let weekly = set(pool, &Setting { request: None, ..setting("P1W", "UTC") }, later).await.unwrap();
    assert_eq!(weekly.request, request);
    let names: Vec<String> = list(pool).await.unwrap().into_iter().map(|schedule| schedule.name).collect();
    assert_eq!(names, ["retention", "subscription:inaturalist"]);
}

#[tokio::test]
async fn what_is_wrong_is_said_and_nothing_is_kept() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    let flow = Subject::Flow("atlas".into());
    for (wrong, words) in [
        (setting("monthly", "UTC"), "when subscription:inaturalist is done: `monthly` is neither"),
        (setting("P1D", "Paris"), "Europe/Paris"),
        (setting("0 3 30 2 *", "UTC"), "never comes"),
        (Setting { request: None, ..setting("P1D", "UTC") }, "--request FILE"),
        (Setting { request: Some(json!({"query": {}, "archive": "a"})), ..setting("P1D", "UTC") }, "exactly one of"),
        (Setting { subject: flow.clone(), ..setting("P1D", "UTC") }, "stands in its agreement"),
        (Setting { subject: Subject::Retention, ..setting("P1D", "UTC") }, "leave --request out"),
        (
            Setting { subject: Subject::Subscription("Été".into()), ..setting("P1D", "UTC") },
            "is not a subscription name",
        ),
    ] {
        let said = set(pool, &wrong, noon()).await.unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(list(pool).await.unwrap().len(), 1, "the retention alone");
    for overruled in [suspend(pool, &flow, None, noon()).await, resume(pool, &flow, noon()).await] {
        let said = overruled.unwrap_err().to_string();
        assert!(said.contains("flow:atlas") && said.contains("`passereau flow suspend`"), "{said}");
    }
    for error in [run_now(pool, &flow, noon()).await.map(|_| ()), forget(pool, &flow).await] {
        let said = error.unwrap_err().to_string();
        assert!(said.contains("there is no schedule flow:atlas") && said.contains("schedule list"), "{said}");
    }
}

#[tokio::test]
async fn a_suspended_schedule_goes_on_at_its_next_moment_and_makes_up_for_nothing() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    without_retention(pool).await;
    set(pool, &setting("P1D", "UTC"), noon()).await.unwrap();
    let suspended = suspend(pool, &inaturalist(), Some("GBIF is down"), noon()).await.unwrap();
    let again = suspend(pool, &inaturalist(), None, noon() + TimeDelta::hours(1)).await.unwrap();
    assert_eq!(again, suspended, "since when and why stay");
    let later = noon() + TimeDelta::days(3) + TimeDelta::hours(1);
    assert_eq!(fire_due(pool, later).await.unwrap(), []);
    let resumed = resume(pool, &inaturalist(), later).await.unwrap();
    assert_eq!(resumed.next_at, noon() + TimeDelta::days(4));
    assert_eq!((resumed.suspended_at, &resumed.suspended_because), (None, &None));
    assert_eq!(resume(pool, &inaturalist(), later).await.unwrap(), resumed, "twice is as once");
    assert_eq!(fire_due(pool, later).await.unwrap(), []);
    assert_eq!(fire_due(pool, noon() + TimeDelta::days(4)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_run_by_hand_comes_beside_the_schedules_own_moments() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    without_retention(pool).await;
    let made = set(pool, &setting("P1D", "UTC"), noon()).await.unwrap();
    suspend(pool, &inaturalist(), None, noon()).await.unwrap();
    let id = run_now(pool, &inaturalist(), noon()).await.unwrap();
    let sent = outbox(pool).await;
    assert_eq!((sent.len(), sent[0].0, sent[0].1.as_str()), (1, id, "harvest.request"));
    let row = list(pool).await.unwrap().remove(0);
    assert_eq!((row.next_at, row.last_fired_at), (made.next_at, Some(noon())));
    assert!(row.suspended_at.is_some());
}

#[tokio::test]
async fn a_schedule_is_dropped_and_that_of_a_flow_only_with_its_flow() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    set(pool, &setting("P1D", "UTC"), noon()).await.unwrap();
    for subject in [inaturalist(), Subject::Retention] {
        forget(pool, &subject).await.unwrap();
    }
    assert_eq!(list(pool).await.unwrap(), []);
    // The retention comes back as it went.
    let retention = Setting { subject: Subject::Retention, request: None, ..setting("30 3 * * *", "Europe/Paris") };
    assert_eq!(set(pool, &retention, noon()).await.unwrap().next_at, moment("2031-03-11T02:30:00Z"));
}
