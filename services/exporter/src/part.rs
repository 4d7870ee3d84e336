//! Reads one part: a statement of the gate becomes an object of the store, and is counted on its way.

use std::{collections::BTreeMap, collections::BTreeSet, sync::Mutex, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt;
use passereau_gate::{CopyRow, Query, RowError, Tally};
use passereau_store::{ObjectKey, Store, StoreError, Stored};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{error::ExportError, ledger::Summary};

/// Which rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// All that leave as an area.
    Blurred,
    /// Those that leave exactly, after an id_synthese, so many at most.
    Exact { after: i32, limit: u32 },
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Read {
    pub stored: Stored,
    pub rows: i64,
    /// The greatest id_synthese, of exact rows.
    pub last_id: Option<i32>,
}

/// What a row counts as: level, type of area, licence.
type Counted = (String, Option<String>, String);

/// Counts lines as they pass by, and what they say.
#[derive(Debug, Default)]
struct Counter {
    fields: usize,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    rows: i64,
    last_id: Option<i32>,
    counts: BTreeMap<Counted, i64>,
    harvests: BTreeSet<Uuid>,
    broken: Option<RowError>,
}

impl Counter {
    fn pass(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, following) = rest.split_at(end + 1);
            if self.begun.is_empty() {
                self.line(line);
            } else {
                let mut whole = std::mem::take(&mut self.begun);
                whole.extend_from_slice(line);
                self.line(&whole);
                whole.clear();
                self.begun = whole;
            }
            rest = following;
        }
        self.begun.extend_from_slice(rest);
    }

    fn line(&mut self, line: &[u8]) {
        // The connection speaks UTF-8: what is none would be refused by its cells.
        let line = std::str::from_utf8(line).unwrap_or_default();
        match CopyRow::parse(line, self.fields) {
            Ok(row) => {
                self.rows += 1;
                self.last_id = row.id_synthese.or(self.last_id);
                if let Some(harvest) = row.harvest.and_then(|text| text.parse().ok()) {
                    self.harvests.insert(harvest);
                }
                let counted = (row.level.into_owned(), row.area_type.map(Into::into), row.licence.into_owned());
                *self.counts.entry(counted).or_default() += 1;
            }
            Err(error) => self.broken = Some(error),
        }
    }
}

/// Opens a connection with a transaction that reads one state of the database, for a time, and knows what the query selects.
///
/// It is no connection of the pool's any more: a `COPY` that is broken off (the store fails, the handling takes too long) leaves answers unread
/// that the next one on it would take for its own. Dropped, it is closed, and the transaction with it.
pub(crate) async fn snapshot(
    pool: &PgPool,
    query: &Query,
    flow: &str,
    longest: Duration,
) -> Result<PgConnection, ExportError> {
    let mut connection = pool.acquire().await?.detach();
    sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut connection).await?;
    limit(&mut connection, longest).await?;
    query.begin(&mut connection).await?;
    if !query.is_in_force(&mut connection).await? {
        return Err(ExportError::Changed { flow: flow.to_owned() });
    }
    Ok(connection)
}

/// Has each further statement of a transaction take so long at most. PostgreSQL takes 0 for no limit.
pub(crate) async fn limit(connection: &mut PgConnection, longest: Duration) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT set_config('statement_timeout', $1, true)")
        .bind(format!("{}ms", longest.as_millis().max(1)))
        .execute(connection)
        .await
        .map(|_| ())
}

/// Reads one part into the store. What it says is added to the summary.
pub(crate) async fn read(
    connection: &mut PgConnection,
    store: &Store,
    query: &Query,
    which: Which,
    key: &ObjectKey,
    flow: &str,
    summary: &mut Summary,
) -> Result<Read, ExportError> {
    let statement = match which {
        Which::Blurred => query.blurred_rows(),
        Which::Exact { after, limit } => query.exact_rows(after, limit),
    };
    let counter = Mutex::new(Counter { fields: query.fields().len(), ..Counter::default() });
    let stored = {
        let rows = connection.copy_out_raw(&statement.0).await?;
        let counted = rows.inspect_ok(|chunk: &Bytes| {
            if let Ok(mut counter) = counter.lock() {
                counter.pass(chunk);
            }
        });
        store.put_stream(key, counted).await
    };
    let stored = stored.map_err(|error| database_or_store(error, flow))?;
    let counter = counter.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(source) = counter.broken {
        return Err(ExportError::Row { flow: flow.to_owned(), source });
    }
    add(summary, counter.counts);
    summary.harvests.extend(counter.harvests);
    Ok(Read { stored, rows: counter.rows, last_id: counter.last_id })
}

/// An error of the stream is the database's; the store tells it as its input's.
fn database_or_store(error: StoreError, flow: &str) -> ExportError {
    match error {
        StoreError::Input { source, .. } if source.is::<sqlx::Error>() => match source.downcast::<sqlx::Error>() {
            Ok(error) => (*error).into(),
            Err(source) => ExportError::Scratch { flow: flow.to_owned(), source: std::io::Error::other(source) },
        },
        source => ExportError::Store { flow: flow.to_owned(), source: Box::new(source) },
    }
}

fn add(summary: &mut Summary, counts: BTreeMap<Counted, i64>) {
    for ((level, area_type, licence), records) in counts {
        let outcome = if area_type.is_some() { "area" } else { "exact" };
        let same = summary.delivered.iter_mut().find(|tally| {
            tally.level.as_deref() == Some(&level)
                && tally.area_type == area_type
                && tally.licence.as_deref() == Some(&licence)
        });
        match same {
            Some(tally) => tally.records += records,
            None => summary.delivered.push(Tally {
                level: Some(level),
                outcome: outcome.to_owned(),
                area_type,
                reason: None,
                licence: Some(licence),
                records,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "7\t0b2f\t0101\tNon sensible\t\\N\tCC0-1.0\t\\N\tun\\ndeux\n";

    #[test]
    fn lines_are_counted_wherever_the_stream_is_cut() {
        let text = ROW.repeat(5);
        for size in [1, 2, 7, 40, 1000] {
            let mut counter = Counter { fields: 1, ..Counter::default() };
            text.as_bytes().chunks(size).for_each(|chunk| counter.pass(chunk));
            assert_eq!((counter.rows, counter.last_id, counter.broken), (5, Some(7), None), "chunks of {size} bytes");
        }
    }

    #[test]
    fn what_is_no_row_is_told() {
        let mut counter = Counter { fields: 2, ..Counter::default() };
        counter.pass(ROW.as_bytes());
        assert!(counter.broken.is_some());
    }

    #[test]
    fn parts_are_added_up_by_level_area_and_licence() {
        let mut summary = Summary::default();
        let counted = |area: Option<&str>| ("Maille".to_owned(), area.map(str::to_owned), "CC0-1.0".to_owned());
        add(&mut summary, BTreeMap::from([(counted(Some("M10")), 2), (counted(None), 3)]));
        add(&mut summary, BTreeMap::from([(counted(Some("M10")), 5)]));
        let records: Vec<_> = summary.delivered.iter().map(|tally| (&*tally.outcome, tally.records)).collect();
        assert_eq!(records, [("exact", 3), ("area", 7)]);
    }
}
