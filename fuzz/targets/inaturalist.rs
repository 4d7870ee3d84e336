//! Pages of observations. Input: a line with the ids that were asked, separated by commas, then the body.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use passereau_fuzz::{assert_storable, first_line};
use passereau_inaturalist::Page;

fuzz_target!(|data: &[u8]| {
    let (ids, body) = first_line(data);
    let asked: BTreeSet<i64> = ids.split(',').filter_map(|id| id.parse().ok()).filter(|id| *id > 0).take(200).collect();
    let asked: Vec<i64> = asked.into_iter().collect();
    let Ok(page) = serde_json::from_slice::<Page>(body) else { return };
    let Ok(lookup) = page.read(&asked) else { return };
    // Each id that was asked has one answer, and nothing else has any.
    let found: BTreeSet<i64> = lookup.found.iter().map(|found| found.id).collect();
    let absent: BTreeSet<i64> = lookup.absent.iter().copied().collect();
    assert_eq!((found.len(), absent.len()), (lookup.found.len(), lookup.absent.len()));
    assert!(found.is_disjoint(&absent));
    assert_eq!(found.union(&absent).copied().collect::<Vec<_>>(), asked);
    for found in &lookup.found {
        found.uri.iter().chain(&found.login).for_each(|text| assert_storable(text));
        assert_ne!(found.login.as_deref(), Some(""));
    }
});
