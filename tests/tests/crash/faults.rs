//! The faults, and the cases made of them.

use passereau_contracts::WORKERS;
use passereau_harvest::State;
use passereau_testing::servers::Which;
use passereau_tests::FLOW_WORKERS;

use crate::case::Case;

/// Where a delivery is cut off by SIGKILL; the words are those of the runner's `fault` module, which is in debug builds only.
const BOUNDARIES: [(&str, &str); 4] = [
    ("before", "killed before its outside effect"),
    ("worked", "killed after its outside effect, before the commit"),
    ("committed", "killed after the commit, before anything is published"),
    ("published", "killed after everything is published, before the acknowledgement"),
];

/// One disturbance of a harvest.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The worker of a kind kills itself at a boundary, once.
    Killed {
        /// Name of the boundary.
        boundary: &'static str,
        /// Kind of the message in hand.
        kind: &'static str,
    },
    /// The first relay that has the broker's confirmation for a message of this kind kills itself before it says so in the outbox.
    RelayKilled(&'static str),
    /// Every message is published twice.
    Twice,
    /// Messages are published in another order than they became due.
    Shuffled,
    /// Two processes of each worker.
    TwoCopies,
    /// All processes are killed, again and again.
    KilledAgainAndAgain,
    /// Servers are killed when the harvest reaches a state, and started again.
    ServersKilled(&'static [Which], State),
    /// Nothing reaches the broker for longer than the longest back-off.
    Cut(State),
    /// The queue of a worker is deleted under its consumer while the harvest is elsewhere, and made again.
    QueueDeleted(&'static str),
    /// The queue of a worker is deleted with a message in it, and made again.
    MessageLost(&'static str),
    /// A delivery is held until RabbitMQ takes it back and closes the channel.
    Held(&'static str),
    /// The file system of the store is full when the archive is fetched.
    StoreFull,
}

impl Fault {
    /// Whether it touches what all fleets share.
    pub fn needs_the_servers(&self) -> bool {
        matches!(self, Self::ServersKilled(..))
    }

    /// Whether RabbitMQ dies of it.
    pub fn kills_the_broker(&self) -> bool {
        matches!(self, Self::ServersKilled(which, _) if which.contains(&Which::Broker))
    }

    /// Whether it needs slices that are still being done when somebody has seen that they are.
    pub fn meets_slices(&self) -> bool {
        match self {
            Self::Cut(state) | Self::ServersKilled(_, state) => *state == State::Upserting,
            Self::KilledAgainAndAgain => true,
            _ => false,
        }
    }

    /// Whether it needs a broker that soon takes back what a consumer holds.
    pub fn needs_an_impatient_broker(&self) -> bool {
        matches!(self, Self::Held(_))
    }

    /// The fault in words.
    pub fn words(&self) -> String {
        match self {
            Self::Killed { boundary, .. } => BOUNDARIES
                .iter()
                .find(|(name, _)| name == boundary)
                .map_or(String::new(), |(_, words)| (*words).to_owned()),
            Self::RelayKilled(_) => "relay killed between the broker's confirmation and the outbox".into(),
            Self::Twice => "every message published twice".into(),
            Self::Shuffled => "messages in another order".into(),
            Self::TwoCopies => "two processes of each worker".into(),
            Self::KilledAgainAndAgain => "all processes killed, five times".into(),
            Self::ServersKilled(which, _) => match which {
                [Which::Database] => "PostgreSQL killed and started again".into(),
                [Which::Broker] => "RabbitMQ killed and started again".into(),
                _ => "PostgreSQL and RabbitMQ killed and started again".into(),
            },
            Self::Cut(_) => "RabbitMQ out of reach for longer than any back-off".into(),
            Self::QueueDeleted(_) => "queue deleted under its consumer and made again".into(),
            Self::MessageLost(_) => "queue deleted with a message in it and made again".into(),
            Self::Held(_) => "delivery held for longer than RabbitMQ allows".into(),
            Self::StoreFull => "store full".into(),
        }
    }

    /// Whom it hits, as a row of the table.
    pub fn whom(&self) -> String {
        match self {
            Self::Killed { kind, .. } | Self::RelayKilled(kind) | Self::Held(kind) => {
                format!("{} `{kind}`", worker_of(kind))
            }
            Self::ServersKilled(_, state) | Self::Cut(state) => format!("all, {state}"),
            Self::QueueDeleted(worker) | Self::MessageLost(worker) => (*worker).to_owned(),
            Self::StoreFull => "downloader".into(),
            Self::Twice | Self::Shuffled | Self::TwoCopies | Self::KilledAgainAndAgain => "all".into(),
        }
    }
}

/// The worker of a kind.
pub fn worker_of(kind: &str) -> &'static str {
    WORKERS.iter().find(|worker| worker.kinds.contains(&kind)).map_or("nobody", |worker| worker.worker)
}

/// All cases, in the order of the way of a harvest.
pub fn cases() -> Vec<Case> {
    let mut faults: Vec<Fault> = Vec::new();
    let of_harvests = WORKERS.iter().filter(|worker| !FLOW_WORKERS.contains(&worker.worker));
    for kind in of_harvests.flat_map(|worker| worker.kinds) {
        faults.extend(BOUNDARIES.iter().map(|&(boundary, _)| Fault::Killed { boundary, kind }));
    }
    faults.extend(["download.poll", "synthese.upsert"].map(Fault::RelayKilled));
    faults.extend([Fault::Twice, Fault::Shuffled, Fault::TwoCopies, Fault::KilledAgainAndAgain]);
    faults.extend([State::Preparing, State::Upserting].map(Fault::Cut));
    let of_harvests = WORKERS.iter().map(|worker| worker.worker).filter(|worker| !FLOW_WORKERS.contains(worker));
    faults.extend(of_harvests.clone().map(Fault::QueueDeleted));
    // The request of a harvest, which the requester gets, is nobody's but its sender's until it is handled.
    faults.extend(of_harvests.filter(|worker| *worker != "requester").map(Fault::MessageLost));
    // One of each worker.
    let held = ["harvest.request", "download.poll", "archive.fetch", "archive.load", "inat.enrich", "synthese.upsert"];
    faults.extend(held.map(Fault::Held));
    faults.push(Fault::StoreFull);
    let both: &[Which] = &[Which::Database, Which::Broker];
    for servers in [&[Which::Database][..], &[Which::Broker], both] {
        faults.extend(
            [State::Preparing, State::Enriching, State::Upserting].map(|state| Fault::ServersKilled(servers, state)),
        );
    }
    // Each server alone would say no more there, and the whole matrix may take ten minutes.
    faults.push(Fault::ServersKilled(both, State::Loading));
    faults.into_iter().map(|fault| Case { fault }).collect()
}
