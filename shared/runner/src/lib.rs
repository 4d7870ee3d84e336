//! The runner: what lies between a message and a worker's handler.
//!
//! Terms. A *worker* is one type that handles the tasks of one queue ([`Worker`]). An *outcome* is what a handler returns:
//! done with its effects, or a reason to stop ([`Stop`]): *snooze* (not yet), *retry* (failed, may pass), *reject* (can
//! never succeed). The *inbox* remembers handled messages, the *outbox* holds messages on their way out, the *relay*
//! publishes what is due. A *claim* keeps a second copy of the same outside work out.
//!
//! The life of a delivery:
//!
//! 1. It is decoded. What cannot be decoded becomes a dead letter at once: it would never get better.
//! 2. A message that the inbox knows is acknowledged and forgotten.
//! 3. The handler does its outside work without a transaction, then [`Context::begin`] opens one and claims the inbox row.
//! 4. The runner adds the outbox rows of the outcome, commits, and only then acknowledges.
//!
//! Invariants. Effects in PostgreSQL happen once, however often a message comes. A snooze, a shutdown and an absent
//! PostgreSQL cost no attempt. Delays are outbox rows with a due date. A message of a paused harvest is *parked*: a row that
//! is due when somebody resumes it. Nothing is written for a cancelled harvest. Broker types never reach a handler.
//!
//! Failure. A panic in a handler is a retry. A message out of attempts is a dead letter and its harvest has failed with
//! the reason. A lost acknowledgement brings the message again, and the inbox knows it.

mod claim;
mod consume;
mod context;
mod dead;
mod deliver;
mod envelope;
mod fault;
mod fleet;
mod inbox;
mod letters;
mod lost;
mod outcome;
mod process;
mod relay;
mod replay;
mod retry;
mod rounds;
mod subject;
mod worker;

pub use claim::{Claim, ClaimLost};
pub use context::Context;
pub use fleet::fleet_topology;
pub use letters::{DeadFilter, DeadLetter, count_dead, drop_dead, find_dead, list_dead, lives};
pub use outcome::{Done, Outcome, Stop, is_database_absent};
pub use process::{Process, ProcessConfig, ProcessError};
pub use replay::{Replayed, replay_dead};
pub use retry::RetryConfig;
pub use worker::Worker;
