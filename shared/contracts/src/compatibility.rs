//! What was once published is still understood, and still means the same: `frozen/<version>/<kind>[~case].json`.
//!
//! The examples are kept by hand (see `frozen/README.md`). The expected values name every field, so that a new one has to say here what
//! its absence in an old message means.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::{fs, path::PathBuf};

use chrono::{DateTime, TimeZone, Utc};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Acceptable, AlreadyPresent, ArchiveFetch, ArchiveLoad, Counts, DatasetDescribe, DecodeError, DeliveryEvent,
    DeliveryEventKind, DownloadPoll, DownloadRequest, Event, EventKind, FlowDeliver, HarvestApprove, HarvestCancel,
    HarvestFinish, HarvestPlan, HarvestRequest, InatEnrich, Message, Metadata, Obscured, Observers, RetentionRun, Role,
    SubscriptionSettings, SyntheseUpsert, UuidAbsent, Vanished, contracts, decode,
};

const HARVEST: Uuid = Uuid::from_u128(0x0193_4c1f_9d2a_7c3e_8a10_5b0d_7f2e_6c41);
const NOTHING_ASKED: HarvestRequest = HarvestRequest {
    subscription: None,
    query: None,
    download_key: None,
    archive: None,
    all_datasets: false,
    settings: None,
    plan: false,
};
const NOTHING_SET: SubscriptionSettings = SubscriptionSettings {
    max_uncertainty_m: None,
    obscured: None,
    longest_interval_days: None,
    accept: Vec::new(),
    uuid_absent: None,
    vanished: None,
    already_present: None,
    metadata: None,
    media: false,
    observers: None,
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("frozen")
}

fn moment() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 6, 1, 9, 30, 0).single().expect("a moment")
}

/// Reads frozen examples and remembers which ones were asked for.
#[derive(Default)]
struct Frozen {
    read: BTreeSet<String>,
}

impl Frozen {
    fn body(&mut self, version: u16, name: &str) -> Vec<u8> {
        let name = format!("{version}/{name}.json");
        let body = fs::read(folder().join(&name)).unwrap_or_else(|error| panic!("frozen/{name}: {error}"));
        self.read.insert(name);
        body
    }

    /// The example means `expected`, and a field that no version knows is refused by name.
    fn means<M: Message + PartialEq + Debug>(&mut self, version: u16, case: &str, expected: &M) {
        let name = format!("{}{case}", M::KIND);
        let body = self.body(version, &name);
        let decoded = decode::<M>(version, &body).unwrap_or_else(|error| panic!("{name}, version {version}: {error}"));
        assert_eq!(&decoded, expected, "{name}, version {version}");
        let error = decode::<M>(version, &with_unknown_field(&body)).expect_err("an unknown field is refused");
        assert!(matches!(&error, DecodeError::Malformed { problem, .. } if problem.contains("misspelt")), "{error}");
    }

    /// The event means `expected`, also with a field that its listener does not know.
    fn tells<E: DeserializeOwned + PartialEq + Debug>(&mut self, version: u16, kind: &str, expected: &E) {
        let body = self.body(version, kind);
        for body in [with_unknown_field(&body), body] {
            let event: E = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{kind}: {error}"));
            assert_eq!(&event, expected);
        }
    }
}

fn with_unknown_field(body: &[u8]) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(body).expect("JSON");
    value["misspelt"] = json!(true);
    serde_json::to_vec(&value).expect("JSON")
}

fn archive() -> HarvestRequest {
    HarvestRequest { archive: Some("archives/april.zip".into()), ..NOTHING_ASKED }
}

fn requests(frozen: &mut Frozen) {
    let query = json!({
        "creator": "USER", "format": "DWCA", "notificationAddresses": ["EMAIL"], "sendNotification": true,
        "predicate": {"type": "and", "predicates": [
            {"key": "HAS_COORDINATE", "type": "equals", "value": "True"},
            {"key": "GADM_GID", "type": "equals", "value": "FRA.1_1"},
            {"key": "DATASET_KEY", "type": "in", "values": ["50c9509d-22c7-4a22-a47d-8c48425ef4a7"]}
        ]}
    });
    let settings = SubscriptionSettings {
        max_uncertainty_m: Some(1000.0),
        media: true,
        obscured: Some(Obscured::Cell),
        ..NOTHING_SET
    };
    let asked = HarvestRequest {
        subscription: Some("inaturalist-aura".into()),
        query: Some(query),
        settings: Some(settings),
        ..NOTHING_ASKED
    };
    frozen.means(1, "", &asked);
    frozen.means(1, "~archive", &archive());
    let by_key = HarvestRequest {
        download_key: Some("0015000-260108000000665".into()),
        subscription: Some("aura-all".into()),
        plan: true,
        all_datasets: true,
        ..NOTHING_ASKED
    };
    frozen.means(1, "~download_key", &by_key);
}

fn settings(frozen: &mut Frozen) {
    let every = SubscriptionSettings {
        max_uncertainty_m: Some(250.5),
        obscured: Some(Obscured::Reject),
        longest_interval_days: Some(31),
        accept: vec![
            Acceptable::Absent,
            Acceptable::FossilSpecimen,
            Acceptable::LivingSpecimen,
            Acceptable::CountZero,
            Acceptable::UnknownUncertainty,
        ],
        uuid_absent: Some(UuidAbsent::Reject),
        vanished: Some(Vanished::Delete),
        already_present: Some(AlreadyPresent::Update),
        metadata: Some(Metadata::Create),
        media: true,
        observers: Some(Observers::Login),
    };
    let other = SubscriptionSettings {
        obscured: Some(Obscured::Cell),
        uuid_absent: Some(UuidAbsent::Generate),
        vanished: Some(Vanished::Mark),
        already_present: Some(AlreadyPresent::Reject),
        metadata: Some(Metadata::ExistingOnly),
        observers: Some(Observers::None),
        ..NOTHING_SET
    };
    let last = SubscriptionSettings { vanished: Some(Vanished::Keep), observers: Some(Observers::Name), ..NOTHING_SET };
    let every = HarvestRequest { subscription: Some("inaturalist-aura".into()), settings: Some(every), ..archive() };
    frozen.means(1, "~every-setting", &every);
    frozen.means(1, "~other-settings", &HarvestRequest { settings: Some(other), ..archive() });
    frozen.means(1, "~last-settings", &HarvestRequest { settings: Some(last), ..archive() });
}

fn words_of_people(frozen: &mut Frozen) {
    let approve =
        |by: Option<&str>, planned_at| HarvestApprove { harvest_id: HARVEST, by: by.map(Into::into), planned_at };
    frozen.means(1, "", &approve(Some("M. Martin"), Some(moment())));
    frozen.means(1, "~bare", &approve(None, None));
    frozen.means(1, "~offset", &approve(None, Some(moment())));
    let cancel = HarvestCancel {
        harvest_id: HARVEST,
        by: Some("the data manager".into()),
        reason: Some("the query names the wrong region".into()),
    };
    frozen.means(1, "", &cancel);
    frozen.means(1, "~bare", &HarvestCancel { harvest_id: HARVEST, by: None, reason: None });
}

fn stages(frozen: &mut Frozen) {
    let harvest_id = HARVEST;
    frozen.means(1, "", &DownloadRequest { harvest_id });
    frozen.means(1, "", &DownloadPoll { harvest_id });
    frozen.means(1, "", &ArchiveFetch { harvest_id });
    frozen.means(1, "", &ArchiveLoad { harvest_id });
    frozen.means(1, "", &InatEnrich { harvest_id, batch: 0 });
    frozen.means(1, "", &DatasetDescribe { harvest_id, batch: 1 });
    frozen.means(1, "", &HarvestPlan { harvest_id });
    frozen.means(1, "", &SyntheseUpsert { harvest_id, slice: 0 });
    frozen.means(1, "", &HarvestFinish { harvest_id });
    frozen.means(1, "", &FlowDeliver { flow: "atlas-aura".into() });
    frozen.means(1, "", &RetentionRun {});
}

fn events(frozen: &mut Frozen) {
    for kind in EventKind::ALL {
        let started = kind == EventKind::Started;
        let reason = match kind {
            EventKind::AwaitingApproval => Some("a plan was asked for"),
            EventKind::Failed => {
                Some("GBIF ended download 0015000-260108000000665 as KILLED; submit the request again")
            }
            EventKind::Cancelled => Some("cancelled by the data manager: the query names the wrong region"),
            EventKind::Started | EventKind::Planned | EventKind::Completed => None,
        };
        let counts = Counts {
            read: 106,
            landed: 100,
            duplicate: 4,
            malformed: 2,
            inserted: 40,
            updated: 30,
            unchanged: 15,
            rejected: 10,
            kept: 5,
            vanished: 7,
        };
        let event = Event {
            kind,
            harvest_id: HARVEST,
            subscription: "inaturalist-aura".into(),
            counts: if started { Counts::default() } else { counts },
            reason: reason.map(Into::into),
            download_key: (!started).then(|| "0015000-260108000000665".into()),
            doi: (!started).then(|| "10.15468/dl.4gbcs6".into()),
            planned_at: (kind == EventKind::AwaitingApproval).then(moment),
            at: moment(),
        };
        frozen.tells(1, kind.as_str(), &event);
    }
}

fn deliveries(frozen: &mut Frozen) {
    for kind in DeliveryEventKind::ALL {
        let is_completed = kind == DeliveryEventKind::Completed;
        let event = DeliveryEvent {
            kind,
            flow: "atlas-aura".into(),
            delivery_id: Uuid::from_u128(HARVEST.as_u128() + 1),
            rows: is_completed.then_some(120_000),
            withheld: is_completed.then_some(12),
            version: is_completed.then(|| "20260601T092500Z".into()),
            reason: (kind == DeliveryEventKind::Failed)
                .then(|| "flow atlas-aura is suspended: the partner has moved".into()),
            at: moment(),
        };
        frozen.tells(1, kind.as_str(), &event);
    }
}

#[test]
fn what_was_published_is_still_understood_and_means_the_same() {
    let mut frozen = Frozen::default();
    requests(&mut frozen);
    settings(&mut frozen);
    words_of_people(&mut frozen);
    stages(&mut frozen);
    events(&mut frozen);
    deliveries(&mut frozen);

    let mut there = BTreeSet::new();
    for version in fs::read_dir(folder()).expect("folder").map(|entry| entry.expect("entry")) {
        if !version.file_type().expect("type").is_dir() {
            continue;
        }
        for file in fs::read_dir(version.path()).expect("folder") {
            let (version, file) = (version.file_name(), file.expect("entry").file_name());
            there.insert(format!("{}/{}", version.to_string_lossy(), file.to_string_lossy()));
        }
    }
    assert_eq!(frozen.read, there, "each frozen example has its meaning above");
}

#[test]
fn every_kind_and_version_has_a_frozen_example() {
    for contract in contracts() {
        for version in 1..=contract.version {
            let path = folder().join(format!("{version}/{}.json", contract.kind));
            assert!(path.is_file(), "{} is missing: write a body of {} by hand", path.display(), contract.kind);
        }
    }
}

#[test]
fn the_public_kinds_are_those_that_the_documentation_offers() {
    let public: Vec<_> = contracts().iter().filter(|c| c.role == Role::Public).map(|c| c.kind).collect();
    assert_eq!(public, ["harvest.request", "harvest.approve", "harvest.cancel", "flow.deliver"]);
}
