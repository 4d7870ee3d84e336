//! The fleet end to end: six processes, a real RabbitMQ, a real PostgreSQL with PostGIS. Run by `make test`.

#![allow(clippy::unwrap_used, reason = "tests")]

mod approval;
mod archives;
mod bucket;
mod budget;
mod dead;
mod faults;
mod flow_commands;
mod foreign_client;
mod harvest;
mod invariants;
mod life;
mod memory;
mod metadata;
mod metrics;
mod platform;
mod prepared;
mod privacy;
mod retention;
mod rights;
mod secrets;
mod services;
mod tls;
mod traces;
mod up;
