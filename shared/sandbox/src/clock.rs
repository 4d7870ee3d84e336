//! Virtual time: the real time since the sandbox started, plus what a test has skipped.
//!
//! De-duplication over 48 hours, downloads that take a day and the pace of calls can so be tested without waiting.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// The sandbox's clock. It never goes back.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    epoch: DateTime<Utc>,
    skipped: Mutex<Duration>,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { started: Instant::now(), epoch: Utc::now(), skipped: Mutex::new(Duration::ZERO) }
    }

    /// Time since the start, skipped time included.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed() + *self.skipped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        *self.skipped.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    /// The date of the moment `elapsed` after the start, in the form of GBIF's registry: `2026-01-15T15:05:53.007+00:00`.
    pub fn stamp(&self, elapsed: Duration) -> String {
        self.date(elapsed).to_rfc3339_opts(SecondsFormat::Millis, false)
    }

    /// The date of the moment `elapsed` after the start.
    pub fn date(&self, elapsed: Duration) -> DateTime<Utc> {
        TimeDelta::from_std(elapsed).ok().and_then(|delta| self.epoch.checked_add_signed(delta)).unwrap_or(self.epoch)
    }
}
