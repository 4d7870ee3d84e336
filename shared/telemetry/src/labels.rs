//! The closed sets that metric labels are taken from.
//!
//! A label value is either one of these variants or a `&'static str` of the program itself (a worker's name, a message kind),
//! so that the number of time series is known before the program runs.

/// A text that stands in no closed set of labels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of the values that there are")]
pub struct UnknownLabel(String);

/// Declares an enum whose variants each have one label text.
macro_rules! label {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// Every variant, in the order of its declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text that stands in metrics, log fields and columns.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownLabel;

            fn from_str(text: &str) -> Result<Self, UnknownLabel> {
                Self::ALL.iter().copied().find(|label| label.as_str() == text).ok_or_else(|| UnknownLabel(text.to_owned()))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

label! {
    /// How the handling of one delivery ended.
    MessageOutcome {
        /// Effects and next messages are committed.
        Done => "done",
        /// The inbox knew the message: nothing was done again.
        Duplicate => "duplicate",
        /// Comes again later by its own wish; costs no attempt.
        Snoozed => "snoozed",
        /// Failed for a reason that may pass; comes again, one attempt spent.
        Retried => "retried",
        /// Can never succeed: became a dead letter.
        Rejected => "rejected",
        /// Handed back to the broker untouched (shutdown, PostgreSQL absent); costs no attempt.
        Returned => "returned",
    }
}

label! {
    /// The stage of a harvest that counted a record.
    Stage {
        /// Read from the archive into a generation.
        Landed => "landed",
        /// Looked up at iNaturalist.
        Enriched => "enriched",
        /// Compared with the generation before and converted.
        Planned => "planned",
        /// Written into the synthèse.
        Upserted => "upserted",
    }
}

label! {
    /// What became of a record at a [`Stage`].
    RecordOutcome {
        /// A line of the table was read.
        Read => "read",
        /// Stands in the generation.
        Landed => "landed",
        /// Its `gbifID` had been read before in the same archive.
        Duplicate => "duplicate",
        /// The line is not a record.
        Malformed => "malformed",
        /// iNaturalist gave its UUID.
        Found => "found",
        /// iNaturalist does not know it (any more).
        Absent => "absent",
        /// Stands in the plan: new, changed, rejected, kept or vanished.
        Planned => "planned",
        /// New in the synthèse.
        Inserted => "inserted",
        /// Changed in the synthèse.
        Updated => "updated",
        /// Nothing to write.
        Unchanged => "unchanged",
        /// Cannot enter the synthèse; kept as a reject with its reason.
        Rejected => "rejected",
        /// Left as it is in the synthèse on purpose (a person's edit, another claim).
        Kept => "kept",
        /// In no current generation any more.
        Vanished => "vanished",
    }
}

label! {
    /// Why a message gave up.
    DeadLetterReason {
        /// The body is not what its kind and version promise.
        Malformed => "malformed",
        /// No worker knows the kind.
        UnknownKind => "unknown_kind",
        /// The kind is known, its version is not.
        UnknownVersion => "unknown_version",
        /// The handler said that it can never succeed.
        Rejected => "rejected",
        /// The budget of attempts of its kind is used up.
        AttemptsExhausted => "attempts_exhausted",
        /// RabbitMQ dead-lettered it (delivery limit).
        ReturnedByBroker => "returned_by_broker",
    }
}

label! {
    /// The connections to RabbitMQ that each process has.
    Connection {
        /// Sends messages.
        Publishing => "publishing",
        /// Receives messages and acknowledges them.
        Consuming => "consuming",
        /// Empties the dead queue; red, it stops no work.
        Dead => "dead",
    }
}

label! {
    /// Where bytes were moved.
    Moved {
        /// Parts of archives, from GBIF into the store.
        Fetched => "fetched",
        /// Files of flows, into the store.
        Exported => "exported",
    }
}

label! {
    /// A service that the whole fleet calls under one budget.
    Api {
        /// Identifiers of observations.
        Inaturalist => "inaturalist",
        /// Datasets and their publishers.
        GbifRegistry => "gbif_registry",
    }
}

label! {
    /// What became of a call, or of the wish to make one.
    CallOutcome {
        /// It was answered, whatever the answer says.
        Answered => "answered",
        /// It was not, or with an error.
        Failed => "failed",
        /// It was not made: the service has failed too often in a row and is left alone.
        Resting => "resting",
    }
}

label! {
    /// How a delivery of a flow ended.
    DeliveryOutcome {
        /// A new version can be fetched.
        Delivered => "delivered",
        /// It says what the version before says.
        Unchanged => "unchanged",
        /// A person has to do something about it.
        Failed => "failed",
    }
}

label! {
    /// How a record leaves with a flow.
    Leaving {
        /// At its own place.
        Exact => "exact",
        /// As an area.
        Area => "area",
        /// Not at all.
        Withheld => "withheld",
    }
}

label! {
    /// GBIF's word for a download.
    GbifStatus {
        /// Waits in GBIF's queue.
        Preparing => "preparing",
        /// Is being made.
        Running => "running",
        /// Put aside by GBIF.
        Suspended => "suspended",
        /// The file is there.
        Succeeded => "succeeded",
        /// Ended by its owner.
        Cancelled => "cancelled",
        /// Ended by GBIF.
        Killed => "killed",
        /// GBIF could not make it.
        Failed => "failed",
        /// The file is gone.
        FileErased => "file_erased",
        /// A word that this program does not know.
        Other => "other",
    }
}

impl GbifStatus {
    /// From the word as GBIF writes it, in capitals.
    #[must_use]
    pub fn of(word: &str) -> Self {
        word.to_ascii_lowercase().parse().unwrap_or(Self::Other)
    }
}

/// Why a record cannot enter the synthèse: the closed list of `pinv_gbif.bib_reject_reason`, which `docs/rejects.md` explains.
pub const REJECT_REASONS: [&str; 24] = [
    "already_present",
    "coordinates_invalid",
    "coordinates_missing",
    "count_zero",
    "dataset_unknown",
    "date_future",
    "date_missing",
    "date_too_old",
    "date_unreadable",
    "fossil_specimen",
    "interval_too_long",
    "issue_flagged",
    "living_specimen",
    "obscured",
    "occurrence_absent",
    "outside_territory",
    "own_data",
    "taxon_refused",
    "taxon_unmatched",
    "too_imprecise",
    "uuid_absent",
    "uuid_changed",
    "uuid_duplicate",
    "uuid_pending",
];
