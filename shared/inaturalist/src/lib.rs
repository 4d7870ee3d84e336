//! iNaturalist's API v2: the UUID of each observation that GBIF republishes.
//!
//! GBIF's downloads carry an observation's number, not its UUID; the UUID is the observation's permanent key, under
//! which it may reach the SINP by other roads. One call asks for up to 200 of them.
//!
//! The API answers 200 to several questions nobody meant to ask, so every lookup keeps to these rules:
//!
//! - **never an empty batch**: `id=` without a value is no filter at all, and gives the newest observations of the site;
//! - **always `per_page=200`**: the default of 30 would lose the rest without a word;
//! - **matched by id, never by position**, and only ids that were asked are kept;
//! - **fewer results than `total_results` is an error**, worth another try: the page was cut;
//! - an id without a result is *absent*: unknown, deleted or removed. There is no tombstone.
//!
//! The pace (100 calls a minute at most, 60 asked for, 10,000 a day) is one budget of the whole fleet and is kept
//! elsewhere. Source: inaturalist/iNaturalistAPI, `lib/inaturalist_api.js`, `lib/inaturalist_api_v2.js`,
//! `openapi/doc.js`, `openapi/schema/request/observations_search.js`, 2026.

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod config;
#[cfg(feature = "client")]
mod error;
mod page;

#[cfg(feature = "client")]
pub use client::{Fields, InaturalistClient, MOST_IDS};
#[cfg(feature = "client")]
pub use config::InaturalistConfig;
#[cfg(feature = "client")]
pub use error::InaturalistError;
pub use page::{Found, Lookup, Page, PageProblem};
