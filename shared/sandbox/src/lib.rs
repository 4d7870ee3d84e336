//! Stand-ins for GBIF and iNaturalist, and a generator of Darwin Core Archives.

pub mod seeds;
pub mod taxa;
