//! The description of the interface.

use std::path::Path;

use serde_json::Value;

use crate::support::{Bench, V1};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/contracts/gateway.openapi.json");

/// `PASSEREAU_WRITE_CONTRACTS=1` writes it.
#[test]
fn the_committed_description_is_the_one_of_the_routes() {
    let made = passereau_gateway::openapi::text();
    if std::env::var_os("PASSEREAU_WRITE_CONTRACTS").is_some() {
        std::fs::write(COMMITTED, &made).unwrap();
    }
    let committed = std::fs::read_to_string(Path::new(COMMITTED)).unwrap_or_default();
    assert_eq!(committed, made, "write it with PASSEREAU_WRITE_CONTRACTS=1 cargo test -p passereau-gateway committed");
}

#[tokio::test]
async fn the_description_is_served_to_everybody() {
    let bench = Bench::start(&[]).await;
    let answer = bench.get("/openapi.json", &[]).await;
    assert_eq!((answer.status, answer.text()), (200, passereau_gateway::openapi::text()));
    assert_eq!(answer.header("cache-control"), "public, max-age=3600");
    let tag = answer.header("etag").to_owned();
    assert_eq!(bench.get("/openapi.json", &[("If-None-Match", &tag)]).await.status, 304);
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(value: &Value, whole: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    assert!(whole.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
                }
                members.values().for_each(|member| check(member, whole));
            }
            Value::Array(items) => items.iter().for_each(|item| check(item, whole)),
            _ => {}
        }
    }
    let document = passereau_gateway::openapi::document();
    check(&document, &document);
    assert_eq!(document["openapi"], "3.1.1");
}

/// What is described is served: each path, filled in, answers with a status and a type that its description names.
#[tokio::test]
async fn what_is_described_is_served() {
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    bench.deliver("atlas", V1, &[("csv", b"a;b\n")]).await;
    let document = passereau_gateway::openapi::document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let filled = path
            .replace("{flow}", "atlas")
            .replace("{version}", V1)
            .replace("{extension}", "csv")
            .replace("{file}", "atlas.csv");
        let answer = bench.fetch(&token, &filled, &[]).await;
        let described = &item["get"]["responses"][answer.status.to_string()];
        assert_eq!(answer.status, 200, "{filled}");
        assert!(
            described["content"].get(answer.header("content-type")).is_some(),
            "{filled}: {}",
            answer.header("content-type")
        );
        for (headers, status) in [
            (vec![("Range", "bytes=0-0")], 206),
            (vec![("Range", "bytes=99999999-")], 416),
            (vec![("If-Match", "\"x\"")], 412),
        ] {
            let answer = bench.fetch(&token, &filled, &headers).await;
            assert_eq!(answer.status, status, "{filled}");
            assert!(item["get"]["responses"].get(status.to_string()).is_some(), "{filled} {status}");
        }
        if path.contains("{flow}") {
            let answer = bench.get(&filled, &[]).await;
            let described = &item["get"]["responses"][answer.status.to_string()];
            assert!(described["content"].get(answer.header("content-type")).is_some(), "{filled}: {}", answer.status);
        }
    }
}
