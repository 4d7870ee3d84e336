//! What a token leaves behind in the logs: nothing.

use std::{
    io::Write,
    process::Command,
    sync::{Arc, Mutex},
};

use tracing_subscriber::filter::LevelFilter;

use crate::support::{Bench, V1, basic, bearer};

/// Set in the process that runs the test below and nothing else.
const ALONE: &str = "PASSEREAU_GATEWAY_TEST_ALONE";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Every line of every crate at every level, whichever way the request ends. In a process of its own: what is captured is what the whole
/// process says, and the clients of other tests may say what a gateway must not.
#[test]
fn no_line_holds_a_token() {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(every_line_is_captured_and_none_holds_a_token());
    }
    let this_test = ["--exact", "logs::no_line_holds_a_token", "--nocapture"];
    let run = Command::new(std::env::current_exe().unwrap()).args(this_test).env(ALONE, "1").output().unwrap();
    let (told, failed) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && told.contains("1 passed"), "{told}{failed}");
}

async fn every_line_is_captured_and_none_holds_a_token() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // Of the whole process: tasks of the gateway, and of hyper and sqlx, log from any thread.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    let (_, id) = bench.token("atlas").await;
    bench.deliver("atlas", V1, &[("csv", b"a;b\n")]).await;
    let wrong = format!("psr_{}", "ab".repeat(32));
    for secret in [&token, &wrong, &"not-even-a-token".to_owned()] {
        for path in [
            "/flows/atlas",
            "/flows/atlas/latest.csv",
            "/flows/atlas/none",
            "/flows/other",
            "/elsewhere",
            "/openapi.json",
        ] {
            bench.get(&format!("{path}?token={secret}"), &[("Referer", &format!("http://x/?token={secret}"))]).await;
            bench.get(&format!("{path}?token={secret}&token={secret}"), &[]).await;
            bench.get(path, &[("Authorization", &bearer(secret))]).await;
            bench.get(path, &[("Authorization", &basic("x", secret))]).await;
            crate::support::ask(bench.address, "POST", &format!("{path}?token={secret}"), &[]).await;
        }
        bench.get(&format!("/flows/{secret}/latest.csv"), &[]).await;
    }
    bench.pool().close().await;
    bench.get(&format!("/flows/atlas?token={token}"), &[]).await;

    let text = String::from_utf8_lossy(&lines.0.lock().unwrap()).into_owned();
    assert!(text.contains("request answered") && text.contains("flow=\"atlas\""), "the log is captured");
    for secret in [token.as_str(), wrong.as_str(), "not-even-a-token", "token="] {
        let found = text.lines().find(|line| line.contains(secret));
        assert_eq!(found, None, "{secret}");
    }
    assert!(!text.contains(&id.to_string()), "a token that was not used is in no line either");
    assert!(!text.contains("127.0.0.1:") || !text.contains("peer"), "addresses of clients are not logged");
}
