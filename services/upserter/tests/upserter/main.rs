//! The upserter's SQL functions against a GeoNature-shaped database.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod functions;
mod meeting;
mod platform;
