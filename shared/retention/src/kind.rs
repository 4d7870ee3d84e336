//! The closed list of what is kept for a time.

use std::fmt;

use serde::Serialize;

/// Something that is kept for a time. What is not in this list is kept for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A generation that never became current.
    Generation,
    /// The generation of a one-off request.
    OneOff,
    /// A fetched archive.
    Archive,
    /// A part of an archive whose fetch was given up.
    Part,
    /// A row of the plan of a harvest that has ended.
    Plan,
    /// A slice or batch of a harvest that has ended.
    Slice,
    /// The memory of a handled message.
    Inbox,
    /// A dead letter that was replayed or dropped.
    DeadLetter,
    /// The memory of a row that somebody deleted from the synthèse.
    Written,
    /// The archive of a row that was deleted because its record vanished.
    Deleted,
}

impl Kind {
    /// All, in the order in which they are taken away: what frees most comes first.
    pub const ALL: [Self; 10] = [
        Self::Generation,
        Self::OneOff,
        Self::Archive,
        Self::Part,
        Self::Plan,
        Self::Slice,
        Self::Inbox,
        Self::DeadLetter,
        Self::Written,
        Self::Deleted,
    ];

    /// Its name, as SQL, JSON and the documentation write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generation => "generation",
            Self::OneOff => "one_off",
            Self::Archive => "archive",
            Self::Part => "part",
            Self::Plan => "plan",
            Self::Slice => "slice",
            Self::Inbox => "inbox",
            Self::DeadLetter => "dead_letter",
            Self::Written => "written",
            Self::Deleted => "deleted",
        }
    }

    /// The row of `pinv_gbif.setting` that says for how many days.
    #[must_use]
    pub const fn setting(self) -> &'static str {
        match self {
            Self::Generation | Self::Part | Self::Plan | Self::Slice => "retention_failed_days",
            Self::OneOff => "retention_one_off_days",
            Self::Archive => "retention_archive_days",
            Self::Inbox => "retention_inbox_days",
            Self::DeadLetter => "retention_dead_letter_days",
            Self::Written => "retention_written_days",
            Self::Deleted => "retention_deleted_days",
        }
    }

    /// Whether it lies in the store and not in the database.
    #[must_use]
    pub const fn is_stored(self) -> bool {
        matches!(self, Self::Archive | Self::Part)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
