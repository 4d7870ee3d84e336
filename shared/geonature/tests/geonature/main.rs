//! Detection, installation, rights and check against GeoNature-shaped databases.

mod check;
mod install;
mod rights;
mod worker;
