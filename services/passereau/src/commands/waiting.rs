//! What a harvest that is alive waits for, as `passereau harvest show` tells it.

use std::fmt::{Error, Write};

use chrono::{DateTime, Utc};
use passereau_harvest::{Harvest, State, upsert_opens_at};
use serde::Serialize;
use sqlx::PgPool;

use crate::told::plain;

/// Dates that a harvest waits for. All empty when it has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Waits {
    /// When the wait for GBIF's download ends, once the first look was taken.
    deadline_at: Option<DateTime<Utc>>,
    /// GBIF's word for the download.
    download_status: Option<String>,
    /// When slices may go into the synthèse again.
    hours_begin_at: Option<DateTime<Utc>>,
    /// When its next message is due, if that lies ahead.
    next_message_at: Option<DateTime<Utc>>,
}

/// Whether a harvest is held up.
pub(super) fn is_paused(harvest: &Harvest) -> bool {
    harvest.paused_at.is_some() && harvest.state.is_alive()
}

/// Looks up what it waits for.
pub(super) async fn find(pool: &PgPool, harvest: &Harvest) -> Result<Waits, sqlx::Error> {
    let mut waits = Waits::default();
    if !harvest.state.is_alive() {
        return Ok(waits);
    }
    if harvest.state == State::Preparing {
        let told: Option<(Option<DateTime<Utc>>, Option<String>)> =
            sqlx::query_as("SELECT deadline_at, status FROM passereau.download WHERE harvest_id = $1")
                .bind(harvest.id)
                .fetch_optional(pool)
                .await?;
        (waits.deadline_at, waits.download_status) = told.unwrap_or_default();
    }
    if harvest.state == State::Upserting {
        waits.hours_begin_at = upsert_opens_at(pool).await?;
    }
    waits.next_message_at = sqlx::query_scalar(
        "SELECT min(due_at) FROM passereau.outbox
         WHERE harvest_id = $1 AND exchange = 'work' AND due_at > now() AND due_at < 'infinity'",
    )
    .bind(harvest.id)
    .fetch_one(pool)
    .await?;
    Ok(waits)
}

impl Waits {
    /// The lines of a person.
    pub(super) fn text(&self, harvest: &Harvest) -> Result<String, Error> {
        let time = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M UTC");
        let mut text = String::new();
        if let Some(since) = harvest.paused_at.filter(|_| is_paused(harvest)) {
            let reason = harvest.paused_reason.as_deref().map(|reason| format!(": {}", plain(reason)));
            let reason = reason.unwrap_or_default();
            writeln!(text, "paused        since {}{reason}   (passereau harvest resume {})", time(since), harvest.id)?;
        }
        if let Some(status) = &self.download_status {
            writeln!(text, "GBIF says     {}", plain(status))?;
        }
        if let Some(at) = self.deadline_at {
            writeln!(text, "deadline      {} for GBIF's download", time(at))?;
        }
        if let Some(at) = self.hours_begin_at {
            writeln!(text, "waits until   {} (upsert_hours in pinv_gbif.setting)", time(at))?;
        } else if let Some(at) = self.next_message_at {
            writeln!(text, "next message  due {}", time(at))?;
        }
        Ok(text)
    }
}
