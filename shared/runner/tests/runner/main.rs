//! The runner against a real RabbitMQ and a real PostgreSQL. Run by `make test`.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bench;
mod deliveries;
mod life;
mod limits;
mod metrics;
mod outages;
mod replay;
mod strangers;
