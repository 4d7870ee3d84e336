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
}

/// A part of one.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct StoredPart {
    pub part: i32,
    pub object_key: String,
    pub rows: i64,
    pub sha256: String,
}

const COLUMNS: &str = "id, flow, flow_version, state, read_at, cursor, rows, parts, tally, digest, folder, files";

/// The delivery of a flow that is being made.
pub(crate) async fn alive(pool: &PgPool, flow: &str) -> Result<Option<Delivery>, sqlx::Error> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM passereau.delivery WHERE flow = $1 AND state IN ('reading', 'writing')"
    )))
    .bind(flow)
    .fetch_optional(pool)
    .await
}

/// Deliveries of all flows that are being made.
pub(crate) async fn all_alive(pool: &PgPool) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM passereau.delivery WHERE state IN ('reading', 'writing')").fetch_all(pool).await
}

/// Begins one.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    id: Uuid,
    flow: &str,
    flow_version: i32,
) -> Result<Delivery, sqlx::Error> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "INSERT INTO passereau.delivery (id, flow, flow_version, state, read_at) VALUES ($1, $2, $3, 'reading', now()) RETURNING {COLUMNS}"
    )))
    .bind(id)
    .bind(flow)
    .bind(flow_version)
    .fetch_one(connection)
    .await
}

/// Whether the message that has this id made a delivery that has ended: it came again.
pub(crate) async fn has_ended(pool: &PgPool, id: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM passereau.delivery WHERE id = $1 AND state NOT IN ('reading', 'writing'))",
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
        "UPDATE passereau.delivery SET cursor = $2, rows = rows + $3, parts = parts + 1, tally = $4 WHERE id = $1",
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

/// The digest of the version that is fetched now; none when there is none, or its files are gone.
pub(crate) async fn current_digest(pool: &PgPool, flow: &str) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar::<_, Option<String>>(
        "SELECT digest FROM passereau.delivery WHERE flow = $1 AND state = 'delivered' AND erased_at IS NULL
         ORDER BY finished_at DESC LIMIT 1",
    )
    .bind(flow)
    .fetch_optional(pool)
    .await
    .map(Option::flatten)
}

/// All rows are read: files follow.
pub(crate) async fn write_next(
    connection: &mut PgConnection,
    delivery: Uuid,
    digest: &str,
    folder: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE passereau.delivery SET state = 'writing', digest = $2, folder = $3 WHERE id = $1")
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
    sqlx::query("UPDATE passereau.delivery SET files = files || $2 WHERE id = $1")
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

/// Flows whose deliveries have left something: parts, or more versions than are kept.
pub(crate) async fn untidy(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT f.name FROM passereau.flow f
         WHERE EXISTS (SELECT FROM passereau.delivery d JOIN passereau.delivery_part p ON p.delivery_id = d.id
                       WHERE d.flow = f.name AND d.state NOT IN ('reading', 'writing'))
            OR (SELECT count(*) FROM passereau.delivery d WHERE d.flow = f.name AND d.state = 'delivered' AND d.erased_at IS NULL)
               > COALESCE((f.agreement ->> 'keep')::integer, 3)
         ORDER BY f.name",
    )
    .fetch_all(pool)
    .await
}

/// Versions of a flow beyond those that are kept, the newest first, whose files are still there.
pub(crate) async fn superseded(pool: &PgPool, flow: &str, keep: u16) -> Result<Vec<(Uuid, String)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, folder FROM passereau.delivery WHERE flow = $1 AND state = 'delivered' AND erased_at IS NULL AND folder IS NOT NULL
         ORDER BY finished_at DESC OFFSET $2",
    )
    .bind(flow)
    .bind(i64::from(keep))
    .fetch_all(pool)
    .await
}

/// Its files are about to go.
pub(crate) async fn erased(pool: &PgPool, delivery: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE passereau.delivery SET erased_at = now() WHERE id = $1")
        .bind(delivery)
        .execute(pool)
        .await
        .map(|_| ())
}

/// Deliveries of a flow that have ended and still have parts.
pub(crate) async fn with_parts(pool: &PgPool, flow: &str) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT d.id FROM passereau.delivery d WHERE d.flow = $1 AND d.state NOT IN ('reading', 'writing')
           AND EXISTS (SELECT FROM passereau.delivery_part p WHERE p.delivery_id = d.id)",
    )
    .bind(flow)
    .fetch_all(pool)
    .await
}

/// Forgets the parts of a delivery, whose objects are gone.
pub(crate) async fn forget_parts(pool: &PgPool, delivery: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM passereau.delivery_part WHERE delivery_id = $1")
        .bind(delivery)
        .execute(pool)
        .await
        .map(|_| ())
}
