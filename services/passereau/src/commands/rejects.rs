//! `passereau harvest rejects`: what a subscription could not bring in, and what to do about it.
//!
//! The rows come from `pinv_gbif.reject` and its views (`migrations/functions/95_reports.sql`).

use anyhow::bail;
use clap::{Args, ValueEnum};
use passereau_database::DatabaseConfig;
use passereau_harvest::{Harvest, State, find};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    language::{Lang, Language},
    open,
    report::Report,
};

/// Whose rejects, and how to show them.
#[derive(Args, Debug)]
pub struct Rejects {
    /// Id of the harvest. Its subscription's rejects are shown as they stand now.
    id: Uuid,
    /// What to count them by.
    #[arg(long, value_enum, default_value_t = By::Reason, conflicts_with = "list")]
    by: By,
    /// Each record instead of counts, with its address at GBIF, and the row of the synthèse that stands although it is rejected.
    #[arg(long)]
    list: bool,
    /// CSV for a spreadsheet: UTF-8, semicolons.
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    language: Language,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// What rejects are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The reason, with what to do.
    Reason,
    /// GBIF's taxon and the reason.
    Taxon,
    /// GBIF's dataset and the reason.
    Dataset,
}

const LIST: Report = Report {
    sql: "SELECT gbif_id::text, reason, to_char(first_seen_at, 'YYYY-MM-DD'), to_char(last_seen_at, 'YYYY-MM-DD'), id_synthese::text,
                 'https://www.gbif.org/occurrence/' || gbif_id, detail
          FROM pinv_gbif.reject WHERE subscription = $1 ORDER BY reason, gbif_id",
    columns: &[
        ("gbif_id", 12),
        ("reason", 20),
        ("first_seen", 10),
        ("last_seen", 10),
        ("id_synthese", 11),
        ("url", 43),
        ("detail", 0),
    ],
};
const BY_REASON: &[(&str, usize)] = &[("records", 9), ("reason", 20), ("waits", 5), ("what_to_do", 0)];
const BY_REASON_FR: Report = Report {
    sql: "SELECT records::text, reason, CASE WHEN waits THEN 'oui' ELSE 'non' END, to_do_fr
          FROM pinv_gbif.v_reject_by_reason r WHERE subscription = $1 ORDER BY r.records DESC, reason",
    columns: BY_REASON,
};
const BY_REASON_EN: Report = Report {
    sql: "SELECT records::text, reason, CASE WHEN waits THEN 'yes' ELSE 'no' END, to_do_en
          FROM pinv_gbif.v_reject_by_reason r WHERE subscription = $1 ORDER BY r.records DESC, reason",
    columns: BY_REASON,
};
const BY_TAXON: Report = Report {
    sql: "SELECT records::text, reason, taxon_key, scientific_name
          FROM pinv_gbif.v_reject_by_taxon r WHERE subscription = $1
          ORDER BY sum(r.records) OVER (PARTITION BY taxon_key) DESC, taxon_key, r.records DESC, reason",
    columns: &[("records", 9), ("reason", 20), ("taxon_key", 10), ("scientific_name", 0)],
};
const BY_DATASET: Report = Report {
    sql: "SELECT records::text, reason, dataset_key::text, title
          FROM pinv_gbif.v_reject_by_dataset r WHERE subscription = $1
          ORDER BY sum(r.records) OVER (PARTITION BY dataset_key) DESC, dataset_key, r.records DESC, reason",
    columns: &[("records", 9), ("reason", 20), ("dataset_key", 36), ("title", 0)],
};

impl Rejects {
    /// Prints the report, and on standard error what it is a report of.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let Some(harvest) = find(&pool, self.id).await? else {
            bail!("there is no harvest {} (yet); `passereau harvest list` shows them", self.id);
        };
        eprintln!("{}", standing(&pool, &harvest).await?);
        let report = match (self.list, self.by, self.language.or_session()) {
            (true, ..) => LIST,
            (_, By::Reason, Lang::Fr) => BY_REASON_FR,
            (_, By::Reason, Lang::En) => BY_REASON_EN,
            (_, By::Taxon, _) => BY_TAXON,
            (_, By::Dataset, _) => BY_DATASET,
        };
        report.print(&pool, &harvest.subscription, self.csv).await
    }
}

/// Which harvest the rejects of a subscription are of.
async fn standing(pool: &PgPool, asked: &Harvest) -> Result<String, sqlx::Error> {
    let subscription = &asked.subscription;
    let last: Option<(Uuid, String)> = sqlx::query_as(
        "SELECT id, to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI UTC') FROM passereau.harvest
         WHERE subscription = $1 AND state = 'completed' ORDER BY finished_at DESC LIMIT 1",
    )
    .bind(subscription)
    .fetch_optional(pool)
    .await?;
    Ok(match last {
        Some((last, _)) if last == asked.id => {
            format!("rejects of subscription {subscription}, as this harvest left them")
        }
        Some((last, at)) if asked.state == State::Completed => format!(
            "rejects of subscription {subscription} as harvest {last} left them, which ended at {at} and has replaced what harvest {} found",
            asked.id
        ),
        _ => format!(
            "rejects of subscription {subscription} so far: harvest {} is not completed but {}, and those of the harvest before it stay until one is",
            asked.id, asked.state
        ),
    })
}
