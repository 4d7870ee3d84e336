//! Downloads in work: revoked, replaced, slow, too many, and asked to end.

use std::time::Duration;

use chrono::Utc;
use passereau_flow::token;
use passereau_testing::wait_until;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::support::{Answer, Bench, V1, V2, bearer, head, parse};

/// More than the buffers of both sides of a connection hold.
const LARGE: usize = 24 << 20;
const SOON: Duration = Duration::from_secs(60);

fn large(byte: u8) -> Vec<u8> {
    vec![byte; LARGE]
}

async fn bench(arguments: &[&str]) -> (Bench, String) {
    with_delivery(Bench::start(arguments).await).await
}

async fn with_delivery(bench: Bench) -> (Bench, String) {
    let token = bench.flow("atlas").await;
    bench.deliver("atlas", V1, &[("csv", &large(b'1'))]).await;
    (bench, token)
}

/// A download that has begun, and of which little is read.
async fn begun(bench: &Bench, token: &str) -> (TcpStream, Vec<u8>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let mut stream = socket.connect(bench.address).await.unwrap();
    let request = head("GET", "/flows/atlas/latest.csv", &[("Authorization", &bearer(token))]);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = vec![0; 1024];
    stream.read_exact(&mut bytes).await.unwrap();
    (stream, bytes)
}

async fn rest((mut stream, mut bytes): (TcpStream, Vec<u8>)) -> Answer {
    let _ended = stream.read_to_end(&mut bytes).await;
    parse(&bytes)
}

fn metric(bench: &Bench, line: &str) -> Option<String> {
    let text = bench.metrics.render().unwrap();
    text.lines().find_map(|found| found.strip_prefix(line).map(|value| value.trim().to_owned()))
}

async fn metric_is(bench: &Bench, name: &str, value: &str) {
    let what = format!("{name} {value}");
    wait_until(&what, SOON, async || metric(bench, &format!("{name} ")).filter(|found| found == value)).await;
}

/// A token is asked for at the beginning: what was begun under it ends, what begins after it does not.
#[tokio::test]
async fn a_token_that_is_revoked_ends_the_next_request_not_this_one() {
    let (bench, _) = bench(&[]).await;
    let (token, id) = bench.token("atlas").await;
    let download = begun(&bench, &token).await;
    token::revoke(bench.pool(), id, Utc::now()).await.unwrap();
    assert_eq!(bench.fetch(&token, "/flows/atlas/latest.csv", &[("Range", "bytes=10-")]).await.status, 401);
    let answer = rest(download).await;
    assert_eq!((answer.status, answer.body.len()), (200, LARGE));
}

#[tokio::test]
async fn a_version_published_meanwhile_mixes_no_bytes() {
    let (bench, token) = bench(&[]).await;
    let download = begun(&bench, &token).await;
    bench.deliver("atlas", V2, &[("csv", &large(b'2'))]).await;
    // The old version may even be taken away.
    let old = bench.folder.path().join(format!("store/flows/atlas/{V1}/atlas.csv"));
    std::fs::remove_file(old).unwrap();
    let answer = rest(download).await;
    assert_eq!(answer.body.len(), LARGE);
    assert!(answer.body.iter().all(|byte| *byte == b'1'));
    let answer = bench.fetch(&token, "/flows/atlas/latest.csv", &[("Range", "bytes=-1")]).await;
    assert_eq!(answer.text(), "2");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    let (bench, token) = bench(&["--gateway-chunk-seconds", "1"]).await;
    let download = begun(&bench, &token).await;
    metric_is(&bench, "passereau_gateway_slow_clients_total", "1").await;
    metric_is(&bench, "passereau_gateway_downloads", "0").await;
    metric_is(&bench, "passereau_gateway_broken_downloads_total", "1").await;
    let answer = rest(download).await;
    assert!(answer.body.len() < LARGE, "fewer bytes than Content-Length promised: no client takes it for the whole");
    assert_eq!(answer.header("content-length"), LARGE.to_string());
}

#[tokio::test]
async fn a_client_that_sends_no_head_is_cut_off() {
    let (bench, _) = bench(&["--gateway-head-seconds", "1"]).await;
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    stream.write_all(b"GET /flows/atlas HTTP/1.1\r\nHost:").await.unwrap();
    let mut bytes = Vec::new();
    tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    assert!(bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 408"), "{bytes:?}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let (bench, _) = bench(&[]).await;
    let long = "x".repeat(40_000);
    let answer = bench.get("/flows/atlas", &[("X-Long", &long)]).await;
    assert_eq!(answer.status, 431);
}

#[tokio::test]
async fn downloads_at_the_same_time_are_bounded() {
    let (bench, token) = bench(&["--gateway-downloads", "1"]).await;
    let download = begun(&bench, &token).await;
    let answer = bench.fetch(&token, "/flows/atlas/latest.csv", &[]).await;
    assert_eq!(answer.status, 503);
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(bench.fetch(&token, "/flows/atlas/versions", &[]).await.status, 200, "documents need no place");
    assert_eq!(rest(download).await.body.len(), LARGE);
    metric_is(&bench, "passereau_gateway_downloads", "0").await;
    assert_eq!(bench.fetch(&token, "/flows/atlas/latest.csv", &[("Range", "bytes=0-0")]).await.status, 206);
}

#[tokio::test]
async fn connections_at_the_same_time_are_bounded() {
    let (bench, token) = bench(&["--gateway-connections", "1"]).await;
    let idle = TcpStream::connect(bench.address).await.unwrap();
    metric_is(&bench, "passereau_gateway_connections", "1").await;
    let waiting = bench.fetch(&token, "/flows/atlas/versions", &[]);
    tokio::pin!(waiting);
    // It waits in the queue of the system for the place.
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut waiting).await.is_err());
    drop(idle);
    assert_eq!(waiting.await.status, 200);
}

#[tokio::test]
async fn a_download_may_end_within_the_grace() {
    // Longer than the test waits for the end: a gateway that waits although nothing is left does not pass.
    let (bench, token) = with_delivery(Bench::start_with_grace(&[], SOON * 2).await).await;
    let download = begun(&bench, &token).await;
    bench.shutdown.cancel();
    wait_until("no connection is accepted", SOON, async || {
        TcpStream::connect(bench.address).await.is_err().then_some(())
    })
    .await;
    assert_eq!(rest(download).await.body.len(), LARGE);
    tokio::time::timeout(SOON, bench.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_left_after_the_grace_is_cut() {
    let (bench, token) = bench(&[]).await;
    let download = begun(&bench, &token).await;
    bench.shutdown.cancel();
    tokio::time::timeout(SOON, bench.serving).await.unwrap().unwrap();
    assert!(rest(download).await.body.len() < LARGE);
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let (bench, _) = bench(&[]).await;
    let _idle = TcpStream::connect(bench.address).await.unwrap();
    metric_is(&bench, "passereau_gateway_connections", "1").await;
    tokio::time::timeout(SOON, bench.stop()).await.unwrap();
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let (bench, token) = bench(&[]).await;
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    for (first, last) in [(0, 0), (5, 6), (LARGE - 1, LARGE - 1)] {
        let request = format!(
            "GET /flows/atlas/latest.csv HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nRange: bytes={first}-{last}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
            bytes.push(stream.read_u8().await.unwrap());
        }
        let answer = parse(&bytes);
        let mut body = vec![0; last - first + 1];
        stream.read_exact(&mut body).await.unwrap();
        assert_eq!((answer.status, body), (206, vec![b'1'; last - first + 1]));
    }
}

#[tokio::test]
async fn metrics_count_what_was_sent() {
    let (bench, token) = bench(&[]).await;
    bench.fetch(&token, "/flows/atlas/latest.csv", &[("Range", "bytes=0-9")]).await;
    bench.get("/flows/atlas", &[]).await;
    metric_is(&bench, "passereau_gateway_sent_bytes_total{flow=\"atlas\"}", "10").await;
    let counted =
        metric(&bench, "passereau_gateway_requests_total{route=\"/flows/{flow}/latest.{extension}\",status=\"206\"} ");
    assert_eq!(counted.as_deref(), Some("1"));
    let counted = metric(&bench, "passereau_gateway_requests_total{route=\"/flows/{flow}\",status=\"401\"} ");
    assert_eq!(counted.as_deref(), Some("1"));
}

#[tokio::test]
async fn an_absent_database_is_told_and_survived() {
    let (bench, token) = bench(&[]).await;
    bench.pool().close().await;
    let answer = bench.fetch(&token, "/flows/atlas/latest.csv", &[]).await;
    assert_eq!(answer.status, 503);
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(bench.get("/openapi.json", &[]).await.status, 200);
}
