//! What a scheduler shows of the state.

use std::{collections::BTreeMap, path::Path};

use chrono::TimeDelta;
use passereau_flow::Document;
use passereau_scheduler::{fire::fire_due, state::StateReader};
use passereau_telemetry::Metrics;
use passereau_testing::TestDatabase;
use sqlx::{AssertSqlSafe, PgPool};

use crate::{due, noon, without_retention};

/// A database and what is shown of it.
struct Bench {
    database: TestDatabase,
    metrics: Metrics,
    reader: StateReader,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::migrated().await;
        without_retention(&database.pool).await;
        Self { database, metrics: Metrics::new("scheduler"), reader: StateReader::default() }
    }

    fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    async fn run(&self, statements: &str) {
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(self.pool()).await.unwrap();
    }

    /// All series, by name and labels.
    async fn shown(&self) -> BTreeMap<String, f64> {
        self.reader.read(self.pool(), &self.metrics).await.unwrap();
        let text = self.metrics.render().unwrap();
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
            .collect()
    }

    async fn epoch(&self, expression: &str) -> f64 {
        let statement = format!("SELECT extract(epoch FROM {expression})::float8");
        sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(self.pool()).await.unwrap()
    }
}

/// A subscription and a harvest of it in a state for an hour.
fn harvest(subscription: &str, one_off: bool, state: &str) -> String {
    format!(
        "INSERT INTO passereau.subscription (name, request, one_off) VALUES ('{subscription}', '{{}}', {one_off});
         INSERT INTO passereau.harvest (id, subscription, state, request, request_digest, expected_records, state_since, updated_at)
         VALUES (gen_random_uuid(), '{subscription}', '{state}', '{{}}', '', 1000, now() - interval '1 hour', now() - interval '30 minutes');"
    )
}

#[tokio::test]
async fn harvests_on_their_way_are_shown_by_subscription_and_one_off_ones_together() {
    let bench = Bench::new().await;
    bench.run(&harvest("birds", false, "loading")).await;
    bench.run(&harvest("0193-one", true, "planning")).await;
    bench.run(&harvest("0193-two", true, "planning")).await;
    let shown = bench.shown().await;
    assert_eq!(shown[r#"passereau_harvests{state="loading"}"#].to_string(), "1");
    assert_eq!(shown[r#"passereau_harvests{state="planning"}"#].to_string(), "2");
    assert_eq!(
        shown[r#"passereau_harvests{state="fetching"}"#].to_string(),
        "0",
        "a state without harvests is 0 and not absent"
    );
    let since = shown[r#"passereau_harvest_state_since_timestamp_seconds{state="loading",subscription="birds"}"#];
    assert!((since - bench.epoch("now() - interval '1 hour'").await).abs() < 60.0, "{since}");
    assert!(
        shown.contains_key(
            r#"passereau_harvest_state_since_timestamp_seconds{state="planning",subscription="(one-off)"}"#
        )
    );
    assert!(!shown.keys().any(|series| series.contains("0193-")), "{shown:?}");
    assert_eq!(shown[r#"passereau_harvest_expected_records{stage="landed",subscription="birds"}"#].to_string(), "1000");

    bench.run("UPDATE passereau.harvest SET state = 'completed', finished_at = now(), landed = 90, rejected = 7 WHERE subscription = 'birds'").await;
    let shown = bench.shown().await;
    assert!(
        !shown.contains_key(r#"passereau_harvest_state_since_timestamp_seconds{state="loading",subscription="birds"}"#)
    );
    assert!(
        shown.contains_key(
            r#"passereau_subscription_harvest_timestamp_seconds{outcome="completed",subscription="birds"}"#
        )
    );
    assert_eq!(
        shown[r#"passereau_subscription_harvest_records{outcome="rejected",subscription="birds"}"#].to_string(),
        "7"
    );
}

#[tokio::test]
async fn the_state_of_a_harvest_dates_from_its_last_change_and_a_snooze_is_no_standstill() {
    let bench = Bench::new().await;
    bench.run(&harvest("birds", false, "planning")).await;
    let progress = r#"passereau_harvest_progress_timestamp_seconds{state="upserting",subscription="birds"}"#;
    bench.run("UPDATE passereau.harvest SET state = 'upserting'").await;
    let shown = bench.shown().await;
    let since = shown[r#"passereau_harvest_state_since_timestamp_seconds{state="upserting",subscription="birds"}"#];
    assert!((since - bench.epoch("now()").await).abs() < 60.0, "{since}");
    assert!((shown[progress] - bench.epoch("now() - interval '30 minutes'").await).abs() < 60.0);

    // Hours of the platform: the slice comes back tonight.
    bench
        .run(
            "INSERT INTO passereau.outbox (id, exchange, routing_key, body, harvest_id, due_at)
             SELECT gen_random_uuid(), 'work', 'synthese.upsert', '{}', id, now() + interval '5 hours' FROM passereau.harvest",
        )
        .await;
    let shown = bench.shown().await;
    assert!((shown[progress] - bench.epoch("now() + interval '5 hours'").await).abs() < 60.0);
    assert_eq!(shown[r#"passereau_outbox_rows{exchange="work",state="delayed"}"#].to_string(), "1");

    bench.run("UPDATE passereau.harvest SET paused_at = now()").await;
    let shown = bench.shown().await;
    assert!(!shown.contains_key(progress), "who is paused does not stand still");
    assert_eq!(shown["passereau_harvests_paused"].to_string(), "1");
}

#[tokio::test]
async fn messages_dead_letters_and_schedules_are_counted_for_every_worker() {
    let bench = Bench::new().await;
    bench
        .run(
            "INSERT INTO passereau.sent (id, routing_key, version, body, headers, attempt, sent_at)
             VALUES (gen_random_uuid(), 'archive.load', 1, '{}', '{}', 0, now() - interval '2 hours'),
                    (gen_random_uuid(), 'archive.load', 1, '{}', '{}', 0, now());
             INSERT INTO passereau.dead_letter (id, queue, body, reason, error)
             VALUES (gen_random_uuid(), 'test.loader', '', 'rejected', ''), (gen_random_uuid(), 'a stranger''s', '', 'malformed', '')",
        )
        .await;
    due(bench.pool(), "subscription:birds", TimeDelta::zero()).await;
    bench.run(&harvest("birds", false, "loading")).await;
    let shown = bench.shown().await;
    assert_eq!(shown[r#"passereau_messages_unhandled{worker="loader"}"#].to_string(), "2");
    assert_eq!(shown[r#"passereau_messages_unhandled{worker="poller"}"#].to_string(), "0");
    let oldest = shown[r#"passereau_message_oldest_timestamp_seconds{worker="loader"}"#];
    assert!((oldest - bench.epoch("now() - interval '2 hours'").await).abs() < 60.0, "{oldest}");
    assert_eq!(shown[r#"passereau_dead_letters_waiting{reason="rejected",worker="loader"}"#].to_string(), "1");
    assert_eq!(shown[r#"passereau_dead_letters_waiting{reason="malformed",worker="unknown"}"#].to_string(), "1");
    assert!(!shown.keys().any(|series| series.contains("stranger")), "{shown:?}");
    assert_eq!(shown[r#"passereau_subscription_period_seconds{subscription="birds"}"#].to_string(), "86400");
    assert_eq!(shown[r#"passereau_schedules{state="active"}"#].to_string(), "1");
    assert!(shown.contains_key("passereau_state_read_timestamp_seconds"));
}

#[tokio::test]
async fn a_schedule_that_was_suspended_because_it_cannot_be_read_is_broken_and_one_that_somebody_suspended_is_not() {
    let bench = Bench::new().await;
    due(bench.pool(), "flow:atlas", TimeDelta::zero()).await;
    bench.run("UPDATE passereau.schedule SET suspended_at = now(), suspended_because = 'holidays'").await;
    due(bench.pool(), "flow:sinp", TimeDelta::zero()).await;
    due(bench.pool(), "subscription:birds", TimeDelta::zero()).await;
    bench.run("UPDATE passereau.schedule SET expression = 'every day' WHERE name = 'subscription:birds'").await;
    assert_eq!(fire_due(bench.pool(), noon()).await.unwrap().len(), 2);
    bench.run("UPDATE passereau.schedule SET next_at = now() + interval '1 day'").await;
    let shown = bench.shown().await;
    for (state, count) in [("active", 1.0), ("overdue", 0.0), ("suspended", 1.0), ("broken", 1.0)] {
        assert_eq!(shown[&format!(r#"passereau_schedules{{state="{state}"}}"#)], count, "{state}");
    }
}

#[tokio::test]
async fn a_flow_is_late_after_its_period_and_its_last_version_is_told_by_reason() {
    let bench = Bench::new().await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/flow.toml");
    let mut agreement = serde_json::to_value(Document::read(&path, noon()).unwrap().agreement).unwrap();
    agreement["ends_on"] = "2099-12-31".into();
    agreement["period"] = "P1D".into();
    agreement["sensitive"] = "blurred".into();
    sqlx::query(
        "INSERT INTO passereau.flow (name, agreement, key, applied_at, applied_by) VALUES ('sinp', $1, sha256(''), now() - interval '3 days', 'me')",
    )
    .bind(agreement)
    .execute(bench.pool())
    .await
    .unwrap();
    let shown = bench.shown().await;
    assert_eq!(shown[r#"passereau_flow_late{flow="sinp"}"#].to_string(), "1");
    assert_eq!(shown[r#"passereau_flow_standing{flow="sinp",standing="active"}"#].to_string(), "1");
    let due = shown[r#"passereau_flow_due_timestamp_seconds{flow="sinp"}"#];
    assert!((due - bench.epoch("now() - interval '2 days' + interval '1 hour'").await).abs() < 60.0, "{due}");

    let delivery = |state: &str, hours: u32, tally: &str| {
        format!(
            "INSERT INTO passereau.delivery (id, flow, flow_version, state, finished_at, tally, files)
             VALUES (gen_random_uuid(), 'sinp', 1, '{state}', now() - interval '{hours} hours', '{tally}', '{{\"csv\": {{\"size_bytes\": 42}}}}');"
        )
    };
    let tally = |reason: &str, records: u32| {
        format!(
            r#"{{"delivered": [{{"outcome": "area", "licence": "CC0", "records": 3}}, {{"outcome": "area", "licence": "CC BY", "records": 4}}],
                "withheld": [{{"outcome": "withheld", "reason": "{reason}", "records": {records}}}]}}"#
        )
    };
    bench.run(&delivery("delivered", 9, &tally("no_area", 1))).await;
    bench.run(&delivery("delivered", 2, &tally("no_diffusion", 5))).await;
    bench.run(&delivery("failed", 1, "{}")).await;
    let shown = bench.shown().await;
    assert_eq!(shown[r#"passereau_flow_late{flow="sinp"}"#].to_string(), "0");
    assert_eq!(shown[r#"passereau_flow_records{flow="sinp",outcome="area",reason="none"}"#].to_string(), "7");
    assert_eq!(
        shown[r#"passereau_flow_records{flow="sinp",outcome="withheld",reason="no_diffusion"}"#].to_string(),
        "5"
    );
    assert!(!shown.keys().any(|series| series.contains("no_area")), "that version is not fetched any more");
    assert_eq!(shown[r#"passereau_flow_file_bytes{file="csv",flow="sinp"}"#].to_string(), "42");
    let failed = shown[r#"passereau_flow_delivery_timestamp_seconds{flow="sinp",outcome="failed"}"#];
    assert!((failed - bench.epoch("now() - interval '1 hour'").await).abs() < 60.0, "{failed}");
}

#[tokio::test]
async fn a_database_that_does_not_answer_leaves_what_was_shown() {
    let bench = Bench::new().await;
    let before = bench.shown().await;
    bench.pool().close().await;
    bench.reader.read(bench.pool(), &bench.metrics).await.unwrap_err();
    let text = bench.metrics.render().unwrap();
    assert!(before.keys().all(|series| text.contains(series)), "{text}");
}
