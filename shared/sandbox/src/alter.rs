//! True calls and answers, altered: what a script does to a call before it is handled, or to the answer afterwards.
//!
//! What cannot be altered (no JSON, no such place, no such byte) stays as it is: a script is a test's, and the test sees from its
//! outcome that nothing went wrong.

use axum::{
    body::{Body, to_bytes},
    http::{HeaderName, HeaderValue, Response, header::CONTENT_LENGTH, request::Parts},
};
use serde_json::Value;
use url::form_urlencoded;

use crate::transport::BODY_LIMIT;

/// The call without this header, and without this parameter of its query.
pub(crate) fn deafened(mut parts: Parts, to: &str) -> Parts {
    if let Ok(name) = HeaderName::try_from(to) {
        parts.headers.remove(name);
    }
    let query = parts.uri.query().unwrap_or_default();
    let left = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != to);
    let left = form_urlencoded::Serializer::new(String::new()).extend_pairs(left).finish();
    if let Ok(uri) = format!("{}?{left}", parts.uri.path()).parse() {
        parts.uri = uri;
    }
    parts
}

/// The answer with this header instead of its own.
pub(crate) fn headed(mut response: Response<Body>, name: &str, value: &str) -> Response<Body> {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// The answer with one byte inverted.
pub(crate) async fn garbled(response: Response<Body>, at_byte: u64) -> Response<Body> {
    with_body(response, |mut body| {
        if let Some(byte) = usize::try_from(at_byte).ok().and_then(|at| body.get_mut(at)) {
            *byte = !*byte;
        }
        body
    })
    .await
}

/// The answer with its JSON changed.
pub(crate) async fn json(response: Response<Body>, change: impl FnOnce(&mut Value)) -> Response<Body> {
    with_body(response, |body| match serde_json::from_slice(&body) {
        Ok(mut answer) => {
            change(&mut answer);
            answer.to_string().into_bytes()
        }
        Err(_) => body,
    })
    .await
}

/// Puts a value at a place, which may be a member that is not there yet.
pub(crate) fn say(answer: &mut Value, pointer: &str, value: Value) {
    let Some((parent, name)) = pointer.rsplit_once('/') else {
        *answer = value;
        return;
    };
    match answer.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            members.insert(name.to_owned(), value);
        }
        Some(Value::Array(items)) => {
            if let Some(item) = name.parse().ok().and_then(|index: usize| items.get_mut(index)) {
                *item = value;
            }
        }
        _ => {}
    }
}

/// Turns a list around.
pub(crate) fn reverse(answer: &mut Value, pointer: &str) {
    if let Some(Value::Array(items)) = answer.pointer_mut(pointer) {
        items.reverse();
    }
}

async fn with_body(response: Response<Body>, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    // The sandbox's own bodies are far below the limit, and are read from memory or a file that is open.
    let body = to_bytes(body, BODY_LIMIT).await.map(Vec::from).unwrap_or_default();
    let body = change(body);
    parts.headers.insert(CONTENT_LENGTH, body.len().into());
    Response::from_parts(parts, Body::from(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_put_where_the_pointer_leads() {
        let mut answer = json!({"status": "RUNNING", "results": [{"id": 1}, {"id": 2}]});
        say(&mut answer, "/status", json!("KILLED"));
        say(&mut answer, "/news", json!(true));
        say(&mut answer, "/results/1/id", json!(7));
        say(&mut answer, "/nowhere/at/all", json!(0));
        reverse(&mut answer, "/results");
        reverse(&mut answer, "/status");
        assert_eq!(answer, json!({"status": "KILLED", "news": true, "results": [{"id": 7}, {"id": 1}]}));
    }
}
