//! Files in the making, which go on between two handlings of their message.
//!
//! A message is held for minutes; a file of millions of rows may take longer. So a file is made by a task of the process: a handling waits for it for a
//! while, then lets the message come again, and the next handling waits on. A process that ends drops its tasks, and whoever takes the
//! message up begins that file again. Where two processes take turns, each goes on with a file of its own; they are the same to the byte, and the
//! first one that is whole is noted.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use passereau_runner::Stop;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::{error::ExportError, files::Made};

/// What is being made: a file of a delivery, by its extension.
type Name = (Uuid, &'static str);

/// A task, stopped when it is dropped.
#[derive(Debug)]
struct Task {
    made: JoinHandle<Result<Made, ExportError>>,
    _stop: DropGuard,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.made.abort();
    }
}

/// The tasks of this process.
#[derive(Debug, Default)]
pub(crate) struct Making {
    tasks: Mutex<HashMap<Name, Task>>,
}

impl Making {
    /// Waits until a time, or the end of the process, for a file that is begun if it is not in the making; `None` when it is not yet made.
    pub(crate) async fn wait<F>(
        &self,
        name: Name,
        until: Instant,
        shutdown: &CancellationToken,
        begin: impl FnOnce(CancellationToken) -> F,
    ) -> Option<Result<Made, ExportError>>
    where
        F: Future<Output = Result<Made, ExportError>> + Send + 'static,
    {
        let begun = self.tasks().remove(&name);
        let mut task = begun.unwrap_or_else(|| {
            let stop = shutdown.child_token();
            Task { made: tokio::spawn(begin(stop.clone())), _stop: stop.drop_guard() }
        });
        tokio::select! {
            biased;
            made = &mut task.made => {
                return Some(made.unwrap_or_else(|error| Err(Stop::retry(format!("making a file: {error}")).into())));
            }
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep_until(until) => {}
        }
        self.tasks().insert(name, task);
        None
    }

    /// Stops what is made for deliveries that have ended.
    pub(crate) fn keep(&self, alive: &[Uuid]) {
        self.tasks().retain(|(delivery, _), _| alive.contains(delivery));
    }

    /// Whether there is anything in the making.
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks().is_empty()
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, HashMap<Name, Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use super::*;

    async fn wait<F>(making: &Making, begin: impl FnOnce(CancellationToken) -> F) -> Option<Result<Made, ExportError>>
    where
        F: Future<Output = Result<Made, ExportError>> + Send + 'static,
    {
        let name = (Uuid::from_u128(1), "csv");
        making.wait(name, Instant::now() + Duration::from_millis(10), &CancellationToken::new(), begin).await
    }

    #[tokio::test]
    async fn a_file_that_is_not_made_in_time_goes_on_and_is_not_begun_again() {
        let (making, made) = (Making::default(), CancellationToken::new());
        let ready = made.clone();
        let begin = |_| async move {
            ready.cancelled().await;
            Ok(Made::new())
        };
        assert!(wait(&making, begin).await.is_none());
        made.cancel();
        let second = loop {
            if let Some(second) = wait(&making, |_| pending()).await {
                break second;
            }
        };
        assert!(second.is_ok_and(|files| files.is_empty()));
        assert!(making.is_empty());
    }

    #[tokio::test]
    async fn a_file_of_a_delivery_that_has_ended_is_stopped() {
        let making = Making::default();
        let (told, mut tell) = (std::sync::Mutex::new(None), None);
        let begin = |stop: CancellationToken| {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop);
            pending()
        };
        assert!(wait(&making, begin).await.is_none());
        std::mem::swap(&mut tell, &mut *told.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(stop) = tell else { unreachable!("it was begun") };
        making.keep(&[Uuid::from_u128(1)]);
        assert!(!stop.is_cancelled());
        making.keep(&[Uuid::from_u128(2)]);
        assert!(stop.is_cancelled() && making.is_empty());
    }
}
