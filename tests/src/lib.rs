//! The whole fleet on one machine: real servers, real processes, a stand-in GBIF and iNaturalist.
//!
//! Used by the tests of `tests/fleet` and `tests/crash`, the demonstration and the benchmarks. A [`Fleet`] shares nothing with another one:
//! its database, its store, its sandbox and the names of its queues are its own.

mod agreement;
mod bucket;
pub mod dashboards;
mod events;
mod fleet;
mod programs;

pub use agreement::agreement;
pub use bucket::Bucket;
pub use fleet::{FLOW_WORKERS, Fleet, FleetConfig, Prepared, QUERY_DATASETS, SUBSCRIPTION, query};
pub use programs::{own_address, peak_kib, program};
