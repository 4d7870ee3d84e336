//! `passereau harvest rejects`: what a subscription could not bring in, and what to do about it.
//!
//! The rows come from `pinv_gbif.reject` and its views (`migrations/functions/95_reports.sql`), every column as text, and are
//! written one by one as they arrive: a report is as long as it has to be.

use std::io::{self, Write};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use futures_util::TryStreamExt;
use passereau_database::DatabaseConfig;
use passereau_harvest::{Harvest, State, find};
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::{
    language::{Lang, Language},
    open,
    spreadsheet::Spreadsheet,
    unless_closed,
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

/// A report: its statement, whose one parameter is the subscription, and its columns, all of them text, with the width they
/// have when it is not CSV.
struct Report {
    sql: &'static str,
    columns: &'static [(&'static str, usize)],
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
        let out = io::BufWriter::new(io::stdout().lock());
        let written = write(&pool, &report, &harvest.subscription, self.csv, out).await;
        unless_closed(written).context("writing the report")
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

/// Writes the names of the columns, then row after row as they come.
async fn write(pool: &PgPool, report: &Report, subscription: &str, as_csv: bool, out: impl Write) -> io::Result<()> {
    let mut sheet = Sheet::new(as_csv, report.columns, out)?;
    sheet.row(report.columns.iter().map(|(name, _)| *name))?;
    let mut rows = sqlx::query(report.sql).bind(subscription).fetch(pool);
    while let Some(row) = rows.try_next().await.map_err(io::Error::other)? {
        let values: Result<Vec<Option<&str>>, _> = (0..report.columns.len()).map(|at| row.try_get(at)).collect();
        sheet.row(values.map_err(io::Error::other)?.into_iter().map(Option::unwrap_or_default))?;
    }
    sheet.flush()
}

/// Where rows go.
enum Sheet<W: Write> {
    Csv(Box<Spreadsheet<W>>),
    Text(W, &'static [(&'static str, usize)]),
}

impl<W: Write> Sheet<W> {
    fn new(as_csv: bool, columns: &'static [(&'static str, usize)], out: W) -> io::Result<Self> {
        Ok(if as_csv { Self::Csv(Box::new(Spreadsheet::new(out)?)) } else { Self::Text(out, columns) })
    }

    fn row<'v>(&mut self, values: impl Iterator<Item = &'v str>) -> io::Result<()> {
        match self {
            Self::Csv(csv) => csv.row(values)?,
            Self::Text(out, columns) => {
                let padded = columns.iter().zip(values).map(|((name, width), value)| match *name {
                    "records" => format!("{value:>width$}"),
                    _ => format!("{value:<width$}"),
                });
                writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Csv(csv) => csv.flush()?,
            Self::Text(out, _) => out.flush()?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(as_csv: bool, rows: &[&[&str]]) -> String {
        let mut out = Vec::new();
        let mut sheet = Sheet::new(as_csv, BY_TAXON.columns, &mut out).expect("sheet");
        for row in rows {
            sheet.row(row.iter().copied()).expect("row");
        }
        sheet.flush().expect("flush");
        drop(sheet);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn csv_is_for_a_spreadsheet() {
        let row = ["3", "taxon_unmatched", "", "=Aus \"bus\" L., 1758"];
        assert_eq!(sheet(true, &[&row]), "\u{feff}3;taxon_unmatched;;\"'=Aus \"\"bus\"\" L., 1758\"\n");
    }

    #[test]
    fn text_is_aligned_and_ends_with_its_last_value() {
        let rows: [&[&str]; 2] = [&["12", "own_data", "71", ""], &["7", "count_zero", "72", "Aus bus"]];
        assert_eq!(
            sheet(false, &rows),
            "       12  own_data              71\n        7  count_zero            72          Aus bus\n"
        );
    }
}
