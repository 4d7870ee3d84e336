//! Private servers and databases for tests and for the demonstration.
//!
//! Terms. The *platform* is one PostgreSQL and one RabbitMQ that belong to one run: own folders, own ports, stopped and
//! erased with it ([`servers`], program `passereau-platform`). The *template* is a GeoNature-shaped database made once per
//! server and content from `geonature/*.sql`; a [`TestDatabase`] is a clone of it that one test owns. There is one for each
//! [`Variant`] of GeoNature that somebody asks for.
//!
//! Invariants. No test shares a database or the name of a queue with another. Nothing is left running when a run ends,
//! even if it is killed. Nothing here is random where a test could see it, but for names.
//!
//! Failure. Helpers for tests panic with what to do; the servers return errors.

use std::sync::OnceLock;

mod seeds;
pub mod servers;
mod stranger;
mod taxref;
mod template;
mod test_database;
mod trace_receiver;
mod variant;
mod waiting;
mod worker_bench;

pub use passereau_recorded::recorded;
pub use seeds::{SeedTaxon, seed_dataset, seed_sandbox, seed_sensitivity, seed_taxa};
pub use stranger::Stranger;
pub use template::{create_geonature, database_exists};
pub use test_database::{Roles, TestDatabase, WorkerRole};
pub use trace_receiver::{SentSpan, TraceReceiver};
pub use variant::Variant;
pub use waiting::{wait_past_midnight, wait_until};
pub use worker_bench::{SOON, WorkerBench, note_as_sent};

/// Name of the variable that holds the URL of a PostgreSQL server, administrator included.
pub const DATABASE_URL: &str = "PASSEREAU_DATABASE_URL";

/// Name of the variable that holds the URL of a RabbitMQ server.
pub const AMQP_URL: &str = "PASSEREAU_AMQP_URL";

/// Name of the variable that holds the password of the users of [`passereau_broker::permissions_for`]; set for a private broker only.
pub const AMQP_PASSWORD: &str = "PASSEREAU_TEST_AMQP_PASSWORD";

/// Name of the variable that holds the URL of a private broker over TLS, where [`TLS_FOLDER`] is set.
pub const AMQPS_URL: &str = "PASSEREAU_TEST_AMQPS_URL";

/// Name of the variable with a folder that holds `server.pem` and `server.key`: private servers then speak TLS as well.
pub const TLS_FOLDER: &str = "PASSEREAU_TEST_TLS_FOLDER";

/// A prefix for the exchanges and queues of one test, so that tests share a broker without meeting.
pub fn broker_prefix() -> String {
    format!("test-{}-", &uuid::Uuid::new_v4().simple().to_string()[..12])
}

/// URL of the broker of this run.
///
/// # Panics
/// When the run has no broker; the message names the command that starts one.
pub fn amqp_url() -> String {
    server_url(AMQP_URL)
}

/// URL of the broker of this run as one of the fleet's users, such as `loader`; as its administrator where the broker is not private, and has no such
/// users.
///
/// # Panics
/// As [`amqp_url`].
pub fn amqp_url_of(user: &str) -> String {
    let url = amqp_url();
    let Some(password) = variable(AMQP_PASSWORD) else { return url };
    let of_user = url::Url::parse(&url).ok().and_then(|mut url| {
        url.set_username(&format!("passereau-{user}")).ok()?;
        url.set_password(Some(&password)).ok()?;
        Some(url.into())
    });
    of_user.unwrap_or(url)
}

/// URL of the PostgreSQL server of this run, with the right to create databases.
///
/// # Panics
/// When the run has no server; the message names the command that starts one.
pub fn database_url() -> String {
    server_url(DATABASE_URL)
}

/// The servers of a program that keeps a platform of its own.
static OWN: OnceLock<servers::Addresses> = OnceLock::new();

/// From here on this process uses these servers, whatever the environment says. Once per process; later calls change nothing.
pub fn use_servers(addresses: &servers::Addresses) {
    let _set_before = OWN.set(addresses.clone());
}

/// What the own servers say, else the environment.
fn variable(name: &str) -> Option<String> {
    let own = OWN.get().and_then(|own| own.variables().find(|(known, _)| *known == name));
    own.map(|(_, value)| value.to_owned()).or_else(|| std::env::var(name).ok())
}

pub(crate) fn has_own_servers() -> bool {
    OWN.get().is_some()
}

#[expect(clippy::panic, reason = "a test without its server cannot go on")]
fn server_url(name: &str) -> String {
    match variable(name) {
        Some(url) if !url.is_empty() => url,
        _ => panic!("{name} is not set: run `make test`, or `passereau-platform run -- cargo test …`"),
    }
}
