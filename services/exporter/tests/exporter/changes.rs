//! What changes while a delivery is made: the agreement, the standing of its flow, the time.

use passereau_contracts::FlowDeliver;
use passereau_testing::{SOON, wait_until};
use uuid::Uuid;

use crate::platform::{Platform, SECRET_PLACE};

const PRECISE: &str = "sensitive = \"precise\"\nauthorisation = { reference = \"A-1\", signatory = \"DREAL\", ends_on = 2098-12-31 }\nlicences =";

impl Platform {
    /// Has PostgreSQL do something in the transaction that notes what a trigger tells of.
    async fn when(&self, event: &str, then: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "CREATE FUNCTION pg_temp_then() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {then}; RETURN NULL; END $$;
             CREATE TRIGGER meanwhile AFTER {event} EXECUTE FUNCTION pg_temp_then();"
        )))
        .execute(self.pool())
        .await
        .unwrap();
    }

    /// A delivery that is being made, of a message that has been sent or of one that has not.
    async fn begun(&self, message: Uuid, changed: &str) {
        sqlx::query("INSERT INTO passereau.delivery (id, asked_by, flow, flow_version, state, read_at) VALUES ($1, $1, 'atlas', 1, 'reading', now())")
            .bind(message)
            .execute(self.pool())
            .await
            .unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("UPDATE passereau.delivery SET {changed} WHERE id = $1")))
            .bind(message)
            .execute(self.pool())
            .await
            .unwrap();
    }

    /// Asks for a delivery before anybody works.
    async fn asked(&self) -> Uuid {
        self.bench.send(&FlowDeliver { flow: "atlas".into() }).await
    }

    /// The delivery that a message has made after the one of its own id.
    async fn ended_after(&self, message: Uuid) -> String {
        wait_until("the second delivery of the message", SOON, async || {
            sqlx::query_scalar(
                "SELECT state FROM passereau.delivery WHERE asked_by = $1 AND id <> $1 AND state NOT IN ('reading', 'writing')",
            )
            .bind(message)
            .fetch_optional(self.pool())
            .await
            .unwrap()
        })
        .await
    }

    async fn schedule_is_suspended_because(&self) -> Option<String> {
        sqlx::query_scalar(
            "SELECT suspended_because FROM passereau.schedule WHERE name = 'flow:atlas' AND suspended_at IS NOT NULL",
        )
        .fetch_optional(self.pool())
        .await
        .unwrap()
        .flatten()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_applied_between_two_parts_gives_no_row_to_the_one_before() {
    let mut platform = Platform::new().await;
    // Half of the records are far away, where version 1 does not reach. (A trigger of GeoNature's would give those that move another level.)
    sqlx::raw_sql(
        "ALTER TABLE gn_synthese.synthese DISABLE TRIGGER USER;
         UPDATE gn_synthese.synthese SET the_geom_local = ST_Translate(the_geom_local, 0, 50000) WHERE id_synthese % 2 = 0",
    )
    .execute(platform.pool())
    .await
    .unwrap();
    let (x, y): (f64, f64) = (SECRET_PLACE.0.parse().unwrap(), SECRET_PLACE.1.parse().unwrap());
    let (west, south, east, north) = (x - 1e3, y - 1e3, x + 1e3, y + 1e3);
    let square =
        format!("SRID=2154;POLYGON(({west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south}))");
    sqlx::query(
        "UPDATE passereau.flow SET territory = ST_GeomFromEWKT($1),
                agreement = jsonb_set(agreement, '{territory,file}', '\"isere.wkt\"')",
    )
    .bind(square)
    .execute(platform.pool())
    .await
    .unwrap();
    platform
        .when(
            "INSERT ON passereau.delivery_part FOR EACH ROW WHEN (NEW.part = 1)",
            "UPDATE passereau.flow SET version = 2, territory = ST_Buffer(territory, 100000) WHERE version = 1",
        )
        .await;
    let id = platform.asked().await;
    platform.run().await;
    let (state, reason) = platform.ended(id).await;
    assert_eq!(state, "failed");
    assert!(reason.unwrap().contains("the agreement has changed"));
    assert_eq!(platform.ended_after(id).await, "delivered");
    let manifest = platform.manifest().await;
    let exact: i64 =
        manifest.delivered.iter().filter(|tally| tally.outcome == "exact").map(|tally| tally.records).sum();
    assert_eq!((manifest.agreement_version, exact), (2, 10));
    let delivered: Vec<i32> =
        sqlx::query_scalar("SELECT flow_version FROM passereau.delivery WHERE state = 'delivered'")
            .fetch_all(platform.pool())
            .await
            .unwrap();
    assert_eq!(delivered, [2]);
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_applied_during_the_last_file_is_not_followed_by_a_version_of_the_one_before() {
    let mut platform = Platform::new().await;
    platform
        .when(
            "UPDATE OF files ON passereau.delivery FOR EACH ROW WHEN (NEW.files ? 'gpkg')",
            "UPDATE passereau.flow SET version = 2 WHERE version = 1",
        )
        .await;
    let id = platform.asked().await;
    platform.run().await;
    assert_eq!(platform.ended(id).await.0, "failed");
    assert_eq!(platform.ended_after(id).await, "delivered");
    assert_eq!(platform.manifest().await.agreement_version, 2);
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_suspended_during_the_last_file_is_not_published() {
    let mut platform = Platform::new().await;
    platform
        .when(
            "UPDATE OF files ON passereau.delivery FOR EACH ROW WHEN (NEW.files ? 'gpkg')",
            "UPDATE passereau.flow SET suspended_at = now(), suspended_because = 'the partner has moved'",
        )
        .await;
    platform.run().await;
    let (state, reason) = platform.deliver().await;
    assert_eq!(state, "failed");
    assert!(reason.unwrap().contains("the partner has moved"));
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_were_read_long_ago_are_read_again() {
    let mut platform = Platform::new().await;
    let id = platform.asked().await;
    platform.begun(id, "requested_at = now() - interval '7 hours'").await;
    platform.run().await;
    let (state, reason) = platform.ended(id).await;
    assert_eq!(state, "failed");
    assert!(reason.unwrap().contains("were read more than 6 hours ago"));
    assert_eq!(platform.ended_after(id).await, "delivered");
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_of_another_message_is_waited_for_and_followed_by_one_of_its_own() {
    let mut platform = Platform::new().await;
    let other = Uuid::now_v7();
    platform.begun(other, "worked_at = now()").await;
    platform.run().await;
    let id = platform.asked().await;
    platform.bench.waits("flow.deliver", 2.0).await;
    sqlx::query("UPDATE passereau.delivery SET state = 'failed', finished_at = now()")
        .execute(platform.pool())
        .await
        .unwrap();
    sqlx::query("UPDATE passereau.outbox SET due_at = now()").execute(platform.pool()).await.unwrap();
    assert_eq!(platform.ended(id).await.0, "delivered");
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_whose_message_comes_no_more_is_not_waited_for() {
    let mut platform = Platform::new().await;
    let other = Uuid::now_v7();
    platform.begun(other, "worked_at = now() - interval '31 minutes'").await;
    platform.run().await;
    assert_eq!(platform.deliver().await.0, "delivered");
    assert_eq!(platform.ended(other).await.0, "failed");
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_that_has_ended_is_asked_for_no_more() {
    let mut platform = Platform::new().await;
    sqlx::query("UPDATE passereau.flow SET agreement = jsonb_set(agreement, '{ends_on}', '\"2020-01-01\"')")
        .execute(platform.pool())
        .await
        .unwrap();
    platform.run().await;
    assert_eq!(platform.schedule_is_suspended_because().await, None);
    let (state, reason) = platform.deliver().await;
    assert_eq!(state, "failed");
    assert!(reason.unwrap().contains("it ended on 2020-01-01"));
    assert!(platform.schedule_is_suspended_because().await.unwrap().contains("it ended on 2020-01-01"));
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_precise_flow_is_asked_for_until_its_authorisation_ends_and_its_versions_go_with_it() {
    let mut platform = Platform::new().await;
    platform.apply_with("licences =", PRECISE).await;
    passereau_flow::approve(platform.pool(), "atlas", "the director", None, chrono::Utc::now()).await.unwrap();
    platform.run().await;
    assert_eq!(platform.deliver().await.0, "delivered");
    let precise = platform.manifest().await.version;
    platform.tidied().await;
    assert!(!platform.objects(&format!("flows/atlas/{precise}")).is_empty(), "its authorisation holds");
    for table in ["flow", "flow_version"] {
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "UPDATE passereau.{table} SET agreement = jsonb_set(agreement, '{{authorisation,ends_on}}', '\"2020-01-01\"')"
        )))
        .execute(platform.pool())
        .await
        .unwrap();
    }
    assert_eq!(platform.deliver().await.0, "failed");
    assert!(platform.schedule_is_suspended_because().await.unwrap().contains("its authorisation ended on 2020-01-01"));
    platform.tidied().await;
    assert_eq!(platform.objects(&format!("flows/atlas/{precise}")), [""; 0]);
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn precise_versions_go_when_the_flow_is_blurred() {
    let mut platform = Platform::new().await;
    platform.apply_with("licences =", PRECISE).await;
    passereau_flow::approve(platform.pool(), "atlas", "the director", None, chrono::Utc::now()).await.unwrap();
    platform.run().await;
    assert_eq!(platform.deliver().await.0, "delivered");
    let precise = platform.manifest().await.version;
    platform.apply_with("P1M", "P1W").await;
    platform.tidied().await;
    assert_eq!(platform.objects(&format!("flows/atlas/{precise}")), [""; 0]);
    let is_erased: bool = sqlx::query_scalar("SELECT erased_at IS NOT NULL FROM passereau.delivery WHERE folder = $1")
        .bind(&precise)
        .fetch_one(platform.pool())
        .await
        .unwrap();
    assert!(is_erased);
    platform.bench.finish().await;
}
