//! Lookups against a small iNaturalist, with recorded and constructed answers.
#![allow(clippy::unwrap_used, reason = "tests")]

use axum::Router;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use passereau_http::{HttpClient, HttpConfig};
use passereau_inaturalist::{Fields, InaturalistClient, InaturalistConfig, InaturalistError, Lookup};
use rstest::rstest;
use serde_json::json;
use std::time::Duration;

/// An iNaturalist that gives every well-formed question the same answer.
async fn inaturalist(status: u16, headers: &[(&str, &str)], body: impl Into<String>) -> InaturalistClient {
    let (status, body) = (StatusCode::from_u16(status).unwrap(), body.into());
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let app = Router::new().route(
        "/v2/observations",
        get(move |RawQuery(query): RawQuery| async move {
            if query.unwrap_or_default().ends_with("&fields=id,uri,uuid&per_page=200") {
                (status, headers, body).into_response()
            } else {
                StatusCode::IM_A_TEAPOT.into_response()
            }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let inaturalist_url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let http = HttpClient::new(&HttpConfig {
        http_total_timeout: Duration::from_secs(5),
        ..HttpConfig::for_sandbox("passereau-test/1 (test@example.org)")
    });
    InaturalistClient::new(http.unwrap(), &InaturalistConfig { inaturalist_url }).unwrap()
}

fn recorded(name: &str) -> Option<String> {
    let path = passereau_recorded::recorded(&format!("inaturalist/{name}"))?;
    Some(std::fs::read_to_string(path).unwrap())
}

fn page(total: u64, ids: &[i64]) -> String {
    let results: Vec<_> = (ids.iter())
        .map(|id| json!({"id": id, "uuid": uuid::Uuid::from_u128(*id as u128), "uri": format!("https://www.inaturalist.org/observations/{id}")}))
        .collect();
    json!({"total_results": total, "page": 1, "per_page": 200, "results": results}).to_string()
}

fn ids(lookup: &Lookup) -> Vec<i64> {
    lookup.found.iter().map(|found| found.id).collect()
}

#[tokio::test]
async fn a_recorded_page_is_matched_by_id() {
    let Some(body) = recorded("v2_page_id_uri_uuid.assembled.json") else { return };
    let every: Vec<i64> = serde_json::from_str::<serde_json::Value>(&body).unwrap()["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["id"].as_i64().unwrap())
        .collect();
    let asked: Vec<i64> = every.iter().rev().copied().chain([7, 7]).collect();
    let lookup = inaturalist(200, &[], body).await.lookup(&asked, Fields::Uuid).await.unwrap();
    assert_eq!((lookup.found.len(), lookup.absent), (12, vec![7]));
    let found = lookup.found.iter().find(|found| found.id == 339_412_090).unwrap();
    assert_eq!(found.uuid.to_string(), "b7727a2a-c6e0-4b39-9721-49c7eab74d8d");
    assert_eq!(found.uri.as_deref(), Some("https://www.inaturalist.org/observations/339412090"));
}

#[tokio::test]
async fn a_recorded_empty_page_means_all_absent() {
    let Some(body) = recorded("zero_results.json") else { return };
    let lookup = inaturalist(200, &[], body).await.lookup(&[3, 1, 2], Fields::Uuid).await.unwrap();
    assert_eq!(lookup, Lookup { found: vec![], absent: vec![1, 2, 3] });
}

#[tokio::test]
async fn a_recorded_cut_page_is_an_error_worth_another_try() {
    let Some(body) = recorded("v2_page_truncated.assembled.json") else { return };
    let asked: Vec<i64> = (1..=12).collect();
    let error = inaturalist(200, &[], body).await.lookup(&asked, Fields::Uuid).await.unwrap_err();
    assert!(matches!(error, InaturalistError::Truncated { total: 12, sent: 3 }), "{error:?}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn only_ids_that_were_asked_are_kept() {
    let lookup = inaturalist(200, &[], page(2, &[9, 2])).await.lookup(&[1, 2], Fields::Uuid).await.unwrap();
    assert_eq!((ids(&lookup), lookup.absent), (vec![2], vec![1]));
}

#[tokio::test]
async fn the_newest_of_the_whole_site_are_no_answer() {
    let error =
        inaturalist(200, &[], page(250_000_000, &[9, 8, 7])).await.lookup(&[1, 2], Fields::Uuid).await.unwrap_err();
    assert!(matches!(error, InaturalistError::Unfiltered { total: 250_000_000, asked: 2 }), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn an_address_is_optional() {
    let body = json!({"total_results": 1, "results": [{"id": 1, "uuid": "b7727a2a-c6e0-4b39-9721-49c7eab74d8d"}]});
    let lookup = inaturalist(200, &[], body.to_string()).await.lookup(&[1], Fields::Uuid).await.unwrap();
    assert_eq!(lookup.found[0].uri, None);
}

#[rstest]
#[case(429, &[("content-type", "text/html")], "<html>Too Many Requests</html>", true, Some(60))]
#[case(429, &[("retry-after", "90")], "", true, Some(90))]
#[case(429, &[("retry-after", "1")], "", true, Some(60))]
#[case(500, &[], r#"{"status":"500","errors":[{"errorCode":"500","message":"Elasticsearch error"}]}"#, true, None)]
#[case(503, &[("retry-after", "120")], "Down for maintenance", true, Some(120))]
#[case(502, &[("content-type", "text/html")], "<html>Bad gateway", true, None)]
#[case(422, &[], r#"{"status":"422","errors":[{"errorCode":"422","message":"invalid fields parameter"}]}"#, false, None)]
#[case(400, &[], "Bad Request", false, None)]
#[case(401, &[], r#"{"errors":[{"message":"Unauthorized"}]}"#, false, None)]
#[case(403, &[("content-type", "text/html")], "<html>Forbidden", false, None)]
#[case(404, &[], "Not Found", false, None)]
#[case(200, &[("content-type", "application/json")], r#"{"total_results":1,"results":[{"id":1,"#, true, None)]
#[case(200, &[("content-type", "text/html")], "<!DOCTYPE html>", true, None)]
#[case(200, &[], r#"{"total_results":1,"results":[{"id":"one","uuid":"x"}]}"#, false, None)]
#[tokio::test]
async fn every_failure_decides_for_itself(
    #[case] status: u16,
    #[case] headers: &[(&str, &str)],
    #[case] body: &str,
    #[case] is_transient: bool,
    #[case] wait_s: Option<u64>,
) {
    let error = inaturalist(status, headers, body).await.lookup(&[1], Fields::Uuid).await.unwrap_err();
    assert_eq!(error.is_transient(), is_transient, "{error:?}");
    assert_eq!(error.retry_after(), wait_s.map(Duration::from_secs), "{error:?}");
    assert_eq!(error.is_ours(), matches!(status, 400 | 422), "{error:?}");
    assert!(!error.never_arrived(), "{error:?}");
}

#[tokio::test]
async fn a_call_that_never_arrived_is_told_from_the_others() {
    let inaturalist_url = "http://127.0.0.1:1".parse().unwrap();
    let http = HttpClient::new(&HttpConfig::for_sandbox("passereau-test/1 (test@example.org)")).unwrap();
    let client = InaturalistClient::new(http, &InaturalistConfig { inaturalist_url }).unwrap();
    let error = client.lookup(&[1], Fields::Uuid).await.unwrap_err();
    assert!(error.never_arrived() && error.is_transient() && !error.is_ours(), "{error:?}");
}

#[tokio::test]
async fn recorded_failures_are_read() {
    for (name, status) in
        [("error_422_invalid_fields.constructed.json", 422), ("error_500_elasticsearch.constructed.json", 500)]
    {
        let Some(body) = recorded(name) else { return };
        let error = inaturalist(status, &[], body).await.lookup(&[1], Fields::Uuid).await.unwrap_err();
        assert_eq!(error.is_transient(), status == 500, "{error:?}");
    }
}
