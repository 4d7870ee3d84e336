//! What a process needs in order to work, as named checks.
//!
//! *Ready* means: would take work now. *Alive* means: can still recover by itself; when it cannot, the orchestrator should restart
//! it. A check is a closure asked at each request, or a [`Light`] that its owner switches. Checks must answer at once: they read a
//! flag, they do not ask the network.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The checks of one process. Clones share them.
#[derive(Clone, Default)]
pub struct Health {
    checks: Arc<RwLock<Checks>>,
}

#[derive(Default)]
struct Checks {
    ready: BTreeMap<String, Check>,
    alive: BTreeMap<String, Check>,
    draining: bool,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").field("ready", &self.ready()).field("alive", &self.alive()).finish()
    }
}

/// The answer to "are you ready?" or "are you alive?", and the JSON body of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether every check passed.
    pub ok: bool,
    /// `ok`, or the reason why not, by name of the check.
    pub checks: BTreeMap<String, String>,
}

impl Health {
    /// No checks: ready and alive.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check that readiness depends on, or replaces the one of that name. The error is the reason shown.
    pub fn ready_when(&self, name: impl Into<String>, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.write(|checks| {
            checks.ready.insert(name.into(), Arc::new(check));
        });
    }

    /// Adds a check that liveness depends on, or replaces the one of that name.
    pub fn alive_when(&self, name: impl Into<String>, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.write(|checks| {
            checks.alive.insert(name.into(), Arc::new(check));
        });
    }

    /// Adds a readiness check that its owner switches; it starts red with `reason`.
    #[must_use]
    pub fn light(&self, name: impl Into<String>, reason: impl Into<String>) -> Light {
        let light = Light { state: Arc::new(RwLock::new(Err(reason.into()))) };
        let shown = light.clone();
        self.ready_when(name, move || shown.get());
        light
    }

    /// From now on not ready, because the process is shutting down. It stays alive.
    pub fn drain(&self) {
        self.write(|checks| checks.draining = true);
    }

    /// Whether the process would take work now, and if not, why.
    #[must_use]
    pub fn ready(&self) -> Report {
        let checks = self.checks.read().unwrap_or_else(PoisonError::into_inner);
        let mut report = report(&checks.ready);
        if checks.draining {
            report.ok = false;
            report.checks.insert("shutdown".to_owned(), "shutting down".to_owned());
        }
        report
    }

    /// Whether the process can still recover by itself, and if not, why.
    #[must_use]
    pub fn alive(&self) -> Report {
        report(&self.checks.read().unwrap_or_else(PoisonError::into_inner).alive)
    }

    fn write(&self, change: impl FnOnce(&mut Checks)) {
        change(&mut self.checks.write().unwrap_or_else(PoisonError::into_inner));
    }
}

fn report(checks: &BTreeMap<String, Check>) -> Report {
    let results: BTreeMap<&String, Result<(), String>> = checks.iter().map(|(name, check)| (name, check())).collect();
    Report {
        ok: results.values().all(Result::is_ok),
        checks: results
            .into_iter()
            .map(|(name, result)| (name.clone(), result.err().unwrap_or_else(|| "ok".to_owned())))
            .collect(),
    }
}

/// A check switched by its owner.
#[derive(Clone, Debug)]
pub struct Light {
    state: Arc<RwLock<Result<(), String>>>,
}

impl Light {
    /// The check passes from now on.
    pub fn green(&self) {
        self.set(Ok(()));
    }

    /// The check fails from now on, for `reason`.
    pub fn red(&self, reason: impl Into<String>) {
        self.set(Err(reason.into()));
    }

    fn get(&self) -> Result<(), String> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, state: Result<(), String>) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_light_decides_readiness_and_gives_its_reason() {
        let health = Health::new();
        assert!(health.ready().ok);
        let light = health.light("postgres", "not connected yet");
        assert_eq!(health.ready().checks["postgres"], "not connected yet");
        light.green();
        assert!(health.ready().ok);
        light.red("connection refused");
        assert!(!health.ready().ok);
        assert!(health.alive().ok, "an absent server is no reason to be restarted");
    }

    #[test]
    fn draining_is_alive_but_not_ready() {
        let health = Health::new();
        health.drain();
        assert!(health.alive().ok);
        assert_eq!(health.ready().checks["shutdown"], "shutting down");
    }
}
