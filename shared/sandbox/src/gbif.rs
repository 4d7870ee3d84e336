//! The stand-in for GBIF's download API and the part of its registry that a harvest uses.
//!
//! Behaviour follows gbif/occurrence `DownloadResource`, gbif/registry `OccurrenceDownloadResource` and recorded traffic of
//! rgbif and pygbif. One account exists, that of the configuration.

#![expect(clippy::result_large_err, reason = "the error of a handler is the answer that it sends")]

use std::sync::{Arc, PoisonError};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE, LAST_MODIFIED, LOCATION, USER_AGENT},
    },
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::{
    documents,
    downloads::{Download, DownloadStatus, Downloads, View},
    request::{self, Refused},
    sandbox::Shared,
    seeds::{ALL_DATASETS, NATIONAL, NATIONAL_PLATFORM_KEY},
};

type World = State<Arc<Shared>>;

const NOT_FOUND: &str = "Download was not found\n";

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/occurrence/download/request", post(create))
        .route("/v1/occurrence/download/request/{key}", delete(cancel).get(file))
        .route("/v1/occurrence/download/user/{user}", get(own_downloads))
        .route("/v1/occurrence/download/user/{user}/count", get(own_count))
        .route("/v1/occurrence/download/{key}", get(status))
        .route("/v1/occurrence/download/{key}/{part}", get(part))
        .route("/v1/dataset/{key}", get(dataset))
        .route("/v1/dataset/{key}/document", get(document))
        .route("/v1/organization/{key}", get(organization))
        .with_state(shared)
}

fn text(status: StatusCode, body: impl Into<String>) -> Response {
    (status, [(CONTENT_TYPE, "text/plain")], body.into()).into_response()
}

fn locked(shared: &Shared) -> std::sync::MutexGuard<'_, Downloads> {
    shared.downloads.lock().unwrap_or_else(PoisonError::into_inner)
}

fn view(shared: &Shared) -> View<'_> {
    View { clock: &shared.clock, now: shared.clock.elapsed(), pace: shared.config.pace, base_url: &shared.gbif_url }
}

/// The user named by Basic authentication: `Ok(None)` without the header, `Err` when it is wrong.
fn user(headers: &HeaderMap, shared: &Shared) -> Result<Option<String>, Response> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let decoded =
        value.to_str().ok().and_then(|value| BASE64_STANDARD.decode(value.strip_prefix("Basic ")?.trim()).ok());
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let (name, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
    if name == shared.config.user && password == shared.config.password {
        Ok(Some(name.to_owned()))
    } else {
        Err(text(StatusCode::UNAUTHORIZED, format!("Failed to authenticate user {name}\n")))
    }
}

fn required_user(headers: &HeaderMap, shared: &Shared) -> Result<String, Response> {
    user(headers, shared)?.ok_or_else(|| text(StatusCode::UNAUTHORIZED, "Full authentication is required\n"))
}

async fn create(State(shared): World, headers: HeaderMap, body: Bytes) -> Result<Response, Response> {
    let user = required_user(&headers, &shared)?;
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("").trim();
    if agent.is_empty() {
        return Err(text(StatusCode::BAD_REQUEST, "Required request header 'User-Agent' is not present\n"));
    }
    let asked = request::read(&body, &user).map_err(|refused| match refused {
        Refused::Invalid(why) => text(StatusCode::BAD_REQUEST, why),
        Refused::Creator(why) => text(StatusCode::UNAUTHORIZED, why),
        Refused::TooLarge(why) => text(StatusCode::PAYLOAD_TOO_LARGE, why),
    })?;
    let (pace, now) = (shared.config.pace, shared.clock.elapsed());
    let mut downloads = locked(&shared);
    let same = downloads.same(&asked, &user, pace, now).map(|download| download.key.clone());
    let key = match same {
        Some(key) => key,
        None if downloads.unfinished(&user, pace, now) >= shared.config.simultaneous_limit => {
            let limit = shared.config.simultaneous_limit;
            let status = StatusCode::from_u16(420).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
            return Err(text(
                status,
                format!(
                    "A download limitation is exceeded:\nUser {user} has too many simultaneous downloads; the limit is {limit}.\n\
                     Please wait for some to complete, or cancel any unwanted downloads.  See your user page.\n"
                ),
            ));
        }
        None => {
            let source = agent.split(['/', ' ']).next().unwrap_or(agent);
            downloads.add(asked, &user, source, now, &shared.archives)
        }
    };
    // Bare text under a JSON content type: so the real service answers.
    Ok((StatusCode::CREATED, [(CONTENT_TYPE, "application/json")], key).into_response())
}

async fn status(State(shared): World, Path(key): Path<String>, headers: HeaderMap) -> Result<Response, Response> {
    answer_status(&shared, &key, &headers)
}

fn answer_status(shared: &Shared, key: &str, headers: &HeaderMap) -> Result<Response, Response> {
    let user = user(headers, shared)?;
    let mut downloads = locked(shared);
    downloads.poll(key);
    let download = downloads.find(key).ok_or_else(|| text(StatusCode::NOT_FOUND, NOT_FOUND))?;
    let owner = user.as_deref() == Some(download.user.as_str());
    Ok(Json(download.document(&view(shared), &shared.archives[download.archive], owner)).into_response())
}

/// `/{key}/datasets`, `/{key}/citation`, or the two halves of a DOI.
async fn part(
    State(shared): World,
    Path((key, part)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Response> {
    if key == "10.15468" {
        return answer_status(&shared, &format!("{key}/{part}"), &headers);
    }
    let downloads = locked(&shared);
    let download = downloads.find(&key).ok_or_else(|| text(StatusCode::NOT_FOUND, NOT_FOUND))?;
    let archive = &shared.archives[download.archive];
    match part.as_str() {
        "datasets" => {
            let page = Page::read(query.as_deref());
            let rows: Vec<_> = archive
                .datasets
                .iter()
                .map(|(dataset, records)| {
                    json!({"downloadKey": key, "datasetKey": dataset, "numberRecords": records, "publishingCountryCode": "FR"})
                })
                .collect();
            Ok(Json(page.of(rows)).into_response())
        }
        "citation" if download.status(shared.config.pace, shared.clock.elapsed()) == DownloadStatus::Succeeded => {
            let date = shared.clock.date(download.created).format("%-d %B %Y");
            let doi = download.doi();
            Ok(text(StatusCode::OK, format!("GBIF.org ({date}) GBIF Occurrence Download https://doi.org/{doi}\n")))
        }
        _ => Err(text(StatusCode::NOT_FOUND, NOT_FOUND)),
    }
}

async fn cancel(State(shared): World, Path(key): Path<String>, headers: HeaderMap) -> Result<Response, Response> {
    let user = required_user(&headers, &shared)?;
    let mut downloads = locked(&shared);
    let download = downloads.find(&key).ok_or_else(|| text(StatusCode::NOT_FOUND, NOT_FOUND))?;
    if download.user != user {
        return Err(text(StatusCode::UNAUTHORIZED, format!("{user} not allowed to cancel {key}\n")));
    }
    if download.status(shared.config.pace, shared.clock.elapsed()).is_unfinished() {
        downloads.force(&key, DownloadStatus::Cancelled);
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The redirect to the file server, whose address also stands in the body.
async fn file(State(shared): World, Path(name): Path<String>) -> Result<Response, Response> {
    let key = name.strip_suffix(".zip").unwrap_or(&name);
    let downloads = locked(&shared);
    let download = downloads.find(key).ok_or_else(|| text(StatusCode::NOT_FOUND, NOT_FOUND))?;
    match download.status(shared.config.pace, shared.clock.elapsed()) {
        DownloadStatus::Succeeded => {}
        DownloadStatus::FileErased => {
            return Err(text(StatusCode::GONE, format!("Download {key} has been erased\n")));
        }
        _ => return Err(text(StatusCode::NOT_FOUND, format!("Download {key} is not ready yet\n"))),
    }
    let address = format!("{}/occurrence/download/request/{}.zip", shared.files_url, download.key);
    // The real service's Last-Modified on the redirect is no HTTP date either.
    let stamp = shared.clock.stamp(download.created);
    Ok((StatusCode::FOUND, [(LOCATION, address.clone()), (LAST_MODIFIED, stamp)], address).into_response())
}

/// The paging of GBIF's registry.
struct Page {
    offset: usize,
    limit: usize,
    statuses: Vec<String>,
    from: Option<DateTime<Utc>>,
}

impl Page {
    fn read(query: Option<&str>) -> Self {
        let mut page = Self { offset: 0, limit: 20, statuses: Vec::new(), from: None };
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or("").as_bytes()) {
            match name.as_ref() {
                "offset" => page.offset = value.parse().unwrap_or(0),
                "limit" => page.limit = value.parse().unwrap_or(20).min(1000),
                "status" => page.statuses.extend(value.split(',').map(str::to_uppercase)),
                "from" => page.from = moment(&value),
                _ => {}
            }
        }
        page
    }

    fn of(&self, rows: Vec<serde_json::Value>) -> serde_json::Value {
        let count = rows.len();
        let results: Vec<_> = rows.into_iter().skip(self.offset).take(self.limit).collect();
        json!({
            "offset": self.offset,
            "limit": self.limit,
            "endOfRecords": self.offset + results.len() >= count,
            "count": count,
            "results": results,
        })
    }

    fn wants(&self, download: &Download, shared: &Shared) -> bool {
        let status = serde_json::to_value(download.status(shared.config.pace, shared.clock.elapsed()));
        let status = status.ok().and_then(|status| status.as_str().map(str::to_owned)).unwrap_or_default();
        (self.statuses.is_empty() || self.statuses.contains(&status))
            && self.from.is_none_or(|from| shared.clock.date(download.created) >= from)
    }
}

fn moment(text: &str) -> Option<DateTime<Utc>> {
    let whole = DateTime::parse_from_rfc3339(text).map(|moment| moment.to_utc());
    let day = || text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0).map(|day| day.and_utc());
    whole.ok().or_else(day)
}

fn listed(shared: &Shared, headers: &HeaderMap, wanted: &str, page: &Page) -> Result<Vec<serde_json::Value>, Response> {
    let user = required_user(headers, shared)?;
    if user != wanted {
        return Err(text(StatusCode::UNAUTHORIZED, format!("{user} not allowed to list the downloads of {wanted}\n")));
    }
    let downloads = locked(shared);
    let view = view(shared);
    let newest_first = downloads.all().iter().rev().filter(|download| page.wants(download, shared));
    Ok(newest_first.map(|download| download.document(&view, &shared.archives[download.archive], true)).collect())
}

async fn own_downloads(
    State(shared): World,
    Path(wanted): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let page = Page::read(query.as_deref());
    Ok(Json(page.of(listed(&shared, &headers, &wanted, &page)?)).into_response())
}

async fn own_count(
    State(shared): World,
    Path(wanted): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let page = Page::read(query.as_deref());
    Ok(Json(listed(&shared, &headers, &wanted, &page)?.len()).into_response())
}

fn eml(shared: &Shared, key: &str) -> Option<String> {
    let hosted = shared.archives.iter().find(|archive| archive.documents.iter().any(|known| known == key));
    hosted
        .and_then(|archive| archive.document(key))
        .or_else(|| ALL_DATASETS.iter().find(|dataset| dataset.key == key).map(documents::dataset_xml))
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inside, _)| inside.trim())
}

async fn dataset(State(shared): World, Path(key): Path<String>) -> Result<Response, Response> {
    if Uuid::parse_str(&key).is_err() {
        return Err(text(StatusCode::BAD_REQUEST, format!("Invalid UUID string: {key}\n")));
    }
    let eml = eml(&shared, &key).ok_or_else(|| text(StatusCode::NOT_FOUND, "Dataset was not found\n"))?;
    Ok(Json(json!({
        "key": key,
        "publishingOrganizationKey": publisher(&eml).map(publisher_key),
        "doi": between(&eml, "<alternateIdentifier>", "</alternateIdentifier>"),
        "type": "OCCURRENCE",
        "title": between(&eml, "<title>", "</title>"),
        "language": "eng",
        "license": between(&eml, "<ulink url=\"", "\""),
        "citation": {"text": between(&eml, "<citation>", "</citation>"), "citationProvidedBySource": false},
        "created": "2012-08-22T08:37:38.000+00:00",
        "modified": "2026-08-10T20:06:31.000+00:00",
    }))
    .into_response())
}

async fn document(State(shared): World, Path(key): Path<String>) -> Result<Response, Response> {
    let eml = eml(&shared, &key).ok_or_else(|| text(StatusCode::NOT_FOUND, "Dataset was not found\n"))?;
    Ok(([(CONTENT_TYPE, "application/xml")], eml).into_response())
}

/// The first organisation that a document names publishes its dataset: so it is in the invented ones.
fn publisher(eml: &str) -> Option<&str> {
    between(eml, "<organizationName>", "</organizationName>")
}

/// The key of a publisher, the same in every run. iNaturalist's is its own.
pub fn publisher_key(name: &str) -> Uuid {
    const INATURALIST: Uuid = Uuid::from_u128(0x28eb_1a3f_1c15_4a95_931a_4af9_0ecb_574d);
    if name == NATIONAL.publisher {
        return Uuid::try_parse(NATIONAL_PLATFORM_KEY).unwrap_or_default();
    }
    if name.contains("iNaturalist") { INATURALIST } else { Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()) }
}

async fn organization(State(shared): World, Path(key): Path<String>) -> Result<Response, Response> {
    let seeds = ALL_DATASETS.iter().map(|dataset| dataset.key);
    let hosted = shared.archives.iter().flat_map(|archive| archive.documents.iter().map(String::as_str));
    let title = seeds
        .chain(hosted)
        .filter_map(|dataset| eml(&shared, dataset))
        .find_map(|eml| publisher(&eml).filter(|name| publisher_key(name).to_string() == key).map(str::to_owned));
    let title = title.ok_or_else(|| text(StatusCode::NOT_FOUND, "Organization was not found\n"))?;
    Ok(Json(json!({"key": key, "title": title, "language": "fra"})).into_response())
}
