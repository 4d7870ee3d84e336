//! The broker crate against a real RabbitMQ: every trap of the protocol and of the client library that could lose a message or leave a
//! worker deaf, one test each. `PASSEREAU_AMQP_URL` names the broker; each test has its own prefix and deletes what it made.

#![allow(clippy::unwrap_used, reason = "tests")]

mod consuming;
mod contract;
mod harness;
mod outage;
mod permissions;
mod portable;
mod proxy;
mod publishing;
mod topology;
