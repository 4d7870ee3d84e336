//! Flows, from the file to the database.

mod agreement;
mod known;
mod plan;
mod registry;
mod support;
mod territory;
mod token;
