//! The same question in other words.
//!
//! GBIF gives an existing download back when format and predicate are equal, even if its checklist or its extensions are
//! others; and the same question after a download that took too long may bring that very download. Wrapping the predicate
//! in an `and` of one changes nothing in its meaning, but makes it another predicate.

use serde_json::{Value, json};

/// Most times that a question is put in other words.
pub const MOST: usize = 2;

/// The request with its predicate wrapped once more.
pub fn wrap(body: &Value) -> Value {
    let mut body = body.clone();
    let predicate = body["predicate"].take();
    body["predicate"] = json!({ "type": "and", "predicates": [predicate] });
    body
}

/// How many times `body` is wrapped, compared with the request as it was accepted.
pub fn times(original: &Value, body: &Value) -> usize {
    let mut predicate = &body["predicate"];
    let mut times = 0;
    while predicate != &original["predicate"] {
        match predicate["predicates"].as_array().map(Vec::as_slice) {
            Some([inner]) => predicate = inner,
            _ => break,
        }
        times += 1;
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predicate::{Rules, same_request, validate};

    #[test]
    fn a_rephrased_request_is_valid_and_another_one() {
        let rules = Rules { creator: "gbif_user".into(), all_datasets: false };
        let request = json!({"predicate": {"type": "and", "predicates": [
            {"type": "equals", "key": "DATASET_KEY", "value": "50c9509d-22c7-4a22-a47d-8c48425ef4a7"}]}});
        let original = validate(&request, &rules).expect("valid").into_body();
        let once = wrap(&original);
        let twice = wrap(&once);
        assert!(same_request(&original, &once).is_err());
        assert_eq!(validate(&twice, &rules).expect("valid").into_body(), twice);
        assert_eq!([&original, &once, &twice].map(|body| times(&original, body)), [0, 1, 2]);
    }
}
