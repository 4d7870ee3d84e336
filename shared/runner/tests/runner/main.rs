//! The runner against a real RabbitMQ and a real PostgreSQL. Run by `make test`.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bench;
mod deliveries;
mod life;
mod limits;
mod metrics;
mod outages;
#[path = "../../../broker/tests/broker/proxy.rs"]
#[allow(dead_code, reason = "the broker's own tests use all of it")]
mod proxy;
mod replay;
mod strangers;
