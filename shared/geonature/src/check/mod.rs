//! What stands in the way of a harvest, and what to run against it.
//!
//! Terms. A *survey* is the facts, read as the role that asks ([`survey()`]); a *finding* is what one of them means ([`findings`],
//! pure). A *refusal* is a statement that PostgreSQL did not do: it is a fact like others, and ends nothing but itself. The *probe*
//! writes an observation, changes it and deletes it, in one transaction that is rolled back: only so it shows what triggers really
//! do, and whether the role may do all that they do in its name.
//!
//! Invariants. Nothing stays of a survey but one or two numbers of sequences. A right that lacks is found by looking for it *and* by
//! the refusal it causes: the list of rights ([`crate::rights()`]) is neither too short nor too long.
//!
//! Failure. Only a lost connection ends a survey.

mod adoption;
mod attempt;
mod finding;
mod instance;
mod ours;
mod parts;
mod platform;
mod probe;
mod survey;
#[cfg(test)]
mod tests;
mod writing;

pub use adoption::{Adoption, LeftBehind};
pub use attempt::{Answer, Refusal};
pub use finding::{Finding, Severity, worst};
pub use ours::{Framework, Ours, TerritoryType, Unresolved};
pub use parts::{PartRole, PartSurvey, part_findings, survey_parts};
pub use probe::{Level, Probe, Step, Written};
pub use survey::{HeldRight, Invisible, Role, Survey, survey};

use crate::GeoNatureError;

/// What the facts mean, in the order in which an administrator mends them.
pub fn findings(survey: &Survey) -> Vec<Finding> {
    [instance::findings(survey), writing::findings(survey), platform::findings(survey), adoption::findings(survey)]
        .concat()
}

/// The one finding of a database that holds no GeoNature, or one too old to be surveyed; `None` for what is no finding, such as a
/// lost connection.
pub fn not_surveyed(error: &GeoNatureError) -> Option<Finding> {
    match error {
        GeoNatureError::NotGeoNature { .. } | GeoNatureError::TooOld { .. } => Some(Finding::error(
            "geonature",
            error.to_string(),
            "nothing can be examined, and no harvest can be written",
            "point PASSEREAU_DATABASE_URL at the database of a GeoNature 2.16 or later, then run `passereau check` again",
        )),
        _ => None,
    }
}
