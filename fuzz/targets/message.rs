//! Messages of every kind, and events. Input: a line `kind version`, then the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use passereau_contracts::{
    ArchiveFetch, ArchiveLoad, DatasetDescribe, DownloadPoll, DownloadRequest, DownloaderTask, EnricherTask, Event,
    HarvestApprove, HarvestCancel, HarvestFinish, HarvestPlan, HarvestRequest, InatEnrich, LoaderTask, MAX_BODY_BYTES,
    Message, PollerTask, RequesterTask, SyntheseUpsert, Task, UpserterTask, WORKERS, decode,
};
use passereau_fuzz::{assert_storable_json, first_line};

/// Decoded, it can be stored, and comes back the same from what it is encoded to.
fn check<M: Message + PartialEq + std::fmt::Debug>(version: u16, body: &[u8]) -> Option<M> {
    let message: M = decode(version, body).ok()?;
    assert_eq!(version, M::VERSION);
    assert!(body.len() <= MAX_BODY_BYTES);
    assert_storable_json(&serde_json::to_value(&message).expect("our own types serialise"));
    let encoded = serde_json::to_vec(&message).expect("our own types serialise");
    if encoded.len() <= MAX_BODY_BYTES {
        assert_eq!(decode::<M>(M::VERSION, &encoded).expect("what was encoded decodes"), message);
    }
    Some(message)
}

fn check_kind(kind: &str, version: u16, body: &[u8]) -> bool {
    match kind {
        HarvestRequest::KIND => {
            let request = check::<HarvestRequest>(version, body);
            if let Some(Err(problems)) = request.as_ref().map(HarvestRequest::origin) {
                assert!(!problems.is_empty());
                assert!(problems.iter().all(|problem| problem.path.starts_with('$') && !problem.message.is_empty()));
            }
            request.is_some()
        }
        HarvestApprove::KIND => check::<HarvestApprove>(version, body).is_some(),
        HarvestCancel::KIND => check::<HarvestCancel>(version, body).is_some(),
        DownloadRequest::KIND => check::<DownloadRequest>(version, body).is_some(),
        DownloadPoll::KIND => check::<DownloadPoll>(version, body).is_some(),
        ArchiveFetch::KIND => check::<ArchiveFetch>(version, body).is_some(),
        ArchiveLoad::KIND => check::<ArchiveLoad>(version, body).is_some(),
        InatEnrich::KIND => check::<InatEnrich>(version, body).is_some(),
        DatasetDescribe::KIND => check::<DatasetDescribe>(version, body).is_some(),
        HarvestPlan::KIND => check::<HarvestPlan>(version, body).is_some(),
        SyntheseUpsert::KIND => check::<SyntheseUpsert>(version, body).is_some(),
        HarvestFinish::KIND => check::<HarvestFinish>(version, body).is_some(),
        _ => false,
    }
}

fuzz_target!(|data: &[u8]| {
    let (line, body) = first_line(data);
    let (kind, version) = line.split_once(' ').unwrap_or((line, "1"));
    let version = version.parse().unwrap_or(0);
    let decoded = check_kind(kind, version, body);
    // One worker takes it, the one that the table names; every other says that the kind is unknown.
    let taken = [
        ("requester", RequesterTask::decode(kind, version, body).is_ok()),
        ("poller", PollerTask::decode(kind, version, body).is_ok()),
        ("downloader", DownloaderTask::decode(kind, version, body).is_ok()),
        ("loader", LoaderTask::decode(kind, version, body).is_ok()),
        ("inat-enricher", EnricherTask::decode(kind, version, body).is_ok()),
        ("upserter", UpserterTask::decode(kind, version, body).is_ok()),
    ];
    for (worker, takes) in taken {
        let named = WORKERS.iter().any(|kinds| kinds.worker == worker && kinds.kinds.contains(&kind));
        assert_eq!(takes, decoded && named, "{worker}, {kind}");
    }
    if let Ok(event) = serde_json::from_slice::<Event>(body) {
        let encoded = serde_json::to_vec(&event).expect("our own types serialise");
        assert_eq!(serde_json::from_slice::<Event>(&encoded).expect("what was encoded decodes"), event);
    }
});
