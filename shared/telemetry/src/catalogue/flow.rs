//! Metrics of flows and of the gateway that serves them.

use super::{By, Family, Kind};

/// See its help.
pub const FLOW_STANDING: Family = Family {
    name: "passereau_flow_standing",
    kind: Kind::Gauge,
    labels: &["flow", "standing"],
    help: "1 for how a flow stands; only an active one is delivered.",
    by: By::State,
};
/// See its help.
pub const FLOW_LATE: Family = Family {
    name: "passereau_flow_late",
    kind: Kind::Gauge,
    labels: &["flow"],
    help: "1 while an active flow has not been delivered for longer than its period; what `passereau flow list` calls late.",
    by: By::State,
};
/// See its help.
pub const FLOW_DUE: Family = Family {
    name: "passereau_flow_due_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &["flow"],
    help: "When an active flow is late, unless it is delivered before.",
    by: By::State,
};
/// See its help.
pub const FLOW_DELIVERY: Family = Family {
    name: "passereau_flow_delivery_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &["flow", "outcome"],
    help: "When the last delivery of a flow ended as delivered, unchanged (it says what the version before says) or failed.",
    by: By::State,
};
/// See its help.
pub const FLOW_DELIVERING_SINCE: Family = Family {
    name: "passereau_flow_delivering_since_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &["flow", "state"],
    help: "When the delivery that is being made of a flow began; state is reading (rows) or writing (files).",
    by: By::State,
};
/// See its help.
pub const FLOW_RECORDS: Family = Family {
    name: "passereau_flow_records",
    kind: Kind::Gauge,
    labels: &["flow", "outcome", "reason"],
    help: "Records of the version of a flow that can be fetched: exact (at their place), area (blurred), withheld. Reason is none for what is \
           delivered, else level_unknown, no_diffusion, sensitive_excluded, no_area, wish_none, wish_unknown, licence_unknown or licence_not_allowed.",
    by: By::State,
};
/// See its help.
pub const FLOW_FILE_BYTES: Family = Family {
    name: "passereau_flow_file_bytes",
    kind: Kind::Gauge,
    labels: &["flow", "file"],
    help: "Size of each file of the version of a flow that can be fetched.",
    by: By::State,
};
/// See its help.
pub const DELIVERIES: Family = Family {
    name: "passereau_deliveries_total",
    kind: Kind::Counter,
    labels: &["flow", "outcome"],
    help: "Deliveries that ended, as delivered, unchanged or failed.",
    by: By::Workers(&["exporter"]),
};
/// See its help.
pub const DELIVERED_RECORDS: Family = Family {
    name: "passereau_delivered_records_total",
    kind: Kind::Counter,
    labels: &["flow", "outcome"],
    help: "Records of versions that were delivered: exact, area (blurred), withheld.",
    by: By::Workers(&["exporter"]),
};

/// The chapter.
pub(super) const FLOWS: &[&Family] = &[
    &FLOW_STANDING,
    &FLOW_LATE,
    &FLOW_DUE,
    &FLOW_DELIVERY,
    &FLOW_DELIVERING_SINCE,
    &FLOW_RECORDS,
    &FLOW_FILE_BYTES,
    &DELIVERIES,
    &DELIVERED_RECORDS,
];

/// See its help.
pub const GATEWAY_REQUESTS: Family = Family {
    name: "passereau_gateway_requests_total",
    kind: Kind::Counter,
    labels: &["route", "status"],
    help: "Requests answered, by route and status.",
    by: By::Workers(&["gateway"]),
};
/// See its help.
pub const GATEWAY_SENT: Family = Family {
    name: "passereau_gateway_sent_bytes_total",
    kind: Kind::Counter,
    labels: &["flow"],
    help: "Bytes of files that were sent, by flow.",
    by: By::Workers(&["gateway"]),
};
/// See its help.
pub const GATEWAY_DOWNLOADS: Family = Family {
    name: "passereau_gateway_downloads",
    kind: Kind::Gauge,
    labels: &[],
    help: "Files being sent now.",
    by: By::Workers(&["gateway"]),
};
/// See its help.
pub const GATEWAY_CONNECTIONS: Family = Family {
    name: "passereau_gateway_connections",
    kind: Kind::Gauge,
    labels: &[],
    help: "Connections open now.",
    by: By::Workers(&["gateway"]),
};
/// See its help.
pub const GATEWAY_BROKEN: Family = Family {
    name: "passereau_gateway_broken_downloads_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Downloads that ended before their last byte.",
    by: By::Workers(&["gateway"]),
};
/// See its help.
pub const GATEWAY_SLOW: Family = Family {
    name: "passereau_gateway_slow_clients_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Connections cut because the client took nothing for too long.",
    by: By::Workers(&["gateway"]),
};

/// The chapter.
pub(super) const GATEWAY: &[&Family] =
    &[&GATEWAY_REQUESTS, &GATEWAY_SENT, &GATEWAY_DOWNLOADS, &GATEWAY_CONNECTIONS, &GATEWAY_BROKEN, &GATEWAY_SLOW];
