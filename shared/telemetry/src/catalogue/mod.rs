//! Every metric of the fleet: name, labels and meaning, in one list. What is registered is made from it, and so is `docs/metrics.md`
//! ([`document`]), so that neither knows a name that the other does not.
//!
//! Two sorts. What a process *did* (counters, times) is shown by the process that did it: add it up over processes. What *is* in the
//! database (states, ages, what is left) is read by the schedulers alone, in one snapshot ([`By::State`]): each scheduler shows the
//! same, so take the largest and never the sum.

mod document;
mod flow;
mod harvest;
mod machinery;
mod register;

pub use document::document;
pub use flow::*;
pub use harvest::*;
pub use machinery::*;

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// How its values move.
    pub kind: Kind,
    /// Names of its labels; each stands in [`LABELS`].
    pub labels: &'static [&'static str],
    /// What it says, in one or two sentences.
    pub help: &'static str,
    /// Who shows it.
    pub by: By,
}

/// How the values of a metric move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows, and begins at 0 with its process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by size.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word of the text format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// Who shows a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum By {
    /// Every process.
    Every,
    /// Every process that handles messages, which is all but the gateway.
    EveryWorker,
    /// The schedulers, from the database: each shows the same.
    State,
    /// Processes of these workers.
    Workers(&'static [&'static str]),
}

/// A chapter of the list.
#[derive(Clone, Copy, Debug)]
pub struct Chapter {
    /// Its heading.
    pub title: &'static str,
    /// What is in it.
    pub families: &'static [&'static Family],
}

/// All metrics, the domain first.
pub const CHAPTERS: &[Chapter] = &[
    Chapter { title: "Harvests", families: harvest::HARVESTS },
    Chapter { title: "Subscriptions", families: harvest::SUBSCRIPTIONS },
    Chapter { title: "GBIF and iNaturalist", families: harvest::OTHERS },
    Chapter { title: "Flows", families: flow::FLOWS },
    Chapter { title: "The gateway", families: flow::GATEWAY },
    Chapter { title: "Messages", families: machinery::MESSAGES },
    Chapter { title: "Outbox and connections", families: machinery::CONNECTIONS },
    Chapter { title: "What happens by itself, and the reading of the state", families: machinery::UPKEEP },
];

/// Every label: its name and what its values are.
pub const LABELS: &[(&str, &str)] = &[
    ("api", "`inaturalist`, `gbif_registry`"),
    ("connection", "`publishing`, `consuming`, `dead` (the one that empties the dead queue)"),
    ("exchange", "`work`, `events`"),
    ("file", "extension of a file of a delivery: `csv`, `csv.gz`, `gpkg` …"),
    ("flow", "name of a flow, as its agreement gives it"),
    ("kind", "a kind of message ([messages.md](messages.md)), or `unknown`"),
    ("outcome", "how it ended; the values stand with each metric"),
    ("process", "what the process is: a worker's name, or `passereau` for all in one"),
    ("reason", "a code of a closed list; it stands with each metric"),
    ("route", "a path of the gateway as its OpenAPI document writes it, or `none`"),
    ("stage", "a step of a harvest or a delivery; the values stand with each metric"),
    ("standing", "`active`, `awaits_approval`, `suspended`, `ended`, `authorisation_ended`"),
    ("state", "the values stand with each metric; for harvests those of the guide (`requested` … `finishing`)"),
    (
        "status",
        "of a download at GBIF: `preparing`, `running`, `suspended`, `succeeded`, `cancelled`, `killed`, `failed`, `file_erased`, `other`, `unknown` (not asked yet); of an answer of the gateway: the HTTP status",
    ),
    (
        "subscription",
        "name of a subscription, as its operator gave it; all one-off harvests together are `(one-off)`. At most 500: those changed last; harvests on their way of the others are `(other)`",
    ),
    ("version", "version of the program"),
    ("worker", "name of a worker; its queue is `passereau.<worker>`"),
];

/// All metrics.
pub fn all() -> impl Iterator<Item = &'static Family> {
    CHAPTERS.iter().flat_map(|chapter| chapter.families.iter().copied())
}
