//! The exporter over real servers: what a partner finds in the store, and what becomes of a delivery that is disturbed.
#![allow(clippy::unwrap_used, reason = "tests")]

mod changes;
mod delivery;
mod killed;
mod losses;
mod manifest;
#[path = "../../../../shared/gate/tests/gate/move_points.rs"]
mod move_points;
mod platform;
mod property;
mod traps;
