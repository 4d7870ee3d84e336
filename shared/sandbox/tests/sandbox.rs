//! The stand-in servers as a client meets them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    path::PathBuf,
    sync::Once,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use passereau_sandbox::{
    DownloadStatus, Pace, Route, Sandbox, SandboxConfig, Scripted,
    generate::{GenerateOptions, generate},
    inaturalist, inaturalist_uuid,
    seeds::INATURALIST_DATASET_KEY,
};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect::Policy};
use serde_json::{Value, json};
use tempfile::TempDir;

const AGENT: &str = "passereau-tests/0.1 (+https://example.org)";

struct World {
    sandbox: Sandbox,
    client: Client,
    folder: TempDir,
}

fn client() -> Client {
    static RING: Once = Once::new();
    RING.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().expect("no other provider");
    });
    Client::builder().redirect(Policy::none()).no_proxy().pool_max_idle_per_host(0).build().unwrap()
}

async fn world(change: impl FnOnce(&mut SandboxConfig)) -> World {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("one.zip");
    generate(&GenerateOptions { records: 200, seed: 1, revision: 1 }, &archive).unwrap();
    let mut config = SandboxConfig { archives: vec![archive], ..SandboxConfig::default() };
    change(&mut config);
    World { sandbox: Sandbox::start(config).await.unwrap(), client: client(), folder }
}

fn year(value: &str) -> Value {
    json!({"predicate": {"type": "equals", "key": "YEAR", "value": value}})
}

impl World {
    fn archive(&self) -> PathBuf {
        self.folder.path().join("one.zip")
    }

    fn create(&self, body: &Value) -> RequestBuilder {
        self.client
            .post(format!("{}/v1/occurrence/download/request", self.sandbox.gbif_url))
            .basic_auth("passereau", Some("sandbox"))
            .header("user-agent", AGENT)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    async fn created(&self, body: &Value) -> String {
        let response = self.create(body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        response.text().await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.sandbox.gbif_url)).send().await.unwrap()
    }

    async fn owner_get(&self, path: &str) -> Response {
        let request = self.client.get(format!("{}{path}", self.sandbox.gbif_url));
        request.basic_auth("passereau", Some("sandbox")).send().await.unwrap()
    }

    async fn status(&self, key: &str) -> Value {
        self.get(&format!("/v1/occurrence/download/{key}")).await.json().await.unwrap()
    }

    async fn observations(&self, query: &str) -> Response {
        self.client.get(format!("{}/v2/observations{query}", self.sandbox.inaturalist_url)).send().await.unwrap()
    }
}

#[tokio::test]
async fn a_download_from_request_to_file() {
    let world = world(|_| ()).await;
    let response = world.create(&year("2020")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["content-type"], "application/json");
    let key = response.text().await.unwrap();
    assert_eq!((key.len(), &key[7..8]), (23, "-"));

    let file = format!("/v1/occurrence/download/request/{key}.zip");
    let early = world.get(&file).await;
    assert_eq!(early.status(), StatusCode::NOT_FOUND);
    assert!(early.text().await.unwrap().contains("not ready"));

    let preparing = world.status(&key).await;
    assert_eq!(preparing["status"], "PREPARING");
    assert_eq!(preparing["size"], 0);
    assert_eq!(preparing["totalRecords"], 204);
    assert!(preparing.get("doi").is_none() && preparing["request"].get("creator").is_none());
    assert_eq!(preparing["request"]["predicate"]["matchCase"], false);
    assert_eq!(world.status(&key).await["status"], "RUNNING");
    let ready = world.status(&key).await;
    assert_eq!(ready["status"], "SUCCEEDED");
    assert_eq!(ready["size"], world.archive().metadata().unwrap().len());
    assert_eq!((ready["totalRecords"].as_u64(), ready["numberDatasets"].as_u64()), (Some(200), Some(5)));
    assert_ne!(ready["license"], world.status(&key).await["license"], "the licence flips");
    let by_doi = world.get(&format!("/v1/occurrence/download/{}", ready["doi"].as_str().unwrap())).await;
    assert_eq!(by_doi.json::<Value>().await.unwrap()["key"], key);

    let redirect = world.get(&file).await;
    assert_eq!(redirect.status(), StatusCode::FOUND);
    let location = redirect.headers()["location"].to_str().unwrap().to_owned();
    assert!(location.starts_with(&world.sandbox.files_url) && !location.starts_with(&world.sandbox.gbif_url));
    assert_eq!(redirect.text().await.unwrap(), location);
    let bytes = world.client.get(&location).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes, std::fs::read(world.archive()).unwrap());

    world.sandbox.set_status(&key, DownloadStatus::FileErased);
    assert_eq!(world.get(&file).await.status(), StatusCode::GONE);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn links_bear_the_name_by_which_it_is_reached() {
    let world = world(|config| config.public_host = Some("localhost".to_owned())).await;
    let key = world.created(&year("2020")).await;
    let (_preparing, _running, ready) = (world.status(&key).await, world.status(&key).await, world.status(&key).await);
    let link = ready["downloadLink"].as_str().unwrap();
    assert!(link.starts_with("http://localhost:"), "{link}");
    let moved = world.get(&format!("/v1/occurrence/download/request/{key}.zip")).await;
    assert!(moved.headers()["location"].to_str().unwrap().starts_with("http://localhost:"));
}

#[tokio::test]
async fn refusals_of_a_request() {
    let world =
        world(|config| config.pace = Pace::Elapsed { preparing: Duration::from_secs(60), running: Duration::ZERO })
            .await;
    let url = format!("{}/v1/occurrence/download/request", world.sandbox.gbif_url);
    let wrong = world.client.post(&url).basic_auth("somebody", Some("x")).header("user-agent", AGENT).body("{}");
    let wrong = wrong.send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(wrong.text().await.unwrap(), "Failed to authenticate user somebody\n");
    let nameless = world.client.post(&url).basic_auth("passereau", Some("sandbox")).body(year("2020").to_string());
    assert_eq!(nameless.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    let unknown = world.create(&json!({"predicates": []})).send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::BAD_REQUEST);
    assert!(unknown.text().await.unwrap().contains("Unknown JSON property"));
    let other = world.create(&json!({"creator": "other"})).send().await.unwrap();
    assert_eq!(other.status(), StatusCode::UNAUTHORIZED);

    for number in ["1", "2", "3"] {
        world.created(&year(number)).await;
    }
    let fourth = world.create(&year("4")).send().await.unwrap();
    assert_eq!(fourth.status().as_u16(), 420);
    assert!(fourth.text().await.unwrap().contains("too many simultaneous downloads; the limit is 3."));
    world.sandbox.advance(Duration::from_secs(61));
    world.created(&year("4")).await;
}

#[tokio::test]
async fn the_same_request_gets_the_same_key_for_48_hours() {
    let world = world(|_| ()).await;
    let key = world.created(&year("2020")).await;
    let mut other_checklist = year("2020");
    other_checklist["checklistKey"] = "7ddf754f-d193-4cc9-b351-99906754a03b".into();
    assert_eq!(world.created(&other_checklist).await, key);
    assert_ne!(world.created(&year("2021")).await, key);
    world.sandbox.set_status(&key, DownloadStatus::Failed);
    let again = world.created(&year("2020")).await;
    assert_ne!(again, key, "a failed download is not handed out again");
    world.sandbox.advance(Duration::from_secs(49 * 3600));
    world.sandbox.set_status(&again, DownloadStatus::Succeeded);
    assert_ne!(world.created(&year("2020")).await, again);
}

#[tokio::test]
async fn cancel_and_listing() {
    let world = world(|_| ()).await;
    let key = world.created(&year("2020")).await;
    let url = format!("{}/v1/occurrence/download/request/{key}", world.sandbox.gbif_url);
    assert_eq!(world.client.delete(&url).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let cancelled = world.client.delete(&url).basic_auth("passereau", Some("sandbox")).send().await.unwrap();
    assert_eq!(cancelled.status(), StatusCode::NO_CONTENT);
    assert_eq!(world.status(&key).await["status"], "CANCELLED");
    let second = world.created(&year("2021")).await;

    let listing = "/v1/occurrence/download/user/passereau";
    assert_eq!(world.get(listing).await.status(), StatusCode::UNAUTHORIZED);
    let page: Value = world.owner_get(&format!("{listing}?limit=1")).await.json().await.unwrap();
    assert_eq!((page["count"].as_u64(), page["endOfRecords"].as_bool()), (Some(2), Some(false)));
    assert_eq!(page["results"][0]["key"], second);
    assert_eq!(page["results"][0]["source"], "passereau-tests");
    assert_eq!(page["results"][0]["request"]["creator"], "passereau");
    let page: Value = world.owner_get(&format!("{listing}?status=CANCELLED&offset=0")).await.json().await.unwrap();
    assert_eq!(page["results"][0]["key"], key);
    let count = world.owner_get(&format!("{listing}/count?status=PREPARING,RUNNING")).await;
    assert_eq!(count.text().await.unwrap(), "1");
    assert_eq!(world.get("/v1/occurrence/download/nothing").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_file_server_knows_ranges_and_refuses_credentials() {
    let world = world(|config| config.pace = Pace::Polls { preparing: 0, running: 0 }).await;
    let key = world.created(&year("2020")).await;
    let url = format!("{}/occurrence/download/request/{key}.zip", world.sandbox.files_url);
    let whole = std::fs::read(world.archive()).unwrap();
    let part = world.client.get(&url).header("range", "bytes=100-199").send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()["content-range"], format!("bytes 100-199/{}", whole.len()));
    let etag = part.headers()["etag"].clone();
    assert_eq!(part.bytes().await.unwrap(), &whole[100..200]);
    let same = world.client.get(&url).header("range", "bytes=-10").header("if-range", &etag).send().await.unwrap();
    assert_eq!(same.bytes().await.unwrap(), &whole[whole.len() - 10..]);
    let changed =
        world.client.get(&url).header("range", "bytes=5-").header("if-range", "\"old\"").send().await.unwrap();
    assert_eq!((changed.status(), changed.content_length()), (StatusCode::OK, Some(whole.len() as u64)));
    let beyond = format!("bytes={}-", whole.len());
    let beyond = world.client.get(&url).header("range", beyond).send().await.unwrap();
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(world.sandbox.credential_leaks(), 0);
    let leaky = world.client.get(&url).basic_auth("passereau", Some("sandbox")).send().await.unwrap();
    assert_eq!(leaky.status(), StatusCode::FORBIDDEN);
    assert_eq!(world.sandbox.credential_leaks(), 1);
}

#[tokio::test]
async fn archives_take_turns_or_follow_the_dataset() {
    let world = world(|config| {
        let nothing = config.archives[0].with_file_name("broken.zip");
        std::fs::write(&nothing, b"this is no zip").unwrap();
        config.archives.push(nothing);
    })
    .await;
    world.created(&year("1")).await;
    world.created(&year("2")).await;
    let by_dataset = json!({"predicate": {"type": "in", "key": "DATASET_KEY", "values": [INATURALIST_DATASET_KEY]}});
    world.created(&by_dataset).await;
    let names: Vec<_> = world
        .sandbox
        .downloads()
        .into_iter()
        .map(|download| download.archive.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["one.zip", "broken.zip", "one.zip"]);
}

#[tokio::test]
async fn datasets_of_the_registry() {
    let world = world(|_| ()).await;
    let dataset: Value = world.get(&format!("/v1/dataset/{INATURALIST_DATASET_KEY}")).await.json().await.unwrap();
    assert_eq!(dataset["title"], "iNaturalist Research-grade Observations");
    assert_eq!(dataset["doi"], "10.15468/ab3s5x");
    let eml = world.get(&format!("/v1/dataset/{INATURALIST_DATASET_KEY}/document")).await.text().await.unwrap();
    assert!(eml.contains("packageId=\"50c9509d"));
    assert_eq!(world.get("/v1/dataset/foo-bar").await.status(), StatusCode::BAD_REQUEST);
    let unknown = format!("/v1/dataset/{}", inaturalist_uuid(1));
    assert_eq!(world.get(&unknown).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn scripts_override_answers() {
    let world = world(|config| config.pace = Pace::Polls { preparing: 0, running: 0 }).await;
    world.sandbox.script(
        Route::CreateDownload,
        [
            Scripted::answer(503, "Service is in maintenance").with_header("retry-after", "77"),
            Scripted::html(200),
            Scripted::Reset,
            Scripted::LoseAnswer,
        ],
    );
    let busy = world.create(&year("2020")).send().await.unwrap();
    assert_eq!((busy.status().as_u16(), busy.headers()["retry-after"].to_str().unwrap()), (503, "77"));
    assert!(world.create(&year("2020")).send().await.unwrap().text().await.unwrap().starts_with("<html>"));
    assert!(world.create(&year("2020")).send().await.is_err());
    assert!(world.sandbox.downloads().is_empty());
    assert!(world.create(&year("2020")).send().await.is_err());
    let lost = world.sandbox.downloads();
    assert_eq!(lost.len(), 1, "the download was made although its answer was lost");
    assert_eq!(world.created(&year("2020")).await, lost[0].key);
    assert_eq!(world.sandbox.calls(Route::CreateDownload), 5);
    assert_eq!(world.sandbox.bodies(Route::CreateDownload)[4], year("2020").to_string());
    assert_eq!(world.sandbox.recorded(Route::CreateDownload)[0].header("user-agent"), Some(AGENT));

    let url = format!("{}/occurrence/download/request/{}.zip", world.sandbox.files_url, lost[0].key);
    let truncate = Scripted::Truncate { after_bytes: 1_000 };
    world.sandbox.script(Route::FileBody, [truncate, Scripted::Drip { chunk_bytes: 20_000, pause_ms: 1 }]);
    let mut cut = world.client.get(&url).send().await.unwrap();
    assert_eq!(cut.content_length(), Some(world.archive().metadata().unwrap().len()));
    let mut received = 0;
    let end = loop {
        match cut.chunk().await {
            Ok(Some(chunk)) => received += chunk.len(),
            end => break end,
        }
    };
    assert!(end.is_err(), "a truncated body is an error, not an end");
    assert_eq!(received, 1_000);
    let dripped = world.client.get(&url).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(dripped, std::fs::read(world.archive()).unwrap());

    world.sandbox.script(Route::FileBody, [Scripted::Stall { after_bytes: 10 }]);
    let mut stalled = world.client.get(&url).send().await.unwrap();
    assert_eq!(stalled.chunk().await.unwrap().unwrap().len(), 10);
    assert!(tokio::time::timeout(Duration::from_millis(50), stalled.chunk()).await.is_err());
    assert_eq!(world.sandbox.unplayed_scripts(), 0);
}

#[tokio::test]
async fn a_date_to_come_again_counts_from_its_answer_and_calls_know_when_they_came() {
    let world = world(|_| ()).await;
    world.sandbox.script(Route::CreateDownload, [Scripted::RetryAt { status: 503, after_s: 90 }]);
    let began = (Instant::now(), Utc::now());
    let busy = world.create(&year("2020")).send().await.unwrap();
    let ended = (Instant::now(), Utc::now());
    let date = DateTime::parse_from_rfc2822(busy.headers()["retry-after"].to_str().unwrap()).unwrap().to_utc();
    assert_eq!(busy.status(), 503);
    let off = TimeDelta::seconds(90);
    assert!(
        date >= began.1 + off && date <= ended.1 + off + TimeDelta::seconds(1),
        "{date} between {began:?} and {ended:?}"
    );
    let at = world.sandbox.recorded(Route::CreateDownload)[0].at;
    assert!(began.0 <= at && at <= ended.0);
    assert!(world.sandbox.downloads().is_empty(), "the call has no effect");
}

#[tokio::test]
async fn true_answers_can_be_altered() {
    let world = world(|_| ()).await;
    let key = world.created(&year("2020")).await;
    world.sandbox.script(Route::DownloadStatus, [Scripted::say("/status", "KILLED"), Scripted::Pass]);
    assert_eq!(world.status(&key).await["status"], "KILLED");
    assert_eq!(world.status(&key).await["status"], "RUNNING", "the call before had its effect");

    let url = format!("{}/occurrence/download/request/{key}.zip", world.sandbox.files_url);
    let etag = Scripted::Header { name: "etag".to_owned(), value: "\"another\"".to_owned() };
    world.sandbox.script(Route::FileBody, [Scripted::Garble { at_byte: 1 }, etag, Scripted::deaf("range")]);
    let whole = std::fs::read(world.archive()).unwrap();
    let garbled = world.client.get(&url).send().await.unwrap().bytes().await.unwrap();
    assert_eq!((garbled.len(), garbled[0], garbled[1]), (whole.len(), whole[0], !whole[1]));
    assert_eq!(world.client.get(&url).send().await.unwrap().headers()["etag"], "\"another\"");
    let unheard = world.client.get(&url).header("range", "bytes=0-9").send().await.unwrap();
    assert_eq!((unheard.status(), unheard.bytes().await.unwrap().len()), (StatusCode::OK, whole.len()));

    let reverse = Scripted::Reverse { pointer: "/results".to_owned() };
    world
        .sandbox
        .script(Route::Observations, [reverse, Scripted::deaf("per_page"), Scripted::deaf("id"), Scripted::Reset]);
    let list = (1..50).map(|id: i64| id.to_string()).collect::<Vec<_>>().join(",");
    let mut asked = Vec::new();
    for _ in 0..3 {
        let answer = world.observations(&format!("?id={list}&fields=id&per_page=200")).await;
        asked.push(answer.json::<Value>().await.unwrap());
    }
    assert_eq!(asked[0]["results"][0]["id"], 1, "the newest comes last");
    assert_eq!(asked[1]["results"].as_array().unwrap().len(), 30);
    assert_eq!(asked[2]["results"][0]["id"], inaturalist::NEWEST_ID);
    assert_eq!((world.sandbox.forget_scripts(), world.sandbox.unplayed_scripts()), (1, 0));
}

#[tokio::test]
async fn inaturalist_traps() {
    let world = world(|_| ()).await;
    let ids: Vec<i64> = (1_000..1_200).collect();
    let list = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let absent: Vec<_> = ids.iter().filter(|id| !inaturalist::exists(**id)).collect();

    let short: Value = world.observations(&format!("?id={list}&fields=id")).await.json().await.unwrap();
    assert_eq!(short["per_page"], 30);
    assert_eq!(short["results"].as_array().unwrap().len(), 30, "30 unless per_page says otherwise");
    let full = world.observations(&format!("?id={list}&fields=id,uri,uuid&per_page=500")).await;
    assert_eq!(full.headers()["cache-control"], "public, max-age=300");
    let full: Value = full.json().await.unwrap();
    assert_eq!(full["per_page"], 200);
    let found = ids.len() - absent.len();
    assert_eq!(
        (full["total_results"].as_u64(), full["results"].as_array().unwrap().len()),
        (Some(found as u64), found)
    );
    let first = &full["results"][0];
    assert_eq!(first["id"], 1_199, "newest first, not the order asked");
    assert_eq!(first["uuid"], inaturalist_uuid(1_199).to_string());
    assert_eq!(first["uri"], "https://www.inaturalist.org/observations/1199");

    let empty: Value = world.observations("?id=&fields=id&per_page=2").await.json().await.unwrap();
    assert_eq!(empty["results"][0]["id"], inaturalist::NEWEST_ID, "an empty id is no filter");
    let typo: Value = world.observations("?ids=5").await.json().await.unwrap();
    assert_eq!(typo["results"].as_array().unwrap().len(), 30);
    assert_eq!(typo["results"][0].as_object().unwrap().keys().collect::<Vec<_>>(), ["uuid"]);
    let none: Value = world.observations("?id=997&fields=id").await.json().await.unwrap();
    assert_eq!(none, json!({"total_results": 0, "page": 1, "per_page": 30, "results": []}));
    let rison: Value = world.observations("?id=5&fields=(id:!t,user:(login:!t))").await.json().await.unwrap();
    assert_eq!(rison["results"][0]["id"], 5);

    let invalid = world.observations("?id=5&per_page=many").await;
    assert_eq!(invalid.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(invalid.json::<Value>().await.unwrap()["status"], 422);
    let fields = world.observations("?id=5&fields=ID").await.json::<Value>().await.unwrap();
    assert_eq!(
        (&fields["status"], &fields["errors"][0]["message"]),
        (&json!("422"), &json!("invalid fields parameter"))
    );
    assert_eq!(
        world.observations("?id=997&fields=ID").await.status(),
        StatusCode::OK,
        "nothing found, nothing checked"
    );
    assert_eq!(world.observations("/12345").await.status(), StatusCode::UNPROCESSABLE_ENTITY);

    let url = format!("{}/v2/observations", world.sandbox.inaturalist_url);
    let post = |body: &'static str| world.client.post(&url).header("x-http-method-override", "GET").body(body);
    let posted: Value =
        post(r#"{"id":[7,8],"fields":{"id":true},"per_page":200}"#).send().await.unwrap().json().await.unwrap();
    assert_eq!(posted["total_results"], 2);
    assert_eq!(post("").send().await.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY);
    let creation = world.client.post(&url).body("{}").send().await.unwrap();
    assert_eq!(creation.status(), StatusCode::UNAUTHORIZED);

    world.sandbox.hide_observation(5);
    let hidden: Value = world.observations("?id=5").await.json().await.unwrap();
    assert_eq!(hidden["total_results"], 0);
}

#[tokio::test]
async fn inaturalist_throttle_answers_html_without_retry_after() {
    let world = world(|config| config.inaturalist_rate = Some(1)).await;
    let mut statuses = Vec::new();
    for _ in 0..20 {
        let response = world.observations("?id=5").await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            assert!(response.headers().get("retry-after").is_none());
            assert_eq!(response.headers()["content-type"], "text/html");
            statuses.push(response.status());
            break;
        }
    }
    assert_eq!(statuses.len(), 1, "twenty calls in a moment are too many");
    world.sandbox.advance(Duration::from_secs(1));
    assert_eq!(world.observations("?id=5").await.status(), StatusCode::OK);
}
