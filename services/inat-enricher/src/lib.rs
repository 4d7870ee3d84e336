//! The inat-enricher: looks up the UUIDs of iNaturalist's records, batch by batch.
//!
//! Terms. A *batch* is a slice of the stage *enrich*: up to some hundred ids that the loader found unknown. An answer is
//! kept for ever in `pinv_gbif.cor_uuid_inaturalist`: a UUID is an observation's permanent key; an *absent* id keeps the
//! date, and is asked again only after a while ([`LookupConfig::absent_again`]).
//!
//! The pace is one budget of the whole fleet (`passereau.pace`): a turn is taken before each call, whoever calls.
//!
//! Invariants. Only ids nobody has an answer for are asked. A batch counts down once; the one that reaches zero sends
//! `harvest.plan`.
//!
//! How it fails. An outage or a block of iNaturalist stops no other record: when a batch's attempts are used up, or
//! iNaturalist turns us away (401, 403, 404 …), the batch counts as done, and its ids stay without an answer, which the
//! plan makes waiting rejects (`uuid_pending`). Failures in a row are counted for the whole fleet; after as many as a batch has
//! attempts, iNaturalist rests and all batches go on without asking. A question that it does not understand (400, 422) is a
//! fault of ours or of the settings, and fails the harvest by name.

mod answers;
mod config;
mod handler;
pub mod verdict;

pub use config::{EnricherConfig, LookupConfig};
pub use handler::Enricher;
