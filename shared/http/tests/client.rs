//! The client against a server of canned bytes: what is sent, and what each trouble of a network becomes.
#![allow(clippy::unwrap_used, reason = "tests")]

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use passereau_http::{Call, HttpClient, HttpConfig, HttpError, Url, Validator, chain};
use rstest::rstest;
use secrecy::SecretString;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What the server does after it has sent its bytes.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Close,
    StandStill,
}

/// A server that answers the first call with the first of these texts, and so on; gives what it was sent.
async fn serve(answers: Vec<(String, Then)>) -> (Url, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}/v1", listener.local_addr().unwrap())).unwrap();
    let (sent, received) = mpsc::channel(16);
    tokio::spawn(async move {
        let mut open = Vec::new();
        for (answer, then) in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _closed = sent.send(read_request(&mut socket).await).await;
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.flush().await.unwrap();
            if then == Then::StandStill {
                open.push(socket);
            }
        }
        std::future::pending::<()>().await;
        drop(open);
    });
    (base, received)
}

async fn read_request(socket: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.windows(4).any(|end| end == b"\r\n\r\n") {
        if socket.read_buf(&mut text).await.unwrap() == 0 {
            break;
        }
    }
    String::from_utf8(text).unwrap().to_ascii_lowercase()
}

fn answer(status: &str, headers: &str, body: &str) -> (String, Then) {
    let length = body.len();
    (format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"), Then::Close)
}

fn client() -> HttpClient {
    built(&config())
}

/// For a server that falls silent: what it waits for never comes, so it need not wait long. Within the first time the head of a
/// stream must have come, on a loaded machine too.
fn impatient_client() -> HttpClient {
    built(&HttpConfig {
        http_stall_timeout: Duration::from_secs(3),
        http_total_timeout: Duration::from_millis(300),
        ..config()
    })
}

fn config() -> HttpConfig {
    HttpConfig::for_sandbox("passereau-test/1 (test@example.org)")
}

fn built(config: &HttpConfig) -> HttpClient {
    HttpClient::with_clock(config, || "2026-11-06T08:00:00Z".parse::<DateTime<Utc>>().unwrap()).unwrap()
}

#[test]
fn nothing_is_built_without_a_contact() {
    let refused = HttpClient::new(&HttpConfig::for_sandbox("passereau/0.1")).unwrap_err();
    assert!(refused.to_string().contains("no contact in the User-Agent"), "{refused}");
    assert!(!refused.is_transient());
}

#[tokio::test]
async fn a_call_says_who_asks_and_reads_json() {
    let (base, mut received) = serve(vec![answer("200 OK", "content-type: application/json\r\n", r#"{"a":1}"#)]).await;
    let call = Call::get(base).basic("gbif_user", &SecretString::from("hunter2"));
    assert!(!format!("{call:?}").contains("hunter2"));
    let value: serde_json::Value = client().send(call).await.unwrap().json().unwrap();
    assert_eq!(value["a"], 1);
    let request = received.recv().await.unwrap();
    assert!(request.contains("user-agent: passereau-test/1 (test@example.org)"), "{request}");
    assert!(request.contains("authorization: basic "), "{request}");
}

#[tokio::test]
async fn both_forms_of_retry_after_arrive() {
    let (base, _received) = serve(vec![
        answer("429 Too Many Requests", "retry-after: 77\r\n", "slow down"),
        answer("503 Service Unavailable", "retry-after: Fri, 06 Nov 2026 08:01:00 GMT\r\n", "maintenance"),
    ])
    .await;
    for expected in [77, 60] {
        let error = client().send(Call::get(base.clone())).await.unwrap().as_error();
        assert!(error.is_transient());
        assert_eq!(error.retry_after(), Some(Duration::from_secs(expected)));
    }
}

#[rstest]
#[case(
    "content-type: text/html\r\n",
    "<html><body>Maintenance</body></html>",
    "an HTML page instead of JSON: <html><body>Maintenance",
    true
)]
#[case("", "{\"results\":[{\"id\"", "is cut after 17 bytes", true)]
#[case("", "0012150-260108223611665 is a key", "is not the expected JSON: 0012150-260108223611665 is a key", false)]
#[tokio::test]
async fn what_is_no_json_is_named(
    #[case] headers: &str,
    #[case] body: &str,
    #[case] message: &str,
    #[case] is_transient: bool,
) {
    let (base, _received) = serve(vec![answer("200 OK", headers, body)]).await;
    let answer = client().send(Call::get(base)).await.unwrap();
    let error = answer.json::<serde_json::Value>().unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
    assert_eq!(error.is_transient(), is_transient, "{error:?}");
}

#[tokio::test]
async fn an_answer_has_a_cap() {
    let (base, _received) = serve(vec![answer("200 OK", "", &"x".repeat(2000))]).await;
    let error = client().send(Call::get(base).limit_bytes(1999)).await.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge { limit_bytes: 1999, .. }), "{error:?}");
}

#[tokio::test]
async fn a_refused_port_a_cut_answer_and_silence_are_told_apart() {
    // Of a privileged port nobody else of this machine is given: one that was free a moment ago may be another test's by now.
    let nobody = Url::parse("http://127.0.0.1:1/").unwrap();
    let error = client().send(Call::get(nobody)).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect { .. }) && !error.outcome_is_unknown(), "{error:?}");

    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegin".to_owned();
    let (base, _received) = serve(vec![(cut.clone(), Then::Close), (cut, Then::StandStill)]).await;
    let error = client().send(Call::get(base.clone())).await.unwrap_err();
    assert!(matches!(error, HttpError::Broken { received_bytes: 5, .. }) && error.outcome_is_unknown(), "{error:?}");
    let error = impatient_client().send(Call::get(base)).await.unwrap_err();
    assert!(matches!(error, HttpError::Timeout { .. }) && error.outcome_is_unknown(), "{error:?}");
}

#[tokio::test]
async fn a_stream_that_stands_still_has_stalled() {
    let begin = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\netag: \"a1\"\r\n\r\nbegin".to_owned();
    let (base, _received) = serve(vec![(begin, Then::StandStill)]).await;
    let streamed = impatient_client().stream(Call::get(base)).await.unwrap();
    assert_eq!((streamed.content_length(), streamed.validator()), (Some(100), Some(Validator("\"a1\"".to_owned()))));
    let error = streamed.into_stream().try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(error, HttpError::Stalled { received_bytes: 5, .. }), "{error:?}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_redirect_is_an_answer_unless_followed() {
    let (elsewhere, mut at_file_server) =
        serve(vec![answer("206 Partial Content", "content-range: bytes 2-4/5\r\n", "llo")]).await;
    let away = answer("302 Found", &format!("location: http://{}/x.zip\r\n", elsewhere.authority()), "elsewhere");
    let (base, mut at_api) = serve(vec![away.clone(), away]).await;

    assert_eq!(client().send(Call::get(base.clone())).await.unwrap().status, 302);
    let call = Call::get(base)
        .basic("gbif_user", &SecretString::from("hunter2"))
        .range(2, None)
        .if_range(&Validator("\"a1\"".to_owned()));
    let streamed = client().follow(call).await.unwrap();
    assert_eq!((streamed.status(), streamed.content_range()), (206, Some((2, 4, Some(5)))));
    assert_eq!(streamed.url().path(), "/x.zip");
    assert_eq!(streamed.into_stream().try_collect::<Vec<_>>().await.unwrap().concat(), b"llo");

    at_api.recv().await.unwrap();
    assert!(at_api.recv().await.unwrap().contains("authorization"));
    let request = at_file_server.recv().await.unwrap();
    assert!(!request.contains("authorization"), "{request}");
    assert!(request.contains("range: bytes=2-") && request.contains("if-range: \"a1\""), "{request}");
    assert!(request.contains("accept-encoding: identity"), "{request}");
}

#[tokio::test]
async fn a_second_redirect_and_a_strange_one_are_refused() {
    let round = answer("302 Found", "location: /again\r\n", "");
    let (base, _received) =
        serve(vec![round.clone(), round, answer("302 Found", "location: file:///etc/passwd\r\n", "")]).await;
    for reason in ["a second redirect in a row", "its Location is no web address"] {
        let error = client().follow(Call::get(base.clone())).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_shows_what_it_was_sent_is_quoted_without_it() {
    // base64 of gbif_user:hunter2
    let echo = "authorization: Basic Z2JpZl91c2VyOmh1bnRlcjI= (hunter2)";
    let (base, _received) = serve(vec![answer("502 Bad Gateway", "", echo)]).await;
    let call = Call::get(base).basic("gbif_user", &SecretString::from("hunter2"));
    assert_eq!(client().send(call).await.unwrap().excerpt(), "authorization: Basic … (…)");

    // A page that looks like a success, a redirect, JSON of another shape: whatever the status, and as the page escapes it.
    let page = r#"<html>Basic Z2JpZl91c2VyOmh1bnQvZXIm, hunt/er&amp; hunt%2Fer%26</html>"#;
    let json = r#"{"status": "hunt\/er&", "headers": "Basic Z2JpZl91c2VyOmh1bnQvZXIm"}"#;
    let (base, _received) = serve(vec![
        answer("200 OK", "content-type: text/html\r\n", page),
        answer("302 Found", "location: /\r\n", page),
        answer("200 OK", "content-type: application/json\r\n", json),
        answer("502 Bad Gateway", "", page),
    ])
    .await;
    let call = || Call::get(base.clone()).basic("gbif_user", &SecretString::from("hunt/er&"));
    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code, reason = "only its refusal is looked at")]
    struct Status {
        status: u8,
    }
    for _ in 0..3 {
        let answer = client().send(call()).await.unwrap();
        let refused = answer.json::<Status>().unwrap_err();
        for shown in [answer.excerpt(), format!("{answer:?}"), chain(&answer.as_error()), chain(&refused)] {
            assert!(shown.contains('…') && !shown.contains("hunt") && !shown.contains("Z2Jp"), "{shown}");
        }
    }
    let error = client().stream(call()).await.unwrap().into_error().await;
    assert!(error.to_string().contains("<html>Basic …, … …</html>"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_followed_only_to_whom_may_be_called() {
    // Whatever a server that is called says: no call is made, and what it said is not shown as a whole.
    for (location, reason) in [
        ("http://169.254.169.254/latest/meta-data/", "not among those of PASSEREAU_HTTP_HOSTS"),
        ("http://10.0.0.1/", "not among"),
        ("http://[::1]:15672/api/users", "not among"),
        ("http://[::ffff:127.0.0.1]/", "not among"),
        ("http://2130706434/", "not among"),
        ("http://127.0.0.2/", "not among"),
        ("http://example.org/x.zip", "not among"),
        ("//example.org/x.zip", "not among"),
        ("http://u:opensesame@127.0.0.1/x.zip", "user and password"),
        ("http://opensesame@127.0.0.1/x.zip", "user and password"),
        ("file:///etc/passwd", "no web address"),
        ("ftp://127.0.0.1/x.zip", "no web address"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "no web address"),
        ("data:text/plain,x", "no web address"),
        ("http://", "no address"),
    ] {
        let (base, _received) = serve(vec![answer("302 Found", &format!("location: {location}\r\n"), "")]).await;
        let error = client().follow(Call::get(base)).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{location}: {error}");
        assert!(!error.is_transient() && !format!("{error:?}").contains("opensesame"), "{location}: {error:?}");
    }
}

#[tokio::test]
async fn by_default_nobody_on_this_machine_is_called() {
    let (base, _received) = serve(vec![answer("200 OK", "", "inside")]).await;
    let config = HttpConfig::new("passereau-test/1 (test@example.org)");
    let error = HttpClient::new(&config).unwrap().send(Call::get(base.clone())).await.unwrap_err();
    assert!(error.to_string().contains("not among"), "{error}");
    // On the list, and still inside.
    let listed = HttpConfig { http_hosts: "http://127.0.0.1:*,http://localhost:*".parse().unwrap(), ..config };
    let client = HttpClient::new(&listed).unwrap();
    let error = client.send(Call::get(base.clone())).await.unwrap_err();
    assert!(error.to_string().contains("PASSEREAU_HTTP_PRIVATE_NETWORKS"), "{error}");
    // The same behind a name: what it leads to decides.
    let by_name = Url::parse(&format!("http://localhost:{}/v1", base.port().unwrap())).unwrap();
    let error = client.send(Call::get(by_name.clone())).await.unwrap_err();
    assert!(matches!(error, HttpError::Inside { .. }), "{error:?}");
    assert!(error.to_string().contains("PASSEREAU_HTTP_PRIVATE_NETWORKS"), "{error}");
    let networks = "127.0.0.0/8,::1".parse().unwrap();
    let allowed = HttpClient::new(&HttpConfig { http_private_networks: networks, ..listed }).unwrap();
    assert_eq!(allowed.send(Call::get(by_name)).await.unwrap().status, 200);
}

#[tokio::test]
async fn an_address_with_a_password_is_refused_without_showing_it() {
    let error = client().send(Call::get("http://u:hunter2@127.0.0.1:1/".parse().unwrap())).await.unwrap_err();
    assert!(matches!(error, HttpError::BadUrl { .. }));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
