//! A flow as the registry has it, and whether it is to be delivered.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use passereau_gate::Sensitive;
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};

use crate::{Agreement, FlowError, schedule};

/// A flow as the registry has it. Its key is not among what can be read here.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct Flow {
    /// Its name.
    pub name: String,
    /// The version in force.
    pub version: i32,
    /// What is agreed.
    #[sqlx(json)]
    pub agreement: Agreement,
    /// When the version was applied.
    pub applied_at: DateTime<Utc>,
    /// Who applied it.
    pub applied_by: Option<String>,
    /// The version whose sensitive records may leave at their precision.
    pub approved_version: Option<i32>,
    /// Who approved that.
    pub approved_by: Option<String>,
    /// When.
    pub approved_at: Option<DateTime<Utc>>,
    /// Since when nothing is delivered.
    pub suspended_at: Option<DateTime<Utc>>,
    /// Why.
    pub suspended_because: Option<String>,
    /// When the next delivery is due.
    pub next_at: Option<DateTime<Utc>>,
    /// When the last delivery was done, changed or not.
    pub delivered_at: Option<DateTime<Utc>>,
    /// Its rows.
    pub delivered_rows: Option<i64>,
}

/// Whether a flow is to be delivered, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// It is.
    Active,
    /// Its version asks for sensitive records at their precision, and no second person has approved it.
    AwaitsApproval,
    /// Somebody suspended it.
    Suspended {
        /// Why.
        because: String,
    },
    /// Its last day has passed.
    Ended {
        /// That day.
        on: NaiveDate,
    },
    /// The last day of its authorisation has passed.
    AuthorisationEnded {
        /// That day.
        on: NaiveDate,
    },
}

impl Standing {
    /// Whether it is to be delivered.
    #[must_use]
    pub fn is_active(&self) -> bool {
        *self == Self::Active
    }

    /// One word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::AwaitsApproval => "awaits_approval",
            Self::Suspended { .. } => "suspended",
            Self::Ended { .. } => "ended",
            Self::AuthorisationEnded { .. } => "authorisation_ended",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => formatter.write_str("it is active"),
            Self::AwaitsApproval => formatter.write_str(
                "its version asks for sensitive records at their precision: a second person approves it with `passereau flow approve`",
            ),
            Self::Suspended { because } => {
                write!(formatter, "it is suspended ({because}); `passereau flow resume` lets it go on")
            }
            Self::Ended { on } => {
                write!(formatter, "it ended on {on}; to go on, write a later ends_on into its file and apply that")
            }
            Self::AuthorisationEnded { on } => write!(
                formatter,
                "its authorisation ended on {on}; write a new one into its file, or sensitive = \"blurred\", and apply that"
            ),
        }
    }
}

impl Flow {
    /// Whether it is to be delivered at a moment. Last days count whole, in the flow's time zone.
    #[must_use]
    pub fn standing(&self, now: DateTime<Utc>) -> Standing {
        let today = now.with_timezone(&self.agreement.zone()).date_naive();
        if self.agreement.ends_on < today {
            return Standing::Ended { on: self.agreement.ends_on };
        }
        if self.suspended_at.is_some() {
            return Standing::Suspended { because: self.suspended_because.clone().unwrap_or_default() };
        }
        if self.agreement.sensitive != Sensitive::Precise {
            return Standing::Active;
        }
        match &self.agreement.authorisation {
            Some(authorisation) if authorisation.ends_on < today => {
                Standing::AuthorisationEnded { on: authorisation.ends_on }
            }
            Some(_) if self.approved_version == Some(self.version) => Standing::Active,
            _ => Standing::AwaitsApproval,
        }
    }

    /// Whether more than its period has passed since the last delivery, or since it was applied. A delivery takes its time, and a schedule that keeps
    /// its hour waits one more when summer time ends: an hour later is not late.
    #[must_use]
    pub fn is_late(&self, now: DateTime<Utc>) -> bool {
        self.late_from(now).is_some_and(|late| late < now)
    }

    /// When it is late unless it is delivered before; none while it is not to be delivered.
    #[must_use]
    pub fn late_from(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let since = self.delivered_at.unwrap_or(self.applied_at);
        self.standing(now).is_active().then(|| self.agreement.period.after(since) + schedule::tolerance())
    }
}

const SELECT: &str = "
SELECT f.name, f.version, f.agreement, f.applied_at, f.applied_by, f.approved_version, f.approved_by, f.approved_at, f.suspended_at,
       f.suspended_because, s.next_at, d.finished_at AS delivered_at, d.rows AS delivered_rows
FROM passereau.flow f
LEFT JOIN passereau.schedule s ON s.name = 'flow:' || f.name AND s.suspended_at IS NULL
LEFT JOIN LATERAL (SELECT x.finished_at, x.rows FROM passereau.delivery x
                   WHERE x.flow = f.name AND x.state IN ('delivered', 'unchanged') ORDER BY x.requested_at DESC LIMIT 1) d ON true
WHERE $1::text IS NULL OR f.name = $1
ORDER BY f.name";

/// A flow by its name.
///
/// # Errors
/// Those of the database.
pub async fn find<'c>(executor: impl PgExecutor<'c>, name: &str) -> Result<Option<Flow>, FlowError> {
    sqlx::query_as(SELECT)
        .bind(name)
        .fetch_optional(executor)
        .await
        .map_err(FlowError::database(format!("reading flow {name}")))
}

/// A flow by its name, which nobody changes until the transaction ends: for what is decided by its standing. It asks for no right to write.
///
/// # Errors
/// Those of the database.
pub async fn find_held(connection: &mut PgConnection, name: &str) -> Result<Option<Flow>, FlowError> {
    sqlx::query("SELECT pg_advisory_xact_lock_shared(hashtextextended('passereau.flow:' || $1, 0))")
        .bind(name)
        .execute(&mut *connection)
        .await
        .map_err(FlowError::database(format!("holding flow {name}")))?;
    find(connection, name).await
}

/// All flows, by name.
///
/// # Errors
/// Those of the database.
pub async fn list<'c>(executor: impl PgExecutor<'c>) -> Result<Vec<Flow>, FlowError> {
    sqlx::query_as(SELECT).bind(None::<String>).fetch_all(executor).await.map_err(FlowError::database("listing flows"))
}
