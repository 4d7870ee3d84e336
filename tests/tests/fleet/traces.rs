//! The traces of a harvest, as a receiver gets them from all processes; and that nobody waits for a receiver.

use std::collections::{BTreeMap, BTreeSet};

use passereau_contracts::WORKERS;
use passereau_harvest::State;
use passereau_sandbox::{Route, SandboxConfig, Scripted};
use passereau_testing::{SentSpan, TraceReceiver, wait_until};
use passereau_tests::{FLOW_WORKERS, Fleet, FleetConfig};
use serde_json::Value;

use crate::prepared::{SOON, generated, request};

/// The workers that a harvest meets.
fn workers() -> impl Iterator<Item = &'static str> {
    WORKERS.iter().map(|worker| worker.worker).filter(|worker| !FLOW_WORKERS.contains(worker))
}

fn is_process(span: &SentSpan) -> bool {
    span.attribute("messaging.operation.type") == "process"
}

fn is_publish(span: &SentSpan) -> bool {
    span.attribute("messaging.operation.type") == "send"
}

/// The handlings from the one that is given back to the first, by links and the publications they lead to.
fn chain<'a>(spans: &BTreeMap<&str, &'a SentSpan>, last: &'a SentSpan) -> Vec<&'a SentSpan> {
    let mut chain = vec![last];
    while let Some(sent) = chain[chain.len() - 1].links.first() {
        let sent = spans.get(&**sent).unwrap_or_else(|| panic!("{:?} is linked to nothing", chain.last()));
        let Some(writer) = spans.get(&*sent.parent_id) else { break };
        chain.push(writer);
    }
    chain
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_search_by_a_harvests_id_finds_the_linked_spans_and_lines_of_all_workers() {
    let (_folder, archive) = generated(50);
    let receiver = TraceReceiver::start().await;
    let environment =
        vec![("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.clone()), ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned())];
    let config = FleetConfig { environment, ..FleetConfig::handing_out(vec![archive]) };
    let mut fleet = Fleet::start(config).await.unwrap();
    fleet.sandbox.script(Route::CreateDownload, [Scripted::answer(503, "down for maintenance")]);
    let id = fleet.submit(&request()).await.unwrap();
    let harvest = fleet.ended(id, SOON).await;
    assert_eq!(harvest.state, State::Completed, "{:?}", harvest.reason);
    // A process that ends has two seconds for the spans that are left: what the harvest has told is on its way before.
    wait_until("the span of the harvest's end", SOON, async || {
        let sent = receiver.spans();
        let finished = |span: &SentSpan| is_process(span) && span.attribute("kind") == "harvest.finish";
        sent.iter().any(finished).then_some(())
    })
    .await;
    fleet.end_workers().await.unwrap();

    let sent = receiver.spans();
    let spans: BTreeMap<&str, &SentSpan> = sent.iter().map(|span| (&*span.span_id, span)).collect();
    assert_eq!(spans.len(), sent.len(), "each span is sent once");
    let id = id.to_string();
    for span in &sent {
        assert_eq!(span.attribute("harvest_id"), id, "{span:?}");
        assert!(!span.resource["service.version"].is_empty() && span.resource["service.namespace"] == "passereau");
    }
    let instances: BTreeSet<_> =
        sent.iter().map(|span| (span.service(), &span.resource["service.instance.id"])).collect();
    assert_eq!(instances.len(), workers().count(), "{instances:?}");

    for worker in workers() {
        let service = format!("passereau-{worker}");
        let handled: Vec<_> = sent.iter().filter(|span| is_process(span) && span.service() == service).collect();
        assert!(!handled.is_empty(), "the {worker} has handled something");
        for span in handled {
            assert!(span.name.starts_with("process ") && span.name.ends_with(&format!("passereau.{worker}")));
            assert_eq!(span.attribute("messaging.system"), "rabbitmq");
            assert!(span.parent_id.is_empty(), "a handling is a trace of its own");
            if span.attribute("kind") == "harvest.request" {
                assert!(span.links.is_empty(), "whoever asks has no trace");
                continue;
            }
            let [link] = &span.links[..] else { panic!("{span:?}") };
            let publish = spans.get(&**link).unwrap_or_else(|| panic!("nobody has sent what {span:?} handles"));
            assert!(is_publish(publish), "{publish:?}");
            assert_eq!(publish.attribute("messaging.message.id"), span.attribute("messaging.message.id"));
            let writer = spans.get(&*publish.parent_id).unwrap_or_else(|| panic!("nobody has written {publish:?}"));
            assert!(is_process(writer) && writer.trace_id == publish.trace_id, "{writer:?}");
        }
        let lines = fleet.log(worker);
        let traces: BTreeSet<&str> =
            sent.iter().filter(|span| span.service() == service).map(|span| &*span.trace_id).collect();
        for line in lines.lines().filter(|line| line.contains(&id)) {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["harvest_id"], id, "{line}");
            assert!(traces.contains(line["trace_id"].as_str().unwrap()), "{line}");
            assert!(spans.contains_key(line["span_id"].as_str().unwrap()), "{line}");
        }
    }

    let finish = sent.iter().find(|span| is_process(span) && span.attribute("kind") == "harvest.finish").unwrap();
    let kinds: Vec<&str> = chain(&spans, finish).iter().map(|span| span.attribute("kind")).collect();
    assert_eq!(kinds.last(), Some(&"harvest.request"), "{kinds:?}");
    let [.., failed, _] = &chain(&spans, finish)[..] else { panic!("{kinds:?}") };
    assert_eq!(
        (failed.attribute("kind"), failed.attribute("outcome"), failed.failed),
        ("download.request", "retried", true)
    );
    assert!(
        kinds.iter().filter(|kind| **kind == "download.request").count() == 2,
        "each attempt is linked to the one before: {kinds:?}"
    );

    let calls: Vec<_> = sent.iter().filter(|span| !span.attribute("http.request.method").is_empty()).collect();
    let callers: BTreeSet<&str> = calls.iter().map(|span| span.service()).collect();
    for caller in ["passereau-requester", "passereau-poller", "passereau-downloader", "passereau-inat-enricher"] {
        assert!(callers.contains(caller), "{callers:?}");
    }
    for call in &calls {
        assert!(is_process(spans[&*call.parent_id]), "{call:?}");
        assert!(!call.attribute("url.full").contains(['?', '@', '#']), "{call:?}");
    }
    assert!(calls.iter().any(|call| call.failed && call.attribute("http.response.status_code") == "503"));
    let steps: BTreeSet<&str> = sent.iter().map(|span| span.attribute("db.operation.name")).collect();
    for step in ["land archive", "make plan", "write slice"] {
        assert!(steps.contains(step), "{steps:?}");
    }
    fleet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_away_or_hangs_changes_nothing_for_a_harvest() {
    let (_folder, archive) = generated(50);
    let hanging = TraceReceiver::hanging().await;
    let refused = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1".to_owned())];
    let environment = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", hanging.url.clone()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
        // Full at once.
        ("OTEL_BSP_MAX_QUEUE_SIZE", "2".to_owned()),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1".to_owned()),
    ];
    let environment_of = vec![("requester", refused.clone()), ("loader", refused)];
    let sandbox = SandboxConfig { archives: vec![archive], ..SandboxConfig::default() };
    let config = FleetConfig { sandbox, environment, environment_of, ..FleetConfig::default() };
    let mut fleet = Fleet::start(config).await.unwrap();
    let id = fleet.submit(&request()).await.unwrap();
    let harvest = fleet.ended(id, SOON).await;
    assert_eq!(harvest.state, State::Completed, "{:?}", harvest.reason);
    // Within their grace, and with 0.
    fleet.end_workers().await.unwrap();
    for worker in ["requester", "loader"] {
        let log = fleet.log(worker);
        assert_eq!(log.matches("the receiver of traces takes no spans").count(), 1, "{worker}: {log}");
    }
    fleet.stop().await.unwrap();
}
