//! A worker: one type, one queue.

use std::future::Future;

use passereau_contracts::Task;

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

    /// Handles one task.
    fn handle(&self, context: &Context, task: Self::Task) -> impl Future<Output = Outcome> + Send;
}
