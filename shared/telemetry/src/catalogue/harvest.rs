//! Metrics of harvests, subscriptions, and those whom they ask.

use super::{By, Family, Kind};

/// Waits for GBIF: minutes on a good day, days on a bad one.
const WAIT_BUCKETS_S: &[f64] = &[
    1.0, 10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 86_400.0, 172_800.0, 259_200.0,
    604_800.0,
];

/// See its help.
pub const RECORDS: Family = Family {
    name: "passereau_records_total",
    kind: Kind::Counter,
    labels: &["stage", "outcome"],
    help: "Records of harvests, by stage (landed, enriched, planned, upserted) and by what became of them: of landed read, landed, \
           duplicate, malformed; of enriched found, absent; of planned planned, unchanged; of upserted inserted, updated, rejected, kept, vanished.",
    by: By::Workers(&["loader", "inat-enricher", "upserter"]),
};
/// See its help.
pub const REJECTED_RECORDS: Family = Family {
    name: "passereau_rejected_records_total",
    kind: Kind::Counter,
    labels: &["reason"],
    help: "Records that could not enter the synthèse, by reason (docs/rejects.md); together they are the records of stage upserted and \
           outcome rejected.",
    by: By::Workers(&["upserter"]),
};
/// See its help.
pub const BYTES: Family = Family {
    name: "passereau_bytes_total",
    kind: Kind::Counter,
    labels: &["stage"],
    help: "Bytes moved, by stage: fetched (parts of archives from GBIF into the store), exported (files of flows into the store).",
    by: By::Workers(&["downloader", "exporter"]),
};
/// See its help.
pub const HARVESTS_ALIVE: Family = Family {
    name: "passereau_harvests",
    kind: Kind::Gauge,
    labels: &["state"],
    help: "Harvests on their way, by state: requested, requesting, preparing, fetching, loading, enriching, planning, awaiting_approval \
           (the brake, or a plan that was asked for, waits for a human), upserting, finishing. 0 where there is none.",
    by: By::State,
};
/// See its help.
pub const HARVESTS_PAUSED: Family = Family {
    name: "passereau_harvests_paused",
    kind: Kind::Gauge,
    labels: &[],
    help: "Harvests on their way that somebody has paused.",
    by: By::State,
};
/// See its help.
pub const HARVEST_STATE_SINCE: Family = Family {
    name: "passereau_harvest_state_since_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &["subscription", "state"],
    help: "When the harvest on its way of a subscription entered its state. With state awaiting_approval: since when a human is waited for.",
    by: By::State,
};
/// See its help.
pub const HARVEST_PROGRESS: Family = Family {
    name: "passereau_harvest_progress_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &["subscription", "state"],
    help: "When the harvest on its way of a subscription last did something (a slice, a part of an archive, a look at GBIF), or when it means to go on, \
           if that is later: by the platform's hours, the day's calls, a place at GBIF. Not shown for paused harvests and awaiting_approval.",
    by: By::State,
};
/// See its help.
pub const HARVEST_EXPECTED: Family = Family {
    name: "passereau_harvest_expected_records",
    kind: Kind::Gauge,
    labels: &["subscription", "stage"],
    help: "Records that the harvest on its way of a subscription has to bring through a stage, once known: landed (as GBIF announced), enriched \
           (identifiers asked for at iNaturalist), upserted (records of the plan).",
    by: By::State,
};
/// See its help.
pub const HARVEST_DONE: Family = Family {
    name: "passereau_harvest_done_records",
    kind: Kind::Gauge,
    labels: &["subscription", "stage"],
    help: "How many of the expected records of the harvest on its way of a subscription are through a stage (landed, enriched, upserted).",
    by: By::State,
};
/// See its help.
pub const UPSERT_OPEN: Family = Family {
    name: "passereau_upsert_open",
    kind: Kind::Gauge,
    labels: &[],
    help: "1 while the platform's hours let slices into the synthèse.",
    by: By::State,
};

/// The chapter.
pub(super) const HARVESTS: &[&Family] = &[
    &RECORDS,
    &REJECTED_RECORDS,
    &BYTES,
    &HARVESTS_ALIVE,
    &HARVESTS_PAUSED,
    &HARVEST_STATE_SINCE,
    &HARVEST_PROGRESS,
    &HARVEST_EXPECTED,
    &HARVEST_DONE,
    &UPSERT_OPEN,
    &STORE_FULL,
];

/// See its help.
pub const STORE_FULL: Family = Family {
    name: "passereau_store_full",
    kind: Kind::Gauge,
    labels: &[],
    help: "1 while an archive waits because the store has no room for it.",
    by: By::Workers(&["downloader"]),
};
/// See its help.
pub const SUBSCRIPTION_HARVEST: Family = Family {
    name: "passereau_subscription_harvest_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &["subscription", "outcome"],
    help: "When the last harvest of a subscription ended as completed, failed or cancelled. Its age with completed is how old the subscription's \
           data are. One-off harvests have none.",
    by: By::State,
};
/// See its help.
pub const SUBSCRIPTION_NEWEST: Family = Family {
    name: "passereau_subscription_newest_record_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &["subscription"],
    help: "Date of the newest observation that the current generation of a subscription holds; dates in the future do not count.",
    by: By::State,
};
/// See its help.
pub const SUBSCRIPTION_PERIOD: Family = Family {
    name: "passereau_subscription_period_seconds",
    kind: Kind::Gauge,
    labels: &["subscription"],
    help: "Time between the next two harvests that the schedule of a subscription starts. None without a schedule, or while it is suspended.",
    by: By::State,
};
/// See its help.
pub const SUBSCRIPTION_RECORDS: Family = Family {
    name: "passereau_subscription_harvest_records",
    kind: Kind::Gauge,
    labels: &["subscription", "outcome"],
    help: "Counts of the last completed harvest of a subscription: landed, inserted, updated, unchanged, rejected, kept, vanished.",
    by: By::State,
};
/// See its help.
pub const REJECTS: Family = Family {
    name: "passereau_rejects",
    kind: Kind::Gauge,
    labels: &["subscription", "reason"],
    help: "Records of a subscription that cannot enter the synthèse now, by reason (docs/rejects.md).",
    by: By::State,
};

/// The chapter.
pub(super) const SUBSCRIPTIONS: &[&Family] =
    &[&SUBSCRIPTION_HARVEST, &SUBSCRIPTION_NEWEST, &SUBSCRIPTION_PERIOD, &SUBSCRIPTION_RECORDS, &REJECTS];

/// See its help.
pub const GBIF_DOWNLOADS: Family = Family {
    name: "passereau_gbif_downloads",
    kind: Kind::Gauge,
    labels: &["status"],
    help: "Downloads that harvests wait for, by what GBIF last said of them: preparing, running, suspended, or unknown before the first answer. 0 where there is none.",
    by: By::State,
};
/// See its help.
pub const GBIF_WAITING_SINCE: Family = Family {
    name: "passereau_gbif_waiting_since_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &["status"],
    help: "When the oldest of the downloads that harvests wait for was asked for, by what GBIF last said of it.",
    by: By::State,
};
/// See its help.
pub const GBIF_WAIT: Family = Family {
    name: "passereau_gbif_wait_seconds",
    kind: Kind::Histogram(WAIT_BUCKETS_S),
    labels: &["status"],
    help: "Time from asking GBIF for a download to the end of the wait, by GBIF's word for it.",
    by: By::Workers(&["poller"]),
};
/// See its help.
pub const GBIF_PLACES: Family = Family {
    name: "passereau_gbif_places",
    kind: Kind::Gauge,
    labels: &[],
    help: "Unfinished downloads that the account may have: the setting, or fewer after GBIF has refused one.",
    by: By::Workers(&["requester"]),
};
/// See its help.
pub const GBIF_PLACES_TAKEN: Family = Family {
    name: "passereau_gbif_places_taken",
    kind: Kind::Gauge,
    labels: &[],
    help: "Downloads in flight: unfinished ones that the account has, as far as harvests know. Each requester shows the same.",
    by: By::Workers(&["requester"]),
};
/// See its help.
pub const API_CALLS: Family = Family {
    name: "passereau_api_calls_total",
    kind: Kind::Counter,
    labels: &["api", "outcome"],
    help: "Calls under a budget of the whole fleet, by outcome: answered, failed, and resting (not made, because the service has failed too \
           often in a row and is left alone).",
    by: By::Workers(&["inat-enricher", "requester"]),
};
/// See its help.
pub const API_CALLS_LEFT: Family = Family {
    name: "passereau_api_calls_left",
    kind: Kind::Gauge,
    labels: &["api"],
    help: "Calls that the fleet may still make today (UTC) at iNaturalist. Each enricher shows the same.",
    by: By::Workers(&["inat-enricher"]),
};
/// See its help.
pub const API_CALLS_PER_DAY: Family = Family {
    name: "passereau_api_calls_per_day",
    kind: Kind::Gauge,
    labels: &["api"],
    help: "Calls that the fleet may make in a day (UTC) at iNaturalist.",
    by: By::Workers(&["inat-enricher"]),
};
/// See its help.
pub const API_FAILURES: Family = Family {
    name: "passereau_api_failures_in_a_row",
    kind: Kind::Gauge,
    labels: &["api"],
    help: "Calls that have failed since the last one that was answered, of the whole fleet.",
    by: By::State,
};

/// The chapter.
pub(super) const OTHERS: &[&Family] = &[
    &GBIF_DOWNLOADS,
    &GBIF_WAITING_SINCE,
    &GBIF_WAIT,
    &GBIF_PLACES,
    &GBIF_PLACES_TAKEN,
    &API_CALLS,
    &API_CALLS_LEFT,
    &API_CALLS_PER_DAY,
    &API_FAILURES,
];
