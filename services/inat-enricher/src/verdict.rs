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
    /// Its attempts are used up: the harvest goes on without these UUIDs.
    GoOnWithout {
        /// What happened at last.
        error: String,
    },
    /// A fault of ours or of the settings.
    Refuse(String),
}

/// Judges the failure of attempt number `attempt` (from 0) of `most`.
pub fn judge(error: &InaturalistError, attempt: i32, most: i32) -> Verdict {
    let text = chain(error);
    if !error.is_transient() {
        return Verdict::Refuse(format!("{text}; check PASSEREAU_INATURALIST_URL, then replay"));
    }
    if attempt + 1 >= most {
        return Verdict::GoOnWithout { error: text };
    }
    Verdict::Retry { error: text, after: error.retry_after() }
}

/// How long the whole fleet should leave iNaturalist alone after this failure, if at all.
pub fn pause(error: &InaturalistError) -> Option<Duration> {
    error.retry_after()
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
            matches!(judge(&slow_down(), 6, 8), Verdict::Retry { after: Some(after), .. } if after.as_secs() == 60)
        );
        assert!(matches!(judge(&slow_down(), 7, 8), Verdict::GoOnWithout { .. }));
        assert_eq!(pause(&slow_down()), Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_refused_question_is_named() {
        let refused = InaturalistError::Refused { status: 422, excerpt: "invalid fields".into() };
        assert!(matches!(judge(&refused, 0, 8), Verdict::Refuse(reason) if reason.contains("invalid fields")));
        assert_eq!(pause(&refused), None);
    }
}
