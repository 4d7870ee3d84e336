//! What a failed lookup becomes.

use passereau_http::chain;
use passereau_inaturalist::InaturalistError;
use std::time::Duration;

/// The verdict on a failed lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again.
    Retry {
        /// What happened.
        error: String,
        /// Not before, if iNaturalist said.
        after: Option<Duration>,
    },
    /// Its attempts are used up, or asking again is of no use: the harvest goes on without these UUIDs.
    GoOnWithout {
        /// What happened at last.
        error: String,
    },
    /// A fault of ours or of the settings: nothing is wrong with iNaturalist, and every batch would end like this one.
    Refuse(String),
}

/// Judges a failed lookup. `failures` are those of the batch so far or those of iNaturalist in a row, whichever are more,
/// this one included; with `most` of them the batch is given up.
pub fn judge(error: &InaturalistError, failures: i32, most: i32) -> Verdict {
    let text = chain(error);
    if error.is_ours() {
        return Verdict::Refuse(format!("{text}; check PASSEREAU_INATURALIST_URL, then replay"));
    }
    if !error.is_transient() || failures >= most {
        return Verdict::GoOnWithout { error: text };
    }
    Verdict::Retry { error: text, after: error.retry_after() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow_down() -> InaturalistError {
        InaturalistError::SlowDown { retry_after: Duration::from_secs(60) }
    }

    #[test]
    fn an_outage_ends_with_the_harvest_going_on() {
        assert!(
            matches!(judge(&slow_down(), 7, 8), Verdict::Retry { after: Some(after), .. } if after.as_secs() == 60)
        );
        assert!(matches!(judge(&slow_down(), 8, 8), Verdict::GoOnWithout { .. }));
    }

    #[test]
    fn a_block_stops_no_other_record() {
        for status in [401, 403, 404, 301, 410] {
            let blocked = InaturalistError::Blocked { status, excerpt: "Forbidden".into() };
            assert!(
                matches!(judge(&blocked, 1, 8), Verdict::GoOnWithout { error } if error.contains("turns us away")),
                "{status}"
            );
        }
        let changed = InaturalistError::Unfiltered { total: 250_000_000, asked: 1 };
        assert!(matches!(judge(&changed, 1, 8), Verdict::GoOnWithout { .. }));
    }

    #[test]
    fn a_refused_question_is_named() {
        let refused = InaturalistError::Refused { status: 422, excerpt: "invalid fields".into() };
        assert!(matches!(judge(&refused, 1, 8), Verdict::Refuse(reason) if reason.contains("invalid fields")));
    }
}
