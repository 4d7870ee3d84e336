//! What we know of a GeoNature database that others administer.
//!
//! Terms. The *source* is the row of `gn_synthese.t_sources` named `GBIF`: every observation we write carries its id. The *upsert
//! index* is any unique index over (`id_source`, `entity_source_pk_value`) that covers our source, found by its definition: other
//! tools make one too, under other names (GN2PG's `uidx_synthese_id_source_id_entity_source_pk_value`). TAXREF's *GBIF links* are
//! the rows of `taxonomie.taxref_liens` with `ct_name = 'GBIF'`.
//!
//! Invariants. [`detect`] only reads; [`check::survey()`] writes one observation and rolls it back. Only [`install()`] changes anything
//! outside our schemas, and only what [`script`] prints; it can be run again at any time. Workers never run DDL on GeoNature's tables.
//!
//! Failure. [`GeoNatureError`] says what is missing and names `passereau install` where that command mends it.

mod by_hand;
mod catalogue;
pub mod check;
mod detect;
mod error;
pub mod install;
mod parts;
mod rights;

pub use by_hand::ByHand;
pub use catalogue::{Catalogue, Trigger, UpsertIndex};
pub use detect::{Detected, Source, detect};
pub use error::GeoNatureError;
pub use install::{Wanted, install, script};
pub use parts::{Part, grant_parts, part_rights};
pub use rights::{Feature, Right, rights};

/// `name_source` of the source that every observation from GBIF carries.
pub const SOURCE_NAME: &str = "GBIF";

/// `url_source` of that source. GeoNature appends `/` and `entity_source_pk_value`, hence no final slash
/// (<https://github.com/PnX-SI/GeoNature>, synthèse detail view).
pub const SOURCE_URL: &str = "https://www.gbif.org/occurrence";
