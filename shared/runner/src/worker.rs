//! A worker: one type, one queue.

use std::{error::Error, future::Future, time::Duration};

use passereau_contracts::Task;
use passereau_telemetry::Metrics;
use sqlx::PgPool;

use crate::{Context, Outcome};

/// Handles the tasks of one queue. Registering it with [`crate::Process::work`] is all there is to do.
///
/// # The contract of `handle`
/// It may be called twice for one message, in two processes at the same time, after a crash at any point. So it does
/// outside work in a way that can be repeated, keeps a second copy out with a [`crate::Claim`] where that matters, and
/// writes its effects only in the transaction of [`Context::begin`]. It returns before [`Context::deadline`]: longer work
/// saves a cursor and snoozes for no time.
pub trait Worker: Send + Sync + 'static {
    /// Name of the worker; its queue is `passereau.<NAME>`.
    const NAME: &'static str;
    /// What it can be asked to do.
    type Task: Task;

    /// Failed attempts that a message may have before it becomes a dead letter.
    fn max_attempts(&self) -> i32 {
        8
    }

    /// How often [`Worker::look_out`] is called in each process, if at all.
    fn looks_out_every(&self) -> Option<Duration> {
        None
    }

    /// Looks after what no message announces, such as an edit of a table. Every process of the worker does it, at the same
    /// time perhaps: what it starts is made once by the database. An error is logged; the next time comes.
    fn look_out(&self, _pool: &PgPool) -> impl Future<Output = Result<(), sqlx::Error>> + Send {
        async { Ok(()) }
    }

    /// Whether this worker shows in its metrics what stands in the database: then [`Worker::observe`] is called every
    /// `PASSEREAU_STATE_READ_S` seconds.
    fn observes(&self) -> bool {
        false
    }

    /// Reads what stands in the database and shows it ([`Metrics::show`]). Every process of the worker does it and shows the same. An error is
    /// counted, and what is shown stays as it was.
    fn observe(
        &self,
        _pool: &PgPool,
        _metrics: &Metrics,
    ) -> impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send {
        async { Ok(()) }
    }

    /// Handles one task.
    fn handle(&self, context: &Context, task: Self::Task) -> impl Future<Output = Outcome> + Send;
}
