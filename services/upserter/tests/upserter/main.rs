//! The upserter's SQL functions against a GeoNature-shaped database.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod dates;
mod destination;
mod functions;
mod identity;
mod manual;
mod media;
mod meeting;
mod metadata;
mod place;
mod platform;
mod privacy;
mod reports;
mod sensitivity;
mod taxa;
mod vocabulary;
mod waiting;
