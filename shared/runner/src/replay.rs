//! Sending a dead letter again.
//!
//! What is sent is the message as it died: its body byte for byte, its headers (among them the trace it came from), its first
//! `message_id` in [`ORIGIN_HEADER`] and the date it was first published. Only the AMQP `message_id` is new, because the inbox knows the
//! old one, and the budget of attempts. So a second death is a second letter of the same message, and both are its history.
//!
//! A letter is sent once: the row that says so and the row that is sent commit together.

use passereau_contracts::{ATTEMPT_HEADER, FIRST_PUBLISHED_AT_HEADER, ORIGIN_HEADER, WORKERS};
use passereau_database::outbox::{Exchange, OutboxRow, enqueue};
use passereau_harvest::{Pending, Revived, State, revive};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::letters::{COLUMNS, DeadLetter};

/// What became of a wish to replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// It is on its way again; its harvest is alive again if it had failed.
    Sent {
        /// Letters of the same harvest that went with it, because the harvest needs them to go on.
        along: Vec<Uuid>,
    },
    /// There is no such dead letter, or it was replayed or dropped before.
    NotWaiting,
    /// No worker of this version takes its kind: it would lie in the outbox.
    NoWorker(String),
    /// Its harvest was cancelled: no worker would do anything for it.
    Cancelled(Uuid),
    /// Another harvest of the subscription is alive; replay when that one has ended.
    Busy(Uuid),
    /// A later harvest of the subscription is complete: going on with this one would put older data over newer.
    Superseded(Uuid),
}

/// Sends a dead letter again. A harvest that failed goes back to the state in which the message finds it; what else its
/// stage needs is sent too, and where that is a dead letter itself, it goes as one.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn replay_dead(pool: &PgPool, id: Uuid) -> Result<Replayed, sqlx::Error> {
    let mut tx = pool.begin().await?;
    let mut others = lock(&mut tx, id).await?;
    let Some(place) = others.iter().position(|letter| letter.id == id) else { return Ok(Replayed::NotWaiting) };
    let letter = others.swap_remove(place);
    let kind = letter.kind.as_deref().unwrap_or_default();
    if !WORKERS.iter().any(|worker| worker.kinds.contains(&kind)) {
        return Ok(Replayed::NoWorker(kind.to_owned()));
    }
    let mut rows = vec![again(&letter)];
    let mut along = Vec::new();
    if let Some(harvest_id) = letter.harvest_id {
        let harvest = passereau_harvest::find(&mut *tx, harvest_id).await?;
        if harvest.is_some_and(|harvest| harvest.state == State::Cancelled) {
            return Ok(Replayed::Cancelled(harvest_id));
        }
        let pending = match revive(&mut tx, harvest_id).await? {
            Revived::Busy(other) => return Ok(Replayed::Busy(other)),
            Revived::Superseded(newer) => return Ok(Replayed::Superseded(newer)),
            Revived::NotFailed => Vec::new(),
            // The rest of its stage was taken back when it failed.
            Revived::Resumed(pending) => pending,
        };
        for pending in pending.into_iter().filter(|pending| !holds(&letter, pending)) {
            match others.iter().find(|other| holds(other, &pending)) {
                Some(other) => {
                    rows.push(again(other));
                    along.push(other.id);
                }
                None => rows.push(OutboxRow::new(Exchange::Work, pending.kind, 1, pending.body, Some(harvest_id))),
            }
        }
    }
    enqueue(&mut tx, &rows).await?;
    let sent: Vec<Uuid> = along.iter().copied().chain([id]).collect();
    sqlx::query("UPDATE passereau.dead_letter SET state = 'replayed', settled_at = now() WHERE id = ANY($1)")
        .bind(&sent)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(Replayed::Sent { along })
}

/// Locks a letter and those of the same harvest, in one order, so that two replays of one harvest wait for each other.
async fn lock(connection: &mut PgConnection, id: Uuid) -> Result<Vec<DeadLetter>, sqlx::Error> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{COLUMNS} WHERE state = 'waiting'
             AND (id = $1 OR harvest_id = (SELECT of.harvest_id FROM passereau.dead_letter of WHERE of.id = $1))
         ORDER BY id FOR UPDATE"
    )))
    .bind(id)
    .fetch_all(connection)
    .await
}

/// Whether the letter is the message that the harvest needs.
fn holds(letter: &DeadLetter, pending: &Pending) -> bool {
    letter.kind.as_deref() == Some(pending.kind)
        && serde_json::from_slice::<Value>(letter.body.as_deref().unwrap_or_default())
            .is_ok_and(|body| body == pending.body)
}

fn again(letter: &DeadLetter) -> OutboxRow {
    let mut headers = letter.headers.0.clone();
    headers.insert(ATTEMPT_HEADER.to_owned(), "0".to_owned());
    if let Some(origin) = letter.message_id {
        headers.insert(ORIGIN_HEADER.to_owned(), origin.to_string());
    }
    let since = letter.first_published_at.unwrap_or(letter.died_at);
    headers.insert(FIRST_PUBLISHED_AT_HEADER.to_owned(), since.to_rfc3339());
    // 0 stays 0: a version that could not be read is not taken for one that can.
    let version = letter.version.map_or(1, |version| u16::try_from(version).unwrap_or(0));
    let kind = letter.kind.clone().unwrap_or_default();
    let row = OutboxRow::new(Exchange::Work, kind, version, Value::Null, letter.harvest_id);
    OutboxRow { headers, raw: Some(letter.body.clone().unwrap_or_default()), ..row }
}
