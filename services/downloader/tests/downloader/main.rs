//! The downloader from outside: fetching from a file server that misbehaves, and the whole worker between RabbitMQ and PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fetch;
mod file_host;
mod worker;
