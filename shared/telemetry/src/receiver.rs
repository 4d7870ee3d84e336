//! The other end of OTLP: how spans are sent there, and what is said when nobody takes them.
//!
//! The exporter works in a thread of its own, which has no runtime; what it sends goes over the process's runtime. Nobody waits for it but that
//! thread. While the receiver is away its spans are given up after a few attempts: one line says so, and one that it is back.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

/// How long one request may take. A receiver that hangs costs the spans that come meanwhile, no more.
const REQUEST: Duration = Duration::from_secs(5);
/// Answers are a few bytes; what is larger is no receiver's.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Sends to the receiver.
#[derive(Debug)]
pub(crate) struct Receiver {
    client: reqwest::Client,
    runtime: Handle,
    /// Its address, which holds no secret.
    address: String,
    away: AtomicBool,
}

impl Receiver {
    /// Fails without a runtime, or when the system's certificates cannot be read.
    pub(crate) fn new(address: String) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        // Another part of the process may have installed it already: it is the same one everywhere.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(REQUEST)
            .timeout(REQUEST)
            // Its credentials go nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .build()?;
        Ok(Self { client, runtime: Handle::try_current()?, address, away: AtomicBool::new(false) })
    }

    fn heard(&self, answer: Result<(), String>) {
        match answer {
            Ok(()) if self.away.swap(false, Ordering::Relaxed) => {
                tracing::info!(receiver = self.address, "the receiver of traces takes spans again");
            }
            Err(reason) if !self.away.swap(true, Ordering::Relaxed) => {
                tracing::warn!(
                    receiver = self.address,
                    reason,
                    "the receiver of traces takes no spans, they are given up; work goes on"
                );
            }
            _ => {}
        }
    }
}

async fn exchange(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, reqwest::Error> {
    let request = reqwest::Request::try_from(request)?;
    let mut answer = client.execute(request).await?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            body.clear();
            break;
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(body.into());
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

#[async_trait]
impl HttpClient for Receiver {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.runtime.spawn(exchange(self.client.clone(), request)).await;
        let answer = sent.map_err(|_| "the process ends".to_owned()).and_then(|sent| {
            sent.map_err(|error| {
                let error = error.without_url();
                std::error::Error::source(&error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
            })
        });
        let judged = match &answer {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(format!("it answers {}", response.status())),
            Err(reason) => Err(reason.clone()),
        };
        self.heard(judged);
        answer.map_err(Into::into)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::logs::tests::logged;

    #[tokio::test]
    async fn it_is_said_once_that_the_receiver_is_away_and_once_that_it_is_back() {
        let receiver = Receiver::new("http://collector:4318/v1/traces".to_owned()).unwrap();
        let text = logged("info", true, || {
            for answer in [Ok(()), Err("refused"), Err("refused"), Ok(()), Ok(()), Err("refused")] {
                receiver.heard(answer.map_err(ToOwned::to_owned));
            }
        });
        let levels: Vec<&str> =
            text.lines().filter_map(|line| line.split("\"level\":\"").nth(1)?.split('"').next()).collect();
        assert_eq!(levels, ["WARN", "INFO", "WARN"], "{text}");
        assert!(text.contains("collector:4318") && text.contains("refused"), "{text}");
    }
}
