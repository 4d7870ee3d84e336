//! Settings of the exporter.

use std::num::NonZeroU32;

use passereau_store::StoreConfig;

/// Everything the exporter is configured by.
#[derive(clap::Args, Clone, Debug)]
pub struct ExporterConfig {
    /// Where deliveries are published, and where files are made.
    #[command(flatten)]
    pub store: StoreConfig,
    /// How the synthèse is read.
    #[command(flatten)]
    pub export: ExportConfig,
}

/// Settings of the exporter alone.
#[derive(clap::Args, Clone, Debug)]
pub struct ExportConfig {
    /// Rows of a part. A snapshot of the database is held while one is read; a crash costs one at most.
    #[arg(long, env = "PASSEREAU_EXPORT_PART_ROWS", default_value = "200000")]
    pub export_part_rows: NonZeroU32,
    /// Longest time that a part, or what else is read of the database, may take, in seconds: for so long PostgreSQL keeps what others delete
    /// meanwhile.
    #[arg(long, env = "PASSEREAU_EXPORT_SNAPSHOT_S", default_value = "200", value_parser = clap::value_parser!(u32).range(1..=240))]
    pub export_snapshot_s: u32,
}
