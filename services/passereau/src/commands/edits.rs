//! `passereau harvest edits`: what people changed in GeoNature and GBIF says otherwise about.

use anyhow::bail;
use clap::Args;
use passereau_database::DatabaseConfig;
use passereau_harvest::find;
use uuid::Uuid;

use super::{open, report::Report};

/// Whose edits, and how to show them.
#[derive(Args, Debug)]
pub struct Edits {
    /// Id of the harvest. Its subscription's edits are shown as they stand now.
    id: Uuid,
    /// CSV for a spreadsheet: UTF-8, semicolons.
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    database: DatabaseConfig,
}

const EDITS: Report = Report {
    sql: "SELECT e.gbif_id::text, e.id_synthese::text,
                 CASE WHEN c.name = ANY (e.kept) THEN 'kept' ELSE 'written' END,
                 CASE WHEN e.validated THEN 'validated' ELSE '' END,
                 c.name, passereau.readable(c.name, c.value ->> 'here'), passereau.readable(c.name, c.value ->> 'gbif')
          FROM pinv_gbif.edited_locally e
          CROSS JOIN LATERAL jsonb_each(e.content) c (name, value)
          WHERE e.subscription = $1 ORDER BY e.gbif_id, c.name",
    columns: &[
        ("gbif_id", 12),
        ("id_synthese", 11),
        ("outcome", 7),
        ("validated", 9),
        ("column", 34),
        ("here", 40),
        ("gbif", 0),
    ],
};

impl Edits {
    /// Prints the report.
    ///
    /// # Errors
    /// In words for the data manager.
    pub async fn run(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let Some(harvest) = find(&pool, self.id).await? else {
            bail!("there is no harvest {}; `passereau harvest list` shows those that there are", self.id);
        };
        EDITS.print(&pool, &harvest.subscription, self.csv).await
    }
}
