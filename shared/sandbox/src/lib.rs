//! Stand-ins for GBIF and iNaturalist, and a generator of Darwin Core Archives, for tests and demonstrations.
//!
//! - [`Sandbox`] runs GBIF's download API, the file server it redirects to, and iNaturalist's API v2, each on a port of its
//!   own. Tests script faults with [`Sandbox::script`], skip time with [`Sandbox::advance`] and read what was received with
//!   [`Sandbox::recorded`].
//! - [`generate::generate`] writes archives of invented records in the layout of August 2026; [`cases`] says what is in them.
//! - [`seeds`] and [`taxa`] are what those records and a seeded GeoNature database have in common.
//!
//! ```no_run
//! # async fn example() -> Result<(), passereau_sandbox::SandboxError> {
//! use passereau_sandbox::{Route, Sandbox, SandboxConfig, Scripted};
//!
//! let config = SandboxConfig { archives: vec!["fixture.zip".into()], ..SandboxConfig::default() };
//! let sandbox = Sandbox::start(config).await?;
//! sandbox.script(Route::CreateDownload, [Scripted::LoseAnswer]);
//! // … point a client at `sandbox.gbif_url` with user "passereau" and password "sandbox" …
//! assert_eq!(sandbox.calls(Route::CreateDownload), 1);
//! # Ok(())
//! # }
//! ```
//!
//! What it leaves out of GBIF: the comparison with monthly snapshots when requests are de-duplicated, the page that describes
//! the columns, formats other than archives (any format is accepted, an archive is what comes), SQL.
//!
//! Nothing here holds or protects real data, and nothing that runs in production may depend on it.

mod alter;
pub mod cases;
mod clock;
pub mod dice;
pub mod documents;
pub mod downloads;
pub mod event_date;
mod files;
mod gbif;
pub mod generate;
mod hosted;
pub mod identification;
pub mod inaturalist;
pub mod layout;
pub mod media;
pub mod places;
pub mod record;
mod request;
pub mod rows;
mod sandbox;
mod script;
pub mod seeds;
pub mod taxa;
pub mod texts;
mod transport;

pub use downloads::{DownloadStatus, Pace};
pub use gbif::publisher_key;
pub use inaturalist::{inaturalist_login, inaturalist_uuid};
pub use sandbox::{DownloadSummary, Sandbox, SandboxConfig, SandboxError};
pub use script::{Recorded, Route, Scripted};
