//! Faults that a test orders by the environment: the process ends at a boundary of a delivery as in a power cut, or holds it for
//! too long, or the relay repeats or reorders what it publishes. Only in debug builds; a release build has none of this.
//!
//! `PASSEREAU_FAULT` is `<boundary>:<kind>`, `held:<kind>`, or one of the [`Disorder`]s. `PASSEREAU_FAULT_MARK` is a file that the first process
//! to reach the boundary makes: whoever comes later finds it and goes on, so that a fault happens once.

/// Where a delivery can be cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boundary {
    /// The message is known to be new, its outside work has not begun.
    Before,
    /// The outside work is done, its transaction is not committed.
    Worked,
    /// The transaction is committed; what it sends has not been published, the delivery is not acknowledged.
    Committed,
    /// What the transaction sends has been published; the delivery is not acknowledged.
    Published,
    /// The relay has the broker's confirmation for messages that still stand in the outbox.
    Confirmed,
}

/// What the relay does to every batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disorder {
    /// Publishes each message twice.
    Twice,
    /// Publishes the batch in another order than it became due.
    Shuffled,
}

#[cfg(debug_assertions)]
mod ordered {
    use super::{Boundary, Disorder};

    impl Boundary {
        fn name(self) -> &'static str {
            match self {
                Self::Before => "before",
                Self::Worked => "worked",
                Self::Committed => "committed",
                Self::Published => "published",
                Self::Confirmed => "confirmed",
            }
        }
    }

    /// Whether this fault is the ordered one, for this kind, and nobody has been here.
    fn is_due(fault: &str, kind: &str) -> bool {
        let Ok(ordered) = std::env::var("PASSEREAU_FAULT") else { return false };
        if ordered.split_once(':') != Some((fault, kind)) {
            return false;
        }
        let Some(mark) = std::env::var_os("PASSEREAU_FAULT_MARK") else { return false };
        std::fs::File::create_new(mark).is_ok()
    }

    /// Much longer than an impatient broker of the tests lets a consumer hold a delivery (4 s, and it looks late on a busy machine), shorter than a
    /// test waits.
    const HELD_FOR: std::time::Duration = std::time::Duration::from_secs(15);

    /// Holds the delivery at the end of its outside work, if a test has ordered `held:<kind>`.
    pub(crate) async fn hold(kind: &str) {
        if is_due("held", kind) {
            tracing::warn!("a test has ordered this process to hold its delivery");
            tokio::time::sleep(HELD_FOR).await;
        }
    }

    /// Ends the process without a word if a test has ordered it.
    pub(crate) fn reached(boundary: Boundary, kind: &str) {
        if is_due(boundary.name(), kind) {
            end();
        }
    }

    /// The same for [`Boundary::Published`], once no process has anything of this harvest left to publish. The message that makes a
    /// harvest names none yet: then nothing at all may be left.
    pub(crate) async fn reached_published(pool: &sqlx::PgPool, kind: &str, harvest_id: Option<uuid::Uuid>) {
        if !is_due(Boundary::Published.name(), kind) {
            return;
        }
        let waiting = "SELECT EXISTS (SELECT FROM passereau.outbox WHERE due_at <= now() AND ($1::uuid IS NULL OR harvest_id = $1))";
        let mut timer = tokio::time::interval(std::time::Duration::from_millis(10));
        while sqlx::query_scalar(waiting).bind(harvest_id).fetch_one(pool).await.unwrap_or(false) {
            timer.tick().await;
        }
        end();
    }

    fn end() {
        tracing::warn!("a test has ordered this process to end here");
        let _signalled = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }

    /// What a test has ordered for every batch of the relay.
    pub(crate) fn disorder() -> Option<Disorder> {
        match std::env::var("PASSEREAU_FAULT").ok()?.as_str() {
            "twice" => Some(Disorder::Twice),
            "shuffled" => Some(Disorder::Shuffled),
            _ => None,
        }
    }
}

#[cfg(debug_assertions)]
pub(crate) use ordered::{disorder, hold, reached, reached_published};

#[cfg(not(debug_assertions))]
mod never {
    use super::{Boundary, Disorder};

    pub(crate) fn reached(_boundary: Boundary, _kind: &str) {}

    pub(crate) async fn hold(_kind: &str) {}

    pub(crate) async fn reached_published(_pool: &sqlx::PgPool, _kind: &str, _harvest_id: Option<uuid::Uuid>) {}

    pub(crate) fn disorder() -> Option<Disorder> {
        None
    }
}

#[cfg(not(debug_assertions))]
pub(crate) use never::{disorder, hold, reached, reached_published};
