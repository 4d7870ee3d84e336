//! The PostgreSQL database that the fleet shares with GeoNature: pool, migrations, outbox rows.
//!
//! Terms. The *state* is schema `passereau`, the *landing* schema `pinv_gbif`; both live in GeoNature's database, because
//! a slice moves rows between them and `gn_synthese.synthese` in one transaction. GeoNature's own schemas are never
//! migrated from here.
//!
//! Invariants. Migrations keep their table in schema `passereau`. Functions are re-applied whole at each migration. An
//! outbox row is written in the transaction of the effects that it follows.
//!
//! Failure. [`DatabaseError`] names what was being done; a lost connection is transient, a missing schema names the
//! command that makes it.

mod config;
mod error;
mod migrations;
pub mod outbox;

pub use config::{DatabaseConfig, connect};
pub use error::DatabaseError;
pub use migrations::{SET_ASIDE, check_migrated, migrate};
