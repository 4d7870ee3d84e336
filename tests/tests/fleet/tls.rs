//! PostgreSQL and RabbitMQ over TLS, with certificates of an authority of one's own: servers that prove who they are are spoken to, others are not.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use passereau_broker::{Broker, BrokerConfig, BrokerError};
use passereau_database::DatabaseConfig;
use passereau_harvest::State;
use passereau_testing::{AMQP_URL, AMQPS_URL, DATABASE_URL, TLS_FOLDER};
use passereau_tests::{Fleet, FleetConfig, program};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::prepared::{SOON, generated, request};

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, a server's certificate that it signed for `localhost`, and another authority.
fn certificates() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for authority in ["ca", "other"] {
        openssl(
            folder.path(),
            &format!("req -x509 {key} -keyout {authority}.key -out {authority}.pem -days 2 -subj /CN={authority}"),
        );
    }
    openssl(folder.path(), &format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"));
    std::fs::write(folder.path().join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
    openssl(
        folder.path(),
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names",
    );
    folder
}

async fn reach_database(url: &str, ca_file: Option<PathBuf>) -> Result<bool, String> {
    let config = DatabaseConfig { ca_file, ..DatabaseConfig::new(url) };
    let pool = passereau_database::connect(&config).map_err(|error| error.to_string())?;
    let encrypted = sqlx::query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    encrypted.fetch_one(&pool).await.map_err(|error| error.to_string())
}

async fn reach_broker(url: &str, ca_file: Option<PathBuf>) -> Result<(), BrokerError> {
    let config = BrokerConfig { ca_file, startup_timeout_ms: 0, ..BrokerConfig::new(url) };
    Broker::connect(&config, "test").await?.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_servers_that_the_authority_knows_by_their_name_are_spoken_to() {
    passereau_broker::install_crypto();
    let folder = certificates();
    let pem = |name: &str| Some(folder.path().join(name));
    let mut platform = tokio::process::Command::new(program("passereau-platform").unwrap())
        .arg("serve")
        .env_remove(DATABASE_URL)
        .env_remove(AMQP_URL)
        .env(TLS_FOLDER, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(platform.stdout.take().unwrap()).lines();
    let mut addresses = BTreeMap::new();
    while let Some(line) = lines.next_line().await.unwrap().filter(|line| line != "# ready") {
        if let Some((name, value)) = line.strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
            addresses.insert(name.to_owned(), value.trim_matches('\'').to_owned());
        }
    }

    let by_name = addresses[DATABASE_URL].replace("@127.0.0.1:", "@localhost:");
    assert_eq!(reach_database(&by_name, pem("ca.pem")).await, Ok(true));
    // No authority given: encrypted where the server can, and nobody's certificate is checked, not even the name (docs/security.md). The address may ask for more.
    for url in [&by_name, &addresses[DATABASE_URL]] {
        assert_eq!(reach_database(url, None).await, Ok(true), "nothing is checked");
    }
    let strict = format!("{by_name}{}sslmode=verify-full", if by_name.contains('?') { '&' } else { '?' });
    let error = reach_database(&strict, None).await.unwrap_err();
    assert!(error.to_lowercase().contains("certificate"), "{error}");
    for (url, authority, words) in [
        (&by_name, "other.pem", "certificate"),
        // The certificate is for localhost: an address is another name.
        (&addresses[DATABASE_URL], "ca.pem", "certificate"),
        (&by_name, "server.key", "certificate"),
    ] {
        let error = reach_database(url, pem(authority)).await.unwrap_err();
        assert!(error.to_lowercase().contains(words), "{authority}: {error}");
    }

    let secure = &addresses[AMQPS_URL];
    reach_broker(secure, pem("ca.pem")).await.unwrap();
    let by_address = secure.replace("@localhost:", "@127.0.0.1:");
    for (url, authority) in [(secure, pem("other.pem")), (secure, None), (&by_address, pem("ca.pem"))] {
        let error = reach_broker(url, authority.clone()).await.unwrap_err();
        assert!(matches!(error, BrokerError::Unreachable { .. }), "{authority:?}: {error:?}");
        assert!(error.to_string().to_lowercase().contains("certificate"), "{authority:?}: {error}");
    }
    for (url, authority, words) in [
        (secure, "server.key", "holds no certificate"),
        (secure, "absent.pem", "cannot be read"),
        (&addresses[AMQP_URL], "ca.pem", "does not ask for TLS"),
    ] {
        let error = reach_broker(url, pem(authority)).await.unwrap_err();
        assert!(matches!(error, BrokerError::Authority { .. }), "{authority}: {error:?}");
        assert!(error.to_string().contains(words), "{authority}: {error}");
    }

    // A whole fleet on these servers, in a process of its own: tests take the addresses of their servers from the environment.
    let harvest = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "tls::a_harvest_over_tls_on_both_sides", "--nocapture"])
        .envs(&addresses)
        .env(DATABASE_URL, &by_name)
        .env(TLS_FOLDER, folder.path())
        .output()
        .await
        .unwrap();
    let said = [harvest.stdout, harvest.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).join("\n");
    assert!(harvest.status.success() && said.contains("1 passed"), "{said}");

    drop(platform.stdin.take());
    let ended = tokio::time::timeout(Duration::from_secs(60), platform.wait()).await;
    assert!(ended.unwrap().unwrap().success(), "the servers have ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by only_servers_that_the_authority_knows_by_their_name_are_spoken_to, whose servers speak TLS"]
async fn a_harvest_over_tls_on_both_sides() {
    let (_folder, archive) = generated(50);
    let ca = PathBuf::from(std::env::var(TLS_FOLDER).unwrap()).join("ca.pem").display().to_string();
    let environment = vec![("PASSEREAU_DATABASE_CA_FILE", ca.clone()), ("PASSEREAU_AMQP_CA_FILE", ca)];
    let amqp_url = Some(std::env::var(AMQPS_URL).unwrap());
    let config = FleetConfig { environment, amqp_url, ..FleetConfig::handing_out(vec![archive]) };
    let fleet = Fleet::start(config).await.unwrap();
    let id = fleet.submit(&request()).await.unwrap();
    let harvest = fleet.ended(id, SOON).await;
    assert_eq!(harvest.state, State::Completed, "{:?}", harvest.reason);
    let (connections, encrypted): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity USING (pid) WHERE usename IN ($1, $2)",
    )
    .bind(&fleet.roles.state.name)
    .bind(&fleet.roles.writer.name)
    .fetch_one(&fleet.database.pool)
    .await
    .unwrap();
    assert!(connections >= 6 && connections == encrypted, "{encrypted} of {connections} connections are encrypted");
    fleet.stop().await.unwrap();
}
