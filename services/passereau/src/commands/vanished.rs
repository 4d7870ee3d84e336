//! `passereau harvest vanished`: records that no current generation holds any more, and what became of their rows.

use anyhow::bail;
use clap::Args;
use passereau_database::DatabaseConfig;
use passereau_harvest::find;
use uuid::Uuid;

use super::{open, report::Report, show};

/// Whose vanished records, and how to show them.
#[derive(Args, Debug)]
pub struct Vanished {
    /// Id of the harvest. Its subscription's vanished records are shown as they stand now.
    id: Uuid,
    /// CSV for a spreadsheet: UTF-8, semicolons.
    #[arg(long)]
    csv: bool,
    /// Let the next complete harvest mark or delete what was left alone because the predicate had changed.
    #[arg(long)]
    release: bool,
    #[command(flatten)]
    database: DatabaseConfig,
}

const VANISHED: Report = Report {
    sql: "SELECT v.gbif_id::text, to_char(v.at, 'YYYY-MM-DD'), v.how, v.id_synthese::text, 'https://www.gbif.org/occurrence/' || v.gbif_id
          FROM (SELECT w.gbif_id, w.vanished_at AS at, w.vanished_how AS how, w.id_synthese
                FROM passereau.written w WHERE w.vanished_at IS NOT NULL AND w.vanished_from = $1
                UNION ALL
                SELECT d.gbif_id, d.deleted_at, 'deleted', d.id_synthese FROM passereau.deleted d WHERE d.subscription = $1) v
          ORDER BY v.at DESC, v.gbif_id",
    columns: &[("gbif_id", 12), ("since", 10), ("row", 18), ("id_synthese", 11), ("url", 0)],
};

impl Vanished {
    /// Prints the report, or releases.
    ///
    /// # Errors
    /// In words for the data manager.
    pub async fn run(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let Some(harvest) = find(&pool, self.id).await? else {
            bail!("there is no harvest {}; `passereau harvest list` shows those that there are", self.id);
        };
        if self.release {
            let released: i64 = sqlx::query_scalar("SELECT passereau.release_vanished($1)")
                .bind(&harvest.subscription)
                .fetch_one(&pool)
                .await?;
            return show(&format!(
                "{released} rows of subscription {}: its next complete harvest does with them what its setting \"vanished\" says\n",
                harvest.subscription
            ));
        }
        VANISHED.print(&pool, &harvest.subscription, self.csv).await
    }
}
