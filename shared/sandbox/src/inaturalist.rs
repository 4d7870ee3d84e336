//! The stand-in for iNaturalist's API v2, `/v2/observations` (inaturalist/iNaturalistAPI `lib/controllers/v2`, `openapi/`).
//!
//! Every observation id from 1 to [`NEWEST_ID`] exists, except those that [`exists`] rules out and those a test has hidden.
//! The traps are the real ones: 30 results unless `per_page` says otherwise, an empty `id` is no filter, order by creation
//! descending, unknown ids silently absent, and a throttle that answers HTML without `Retry-After`.
//!
//! Assumptions where no public source says more: a non-numeric `id` ends as the search engine's error 500; paging past
//! 10,000 results ends as 422.

#![expect(clippy::result_large_err, reason = "the error of a handler is the answer that it sends")]

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::{
        HeaderMap, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, SERVER},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{dice::mix, sandbox::Shared};

/// The newest observation of the stand-in site.
pub const NEWEST_ID: i64 = 345_000_000;

/// Page times size at most.
const WINDOW: i64 = 10_000;

/// The name of the account of observation `id`'s observer.
pub fn inaturalist_login(id: i64) -> String {
    format!("observer_{}", id % 7)
}

/// The UUID of observation `id`: shaped like version 4, always the same for one id.
pub fn inaturalist_uuid(id: i64) -> Uuid {
    let bits = mix(id.cast_unsigned() ^ 0x6E61_7475_7265);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&bits.to_be_bytes());
    bytes[8..].copy_from_slice(&mix(bits).to_be_bytes());
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// Whether the stand-in site has observation `id`: one in 997 was deleted.
pub const fn exists(id: i64) -> bool {
    id >= 1 && id <= NEWEST_ID && id % 997 != 0
}

/// A throttle: so many calls at once, refilled at that number a second. A client paced evenly below it is never refused.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: f64,
    tokens: f64,
    filled: Duration,
}

impl Bucket {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: f64::from(per_second), tokens: f64::from(per_second), filled: Duration::ZERO }
    }

    fn take(&mut self, now: Duration) -> bool {
        let gained = now.saturating_sub(self.filled).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + gained).min(self.per_second);
        self.filled = now;
        let allowed = self.tokens >= 1.0;
        if allowed {
            self.tokens -= 1.0;
        }
        allowed
    }
}

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v2/observations", get(search).post(search_by_post))
        .route("/v2/observations/{uuid}", get(by_uuid))
        .with_state(shared)
}

/// The search's parameters that the stand-in understands; others are ignored, as the real validator does.
#[derive(Debug, Default)]
struct Search {
    id: Vec<String>,
    fields: Option<String>,
    per_page: Option<String>,
    page: Option<String>,
    order: Option<String>,
    ttl: Option<String>,
}

/// 422 of the validator: the status is a number.
fn invalid(path: &str, message: &str) -> Response {
    let body = json!({"status": 422, "errors": [{"path": path, "message": message, "errorCode": "type.openapi.requestValidation", "location": "query"}]});
    (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
}

/// Errors raised later: the status is a string.
fn failed(status: StatusCode, message: &str) -> Response {
    let code = status.as_u16().to_string();
    (status, Json(json!({"status": code, "errors": [{"errorCode": code, "message": message}]}))).into_response()
}

/// What the cache in front of the API sends: HTML, no `Retry-After`.
fn throttled() -> Response {
    let page = "<html>\r\n<head><title>429 Too Many Requests</title></head>\r\n<body>\r\n<center><h1>429 Too Many Requests</h1></center>\r\n\
                <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";
    (StatusCode::TOO_MANY_REQUESTS, [(CONTENT_TYPE, "text/html"), (SERVER, "nginx")], page).into_response()
}

fn pass_throttle(shared: &Shared) -> Result<(), Response> {
    let mut bucket = shared.bucket.lock().unwrap_or_else(PoisonError::into_inner);
    let allowed = bucket.as_mut().is_none_or(|bucket| bucket.take(shared.clock.elapsed()));
    if allowed { Ok(()) } else { Err(throttled()) }
}

async fn search(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Result<Response, Response> {
    pass_throttle(&shared)?;
    let mut search = Search::default();
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        search.set(&name, value.into_owned());
    }
    search.answer(&shared)
}

/// A search in the body of a POST; without the override header it would create an observation.
async fn search_by_post(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Result<Response, Response> {
    pass_throttle(&shared)?;
    let overridden = headers.get("x-http-method-override").and_then(|value| value.to_str().ok());
    if overridden != Some("GET") {
        return Err(failed(StatusCode::UNAUTHORIZED, "Unauthorized"));
    }
    let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(&body) else {
        return Err(invalid("body", "must be object"));
    };
    let mut search = Search::default();
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        search.set(&name, value.into_owned());
    }
    for (name, value) in body {
        let text = match value {
            Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
            other => plain(&other),
        };
        search.set(&name, text);
    }
    search.answer(&shared)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Search {
    fn set(&mut self, name: &str, value: String) {
        match name {
            "id" | "id[]" => self.id.extend(value.split(',').map(|id| id.trim().to_owned())),
            "fields" => self.fields = Some(value),
            "per_page" => self.per_page = Some(value),
            "page" => self.page = Some(value),
            "order" => self.order = Some(value),
            "ttl" => self.ttl = Some(value),
            _ => {}
        }
    }

    fn answer(&self, shared: &Shared) -> Result<Response, Response> {
        let integer = |path: &str, value: &Option<String>, default: i64| match value {
            None => Ok(default),
            Some(text) => text.parse::<i64>().map_err(|_| invalid(path, "must be integer")),
        };
        let per_page = match integer("/query/per_page", &self.per_page, 30)? {
            negative if negative < 0 => 30,
            size => size.min(200),
        };
        let page = integer("/query/page", &self.page, 1)?.max(1);
        let ttl = integer("/query/ttl", &self.ttl, 300)?;
        let ascending = match self.order.as_deref() {
            None | Some("desc") => false,
            Some("asc") => true,
            Some(_) => return Err(invalid("/query/order", "must be equal to one of the allowed values: asc, desc")),
        };
        if page.saturating_mul(per_page) > WINDOW {
            return Err(failed(
                StatusCode::UNPROCESSABLE_ENTITY,
                "Result window is too large, page * per_page must be less than or equal to 10000. Use id_above or id_below.",
            ));
        }
        let (total, ids) = self.matches(shared, (page - 1) * per_page, per_page, ascending)?;
        let fields = self.fields().filter(|_| !ids.is_empty()).transpose()?;
        let results: Vec<Value> = ids.into_iter().map(|id| observation(id, fields.as_ref())).collect();
        let cache = if ttl < 0 { "no-store".to_owned() } else { format!("public, max-age={ttl}") };
        let body = json!({"total_results": total, "page": page, "per_page": per_page, "results": results});
        Ok(([(CACHE_CONTROL, cache)], Json(body)).into_response())
    }

    /// Number of matches and the ids of the page.
    fn matches(&self, shared: &Shared, skip: i64, take: i64, ascending: bool) -> Result<(usize, Vec<i64>), Response> {
        let hidden = shared.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = |id: &i64| exists(*id) && !hidden.contains(id);
        let (skip, take) = (usize::try_from(skip).unwrap_or(0), usize::try_from(take).unwrap_or(0));
        let asked: Vec<&String> = self.id.iter().filter(|id| !id.is_empty()).collect();
        if asked.is_empty() || asked.iter().any(|id| *id == "any") {
            // No filter at all: the newest of the whole site.
            let all = usize::try_from(NEWEST_ID - NEWEST_ID / 997).unwrap_or(0);
            let page = if ascending {
                (1..=NEWEST_ID).filter(is_there).skip(skip).take(take).collect()
            } else {
                (1..=NEWEST_ID).rev().filter(is_there).skip(skip).take(take).collect()
            };
            return Ok((all, page));
        }
        let numbers: Result<BTreeSet<i64>, _> = asked.iter().map(|id| id.parse::<i64>()).collect();
        let Ok(numbers) = numbers else {
            return Err(failed(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Elasticsearch error, if this persists please contact the iNaturalist development team.",
            ));
        };
        let mut found: Vec<i64> = numbers.into_iter().filter(is_there).collect();
        if !ascending {
            found.reverse();
        }
        Ok((found.len(), found.into_iter().skip(skip).take(take).collect()))
    }

    /// The fields asked for in any of the three notations; `None` when the parameter is absent.
    fn fields(&self) -> Option<Result<HashSet<String>, Response>> {
        let text = self.fields.as_deref()?;
        let bad = || failed(StatusCode::UNPROCESSABLE_ENTITY, "invalid fields parameter");
        if let Some(rison) = text.strip_prefix('(') {
            let inside = rison.strip_suffix(')');
            return Some(inside.map(top_level_names).ok_or_else(bad));
        }
        if text.starts_with('{') {
            let object = serde_json::from_str::<Map<String, Value>>(text);
            return Some(object.map(|object| object.into_iter().map(|(name, _)| name).collect()).map_err(|_| bad()));
        }
        let well_formed = text.split(',').all(|name| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'.')
        });
        Some(if well_formed { Ok(text.split(',').map(str::to_owned).collect()) } else { Err(bad()) })
    }
}

/// Names before a colon outside nested parentheses: `id:!t,user:(login:!t)` has `id` and `user`.
fn top_level_names(rison: &str) -> HashSet<String> {
    let mut depth = 0_i32;
    let mut names = HashSet::new();
    let mut start = 0;
    for (position, symbol) in rison.char_indices() {
        match symbol {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => start = position + 1,
            ':' if depth == 0 => {
                names.insert(rison[start..position].to_owned());
            }
            _ => {}
        }
    }
    names
}

/// One result; `uuid` is always there.
fn observation(id: i64, fields: Option<&HashSet<String>>) -> Value {
    let wants = |name: &str| fields.is_some_and(|fields| fields.contains(name) || fields.contains("all"));
    let mut result = json!({"uuid": inaturalist_uuid(id)});
    if wants("id") {
        result["id"] = id.into();
    }
    if wants("uri") {
        result["uri"] = format!("https://www.inaturalist.org/observations/{id}").into();
    }
    if wants("user.login") {
        result["user"] = json!({"login": inaturalist_login(id)});
    }
    if wants("quality_grade") {
        result["quality_grade"] = "research".into();
    }
    result
}

/// The path form takes UUIDs only. The stand-in cannot tell the id from the UUID, so it finds none.
async fn by_uuid(State(shared): State<Arc<Shared>>, Path(uuid): Path<String>) -> Result<Response, Response> {
    pass_throttle(&shared)?;
    if Uuid::parse_str(&uuid).is_err() {
        return Err(invalid("/params/uuid", "must match format \"uuid\""));
    }
    Err(failed(StatusCode::NOT_FOUND, "Not Found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_look_like_version_4_and_stay() {
        let uuid = inaturalist_uuid(339_412_090);
        assert_eq!(uuid.get_version_num(), 4);
        assert_eq!(uuid, inaturalist_uuid(339_412_090));
        assert_ne!(uuid, inaturalist_uuid(339_412_091));
    }

    #[test]
    fn rison_names() {
        let names = top_level_names("id:!t,user:(login:!t,id:!t),uri:!t");
        assert_eq!(names, ["id", "user", "uri"].into_iter().map(str::to_owned).collect());
    }

    #[test]
    fn an_even_pace_is_never_refused() {
        let mut bucket = Bucket::new(50);
        assert!((0..500_u64).all(|call| bucket.take(Duration::from_millis(call * 20))));
        let burst = (0..60).filter(|_| bucket.take(Duration::from_secs(60))).count();
        assert_eq!(burst, 50);
    }
}
