//! The program as it is run: without RabbitMQ, with health of its own, and ended by a signal.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use passereau_testing::{TestDatabase, wait_until};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
};

use crate::support::{Bench, V1, ask, bearer, begin, parse};

const SOON: Duration = Duration::from_secs(30);

/// The addresses that the program has taken, as its log tells them: of health, then for partners.
async fn addresses(child: &mut Child) -> (SocketAddr, SocketAddr) {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut health = None;
    loop {
        let line = lines.next_line().await.unwrap().expect("the program ended");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = line["address"].as_str().and_then(|address| address.parse().ok());
        match line["message"].as_str() {
            Some("serving metrics and health") => health = address,
            Some("serving flows") => {
                // What it says later is read and not looked at, so that it can go on saying it.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return (health.unwrap(), address.unwrap());
            }
            _ => {}
        }
    }
}

fn program(database: &str, store: &std::path::Path, listen: &str, health: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_passereau-gateway"))
        .env_clear()
        .env("PASSEREAU_DATABASE_URL", database)
        .env("PASSEREAU_STORE_URL", url::Url::from_directory_path(store).unwrap().to_string())
        .args(["--scratch-dir", store.to_str().unwrap(), "--gateway-listen", listen, "--http-listen", health])
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn the_program_needs_no_broker_and_ends_when_asked() {
    let database = TestDatabase::migrated().await;
    let folder = tempfile::tempdir().unwrap();
    let mut child = program(&database.url, folder.path(), "127.0.0.1:0", "127.0.0.1:0");
    let (health, address) = tokio::time::timeout(SOON, addresses(&mut child)).await.unwrap();
    for (path, expected) in
        [("/healthz", "\"ok\":true"), ("/readyz", "\"postgres\":\"ok\""), ("/metrics", "passereau_gateway_connections")]
    {
        // Ready is what has been looked at: the store has not been at the very beginning.
        wait_until(path, SOON, async || {
            let answer = ask(health, "GET", path, &[]).await;
            (answer.status == 200 && answer.text().contains(expected)).then_some(())
        })
        .await;
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(ask(address, "GET", path, &[]).await.status, 404, "partners do not reach {path}");
    }
    assert_eq!(ask(address, "GET", "/openapi.json", &[]).await.status, 200);
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    let status = tokio::time::timeout(SOON, child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

/// A mount that is gone: another gateway may have its own.
#[tokio::test]
async fn without_its_store_it_is_not_ready_until_the_store_is_back() {
    let bench = Bench::start(&[]).await;
    bench.flow("atlas").await;
    bench.deliver("atlas", V1, &[("csv", b"a;b\n")]).await;
    let store = bench.folder.path().join("store");
    let mut child = program(&bench.database.url, &store, "127.0.0.1:0", "127.0.0.1:0");
    let (health, _) = tokio::time::timeout(SOON, addresses(&mut child)).await.unwrap();
    let shows = async |status: u16, text: &str| {
        wait_until(&format!("{status} {text}"), SOON, async || {
            let answer = ask(health, "GET", "/readyz", &[]).await;
            (answer.status == status && answer.text().contains(text)).then_some(())
        })
        .await;
    };
    shows(200, "\"store\":\"ok\"").await;
    let away = bench.folder.path().join("away");
    std::fs::rename(&store, &away).unwrap();
    shows(503, "\"postgres\":\"ok\"").await;
    assert_eq!(ask(health, "GET", "/healthz", &[]).await.status, 200, "a restart would not bring the store back");
    std::fs::rename(&away, &store).unwrap();
    shows(200, "\"store\":\"ok\"").await;
}

#[tokio::test]
async fn a_database_without_our_schema_is_told_at_once() {
    let database = TestDatabase::geonature().await;
    let folder = tempfile::tempdir().unwrap();
    let child = program(&database.url, folder.path(), "127.0.0.1:0", "off");
    let ended = tokio::time::timeout(SOON, child.wait_with_output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && said.contains("passereau migrate"), "{said}");
}

/// Most memory that the program has had, in KiB (proc(5), `VmHWM`).
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn memory_does_not_grow_with_a_file() {
    const SIZE: usize = 64 << 20;
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    bench.deliver("atlas", V1, &[("gpkg", &vec![b'x'; SIZE]), ("csv", b"small\n")]).await;
    let store = bench.folder.path().join("store");
    let mut child = program(&bench.database.url, &store, "127.0.0.1:0", "127.0.0.1:0");
    let (_, address) = tokio::time::timeout(SOON, addresses(&mut child)).await.unwrap();
    let bearer = bearer(&token);
    assert_eq!(ask(address, "GET", "/flows/atlas/latest.csv", &[("Authorization", &bearer)]).await.text(), "small\n");
    let before = peak_kib(child.id().unwrap());
    let downloads = (0..4).map(|_| async {
        let stream = begin(address, "GET", "/flows/atlas/latest.gpkg", &[("Authorization", &bearer)]).await;
        tokio::io::copy(&mut BufReader::new(stream), &mut tokio::io::sink()).await.unwrap()
    });
    for received in futures_util::future::join_all(downloads).await {
        assert!(received > SIZE as u64);
    }
    let grown = peak_kib(child.id().unwrap()) - before;
    assert!(grown < 12 * 1024, "four downloads of 64 MiB took {grown} KiB");
}

/// What a client has then is visibly no file, and it goes on at another gateway with the bytes that are missing.
#[tokio::test]
async fn a_kill_leaves_no_part_that_poses_as_a_file() {
    const SIZE: usize = 24 << 20;
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    let bytes: Vec<u8> = (0..SIZE).map(|place| u8::try_from(place % 251).unwrap()).collect();
    bench.deliver("atlas", V1, &[("gpkg", &bytes)]).await;
    let mut child = program(&bench.database.url, &bench.folder.path().join("store"), "127.0.0.1:0", "127.0.0.1:0");
    let (_, address) = tokio::time::timeout(SOON, addresses(&mut child)).await.unwrap();
    let bearer = bearer(&token);
    let mut stream = begin(address, "GET", "/flows/atlas/latest.gpkg", &[("Authorization", &bearer)]).await;
    let mut received = vec![0; 64 * 1024];
    stream.read_exact(&mut received).await.unwrap();
    child.kill().await.unwrap();
    let _broken = stream.read_to_end(&mut received).await;
    let answer = parse(&received);
    let part = answer.body.len();
    assert!(part < SIZE && answer.header("content-length") == SIZE.to_string(), "{part}");
    let range = format!("bytes={part}-");
    let rest = [("Range", range.as_str()), ("If-Range", answer.header("etag"))];
    let rest = bench.fetch(&token, "/flows/atlas/latest.gpkg", &rest).await;
    assert!(rest.status == 206 && [answer.body, rest.body].concat() == bytes);
}
