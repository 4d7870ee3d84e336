//! The upserter's SQL functions against a GeoNature-shaped database.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod dates;
mod functions;
mod identity;
mod media;
mod meeting;
mod place;
mod platform;
mod sensitivity;
mod waiting;
