//! The programs that partners use, with the options that `docs/gateway.md` tells them. One that is not installed is not tested, and said so.

use std::path::Path;

use tokio::process::Command;

use crate::support::{Bench, V1, V2};

/// curl as in the document; returns the status of the answer.
async fn curl(bench: &Bench, token: &str, folder: &Path, arguments: &[&str]) -> Option<String> {
    let url = format!("http://{}/flows/atlas/latest.csv", bench.address);
    let made = Command::new("curl")
        .current_dir(folder)
        .args([
            "--noproxy",
            "*",
            "--fail",
            "--silent",
            "--show-error",
            "--write-out",
            "%{http_code}",
            "--oauth2-bearer",
            token,
        ])
        .args(arguments)
        .args(["--output", "atlas.csv", &url])
        .output()
        .await
        .ok()?;
    assert!(made.status.success(), "{made:?}");
    Some(String::from_utf8(made.stdout).unwrap())
}

#[tokio::test]
async fn curl_fetches_only_what_is_new() {
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    bench.deliver("atlas", V1, &[("csv", b"first\n")]).await;
    let folder = bench.folder.path();
    let options = ["--compressed", "--etag-save", "atlas.etag", "--etag-compare", "atlas.etag"];
    let Some(status) = curl(&bench, &token, folder, &options).await else {
        eprintln!("not tested: curl is not installed");
        return;
    };
    let read = || std::fs::read_to_string(folder.join("atlas.csv")).unwrap();
    assert_eq!((status.as_str(), read().as_str()), ("200", "first\n"));
    assert_eq!(curl(&bench, &token, folder, &options).await.unwrap(), "304");
    assert_eq!(read(), "first\n", "what is there stays");
    bench.deliver("atlas", V2, &[("csv", b"second\n")]).await;
    assert_eq!(curl(&bench, &token, folder, &options).await.unwrap(), "200");
    assert_eq!(read(), "second\n");
    std::fs::write(folder.join("atlas.csv"), "sec").unwrap();
    assert_eq!(curl(&bench, &token, folder, &["--continue-at", "-"]).await.unwrap(), "206");
    assert_eq!(read(), "second\n");
}

#[tokio::test]
async fn gdal_reads_a_version_over_http() {
    let Ok(made) = Command::new("ogr2ogr").arg("--version").output().await else {
        eprintln!("not tested: ogr2ogr is not installed");
        return;
    };
    assert!(made.status.success());
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    let place = bench.folder.path().join("made.gpkg");
    let geojson = r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"nom":"Merle noir"},"geometry":{"type":"Point","coordinates":[5.7,45.2]}},
        {"type":"Feature","properties":{"nom":"Milan royal"},"geometry":{"type":"Point","coordinates":[5.8,45.1]}}]}"#;
    let source = bench.folder.path().join("source.geojson");
    std::fs::write(&source, geojson).unwrap();
    let made = Command::new("ogr2ogr").arg(&place).arg(&source).output().await.unwrap();
    assert!(made.status.success(), "{made:?}");
    bench.deliver("atlas", V1, &[("gpkg", &std::fs::read(&place).unwrap())]).await;
    let url = format!("/vsicurl/http://{}/flows/atlas/{V1}/atlas.gpkg", bench.address);
    let read = Command::new("ogrinfo")
        .args(["-ro", "-so", "-al", &url])
        .env("GDAL_HTTP_USERPWD", format!("partner:{token}"))
        .env("GDAL_HTTP_AUTH", "BASIC")
        .env("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR")
        .env("no_proxy", "127.0.0.1")
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&read.stdout);
    assert!(text.contains("Feature Count: 2"), "{text} {}", String::from_utf8_lossy(&read.stderr));
}
