//! The upserter's SQL functions against a GeoNature-shaped database.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod adoption;
mod approval;
mod dates;
mod delta;
mod destination;
mod edits;
mod forgotten;
mod functions;
mod hours;
mod identity;
mod life;
mod manual;
mod media;
mod meeting;
mod metadata;
mod place;
mod platform;
mod privacy;
mod reports;
mod retention;
mod sensitivity;
mod slow;
mod taxa;
mod vanished;
mod vocabulary;
mod waiting;
