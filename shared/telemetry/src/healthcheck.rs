//! `--healthcheck`: a program asks the process of its own kind on this machine how it is, and says so by its exit code.
//!
//! An image of one program has neither a shell nor `curl`, so the program in it is its own health check: `passereau-loader --healthcheck`
//! asks `/healthz` (should it be restarted?), `--healthcheck=ready` asks `/readyz` (would it take work now?). It reads nothing but the address of
//! metrics and health, so it needs none of the settings that the process itself cannot do without.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::http::{HttpListenConfig, ListenAddress};

/// What `--help` says of it.
pub const HELP: &str = "With --healthcheck, or --healthcheck=ready, alone or beside --http-listen: asks the running process at its \
/healthz, or /readyz, and ends with exit code 0 when all is well, else 1. For containers.";

/// How long each step of the question may take. Health answers from memory, so a slow answer is a sick one.
const PATIENCE: Duration = Duration::from_secs(3);

/// Most that is read of an answer, which is some lines long.
const LONGEST_ANSWER: u64 = 64 * 1024;

#[derive(Parser)]
#[command(disable_help_flag = true)]
struct Arguments {
    #[command(flatten)]
    http: HttpListenConfig,
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "alive")]
    healthcheck: Question,
}

#[derive(Clone, Copy, ValueEnum)]
enum Question {
    Alive,
    Ready,
}

impl Question {
    fn path(self) -> &'static str {
        match self {
            Self::Alive => "/healthz",
            Self::Ready => "/readyz",
        }
    }
}

/// Why a health check fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HealthcheckError {
    /// The command line is none of a health check.
    #[error("{0}")]
    Arguments(#[from] clap::Error),
    /// There is no address to ask.
    #[error(
        "there is no address to ask: metrics and health are served at {0}; set PASSEREAU_HTTP_LISTEN to an address with a port, as for the process"
    )]
    NotServed(ListenAddress),
    /// No answer.
    #[error("no answer from http://{address}{path}: {source}; is the process up, with the same PASSEREAU_HTTP_LISTEN?")]
    Silent {
        /// Who was asked.
        address: SocketAddr,
        /// What.
        path: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// An answer, and it is no.
    #[error("{path}: {answer}")]
    Unwell {
        /// What was asked.
        path: &'static str,
        /// The checks and their reasons.
        answer: String,
    },
}

/// Asks, if the command line of this program says so; else none. A program looks here before it reads its settings.
#[must_use]
pub fn asked() -> Option<Result<(), HealthcheckError>> {
    asked_by(std::env::args_os())
}

fn asked_by(line: impl IntoIterator<Item = OsString>) -> Option<Result<(), HealthcheckError>> {
    let line: Vec<OsString> = line.into_iter().collect();
    let asks =
        |argument: &OsString| argument.to_str().is_some_and(|text| text.split('=').next() == Some("--healthcheck"));
    line.iter().skip(1).any(asks).then(|| {
        let arguments = Arguments::try_parse_from(line)?;
        ask(arguments.http.listen, arguments.healthcheck)
    })
}

fn ask(listen: ListenAddress, question: Question) -> Result<(), HealthcheckError> {
    let ListenAddress::On(address) = listen else { return Err(HealthcheckError::NotServed(listen)) };
    if address.port() == 0 {
        return Err(HealthcheckError::NotServed(listen));
    }
    let address = SocketAddr::new(reached(address.ip()), address.port());
    let path = question.path();
    let answer = answer_of(address, path).map_err(|source| HealthcheckError::Silent { address, path, source })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    let said = if body.is_empty() { head } else { body };
    Err(HealthcheckError::Unwell { path, answer: said.trim().to_owned() })
}

/// Who listens on every address is asked on loopback.
fn reached(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

fn answer_of(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::{Health, Metrics};

    fn line(arguments: &[&str]) -> Vec<OsString> {
        ["passereau-loader"].iter().chain(arguments).map(OsString::from).collect()
    }

    async fn check(listen: &str, question: &str) -> Option<Result<(), HealthcheckError>> {
        let line = line(&[question, "--http-listen", listen]);
        tokio::task::spawn_blocking(move || asked_by(line)).await.unwrap()
    }

    #[tokio::test]
    async fn it_tells_alive_from_ready_and_gives_the_reason() {
        let config = HttpListenConfig { listen: "127.0.0.1:0".parse().unwrap() };
        let health = Health::new();
        let light = health.light("amqp", "not consuming");
        let server = crate::http::serve(&config, Metrics::new("loader"), health).await.unwrap();
        let port = server.address().unwrap().port();
        // The process listens everywhere, the check asks on loopback.
        let everywhere = format!("0.0.0.0:{port}");

        assert!(check(&everywhere, "--healthcheck").await.unwrap().is_ok());
        let error = check(&everywhere, "--healthcheck=ready").await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), r#"/readyz: {"ok":false,"checks":{"amqp":"not consuming"}}"#);
        light.green();
        assert!(check(&everywhere, "--healthcheck=ready").await.unwrap().is_ok());

        server.stop().await;
        let error = check(&everywhere, "--healthcheck").await.unwrap().unwrap_err();
        assert!(error.to_string().contains("PASSEREAU_HTTP_LISTEN"), "{error}");
    }

    #[tokio::test]
    async fn nothing_to_ask_is_no_health() {
        for listen in ["off", "0.0.0.0:0"] {
            let error = check(listen, "--healthcheck").await.unwrap().unwrap_err();
            assert!(matches!(error, HealthcheckError::NotServed(_)), "{error}");
        }
    }

    #[test]
    fn a_program_that_is_not_asked_goes_on() {
        assert!(asked_by(line(&["--log", "info"])).is_none());
        assert!(asked_by(line(&["--healthcheck=dead"])).unwrap().is_err());
    }
}
