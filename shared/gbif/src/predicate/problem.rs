//! One thing that is wrong with a request, and where.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing to mend before a request can be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Its place in the document, such as `$.predicate.predicates[2].values`.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Collects problems. Past a hundred only their number is kept: 100,000 wrong values have one cause.
#[derive(Default)]
pub(super) struct Problems {
    kept: Vec<Problem>,
    dropped: usize,
}

const MOST_KEPT: usize = 100;

impl Problems {
    pub(super) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        if self.kept.len() < MOST_KEPT {
            self.kept.push(Problem { path: path.into(), message: message.into() });
        } else {
            self.dropped += 1;
        }
    }

    pub(super) fn into_vec(mut self) -> Vec<Problem> {
        if self.dropped > 0 {
            let message = format!("{} more problems are not shown", self.dropped);
            self.kept.push(Problem { path: "$".to_owned(), message });
        }
        self.kept
    }
}

/// A value as it is shown in a message: never more than a few words of it.
pub(super) fn shown(value: &str) -> String {
    let mut short: String = value.chars().take(60).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    format!("{short:?}")
}
