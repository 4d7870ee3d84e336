//! The other half of the demonstration: a flow is agreed, delivered, and fetched over HTTP by its partner.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use passereau_tests::{Fleet, agreement};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A delivery that takes longer has stopped.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the partner has in hand.
#[derive(Debug)]
pub struct Fetched {
    /// Rows of the file.
    pub rows: i64,
    /// Records that the manifest counts as withheld.
    pub withheld: i64,
}

/// Agrees on the flow, waits for its delivery and fetches it.
pub async fn fetch(fleet: &Fleet, folder: &Path, gateway: SocketAddr) -> anyhow::Result<Fetched> {
    let started = Instant::now();
    let file = folder.join("flow.toml");
    std::fs::write(&file, agreement("demo", &["csv", "gpkg"])).context("writing the agreement")?;
    let file = file.to_str().context("the folder has no name in Unicode")?;
    // A new flow is due at once: its schedule asks for the delivery.
    fleet.run_command(&["flow", "apply", file, "--by", "the data manager"]).await?;
    let created = fleet.run_command(&["flow", "token", "create", "demo", "--partner", "Camille", "--json"]).await?;
    let created: Value = serde_json::from_str(&created).context("reading the token")?;
    let token = created["token"].as_str().context("there is no token")?;

    let mut timer = tokio::time::interval(Duration::from_millis(200));
    let manifest = loop {
        timer.tick().await;
        let (status, body) = get(gateway, "/flows/demo/manifest.json", token).await.unwrap_or_default();
        if status == 200 {
            break body;
        }
        ensure!(started.elapsed() < PATIENCE, "the flow was not delivered within {} s: {status}", PATIENCE.as_secs());
    };
    let manifest: Value = serde_json::from_slice(&manifest).context("reading the manifest")?;
    let withheld =
        manifest["withheld"].as_array().into_iter().flatten().filter_map(|tally| tally["records"].as_i64()).sum();
    let (status, csv) = get(gateway, "/flows/demo/latest.csv", token).await?;
    ensure!(status == 200, "the file is answered with {status}");
    let (refused, _) = get(gateway, "/flows/demo/latest.csv", "psr_wrong").await?;
    ensure!(refused == 401, "a wrong token is answered with {refused}");
    // Quoted cells may hold line ends: the manifest counts, the file is only looked at.
    let lines = csv.iter().filter(|byte| **byte == b'\n').count();
    let rows = manifest["rows"].as_i64().context("the manifest counts no rows")?;
    ensure!(lines as i64 > rows, "the file has {lines} lines for {rows} rows");
    println!(
        "  flow demo: {rows} rows in {} bytes of CSV, {withheld} records withheld, fetched after {:.1} s",
        csv.len(),
        started.elapsed().as_secs_f64()
    );
    Ok(Fetched { rows, withheld })
}

/// Status and body of one request.
async fn get(gateway: SocketAddr, path: &str, token: &str) -> anyhow::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(gateway).await.context("connecting to the gateway")?;
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: {gateway}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.context("asking the gateway")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.context("reading the gateway's answer")?;
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").context("the answer has no head")?;
    let body = answer.split_off(head + 4);
    let status = String::from_utf8_lossy(&answer);
    let status = status.split(' ').nth(1).and_then(|status| status.parse().ok()).context("the answer has no status")?;
    Ok((status, body))
}
