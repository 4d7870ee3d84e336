//! The rows of a delivery in the database.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use passereau_contracts::{DeliveryEvent, DeliveryEventKind};
use passereau_database::outbox::{Exchange, OutboxRow, enqueue};
use passereau_gate::Tally;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;

use crate::manifest::{FileEntry, Manifest};

/// What is known of what leaves, from the parts read so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// What left, by level, outcome, area type and licence.
    pub delivered: Vec<Tally>,
    /// What does not, as it was when the first part was read.
    pub withheld: Vec<Tally>,
    /// The harvests that wrote exact rows; [`passereau_gate::SOME_HARVEST`] where blurred rows of GBIF are among them.
    pub harvests: BTreeSet<Uuid>,
}

/// A delivery that is being made.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct Delivery {
    pub id: Uuid,
    pub flow: String,
    pub flow_version: i32,
    pub state: String,
    pub read_at: Option<DateTime<Utc>>,
    /// The last id_synthese that was read; -1 before the first exact row, none before the blurred ones.
    pub cursor: Option<i32>,
    pub rows: i64,
    pub parts: i32,
    #[sqlx(json(nullable))]
    pub tally: Option<Summary>,
    pub digest: Option<String>,
    pub folder: Option<String>,
    #[sqlx(json)]
    pub files: BTreeMap<String, FileEntry>,
    /// The message that asked for it.
    pub asked_by: Option<Uuid>,
    /// Whether its first rows were read too long ago to be published: records may have become sensitive since.
    pub is_old: bool,
    /// Whether its message has not come for so long that it will come no more.
    pub is_idle: bool,
}

/// A part of one.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct StoredPart {
    pub part: i32,
    pub object_key: String,
    pub rows: i64,
    pub sha256: String,
}

/// Longest time from the beginning of a delivery, when its first rows are read, to its end.
pub(crate) const OLD_AFTER: &str = "6 hours";
/// Time without a step after which nobody is taken to work on a delivery: thrice the longest delay of the runner between two attempts.
const IDLE_AFTER: &str = "30 minutes";

fn columns() -> String {
    format!(
        "id, flow, flow_version, state, read_at, cursor, rows, parts, tally, digest, folder, files, asked_by,
         requested_at < now() - interval '{OLD_AFTER}' AS is_old, worked_at < now() - interval '{IDLE_AFTER}' AS is_idle"
    )
}

/// The delivery of a flow that is being made.
pub(crate) async fn alive(pool: &PgPool, flow: &str) -> Result<Option<Delivery>, sqlx::Error> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {} FROM passereau.delivery WHERE flow = $1 AND state IN ('reading', 'writing')",
        columns()
    )))
    .bind(flow)
    .fetch_optional(pool)
    .await
}

/// Deliveries of all flows that are being made.
pub(crate) async fn all_alive(pool: &PgPool) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM passereau.delivery WHERE state IN ('reading', 'writing')").fetch_all(pool).await
}

/// Begins one. It has the id of its message, unless one has that already: the message begins again.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    asked_by: Option<Uuid>,
    flow: &str,
    flow_version: i32,
) -> Result<Delivery, sqlx::Error> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "INSERT INTO passereau.delivery (id, asked_by, flow, flow_version, state, read_at)
         SELECT CASE WHEN $1 IS NULL OR EXISTS (SELECT FROM passereau.delivery x WHERE x.id = $1) THEN $2 ELSE $1 END, $1, $3, $4, 'reading', now()
         RETURNING {}",
        columns()
    )))
    .bind(asked_by)
    .bind(Uuid::now_v7())
    .bind(flow)
    .bind(flow_version)
    .fetch_one(connection)
    .await
}

/// Its message has come: somebody works on it.
pub(crate) async fn worked_on(pool: &PgPool, delivery: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE passereau.delivery SET worked_at = now() WHERE id = $1")
        .bind(delivery)
        .execute(pool)
        .await
        .map(|_| ())
}

/// Whether the message that has this id made a delivery that has ended, and none that goes on: it came again.
pub(crate) async fn has_ended(pool: &PgPool, id: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT COALESCE(bool_and(state NOT IN ('reading', 'writing')), false) FROM passereau.delivery WHERE asked_by = $1",
    )
    .bind(id)
    .fetch_one(pool)
    .await
}

/// Writes a part down, and where the next one begins.
pub(crate) async fn note_part(
    connection: &mut PgConnection,
    delivery: &Delivery,
    part: &StoredPart,
    cursor: i32,
    tally: &Summary,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO passereau.delivery_part (delivery_id, part, object_key, rows, sha256) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(delivery.id)
    .bind(part.part)
    .bind(&part.object_key)
    .bind(part.rows)
    .bind(&part.sha256)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE passereau.delivery SET cursor = $2, rows = rows + $3, parts = parts + 1, tally = $4, worked_at = now() WHERE id = $1",
    )
    .bind(delivery.id)
    .bind(cursor)
    .bind(part.rows)
    .bind(Json(tally))
    .execute(connection)
    .await?;
    Ok(())
}

/// The parts, in their order.
pub(crate) async fn parts(pool: &PgPool, delivery: Uuid) -> Result<Vec<StoredPart>, sqlx::Error> {
    sqlx::query_as(
        "SELECT part, object_key, rows, sha256 FROM passereau.delivery_part WHERE delivery_id = $1 ORDER BY part",
    )
    .bind(delivery)
    .fetch_all(pool)
    .await
}

/// The version that is fetched now.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct Current {
    pub digest: Option<String>,
    pub folder: Option<String>,
    #[sqlx(json)]
    pub files: BTreeMap<String, FileEntry>,
}

/// The version that is fetched now; none when there is none, or its files are gone.
pub(crate) async fn current(pool: &PgPool, flow: &str) -> Result<Option<Current>, sqlx::Error> {
    sqlx::query_as(
        "SELECT digest, folder, files FROM passereau.delivery WHERE flow = $1 AND state = 'delivered' AND erased_at IS NULL
         ORDER BY finished_at DESC LIMIT 1",
    )
    .bind(flow)
    .fetch_optional(pool)
    .await
}

/// All rows are read: files follow.
pub(crate) async fn write_next(
    connection: &mut PgConnection,
    delivery: Uuid,
    digest: &str,
    folder: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE passereau.delivery SET state = 'writing', digest = $2, folder = $3, worked_at = now() WHERE id = $1",
    )
    .bind(delivery)
    .bind(digest)
    .bind(folder)
    .execute(connection)
    .await
    .map(|_| ())
}

/// Writes files down.
pub(crate) async fn note_files(
    connection: &mut PgConnection,
    delivery: Uuid,
    files: &BTreeMap<String, FileEntry>,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE passereau.delivery SET files = files || $2, worked_at = now() WHERE id = $1")
        .bind(delivery)
        .bind(Json(files))
        .execute(connection)
        .await
        .map(|_| ())
}

/// The delivery is a version that can be fetched. One row, so that a reader sees all of it or nothing.
pub(crate) async fn deliver(
    connection: &mut PgConnection,
    delivery: &Delivery,
    manifest: &Manifest,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE passereau.delivery SET state = 'delivered', finished_at = now(), manifest = $2, files = $3 WHERE id = $1")
        .bind(delivery.id)
        .bind(Json(manifest))
        .bind(Json(&manifest.files))
        .execute(&mut *connection)
        .await?;
    let withheld = manifest.withheld.iter().map(|tally| tally.records).sum();
    announce(connection, delivery, DeliveryEventKind::Completed, |event| DeliveryEvent {
        rows: Some(manifest.rows),
        withheld: Some(withheld),
        version: Some(manifest.version.clone()),
        ..event
    })
    .await
}

/// The delivery says what the version before says.
pub(crate) async fn unchanged(connection: &mut PgConnection, delivery: &Delivery) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE passereau.delivery SET state = 'unchanged', finished_at = now() WHERE id = $1")
        .bind(delivery.id)
        .execute(&mut *connection)
        .await?;
    announce(connection, delivery, DeliveryEventKind::Unchanged, |event| event).await
}

/// The delivery has failed.
pub(crate) async fn fail(connection: &mut PgConnection, delivery: &Delivery, reason: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE passereau.delivery SET state = 'failed', finished_at = now(), reason = $2 WHERE id = $1")
        .bind(delivery.id)
        .bind(reason)
        .execute(&mut *connection)
        .await?;
    announce(connection, delivery, DeliveryEventKind::Failed, |event| DeliveryEvent {
        reason: Some(reason.to_owned()),
        ..event
    })
    .await
}

async fn announce(
    connection: &mut PgConnection,
    delivery: &Delivery,
    kind: DeliveryEventKind,
    with: impl FnOnce(DeliveryEvent) -> DeliveryEvent,
) -> Result<(), sqlx::Error> {
    let event = with(DeliveryEvent {
        kind,
        flow: delivery.flow.clone(),
        delivery_id: delivery.id,
        rows: None,
        withheld: None,
        version: None,
        reason: None,
        at: Utc::now(),
    });
    let body = serde_json::to_value(event).map_err(|error| sqlx::Error::Encode(error.into()))?;
    enqueue(connection, &[OutboxRow::new(Exchange::Events, kind.as_str(), DeliveryEvent::VERSION, body, None)]).await
}

/// The schedule of a flow that has ended asks for no further delivery. Applying a later end lets it go on.
pub(crate) async fn suspend_schedule(
    connection: &mut PgConnection,
    flow: &str,
    because: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE passereau.schedule SET suspended_at = now(), suspended_because = $2 WHERE name = 'flow:' || $1 AND suspended_at IS NULL",
    )
    .bind(flow)
    .bind(because)
    .execute(connection)
    .await
    .map(|_| ())
}
