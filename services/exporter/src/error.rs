//! Why a delivery stops.

use passereau_flow::FlowError;
use passereau_formats::{Format, FormatError};
use passereau_gate::RowError;
use passereau_runner::Stop;
use passereau_store::StoreError;

/// What PostgreSQL says of a statement that ran into its limit of time (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const QUERY_CANCELED: &str = "57014";

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    /// The database, or what the runner made of it.
    #[error(transparent)]
    Stop(#[from] Stop),
    /// Reading the synthèse takes longer than one statement may.
    #[error(
        "reading the rows of flow {flow} took longer than {seconds} s; ask for less (territory, taxa), let PostgreSQL analyse gn_synthese.synthese, or raise PASSEREAU_EXPORT_SNAPSHOT_S"
    )]
    TooSlow {
        /// The flow.
        flow: String,
        /// The limit.
        seconds: u32,
    },
    /// The store.
    #[error(
        "the exporter's work on flow {flow} stopped at the store: {source}; look after the store, the step is tried again"
    )]
    Store {
        /// The flow.
        flow: String,
        /// What it said.
        source: Box<StoreError>,
    },
    /// A statement was cancelled (57014): it ran into its limit of time.
    #[error(
        "PostgreSQL cancelled a statement of the exporter, for its limit of time or because an administrator asked for it: {0}; the step is tried again"
    )]
    Cancelled(sqlx::Error),
    /// Another version of the agreement is in force than the one that is delivered.
    #[error("the agreement of flow {flow} has changed")]
    Changed {
        /// The flow.
        flow: String,
    },
    /// The rows were read too long ago.
    #[error(
        "the rows of flow {flow} were read more than {} ago: records may have become sensitive since, and nothing of them is published",
        crate::ledger::OLD_AFTER
    )]
    Old {
        /// The flow.
        flow: String,
    },
    /// A file could not be written.
    #[error("writing a file of flow {flow}{}: {source}", of_record(*.record))]
    Format {
        /// The flow.
        flow: String,
        /// Where one row is to blame, its id_synthese, if it leaves exactly: nothing may tell which record a blurred row is.
        record: Option<i32>,
        /// What was wrong.
        source: Box<FormatError>,
    },
    /// A scratch file.
    #[error(
        "a scratch file of flow {flow}: {source}; PASSEREAU_SCRATCH_DIR needs room for the largest file of a delivery"
    )]
    Scratch {
        /// The flow.
        flow: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A part is not what was written.
    #[error("part {part} of the delivery of flow {flow} is not what was read: {problem}; look after the store")]
    Part {
        /// The flow.
        flow: String,
        /// Which.
        part: i32,
        /// What is wrong.
        problem: String,
    },
    /// A file does not hold what was read.
    #[error("the {format} of flow {flow} has {written} rows, but {read} were read; this is a defect")]
    Rows {
        /// The flow.
        flow: String,
        /// Which file.
        format: Format,
        /// Its rows.
        written: u64,
        /// Those of the parts.
        read: i64,
    },
    /// What the gate gave is no row.
    #[error("reading the rows of flow {flow}: {source}; this is a defect")]
    Row {
        /// The flow.
        flow: String,
        /// What is wrong.
        source: RowError,
    },
}

fn of_record(record: Option<i32>) -> String {
    record.map_or_else(String::new, |id| format!(", record {id} of gn_synthese.synthese"))
}

impl From<sqlx::Error> for ExportError {
    fn from(error: sqlx::Error) -> Self {
        // The code, and not the words: those are in the server's language.
        if error.as_database_error().and_then(|error| error.code()).as_deref() == Some(QUERY_CANCELED) {
            return Self::Cancelled(error);
        }
        Self::Stop(error.into())
    }
}

impl From<FlowError> for ExportError {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::Database { source, .. } => source.into(),
            other => Self::Stop(Stop::reject(other.to_string())),
        }
    }
}

impl ExportError {
    /// Whether nothing but a person's decision can help: the delivery has failed.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::TooSlow { .. } | Self::Old { .. } | Self::Row { .. } => true,
            Self::Format { source, .. } => !source.is_transient(),
            _ => self.is_of_the_parts(),
        }
    }

    /// Whether it is final for a delivery whose rows would have to be read again.
    pub(crate) fn is_of_the_parts(&self) -> bool {
        matches!(self, Self::Part { .. } | Self::Rows { .. })
    }

    /// What the runner does about one that is not.
    pub(crate) fn into_stop(self) -> Stop {
        match self {
            Self::Stop(stop) => stop,
            other => Stop::retry(other),
        }
    }
}
