//! A harvest in the database: its states, slices, counts, events, and the fleet's pace.
//!
//! Terms. A *harvest* is one run of one *subscription*. It is *alive* until it is completed, failed or cancelled. A stage
//! that *fans out* inserts its *slices* in the transaction that ends the stage before; each slice counts down, and
//! whoever reaches zero sends the next stage. Nobody looks around to see whether others are done.
//!
//! Invariants. At most one harvest of a subscription is alive (a unique index). A state changes only from the states that
//! precede it, and the event of a change is written in the same transaction. The sums of [`passereau_contracts::Counts`]
//! hold for every completed harvest.
//!
//! Failure. Functions return the error of PostgreSQL; a state that does not fit is not an error but an answer (`false`,
//! `None`): the message came late or twice, and there is nothing left to do.

mod batches;
pub mod dataset;
mod event;
mod harvest;
mod life;
mod malformed;
mod overview;
pub mod pace;
mod reconvert;
mod revive;
mod slice;
mod start;
mod state;

pub use batches::{Batches, cut_batches};
pub use event::announce;
pub use harvest::{Harvest, advance, approve, await_approval, fail, find, in_state};
pub use life::{Ordered, cancel, hold, is_waiting, pause, resume, shares_download, stays_paused, withdraw};
pub use malformed::{MalformedLine, malformed_lines};
pub use overview::{Progress, RejectCount, Wanted, list, progress, rejects_by_reason, upsert_opens_at};
pub use reconvert::{Due, due_reconversions, reconvert};
pub use revive::{Pending, Revived, revive};
pub use slice::{Stage, count_down, end_batch, fan_out};
pub use start::{NewHarvest, Started, start};
pub use state::State;
