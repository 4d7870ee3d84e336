//! Files of every format, opened by programs of others: GDAL, the csv crate, serde_json, SQLite.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod gdal;
mod geopackage;
mod measurement;
mod refusals;
mod round_trips;
mod sample;
