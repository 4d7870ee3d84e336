//! Every contract with its schema and an example: the source of `docs/contracts/`.

use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, schema_for};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    ArchiveFetch, ArchiveLoad, Counts, DatasetDescribe, DeliveryEvent, DeliveryEventKind, DownloadPoll,
    DownloadRequest, Event, EventKind, FlowDeliver, HarvestApprove, HarvestCancel, HarvestFinish, HarvestPlan,
    HarvestRequest, InatEnrich, Message, Obscured, RetentionRun, SubscriptionSettings, SyntheseUpsert,
};

/// Who sends a kind to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Anyone who may publish asks the fleet.
    Public,
    /// A worker asks the next one.
    Stage,
    /// The fleet tells whoever listens.
    Event,
}

/// The kinds that other systems may publish.
const PUBLIC: [&str; 4] = [HarvestRequest::KIND, HarvestApprove::KIND, HarvestCancel::KIND, FlowDeliver::KIND];

/// A message or event as it is published to readers.
#[derive(Clone, Debug)]
pub struct Contract {
    /// The kind, also the file name.
    pub kind: &'static str,
    /// Version of the shape.
    pub version: u16,
    /// Who sends it to whom.
    pub role: Role,
    /// JSON Schema of the body.
    pub schema: Value,
    /// A body.
    pub example: Value,
    /// The same schema, as a part of a larger document.
    pub(crate) subschema: fn(&mut SchemaGenerator) -> Schema,
}

/// All contracts, in the order of the way of a harvest; then those of flows and schedules.
pub fn contracts() -> Vec<Contract> {
    let harvest_id = Uuid::from_u128(0x0193_4c1f_9d2a_7c3e_8a10_5b0d_7f2e_6c41);
    let mut all = vec![
        contract(&HarvestRequest {
            subscription: Some("inaturalist-aura".into()),
            query: Some(json!({
                "creator": "USER",
                "notificationAddresses": ["EMAIL"],
                "sendNotification": true,
                "format": "DWCA",
                "predicate": {"type": "and", "predicates": [
                    {"type": "equals", "key": "HAS_COORDINATE", "value": "True"},
                    {"type": "equals", "key": "GADM_GID", "value": "FRA.1_1"},
                    {"type": "in", "key": "DATASET_KEY", "values": ["50c9509d-22c7-4a22-a47d-8c48425ef4a7"]}
                ]}
            })),
            settings: Some(SubscriptionSettings {
                obscured: Some(Obscured::Cell),
                max_uncertainty_m: Some(1000.0),
                media: true,
                ..SubscriptionSettings::default()
            }),
            ..HarvestRequest::default()
        }),
        contract(&DownloadRequest { harvest_id }),
        contract(&DownloadPoll { harvest_id }),
        contract(&ArchiveFetch { harvest_id }),
        contract(&ArchiveLoad { harvest_id }),
        contract(&InatEnrich { harvest_id, batch: 0 }),
        contract(&DatasetDescribe { harvest_id, batch: 1 }),
        contract(&HarvestPlan { harvest_id }),
        contract(&HarvestApprove {
            harvest_id,
            by: Some("M. Martin".into()),
            planned_at: Some(DateTime::<Utc>::UNIX_EPOCH),
        }),
        contract(&SyntheseUpsert { harvest_id, slice: 0 }),
        contract(&HarvestFinish { harvest_id }),
        contract(&HarvestCancel {
            harvest_id,
            by: Some("the data manager".into()),
            reason: Some("the query names the wrong region".into()),
        }),
        contract(&FlowDeliver { flow: "atlas-aura".into() }),
        contract(&RetentionRun {}),
    ];
    all.extend(EventKind::ALL.map(|kind| Contract {
        kind: kind.as_str(),
        version: Event::VERSION,
        role: Role::Event,
        subschema: SchemaGenerator::subschema_for::<Event>,
        schema: schema::<Event>(),
        example: value(&Event {
            kind,
            harvest_id,
            subscription: "inaturalist-aura".into(),
            counts: Counts { read: 3, landed: 3, inserted: 2, rejected: 1, ..Counts::default() },
            reason: reason(kind).map(Into::into),
            download_key: Some("0015000-260108000000665".into()),
            doi: Some("10.15468/dl.4gbcs6".into()),
            planned_at: (kind == EventKind::AwaitingApproval).then_some(DateTime::<Utc>::UNIX_EPOCH),
            at: DateTime::<Utc>::UNIX_EPOCH,
        }),
    }));
    all.extend(DeliveryEventKind::ALL.map(|kind| {
        let is_completed = kind == DeliveryEventKind::Completed;
        Contract {
            kind: kind.as_str(),
            version: DeliveryEvent::VERSION,
            role: Role::Event,
            subschema: SchemaGenerator::subschema_for::<DeliveryEvent>,
            schema: schema::<DeliveryEvent>(),
            example: value(&DeliveryEvent {
                kind,
                flow: "atlas-aura".into(),
                delivery_id: harvest_id,
                rows: is_completed.then_some(120_000),
                withheld: is_completed.then_some(12),
                version: is_completed.then(|| "19700101T000000Z".into()),
                reason: (kind == DeliveryEventKind::Failed)
                    .then(|| "the agreement of flow atlas-aura ended on 1969-12-31; agree anew and apply it".into()),
                at: DateTime::<Utc>::UNIX_EPOCH,
            }),
        }
    }));
    all
}

fn reason(kind: EventKind) -> Option<&'static str> {
    match kind {
        EventKind::Failed => Some("GBIF ended download 0015000-260108000000665 as KILLED; submit the request again"),
        EventKind::AwaitingApproval => Some("a plan was asked for"),
        EventKind::Cancelled => Some("cancelled by the data manager: the query names the wrong region"),
        _ => None,
    }
}

fn contract<M: Message>(example: &M) -> Contract {
    Contract {
        kind: M::KIND,
        version: M::VERSION,
        role: if PUBLIC.contains(&M::KIND) { Role::Public } else { Role::Stage },
        schema: schema::<M>(),
        example: value(example),
        subschema: SchemaGenerator::subschema_for::<M>,
    }
}

fn schema<T: JsonSchema>() -> Value {
    schema_for!(T).to_value()
}

/// Our own types always serialise; `Null` would show in the committed file.
fn value(example: &impl Serialize) -> Value {
    serde_json::to_value(example).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::PathBuf};

    /// `UPDATE_CONTRACTS=1` writes the files; otherwise a difference fails: a published shape never changes silently.
    #[test]
    fn the_published_files_are_those_of_the_types() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/contracts");
        let update = std::env::var_os("UPDATE_CONTRACTS").is_some();
        for contract in contracts() {
            for (suffix, value) in [("schema", &contract.schema), ("example", &contract.example)] {
                let path = folder.join(format!("{}.{suffix}.json", contract.kind));
                let text = serde_json::to_string_pretty(value).expect("JSON") + "\n";
                if update {
                    fs::create_dir_all(&folder).expect("folder");
                    fs::write(&path, &text).expect("file");
                }
                let committed = fs::read_to_string(&path).unwrap_or_default();
                assert_eq!(committed, text, "{} is stale: run with UPDATE_CONTRACTS=1 and review", path.display());
            }
        }
    }

    #[test]
    fn every_kind_has_one_worker_and_one_contract() {
        let documented: Vec<_> = contracts().iter().map(|c| c.kind).collect();
        let handled: Vec<_> = crate::WORKERS.iter().flat_map(|w| w.kinds).collect();
        for kind in &handled {
            assert_eq!(handled.iter().filter(|k| k == &kind).count(), 1, "{kind} has one worker");
            assert!(documented.contains(kind), "{kind} is documented");
        }
    }

    #[test]
    fn a_misspelt_option_is_refused() {
        let body = br#"{"archive": "archives/april.zip", "all_dataset": true}"#;
        let error = crate::decode::<HarvestRequest>(1, body).expect_err("misspelt");
        assert!(error.to_string().contains("all_dataset"), "{error}");
    }

    #[test]
    fn a_nul_character_is_refused_where_it_could_still_be_named() {
        let error = crate::decode::<HarvestRequest>(1, br#"{"archive": "a\u0000b"}"#).expect_err("NUL");
        assert!(error.to_string().contains("U+0000"), "{error}");
        // A backslash and a word.
        assert!(crate::decode::<HarvestRequest>(1, br#"{"archive": "a\\u0000b"}"#).is_ok());
        assert!(crate::decode::<HarvestRequest>(1, br#"{"archive": "a\\\u0000b"}"#).is_err());
    }

    #[test]
    fn a_number_is_the_same_after_each_hop() {
        let body = br#"{"archive": "a.zip", "settings": {"max_uncertainty_m": 123456789.12345679e-7}}"#;
        let once: HarvestRequest = crate::decode(1, body).expect("a request");
        let twice = crate::decode(1, &serde_json::to_vec(&once).expect("JSON")).expect("a request");
        assert_eq!(once, twice);
    }

    #[test]
    fn a_newer_version_is_named_as_such() {
        let error = crate::decode::<HarvestPlan>(2, b"{}").expect_err("version 2 is unknown");
        assert!(matches!(error, crate::DecodeError::UnknownVersion { version: 2, known: 1, .. }), "{error}");
    }
}
