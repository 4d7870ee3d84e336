//! The gate against a GeoNature-shaped database: what leaves, as what, and that nothing else does.

mod attacks;
mod cost;
mod fields;
mod levels;
mod licences;
mod move_points;
mod platform;
mod property;
mod territory;
mod traps;
