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

use super::open;

/// Whose rejects, and how to show them.
#[derive(Args, Debug)]
pub struct Rejects {
    /// Id of the harvest. Its subscription's rejects are shown as they stand now.
    id: Uuid,
    /// What to count them by.
    #[arg(long, value_enum, default_value_t = By::Reason, conflicts_with = "list")]
    by: By,
    /// Each record instead of counts, with its address at GBIF.
    #[arg(long)]
    list: bool,
    /// CSV (RFC 4180, UTF-8) for a spreadsheet.
    #[arg(long)]
    csv: bool,
    /// Language of the advice; else that of the session (LANG).
    #[arg(long, value_enum)]
    lang: Option<Lang>,
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

/// A language that the reasons are explained in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// French.
    Fr,
    /// English.
    En,
}

impl Lang {
    /// The language of a locale such as `fr_FR.UTF-8`; English for all that is not French.
    fn of(locale: &str) -> Self {
        if locale.to_ascii_lowercase().starts_with("fr") { Self::Fr } else { Self::En }
    }

    /// That of the session: the first of the three variables that is set decides, as everywhere on a POSIX system.
    pub(super) fn of_session() -> Self {
        let set = |variable| std::env::var(variable).ok().filter(|value| !value.is_empty());
        Self::of(&["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set).unwrap_or_default())
    }
}

/// A report: its statement, whose one parameter is the subscription, and its columns, all of them text, with the width they
/// have when it is not CSV.
struct Report {
    sql: &'static str,
    columns: &'static [(&'static str, usize)],
}

const LIST: Report = Report {
    sql: "SELECT gbif_id::text, reason, to_char(first_seen_at, 'YYYY-MM-DD'), to_char(last_seen_at, 'YYYY-MM-DD'),
                 'https://www.gbif.org/occurrence/' || gbif_id, detail
          FROM pinv_gbif.reject WHERE subscription = $1 ORDER BY reason, gbif_id",
    columns: &[("gbif_id", 12), ("reason", 20), ("first_seen", 10), ("last_seen", 10), ("url", 43), ("detail", 0)],
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
        let report = match (self.list, self.by, self.lang.unwrap_or_else(Lang::of_session)) {
            (true, ..) => LIST,
            (_, By::Reason, Lang::Fr) => BY_REASON_FR,
            (_, By::Reason, Lang::En) => BY_REASON_EN,
            (_, By::Taxon, _) => BY_TAXON,
            (_, By::Dataset, _) => BY_DATASET,
        };
        let out = io::BufWriter::new(io::stdout().lock());
        match write(&pool, &report, &harvest.subscription, self.csv, out).await {
            // `… | head` has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            outcome => outcome.context("writing the report"),
        }
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
    let mut sheet =
        if as_csv { Sheet::Csv(Box::new(csv::Writer::from_writer(out))) } else { Sheet::Text(out, report.columns) };
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
    Csv(Box<csv::Writer<W>>),
    Text(W, &'static [(&'static str, usize)]),
}

impl<W: Write> Sheet<W> {
    fn row<'v>(&mut self, values: impl Iterator<Item = &'v str>) -> io::Result<()> {
        match self {
            Self::Csv(csv) => csv.write_record(values)?,
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
        let columns = BY_TAXON.columns;
        let mut sheet = if as_csv {
            Sheet::Csv(Box::new(csv::Writer::from_writer(&mut out)))
        } else {
            Sheet::Text(&mut out, columns)
        };
        for row in rows {
            sheet.row(row.iter().copied()).expect("row");
        }
        sheet.flush().expect("flush");
        drop(sheet);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn csv_quotes_what_a_spreadsheet_would_split() {
        let row = ["3", "taxon_unmatched", "", "Aus \"bus\" L., 1758\nsecond line"];
        assert_eq!(sheet(true, &[&row]), "3,taxon_unmatched,,\"Aus \"\"bus\"\" L., 1758\nsecond line\"\n");
    }

    #[test]
    fn text_is_aligned_and_ends_with_its_last_value() {
        let rows: [&[&str]; 2] = [&["12", "own_data", "71", ""], &["7", "count_zero", "72", "Aus bus"]];
        assert_eq!(
            sheet(false, &rows),
            "       12  own_data              71\n        7  count_zero            72          Aus bus\n"
        );
    }

    #[test]
    fn a_french_session_reads_french() {
        for (locale, lang) in
            [("fr_FR.UTF-8", Lang::Fr), ("FR", Lang::Fr), ("en_GB", Lang::En), ("C.UTF-8", Lang::En), ("", Lang::En)]
        {
            assert_eq!(Lang::of(locale), lang, "{locale}");
        }
    }
}
