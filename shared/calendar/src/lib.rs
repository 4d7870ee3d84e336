#![doc = include_str!("../README.md")]

mod error;
mod period;
mod recurrence;
mod zone;

pub use error::RecurrenceError;
pub use recurrence::Recurrence;
