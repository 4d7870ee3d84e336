//! A bucket of the S3 kind on this machine, for fleets whose workers share no folder.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use url::Url;

/// The server of the tests (`make setup`); `PASSEREAU_S3_SERVER` names another one that takes the same options.
const SERVER: &str = "../target/tools/s3/bin/moto_server";
/// How long it may take to start: it reads many files.
const PATIENCE: Duration = Duration::from_secs(60);
const NAME: &str = "passereau";

/// The secret key that workers are told; the server takes any.
const SECRET_KEY: &str = "planted-key-of-the-bucket";

/// A server with one bucket. Dropping it kills the server, whose objects were in memory.
#[derive(Debug)]
pub struct Bucket {
    _server: Child,
    address: Url,
}

impl Bucket {
    /// Starts a server on a free port, with an empty bucket.
    ///
    /// # Errors
    /// The server is not installed, or does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let program = server()?;
        let mut server = Command::new(&program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let said = server.stderr.take().context("the server's words are not to be had")?;
        let mut lines = BufReader::new(said).lines();
        let started = async {
            while let Some(line) = lines.next_line().await? {
                if let Some((_, address)) = line.split_once("Running on ") {
                    return Url::parse(address.trim()).context("reading the server's address");
                }
            }
            anyhow::bail!("{} ended before it listened", program.display())
        };
        let address = tokio::time::timeout(PATIENCE, started).await.context("the S3 server does not start")??;
        // It tells of every request, and stands still when nobody reads.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let bucket = Self { _server: server, address };
        bucket.put("", Vec::new()).await.context("making the bucket")?;
        Ok(bucket)
    }

    /// The secret key that opens it.
    #[must_use]
    pub fn secret_key(&self) -> &'static str {
        SECRET_KEY
    }

    /// What a worker is told of it.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let endpoint = self.address.as_str().trim_end_matches('/').to_owned();
        vec![
            ("PASSEREAU_STORE_URL", format!("s3://{NAME}/store")),
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "eu-west-3".to_owned()),
            ("AWS_ACCESS_KEY_ID", "passereau".to_owned()),
            ("PASSEREAU_STORE_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ]
    }

    /// Puts a file of this machine into the store, under `archives/` and its file name; returns its object key.
    ///
    /// # Errors
    /// The file cannot be read, or the server refuses it.
    pub async fn put_archive(&self, archive: &Path) -> anyhow::Result<String> {
        let name = archive.file_name().and_then(|name| name.to_str()).context("the archive has no name")?;
        let bytes = std::fs::read(archive).with_context(|| format!("reading {}", archive.display()))?;
        self.put(&format!("/store/archives/{name}"), bytes).await?;
        Ok(format!("archives/{name}"))
    }

    async fn put(&self, path: &str, body: Vec<u8>) -> anyhow::Result<()> {
        let url = self.address.join(&format!("{NAME}{path}"))?;
        passereau_broker::install_crypto();
        let client = reqwest::Client::builder().no_proxy().build()?;
        let status = client.put(url).body(body).send().await?.status();
        ensure!(status.is_success(), "the S3 server answers {status}");
        Ok(())
    }
}

fn server() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("PASSEREAU_S3_SERVER") {
        return Ok(path.into());
    }
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join(SERVER);
    ensure!(
        installed.exists(),
        "a server of the S3 kind is missing: run `make setup`, or set PASSEREAU_S3_SERVER to a moto_server"
    );
    Ok(installed)
}
