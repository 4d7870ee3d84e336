//! A fingerprint of a JSON document that does not depend on its layout.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// SHA-256, in lower-case hexadecimal, of the document without spaces and with the properties of each object in the order
/// of their names. Lists keep their order, since at GBIF it matters.
pub fn digest(document: &Value) -> String {
    let mut canonical = String::new();
    write_canonical(document, &mut canonical);
    let mut hex = String::new();
    for byte in Sha256::digest(canonical.as_bytes()) {
        // Writing into a String cannot fail.
        let _infallible = write!(hex, "{byte:02x}");
    }
    hex
}

/// Sorts explicitly: whether a map keeps the order of the text depends on a feature that any crate of a build may set.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut names: Vec<&String> = map.keys().collect();
            names.sort_unstable();
            out.push('{');
            for (index, name) in names.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                write_canonical(&map[name], out);
            }
            out.push('}');
        }
        Value::Array(list) => {
            out.push('[');
            for (index, inner) in list.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(inner, out);
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn layout_does_not_matter_but_order_of_lists_does() {
        let one: Value = serde_json::from_str(r#"{"b": [1, {"d": null, "c": "é\""}], "a": true}"#).expect("JSON");
        let other: Value = serde_json::from_str(r#"{"a":true,"b":[1,{"c":"é\"","d":null}]}"#).expect("JSON");
        assert_eq!(digest(&one), digest(&other));
        assert_ne!(digest(&json!([1, 2])), digest(&json!([2, 1])));
        assert_eq!(digest(&json!({})), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    }
}
