//! The scheduler: starts what is done again and again when it is due, and runs the retention.
//!
//! Terms. A *schedule* is a row of `passereau.schedule`: what is done ([`Subject`]: a flow's delivery, a subscription's harvest, the
//! retention), when (a [`passereau_calendar::Recurrence`]) and when next. It is *due* once that moment has come and *fires* by sending one message; what the
//! message does is the business of the worker that takes it.
//!
//! Every scheduler looks for due schedules every few seconds ([`fire`]). The clock is PostgreSQL's, one for the whole fleet; the functions take
//! the moment as an argument, so that tests say what time it is.
//!
//! Every scheduler also reads what stands in the database, for metrics ([`state`]).
//!
//! Invariants. A due schedule fires once however many schedulers look: its row is locked, and the message's row and the next moment are written in
//! one transaction. The message's id is derived from the schedule's name and the moment that was due, so that even a row that somebody has set
//! back sends what the receiver has seen. What was missed while nobody looked fires once and not once for each time. A suspended
//! schedule does not fire.
//!
//! How it fails. A row that cannot be read (somebody has edited it) is suspended with the reason, which `passereau schedule list` shows; the
//! others fire. PostgreSQL away: the next look comes. RabbitMQ away: the message waits in the outbox. A retention that did not get everything
//! done is tried again an hour later, and is a dead letter after eight failures.

mod config;
mod error;
pub mod fire;
mod handler;
mod message;
pub mod state;
mod subject;
pub mod table;

pub use config::{ScheduleConfig, SchedulerConfig};
pub use error::ScheduleError;
pub use handler::Scheduler;
pub use subject::Subject;
