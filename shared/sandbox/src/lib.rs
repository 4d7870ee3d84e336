//! Stand-ins for GBIF and iNaturalist, and a generator of Darwin Core Archives.

pub mod dice;
pub mod documents;
pub mod event_date;
pub mod generate;
pub mod layout;
pub mod places;
pub mod record;
pub mod rows;
pub mod seeds;
pub mod taxa;
pub mod texts;
