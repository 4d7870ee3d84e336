//! Metrics of messages, connections and upkeep.

use super::{By, Family, Kind};

/// A delivery is held five minutes at most; two hours would show that the rule is broken.
const HANDLING_BUCKETS_S: &[f64] =
    &[0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0];

/// See its help.
pub const HANDLED: Family = Family {
    name: "passereau_messages_handled_total",
    kind: Kind::Counter,
    labels: &["worker", "kind", "outcome"],
    help: "Deliveries handled, by how the handling ended: done, duplicate (known already), snoozed (comes again by its own wish), retried \
           (failed, an attempt spent), rejected (became a dead letter), returned (handed back untouched).",
    by: By::EveryWorker,
};
/// See its help.
pub const HANDLING: Family = Family {
    name: "passereau_message_handling_seconds",
    kind: Kind::Histogram(HANDLING_BUCKETS_S),
    labels: &["worker", "kind"],
    help: "Time from delivery to outcome.",
    by: By::EveryWorker,
};
/// See its help.
pub const IN_WORK: Family = Family {
    name: "passereau_messages_in_work",
    kind: Kind::Gauge,
    labels: &["worker"],
    help: "Deliveries being handled now.",
    by: By::EveryWorker,
};
/// See its help.
pub const LAST_MESSAGE: Family = Family {
    name: "passereau_last_message_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &["worker"],
    help: "When the last delivery came in; none before the first one.",
    by: By::EveryWorker,
};
/// See its help.
pub const UNHANDLED: Family = Family {
    name: "passereau_messages_unhandled",
    kind: Kind::Gauge,
    labels: &["worker"],
    help: "Messages that RabbitMQ has confirmed and no handler has finished: those in the queue and those in work. 0 where there is none. \
           Messages of other systems are not known here until they are handled.",
    by: By::State,
};
/// See its help.
pub const OLDEST_MESSAGE: Family = Family {
    name: "passereau_message_oldest_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &["worker"],
    help: "When the oldest of the messages that no handler has finished was sent.",
    by: By::State,
};
/// See its help.
pub const RESENT: Family = Family {
    name: "passereau_messages_resent_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Messages published again because RabbitMQ had confirmed and lost them.",
    by: By::EveryWorker,
};
/// See its help.
pub const DEAD_LETTERS: Family = Family {
    name: "passereau_dead_letters_total",
    kind: Kind::Counter,
    labels: &["worker", "reason"],
    help: "Messages that gave up (see `passereau dead list`): malformed, unknown_kind, unknown_version, rejected, attempts_exhausted, returned_by_broker.",
    by: By::EveryWorker,
};
/// See its help.
pub const DEAD_LETTERS_WAITING: Family = Family {
    name: "passereau_dead_letters_waiting",
    kind: Kind::Gauge,
    labels: &["worker", "reason"],
    help: "Dead letters that nobody has replayed or dropped, by the worker they were sent to (unknown for other queues) and why they gave up. 0 where there is none.",
    by: By::State,
};
/// See its help.
pub const ACKS_LOST: Family = Family {
    name: "passereau_acks_lost_total",
    kind: Kind::Counter,
    labels: &["worker"],
    help: "Acknowledgements that the broker never got; the messages come again and the inbox knows them.",
    by: By::EveryWorker,
};
/// See its help.
pub const CONSUMERS: Family = Family {
    name: "passereau_consumers",
    kind: Kind::Gauge,
    labels: &["state"],
    help: "Consumers of the process: wanted, and active (subscribed at the broker now). Fewer active than wanted ones: a queue is not consumed as it should be.",
    by: By::EveryWorker,
};
/// See its help.
pub const CONSUMER_REBUILDS: Family = Family {
    name: "passereau_consumer_rebuilds_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Consumers made anew after the broker cancelled them or closed their channel or connection.",
    by: By::EveryWorker,
};
/// See its help.
pub const CLAIMS: Family = Family {
    name: "passereau_claims",
    kind: Kind::Gauge,
    labels: &["state"],
    help: "Claims that keep a second copy of the same work out: held, and expired (their holder was killed, and nobody has taken the work over yet).",
    by: By::State,
};

/// The chapter.
pub(super) const MESSAGES: &[&Family] = &[
    &HANDLED,
    &HANDLING,
    &IN_WORK,
    &LAST_MESSAGE,
    &UNHANDLED,
    &OLDEST_MESSAGE,
    &RESENT,
    &DEAD_LETTERS,
    &DEAD_LETTERS_WAITING,
    &ACKS_LOST,
    &CONSUMERS,
    &CONSUMER_REBUILDS,
    &CLAIMS,
];

/// See its help.
pub const OUTBOX_PUBLISHED: Family = Family {
    name: "passereau_outbox_published_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Outbox rows sent and confirmed by the broker.",
    by: By::EveryWorker,
};
/// See its help.
pub const OUTBOX_FAILED: Family = Family {
    name: "passereau_outbox_failed_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Outbox rows that could not be sent or were not confirmed; they are sent again.",
    by: By::EveryWorker,
};
/// See its help.
pub const OUTBOX_DUE: Family = Family {
    name: "passereau_outbox_due",
    kind: Kind::Gauge,
    labels: &[],
    help: "Outbox rows that are due and not yet sent. Every process relays for all and shows the same, as it last saw it.",
    by: By::EveryWorker,
};
/// See its help.
pub const OUTBOX_OLDEST: Family = Family {
    name: "passereau_outbox_oldest_due_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "For how long the oldest unsent outbox row has been due. Every process shows the same, as it last saw it.",
    by: By::EveryWorker,
};
/// See its help.
pub const OUTBOX_ROWS: Family = Family {
    name: "passereau_outbox_rows",
    kind: Kind::Gauge,
    labels: &["exchange", "state"],
    help: "Outbox rows: due (to be sent now), delayed (snoozed or to be tried again later), held (of paused harvests), unconfirmed (events that \
           the queue of some listener does not take).",
    by: By::State,
};
/// See its help.
pub const AMQP_CONNECTED: Family = Family {
    name: "passereau_amqp_connected",
    kind: Kind::Gauge,
    labels: &["connection"],
    help: "1 while connected to RabbitMQ, by what the connection is for.",
    by: By::EveryWorker,
};
/// See its help.
pub const AMQP_BLOCKED: Family = Family {
    name: "passereau_amqp_blocked",
    kind: Kind::Gauge,
    labels: &[],
    help: "1 while RabbitMQ refuses to receive (memory or disk alarm).",
    by: By::EveryWorker,
};
/// See its help.
pub const POSTGRES_CONNECTED: Family = Family {
    name: "passereau_postgres_connected",
    kind: Kind::Gauge,
    labels: &[],
    help: "1 while PostgreSQL answers this process.",
    by: By::Every,
};
/// See its help.
pub const BUILD_INFO: Family = Family {
    name: "passereau_build_info",
    kind: Kind::Gauge,
    labels: &["version", "process"],
    help: "Always 1; the labels say what runs.",
    by: By::Every,
};

/// The chapter.
pub(super) const CONNECTIONS: &[&Family] = &[
    &OUTBOX_PUBLISHED,
    &OUTBOX_FAILED,
    &OUTBOX_DUE,
    &OUTBOX_OLDEST,
    &OUTBOX_ROWS,
    &AMQP_CONNECTED,
    &AMQP_BLOCKED,
    &POSTGRES_CONNECTED,
    &BUILD_INFO,
];

/// See its help.
pub const SCHEDULES: Family = Family {
    name: "passereau_schedules",
    kind: Kind::Gauge,
    labels: &["state"],
    help: "Schedules: active, overdue (of the active ones: due for more than a minute and not fired), suspended (by somebody), broken (suspended because they cannot be read).",
    by: By::State,
};
/// See its help.
pub const RETENTION: Family = Family {
    name: "passereau_retention_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &["outcome"],
    help: "When the last run of the retention ended: done (everything that had expired is gone) or failed (something could not be taken away).",
    by: By::State,
};
/// See its help.
pub const STATE_READ: Family = Family {
    name: "passereau_state_read_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "When this scheduler last read the state from the database. What it shows of the state is as old as this.",
    by: By::State,
};
/// See its help.
pub const STATE_READ_DURATION: Family = Family {
    name: "passereau_state_read_duration_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "How long the last reading of the state took.",
    by: By::State,
};
/// See its help.
pub const STATE_READ_FAILURES: Family = Family {
    name: "passereau_state_read_failures_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Readings of the state that failed; the values before stay.",
    by: By::State,
};

/// The chapter.
pub(super) const UPKEEP: &[&Family] =
    &[&SCHEDULES, &RETENTION, &STATE_READ, &STATE_READ_DURATION, &STATE_READ_FAILURES];
