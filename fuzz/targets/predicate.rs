//! Download requests (`query.json`). Input: the document.
#![no_main]

use libfuzzer_sys::fuzz_target;
use passereau_gbif::predicate::{Rules, rephrase, same_request, validate};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Ok(document) = serde_json::from_slice::<Value>(data) else { return };
    let strict = Rules { creator: "platform".to_owned(), all_datasets: false };
    let lenient = Rules { all_datasets: true, ..strict.clone() };
    match (validate(&document, &strict), validate(&document, &lenient)) {
        (strict, Err(problems)) => {
            assert!(strict.is_err(), "the laxer rules refuse more");
            assert!((1..=101).contains(&problems.len()));
            for problem in problems {
                assert!(problem.path.starts_with('$') && !problem.message.is_empty(), "{problem}");
                // The whole value never stands in a message: it may be 64 KiB.
                assert!(problem.message.len() < 2_000, "{} bytes at {}", problem.message.len(), problem.path);
            }
        }
        (Err(problems), Ok(_)) => assert!(problems.iter().all(|problem| problem.path == "$.predicate")),
        (Ok(valid), Ok(laxer)) => {
            assert_eq!(valid, laxer);
            let body = valid.body();
            let again = validate(body, &strict).expect("the body that is sent is valid");
            assert_eq!((again.body(), again.digest()), (body, valid.digest()));
            assert_eq!(same_request(body, body), Ok(()));
            // What is written can be read again: this is how it goes to GBIF.
            let sent: Value = serde_json::from_str(&body.to_string()).expect("JSON");
            assert_eq!(&sent, body);
            let wrapped = rephrase::wrap(body);
            assert!(validate(&wrapped, &strict).is_ok() && same_request(body, &wrapped).is_err());
            assert_eq!(rephrase::times(body, &wrapped), 1);
        }
    }
});
