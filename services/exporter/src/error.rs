//! Why a delivery stops.

use passereau_flow::FlowError;
use passereau_formats::FormatError;
use passereau_gate::RowError;
use passereau_runner::Stop;
use passereau_store::StoreError;

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
    #[error("the store, for flow {flow}: {source}")]
    Store {
        /// The flow.
        flow: String,
        /// What it said.
        source: Box<StoreError>,
    },
    /// A file could not be written.
    #[error("writing a file of flow {flow}: {source}")]
    Format {
        /// The flow.
        flow: String,
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
    #[error("part {part} of a delivery of flow {flow} cannot be read: {problem}; run the flow again")]
    Part {
        /// The flow.
        flow: String,
        /// Which.
        part: i32,
        /// What is wrong.
        problem: String,
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

impl From<sqlx::Error> for ExportError {
    fn from(error: sqlx::Error) -> Self {
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
        matches!(self, Self::TooSlow { .. } | Self::Part { .. } | Self::Row { .. })
            || matches!(self, Self::Format { source, .. } if !matches!(**source, FormatError::Io { .. }))
    }

    /// What the runner does about one that is not.
    pub(crate) fn into_stop(self) -> Stop {
        match self {
            Self::Stop(stop) => stop,
            other => Stop::retry(other),
        }
    }
}
