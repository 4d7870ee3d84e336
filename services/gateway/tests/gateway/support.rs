//! A gateway with a database and a store of its own, and a client that says exactly what a test wants.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use clap::Parser;
use passereau_flow::{Document, apply, token};
use passereau_gateway::{Gateway, GatewayConfig};
use passereau_secret::ExposeSecret;
use passereau_store::{ObjectKey, Store, StoreConfig};
use passereau_telemetry::Metrics;
use passereau_testing::TestDatabase;
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Time that downloads have to end: little, so that no test waits for it.
const SHORT_GRACE: Duration = Duration::from_secs(1);

pub const V1: &str = "20261128T020000Z";
pub const V2: &str = "20261129T020000Z";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    gateway: GatewayConfig,
}

pub struct Bench {
    pub database: TestDatabase,
    pub store: Store,
    pub folder: TempDir,
    pub metrics: Metrics,
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    pub serving: JoinHandle<()>,
}

impl Bench {
    pub async fn start(arguments: &[&str]) -> Self {
        Self::start_with_grace(arguments, SHORT_GRACE).await
    }

    /// A gateway that gives downloads so much time to end.
    pub async fn start_with_grace(arguments: &[&str], grace: Duration) -> Self {
        let database = TestDatabase::migrated().await;
        let pool = database.pool.clone();
        Self::serve(database, pool, arguments, grace).await
    }

    /// A gateway that has other connections than the test.
    pub async fn with(database: TestDatabase, pool: PgPool, arguments: &[&str]) -> Self {
        Self::serve(database, pool, arguments, SHORT_GRACE).await
    }

    async fn serve(database: TestDatabase, pool: PgPool, arguments: &[&str], grace: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = url::Url::from_directory_path(folder.path().join("store")).unwrap().to_string();
        let store = Store::open(&StoreConfig::new(url, folder.path().join("scratch"))).unwrap();
        let cli = Cli::parse_from(["test", "--gateway-listen", "127.0.0.1:0"].iter().chain(arguments));
        let metrics = Metrics::new("gateway");
        let gateway = Gateway::bind(&cli.gateway, pool, store.clone(), &metrics).await.unwrap();
        let (address, shutdown) = (gateway.address(), CancellationToken::new());
        let serving = tokio::spawn(gateway.serve(shutdown.clone(), grace));
        Self { database, store, folder, metrics, address, shutdown, serving }
    }

    pub fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    /// A flow with a token for it.
    pub async fn flow(&self, name: &str) -> String {
        self.agreed(name, "").await;
        self.token(name).await.0
    }

    /// A flow whose agreement has further lines.
    pub async fn agreed(&self, name: &str, lines: &str) {
        let text = format!("name = \"{name}\"\n{LEAST}{lines}\n");
        let document = Document::parse(&text, PathBuf::new(), Utc::now());
        let document = document.unwrap_or_else(|problems| panic!("{}", passereau_flow::in_lines(&problems)));
        apply(self.pool(), &document, "Hermine", Utc::now()).await.unwrap();
    }

    pub async fn token(&self, flow: &str) -> (String, Uuid) {
        let made = token::create(self.pool(), flow, "Association", None, Some("Hermine")).await.unwrap();
        (made.text.expose_secret().to_owned(), made.id)
    }

    /// A delivery that was published.
    pub async fn deliver(&self, flow: &str, version: &str, files: &[(&str, &[u8])]) {
        self.deliver_with(flow, version, files, json!({ "flow": flow, "version": version, "rows": 2 })).await;
    }

    pub async fn deliver_with(&self, flow: &str, version: &str, files: &[(&str, &[u8])], manifest: Value) {
        let mut entries = serde_json::Map::new();
        for (extension, bytes) in files {
            let key = format!("flows/{flow}/{version}/{flow}.{extension}");
            let bytes = Bytes::copy_from_slice(bytes);
            let stream = futures_util::stream::iter([Ok::<_, std::io::Error>(bytes)]);
            let stored = self.store.put_stream(&ObjectKey::parse(&key).unwrap(), stream).await.unwrap();
            let entry = json!({ "key": key, "size_bytes": stored.size_bytes, "sha256": stored.sha256 });
            entries.insert((*extension).to_owned(), entry);
        }
        sqlx::query(
            "INSERT INTO passereau.delivery (id, flow, flow_version, state, requested_at, finished_at, rows, folder, manifest, files)
             VALUES ($1, $2, 1, 'delivered', $3, $3, 2, $4, $5, $6)",
        )
        .bind(Uuid::now_v7())
        .bind(flow)
        .bind(published(version))
        .bind(version)
        .bind(manifest)
        .bind(Value::from(entries))
        .execute(self.pool())
        .await
        .unwrap();
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        ask(self.address, "GET", path, headers).await
    }

    /// With a token as Bearer.
    pub async fn fetch(&self, token: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let bearer = bearer(token);
        self.get(path, &[&[("Authorization", bearer.as_str())], headers].concat()).await
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap();
    }
}

pub const LEAST: &str = r#"structure = "Association"
formats = ["csv"]
period = "P1D"
ends_on = 2099-12-31
in_return = "records"
technical_manager = { name = "Camille Exemple", email = "camille@example.org" }
studies = [{ name = "Atlas", nature = "atlas" }]
territory = { description = "Isère" }
licences = { allowed = ["CC-BY-4.0"] }
"#;

pub fn published(version: &str) -> DateTime<Utc> {
    let naive = chrono::NaiveDateTime::parse_from_str(version, "%Y%m%dT%H%M%SZ").unwrap();
    // Published a moment after the version got its name, as in life.
    naive.and_utc() + TimeDelta::milliseconds(30_500)
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Everything that differs when two answers differ, but for the clock.
    pub fn timeless(&self) -> (u16, Vec<(String, String)>, Vec<u8>) {
        let headers = self.headers.iter().filter(|(name, _)| name != "date").cloned().collect();
        (self.status, headers, self.body.clone())
    }
}

/// Sends the head of a request as it stands and reads until the gateway closes.
pub async fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let stream = begin(address, method, path, headers).await;
    read_all(stream).await
}

pub async fn begin(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head(method, path, headers).as_bytes()).await.unwrap();
    stream
}

pub fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head + "\r\n"
}

pub async fn read_all(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A connection that is reset ends the answer as well.
    let _ended = stream.read_to_end(&mut bytes).await;
    parse(&bytes)
}

pub fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer: {bytes:?}"));
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_lowercase(), value.to_owned())
    });
    Answer { status, headers: headers.collect(), body: bytes[end + 4..].to_vec() }
}
