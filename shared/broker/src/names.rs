//! The names of exchanges and queues. A prefix (default: none) stands before every one, so that several fleets, or several tests,
//! share one broker without meeting.

use std::fmt;

/// The three exchanges of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exchange {
    /// Commands for workers (direct: the routing key is the message kind).
    Work,
    /// What happened, for whoever listens (topic: the routing key is the event kind).
    Events,
    /// Where queues send what they give up (fanout).
    Dead,
}

impl Exchange {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Self; 3] = [Self::Work, Self::Events, Self::Dead];

    /// The name without a prefix.
    #[must_use]
    pub const fn base_name(self) -> &'static str {
        match self {
            Self::Work => "passereau.work",
            Self::Events => "passereau.events",
            Self::Dead => "passereau.dead",
        }
    }

    /// The name as the broker knows it.
    #[must_use]
    pub fn name(self, prefix: &str) -> String {
        format!("{prefix}{}", self.base_name())
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base_name())
    }
}

/// The queue of a worker: `passereau.<worker>` behind the prefix.
#[must_use]
pub fn queue_name(prefix: &str, worker: &str) -> String {
    format!("{prefix}passereau.{worker}")
}

/// The queue behind the dead exchange.
#[must_use]
pub fn dead_queue_name(prefix: &str) -> String {
    queue_name(prefix, "dead")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_contract() {
        assert_eq!(Exchange::Work.name(""), "passereau.work");
        assert_eq!(Exchange::Events.name("t1."), "t1.passereau.events");
        assert_eq!(queue_name("", "inat-enricher"), "passereau.inat-enricher");
        assert_eq!(dead_queue_name("t1."), "t1.passereau.dead");
    }
}
