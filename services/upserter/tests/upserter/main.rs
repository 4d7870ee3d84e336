//! The upserter's SQL functions against a GeoNature-shaped database.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod approval;
mod dates;
mod delta;
mod destination;
mod edits;
mod functions;
mod identity;
mod manual;
mod media;
mod meeting;
mod metadata;
mod place;
mod platform;
mod reports;
mod retention;
mod sensitivity;
mod taxa;
mod vanished;
mod vocabulary;
mod waiting;
