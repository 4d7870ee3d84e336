//! The client against a small GBIF: each answer the reference knows, and what becomes of it.
#![allow(clippy::unwrap_used, reason = "tests")]

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use passereau_gbif::client::{ArchivePlace, Cancelled, Created};
use passereau_gbif::{DownloadKey, DownloadStatus, GbifClient, GbifConfig, GbifError};
use passereau_http::{HttpClient, HttpConfig};
use rstest::rstest;
use serde_json::json;
use std::time::Duration;

const KEY: &str = "0012150-260108223611665";

fn key() -> DownloadKey {
    KEY.parse().unwrap()
}

/// A GBIF that gives every call the same answer, after checking what each call must carry.
async fn gbif(status: u16, headers: &[(&str, &str)], body: impl Into<String>) -> GbifClient {
    let (status, body) = (StatusCode::from_u16(status).unwrap(), body.into());
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let app = Router::new().fallback(move |request: Request<Body>| {
        let answer = (status, headers.clone(), body.clone()).into_response();
        async move { check(&request).unwrap_or(answer) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let config = GbifConfig::new(url, "gbif_user", "hunter2");
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let http = HttpClient::new(&HttpConfig {
        http_total_timeout: Duration::from_secs(5),
        ..HttpConfig::for_sandbox("passereau-test/1 (test@example.org)")
    });
    GbifClient::new(http.unwrap(), &config).unwrap()
}

/// A teapot for a call that is not as GBIF wants it.
fn check(request: &Request<Body>) -> Option<Response> {
    let path = request.uri().path();
    let is_signed =
        request.headers().get("authorization").is_some_and(|value| value == "Basic Z2JpZl91c2VyOmh1bnRlcjI=");
    let needs_account = request.method() != Method::GET || path.contains("/user/");
    let is_known = path.starts_with("/v1/") && request.headers().contains_key("user-agent");
    let is_json = request.method() != Method::POST || request.headers()["content-type"] == "application/json";
    let is_good = is_known && is_json && is_signed == needs_account;
    (!is_good).then(|| (StatusCode::IM_A_TEAPOT, format!("{} {path} {is_signed}", request.method())).into_response())
}

const FULL: &str =
    "A download limitation is exceeded:\nUser EXAMPLE has too many simultaneous downloads; the limit is 3.\n";

#[rstest]
#[case(201, &[("content-type", "application/json")], KEY, Created::Key(key()))]
#[case(201, &[], "\"0012150-260108223611665\"\n", Created::Key(key()))]
#[case(201, &[], "<html>Welcome</html>", Created::Unexpected { status: 201, excerpt: "<html>Welcome</html>".to_owned() })]
#[case(400, &[], "Invalid WKT", Created::BadRequest("Invalid WKT".to_owned()))]
#[case(401, &[], "Failed to authenticate user x", Created::Unauthorized("Failed to authenticate user x".to_owned()))]
#[case(413, &[], "A download limitation is exceeded:", Created::TooLarge("A download limitation is exceeded:".to_owned()))]
#[case(420, &[], FULL, Created::TooManySimultaneous(FULL.trim().replace('\n', " ")))]
#[case(429, &[("retry-after", "77")], "[]", Created::SlowDown { retry_after: Some(Duration::from_secs(77)) })]
#[case(429, &[], "[]", Created::SlowDown { retry_after: None })]
#[case(503, &[], "down", Created::Unavailable { status: 503, retry_after: None, excerpt: "down".to_owned() })]
#[case(302, &[("location", "/x")], "", Created::Unexpected { status: 302, excerpt: String::new() })]
#[tokio::test]
async fn each_answer_to_a_request_has_its_meaning(
    #[case] status: u16,
    #[case] headers: &[(&str, &str)],
    #[case] body: &str,
    #[case] expected: Created,
) {
    assert_eq!(gbif(status, headers, body).await.create(&json!({})).await.unwrap(), expected);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_outcome_unknown() {
    // Announces more than it sends.
    let client = gbif(201, &[("content-length", "100"), ("connection", "close")], KEY).await;
    let error = client.create(&json!({})).await.unwrap_err();
    assert!(error.outcome_is_unknown() && error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_status_is_read_or_named() {
    let body =
        json!({"key": KEY, "status": "SUCCEEDED", "size": 38857, "totalRecords": 21, "doi": "10.15468/dl.hx3uzz"});
    let download = gbif(200, &[], body.to_string()).await.status(&key()).await.unwrap().unwrap();
    assert_eq!(
        (download.status, download.size_bytes, download.total_records),
        (DownloadStatus::Succeeded, Some(38857), Some(21))
    );
    assert_eq!(gbif(404, &[], "").await.status(&key()).await.unwrap(), None);

    let error = gbif(200, &[("content-type", "text/html")], "<html>").await.status(&key()).await.unwrap_err();
    assert!(error.is_transient() && format!("{:?}", error).contains("Html"), "{error:?}");
    let error = gbif(429, &[("retry-after", "5")], "[]").await.status(&key()).await.unwrap_err();
    assert_eq!((error.is_transient(), error.retry_after()), (true, Some(Duration::from_secs(5))));
    for status in [408, 420, 425] {
        let error = gbif(status, &[], "later").await.status(&key()).await.unwrap_err();
        assert!(error.is_transient() && error.to_string().contains(&status.to_string()), "{error:?}");
    }
    let error = gbif(401, &[], "no").await.status(&key()).await.unwrap_err();
    assert!(matches!(error, GbifError::Unauthorized { .. }) && !error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn the_archive_is_elsewhere_absent_or_erased() {
    let place = gbif(302, &[("location", "https://files.example.org/a.zip")], "").await.archive_place(&key()).await;
    assert_eq!(place.unwrap(), ArchivePlace::At("https://files.example.org/a.zip".parse().unwrap()));
    let place = gbif(404, &[], "not ready").await.archive_place(&key()).await.unwrap();
    assert_eq!(place, ArchivePlace::NotReady("not ready".to_owned()));
    assert_eq!(gbif(410, &[], "").await.archive_place(&key()).await.unwrap(), ArchivePlace::Erased(String::new()));
    let error = gbif(500, &[], "unreadable").await.archive_place(&key()).await.unwrap_err();
    assert!(matches!(error, GbifError::Unavailable { status: 500, .. }), "{error:?}");
    assert!(matches!(gbif(200, &[], "PK").await.archive_place(&key()).await.unwrap(), ArchivePlace::At(_)));
}

#[tokio::test]
async fn the_registry_tells_of_datasets_and_publishers_without_an_account() {
    let id = uuid::Uuid::from_u128(1);
    let client = gbif(404, &[], "Dataset was not found").await;
    assert_eq!(client.dataset(id).await.unwrap(), None);
    assert_eq!((client.dataset_document(id).await.unwrap(), client.organization(id).await.unwrap()), (None, None));
    let client = gbif(200, &[], json!({"key": id, "title": "CABI", "country": "GB"}).to_string()).await;
    assert_eq!(client.organization(id).await.unwrap().unwrap().title.as_deref(), Some("CABI"));
    let withdrawn = json!({"key": id, "deleted": "2026-01-15T15:05:53.007+00:00", "citation": {}});
    let dataset = gbif(200, &[], withdrawn.to_string()).await.dataset(id).await.unwrap().unwrap();
    assert!(dataset.deleted.is_some() && dataset.title.is_none());
    assert_eq!(gbif(200, &[], "<eml/>").await.dataset_document(id).await.unwrap().unwrap(), b"<eml/>");

    let error = gbif(503, &[], "down").await.dataset_document(id).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let error = gbif(200, &[], "[]").await.dataset(id).await.unwrap_err();
    assert!(matches!(&error, GbifError::Http { .. }) && !error.is_transient(), "{error:?}");
    let error = gbif(403, &[], "blocked").await.organization(id).await.unwrap_err();
    assert!(matches!(error, GbifError::Unexpected { status: 403, .. }), "{error:?}");
}

#[tokio::test]
async fn cancelling_what_is_there_and_what_is_not() {
    assert_eq!(gbif(204, &[], "").await.cancel(&key()).await.unwrap(), Cancelled::Done);
    assert_eq!(gbif(404, &[], "").await.cancel(&key()).await.unwrap(), Cancelled::Unknown);
}

#[tokio::test]
async fn recorded_answers_are_read() {
    let Some(folder) = passereau_recorded::recorded("gbif/api/responses") else { return };
    let mut seen = 0;
    for path in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("status-") {
            continue;
        }
        let client = gbif(200, &[], std::fs::read_to_string(&path).unwrap()).await;
        let download = client.status(&key()).await.unwrap().unwrap();
        let expected = match name.split('-').nth(1).unwrap() {
            "succeeded" | "by" => DownloadStatus::Succeeded,
            "cancelled" => DownloadStatus::Cancelled,
            _ => DownloadStatus::Preparing,
        };
        assert_eq!(download.status, expected, "{name}");
        assert_eq!(download.size_bytes.is_some(), download.status == DownloadStatus::Succeeded, "{name}");
        seen += 1;
    }
    assert!(seen >= 15, "{seen}");

    let recorded = std::fs::read_to_string(folder.join("dataset-8324c0dc-f762-11e1-a439-00145eb45e9a.json")).unwrap();
    let dataset = gbif(200, &[], recorded).await.dataset(uuid::Uuid::nil()).await.unwrap().unwrap();
    assert_eq!(dataset.title.as_deref(), Some("CABI Bioscience Nematode Collection"));
    assert_eq!(dataset.license.as_deref(), Some("http://creativecommons.org/licenses/by/4.0/legalcode"));
    assert_eq!(
        dataset.publishing_organization_key,
        Some(uuid::uuid!("29817330-5d61-11d8-b9b2-b8a03c50a862")),
        "{dataset:?}"
    );
    assert!(dataset.citation.unwrap().text.unwrap().starts_with("CABI") && dataset.modified.is_some());

    let page = gbif(200, &[], std::fs::read_to_string(folder.join("user-downloads-page.json")).unwrap()).await;
    let page = page.own_downloads(0).await.unwrap();
    assert_eq!((page.offset, page.end_of_records, page.results.len()), (0, false, 20));
    assert!(page.results.is_sorted_by(|left, right| left.created >= right.created));

    let polls = std::fs::read_to_string(folder.join("polling-sequence-0026011-250827131500795.jsonl")).unwrap();
    let states: Vec<DownloadStatus> = polls
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|call| call["method"] == "GET")
        .filter_map(|call| serde_json::from_value::<passereau_gbif::Download>(call["body"].clone()).ok())
        .map(|download| download.status)
        .collect();
    assert_eq!(
        (states.len(), states.first(), states.last()),
        (56, Some(&DownloadStatus::Preparing), Some(&DownloadStatus::Succeeded))
    );
}

#[test]
fn the_password_is_not_shown() {
    let config = GbifConfig::new("https://api.gbif.org".parse().unwrap(), "gbif_user", "hunter2");
    let http = HttpClient::new(&HttpConfig::new("passereau-test/1 (test@example.org)")).unwrap();
    let client = GbifClient::new(http.clone(), &config).unwrap();
    assert!(!format!("{config:?} {client:?}").contains("hunter2"));
    let bad = GbifConfig { gbif_url: "https://u:hunter2@api.gbif.org".parse().unwrap(), ..config };
    let error = GbifClient::new(http, &bad).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
