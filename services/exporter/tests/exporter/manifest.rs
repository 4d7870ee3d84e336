//! The manifest's published schema.

use std::path::PathBuf;

use boon::{Compiler, Draft, Schemas};
use passereau_exporter::Manifest;
use serde_json::Value;

use crate::platform::Platform;

fn published() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/flows/manifest.schema.json")
}

/// `UPDATE_CONTRACTS=1` writes the file; otherwise a difference fails: programs of partners are checked by it.
#[test]
fn the_published_schema_is_that_of_the_manifest() {
    let text = serde_json::to_string_pretty(&schemars::schema_for!(Manifest)).unwrap() + "\n";
    if std::env::var_os("UPDATE_CONTRACTS").is_some() {
        std::fs::write(published(), &text).unwrap();
    }
    let committed = std::fs::read_to_string(published()).unwrap_or_default();
    assert_eq!(committed, text, "UPDATE_CONTRACTS=1 writes docs/flows/manifest.schema.json anew");
}

/// What is wrong with a manifest, by the published schema alone.
fn problem(manifest: &Value) -> Option<String> {
    let schema = serde_json::from_slice(&std::fs::read(published()).unwrap()).unwrap();
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.set_default_draft(Draft::V2020_12);
    compiler.enable_format_assertions();
    compiler.add_resource("manifest.schema.json", schema).unwrap();
    let schema = compiler.compile("manifest.schema.json", &mut schemas).unwrap();
    schemas.validate(manifest, schema).err().map(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_has_a_manifest_that_satisfies_the_published_schema() {
    let mut platform = Platform::new().await;
    platform.run().await;
    assert_eq!(platform.deliver().await.0, "delivered");
    let version = platform.manifest().await.version;
    let bytes = platform.read(&format!("flows/atlas/{version}/manifest.json"));
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(problem(&manifest), None);
    // It is one that refuses: what a partner relies on is there, and of its kind.
    for member in
        ["version", "rows", "fields", "delivered", "withheld", "clause", "licences", "files", "read_at", "citations"]
    {
        let mut without = manifest.clone();
        without.as_object_mut().unwrap().remove(member);
        assert!(problem(&without).is_some(), "a manifest without {member}");
    }
    for (pointer, value) in [
        ("/rows", Value::from("13")),
        ("/read_at", "yesterday".into()),
        ("/delivered/0/records", Value::Null),
        ("/files/csv/sha256", 1.into()),
    ] {
        let mut other = manifest.clone();
        *other.pointer_mut(pointer).unwrap() = value;
        assert!(problem(&other).is_some(), "a manifest with another {pointer}");
    }
    platform.bench.finish().await;
}
