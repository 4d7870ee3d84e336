//! Answers of GBIF: a download, a page of them, a dataset, a publisher. Input: the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use passereau_fuzz::{assert_storable, assert_storable_json, assert_storable_time};
use passereau_gbif::registry::{Dataset, Organization};
use passereau_gbif::{Download, DownloadKey, DownloadPage, DownloadStatus};

fn check(download: &Download) {
    assert_eq!(download.key.as_str().parse::<DownloadKey>().as_ref(), Ok(&download.key));
    assert!(download.key.as_str().bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'), "it goes into an address");
    assert!(!(download.status.is_terminal() && download.status.is_unfinished()));
    let word = serde_json::to_value(&download.status).expect("a word");
    assert_eq!(word.as_str(), Some(download.status.to_string().as_str()));
    assert_eq!(serde_json::from_value::<DownloadStatus>(word).expect("a state"), download.status);
    assert_storable(&download.status.to_string());
    [&download.doi, &download.license, &download.download_link]
        .into_iter()
        .flatten()
        .for_each(|text| assert_storable(text));
    [download.created, download.modified].into_iter().flatten().for_each(assert_storable_time);
    assert!(download.size_bytes != Some(0));
    for number in [download.size_bytes, download.total_records, download.number_datasets].into_iter().flatten() {
        assert!(i64::try_from(number).is_ok(), "{number} fits no column");
    }
    assert_storable_json(&download.request);
}

fuzz_target!(|data: &[u8]| {
    if let Ok(download) = serde_json::from_slice::<Download>(data) {
        check(&download);
    }
    if let Ok(page) = serde_json::from_slice::<DownloadPage>(data) {
        page.results.iter().for_each(check);
    }
    if let Ok(dataset) = serde_json::from_slice::<Dataset>(data) {
        let texts = [&dataset.title, &dataset.description, &dataset.doi, &dataset.license, &dataset.kind];
        texts.into_iter().flatten().for_each(|text| assert_storable(text));
        dataset.citation.iter().filter_map(|citation| citation.text.as_deref()).for_each(assert_storable);
        [dataset.modified, dataset.deleted].into_iter().flatten().for_each(assert_storable_time);
    }
    if let Ok(organization) = serde_json::from_slice::<Organization>(data) {
        organization.title.iter().for_each(|title| assert_storable(title));
    }
    if let Ok(key) = std::str::from_utf8(data).unwrap_or_default().trim().trim_matches('"').parse::<DownloadKey>() {
        assert!(key.as_str().len() <= 35);
    }
});
