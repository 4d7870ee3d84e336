//! Invariant 7: a secret is never printed, logged, traced or put in a message. Secrets are planted, and everything that leaves a process is searched.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use passereau_contracts::WORKERS;
use passereau_harvest::State;
use passereau_sandbox::{Route, SandboxConfig, Scripted};
use passereau_testing::{AMQP_PASSWORD, TraceReceiver, amqp_url, wait_until};
use passereau_tests::{Bucket, FLOW_WORKERS, Fleet, FleetConfig, Prepared, agreement, own_address};
use url::Url;

use crate::prepared::{SOON, generated, request};

/// GBIF's password, with characters that are written otherwise in addresses.
const GBIF_PASSWORD: &str = "planted/gbif+password";
/// The same with its user, as HTTP Basic writes it: base64 of `passereau:planted/gbif+password`.
const GBIF_BASIC: &str = "cGFzc2VyZWF1OnBsYW50ZWQvZ2JpZitwYXNzd29yZA==";
/// In the query of an address to which GBIF redirects.
const TOKEN: &str = "planted-token-of-a-redirect";
/// A password of a server that is not there, or does not know it.
const WRONG: &str = "planted-wrong-password";

/// What a receiver of traces asks for.
const RECEIVER_TOKEN: &str = "planted-token-of-the-receiver";

/// What must not appear, by what it is.
fn planted(fleet: &Fleet) -> BTreeMap<&'static str, String> {
    let password = |url: &str| Url::parse(url).unwrap().password().unwrap().to_owned();
    let mut planted: BTreeMap<_, _> = [
        ("GBIF's password", GBIF_PASSWORD.to_owned()),
        ("GBIF's credentials", GBIF_BASIC.to_owned()),
        ("GBIF's password in JSON", "gbif+password".to_owned()),
        ("GBIF's password in HTML", "gbif&#x2B;password".to_owned()),
        ("GBIF's password in an address", "gbif%2Bpassword".to_owned()),
        ("the token of a redirect", TOKEN.to_owned()),
        ("a wrong password", WRONG.to_owned()),
        ("the token of the receiver of traces", RECEIVER_TOKEN.to_owned()),
        ("the password of the state's owner", password(&fleet.roles.state.url)),
        ("the password of the writer", password(&fleet.roles.writer.url)),
        ("the password of the exporter", password(&fleet.roles.exporter.url)),
        ("the password of the gateway", password(&fleet.roles.gateway.url)),
        ("the password of the reader", password(&fleet.roles.reader.url)),
        ("the administrator's password", password(&fleet.database.url)),
        ("the broker's password", password(&amqp_url())),
    ]
    .into();
    if let Ok(password) = std::env::var(AMQP_PASSWORD) {
        planted.insert("the password of the broker's users", password);
    }
    planted
}

/// Searches one text.
fn search(planted: &BTreeMap<&'static str, String>, place: &str, text: &str) {
    for (what, secret) in planted {
        if let Some(at) = text.find(secret.as_str()) {
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            panic!(
                "{what} is in {place}: {}",
                text[line..at].chars().rev().take(400).collect::<Vec<_>>().iter().rev().collect::<String>()
            );
        }
    }
}

/// Every row of the database as text, those of GeoNature included, and every message that ever stood in the outbox.
async fn database(fleet: &Fleet) -> Vec<(String, String)> {
    let pool = &fleet.database.pool;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    for table in ["passereau.dead_letter", "pinv_gbif.occurrence", "gn_synthese.synthese", "public.every_message"] {
        assert!(tables.iter().any(|known| known == table), "{table} is not among {tables:?}");
    }
    let mut texts = Vec::new();
    for table in tables {
        // Bytes are shown as text too: a dead letter keeps its body as it came.
        let sql = format!("SELECT string_agg(to_jsonb(t)::text, E'\\n') FROM {table} t");
        let text: Option<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await.unwrap();
        texts.push((table, text.unwrap_or_default()));
    }
    let bodies: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT body FROM passereau.dead_letter").fetch_all(pool).await.unwrap();
    texts.extend(bodies.iter().map(|body| ("a dead letter".to_owned(), String::from_utf8_lossy(body).into_owned())));
    texts
}

/// The metrics page of a worker, whose address stands in its log.
async fn metrics(fleet: &Fleet, worker: &str) -> String {
    let log = fleet.log(worker);
    let line = log.lines().find(|line| line.contains("serving metrics and health"));
    let address = line.and_then(|line| line.split("\"address\":\"").nth(1)?.split('"').next());
    let address = address.expect("the worker logs the address of its metrics");
    let page = reqwest::get(format!("http://{address}/metrics")).await.unwrap().text().await.unwrap();
    assert!(page.contains("passereau_"), "{page}");
    page
}

/// What a command says, on both outputs.
async fn said(fleet: &Fleet, args: &[&str]) -> String {
    let output = fleet.command(args).await.unwrap();
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).join("\n")
}

/// A partner with a token fetches a flow; tells the token, and what the gateway has answered to it and to another one.
async fn fetched(fleet: &Fleet, folder: &Path, gateway: SocketAddr) -> (String, Vec<String>) {
    let file = folder.join("flow.toml");
    std::fs::write(&file, agreement("atlas", &["csv"])).unwrap();
    fleet.run_command(&["flow", "apply", file.to_str().unwrap(), "--by", "the data manager"]).await.unwrap();
    let created = ["flow", "token", "create", "atlas", "--partner", "Camille", "--json"];
    let created: serde_json::Value = serde_json::from_str(&fleet.run_command(&created).await.unwrap()).unwrap();
    let token = created["token"].as_str().unwrap().to_owned();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let ask = async |path: &str, token: &str| {
        let answer = client.get(format!("http://{gateway}/flows/atlas/{path}")).bearer_auth(token).send().await.ok()?;
        let (status, headers) = (answer.status().as_u16(), format!("{:?}", answer.headers()));
        Some((status, format!("{headers}\n{}", answer.text().await.ok()?)))
    };
    let csv =
        wait_until("the delivery", SOON, async || ask("latest.csv", &token).await.filter(|(status, _)| *status == 200))
            .await;
    let mut answers = vec![csv.1];
    for (path, token, expected) in
        [("manifest.json", token.as_str(), 200), ("nowhere", &token, 404), ("latest.csv", WRONG, 401)]
    {
        let (status, answer) = ask(path, token).await.unwrap();
        assert_eq!(status, expected, "{path}: {answer}");
        answers.push(answer);
    }
    (token, answers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_leaves_the_fleet_in_a_harvest_a_delivery_or_their_failures() {
    let (folder, archive) = generated(50);
    let bucket = Bucket::start().await.unwrap();
    let gateway = own_address().unwrap();
    let sandbox =
        SandboxConfig { archives: vec![archive], password: GBIF_PASSWORD.to_owned(), ..SandboxConfig::default() };
    let receiver = TraceReceiver::start().await;
    let mut environment = bucket.environment();
    environment.extend([
        ("PASSEREAU_LOG", "debug".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.clone()),
        ("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{RECEIVER_TOKEN}")),
    ]);
    let environment_of = vec![("gateway", vec![("PASSEREAU_GATEWAY_LISTEN", gateway.to_string())])];
    let config = FleetConfig { sandbox, environment, environment_of, with_flows: true, ..FleetConfig::default() };
    let mut fleet = Fleet::start(config).await.unwrap();
    fleet.start_worker("gateway").unwrap();
    fleet.overhear().await.unwrap();
    let mut planted = planted(&fleet);
    planted.insert("the key of the bucket", bucket.secret_key().to_owned());
    sqlx::raw_sql(
        "CREATE TABLE public.every_message (message jsonb);
         CREATE FUNCTION public.keep_message() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
             AS 'BEGIN INSERT INTO public.every_message VALUES (to_jsonb(NEW)); RETURN NULL; END';
         CREATE TRIGGER keep_message AFTER INSERT OR UPDATE ON passereau.outbox
             FOR EACH ROW EXECUTE FUNCTION public.keep_message()",
    )
    .execute(&fleet.database.pool)
    .await
    .unwrap();

    // A front end that shows what it was sent, a redirect that carries a token to where nobody is; then all goes well.
    let echo = format!(
        "<html>\nauthorization: Basic {GBIF_BASIC}\npassword {GBIF_PASSWORD} planted\\/gbif+password planted&#x2F;gbif&#x2B;password planted%2Fgbif%2Bpassword\n"
    );
    let page = |status| Scripted::answer(status, echo.clone()).with_header("content-type", "text/html");
    fleet.sandbox.script(Route::CreateDownload, [page(503), page(200)]);
    let nowhere = format!("http://127.0.0.1:1/x.zip?token={TOKEN}#{TOKEN}");
    fleet.sandbox.script(Route::DownloadFile, [Scripted::answer(302, "elsewhere").with_header("location", &nowhere)]);
    let id = fleet.submit(&request()).await.unwrap();
    let harvest = fleet.ended(id, SOON).await;
    assert_eq!(harvest.state, State::Completed, "{:?}", harvest.reason);
    assert_eq!(fleet.sandbox.unplayed_scripts(), 0, "every trouble was met");

    // A refused account ends a harvest, with GBIF's words in its reason; so does a proxy that sends us elsewhere.
    let asked_for = [(401, 0, "False", "PASSEREAU_GBIF_PASSWORD"), (302, 1, "True", "PASSEREAU_GBIF_URL")];
    for (status, predicate, value, advice) in asked_for {
        fleet.sandbox.script(Route::CreateDownload, [page(status)]);
        let mut other = request();
        other.subscription = Some(format!("refused-{status}"));
        other.query.as_mut().unwrap()["predicate"]["predicates"][predicate]["value"] = value.into();
        let refused = fleet.submit(&other).await.unwrap();
        let refused = fleet.ended(refused, SOON).await;
        assert_eq!(refused.state, State::Failed);
        let reason = refused.reason.unwrap();
        assert!(reason.contains(advice) && reason.contains("authorization: Basic … password …"), "{reason}");
    }
    // And a message that is none.
    let poison = fleet.publish("harvest.request", b"{".to_vec()).await.unwrap();
    fleet.dead_letter(poison, SOON).await;

    // A partner comes, and somebody who is none.
    let (token, answers) = fetched(&fleet, folder.path(), gateway).await;
    planted.insert("the token of a partner", token);
    for answer in answers {
        search(&planted, "an answer of the gateway", &answer);
    }

    for worker in WORKERS.iter().map(|worker| worker.worker).chain(["gateway"]) {
        let log = fleet.log(worker);
        assert!(log.contains("\"level\":\"DEBUG\""), "the {worker} logs at debug level");
        search(&planted, &format!("the log of the {worker}"), &log);
        search(&planted, &format!("the metrics of the {worker}"), &metrics(&fleet, worker).await);
    }
    let overheard = fleet.overheard().await.unwrap();
    for kind in ["archive.load", "flow.deliver", "harvest.failed"] {
        assert!(overheard.iter().any(|message| message.routing_key == kind), "{kind} was not overheard");
    }
    for message in overheard {
        let place = format!("a message {}", message.routing_key);
        search(&planted, &place, &format!("{:?} {}", message.headers, String::from_utf8_lossy(&message.body)));
    }
    for (place, text) in database(&fleet).await {
        assert!(place != "public.every_message" || text.contains("archive.load"), "messages were kept");
        search(&planted, &place, &text);
    }

    let shown = id.to_string();
    let letters = said(&fleet, &["dead", "list", "--json"]).await;
    search(&planted, "the list of dead letters", &letters);
    let postgres = format!("postgres://passereau:{WRONG}@127.0.0.1:1/geonature");
    let refused_login = {
        let mut url = Url::parse(&fleet.database.url).unwrap();
        url.set_password(Some(WRONG)).unwrap();
        url.to_string()
    };
    let amqp = format!("amqp://passereau:{WRONG}@127.0.0.1:1/%2f");
    let refused_user = {
        let mut url = Url::parse(&amqp_url()).unwrap();
        url.set_password(Some(WRONG)).unwrap();
        url.to_string()
    };
    let brief = ["--amqp-startup-timeout-ms", "0", "--amqp-connect-timeout-ms", "2000"];
    let commands: Vec<Vec<&str>> = vec![
        vec!["harvest", "show", &shown],
        vec!["harvest", "show", &shown, "--json"],
        vec!["harvest", "list", "--json"],
        vec!["harvest", "plan", &shown],
        vec!["check"],
        vec!["harvest", "submit", "--help"],
        vec!["harvest", "show", "--help"],
        vec!["up", "--help"],
        vec!["harvest", "list", "--database-url", &postgres],
        vec!["harvest", "list", "--database-url", &refused_login],
        vec!["harvest", "list", "--database-url", WRONG],
        vec!["migrate", "--database-url", &refused_login],
        [&["topology", "apply", "--amqp-url", &amqp][..], &brief].concat(),
        [&["topology", "apply", "--amqp-url", &refused_user][..], &brief].concat(),
        vec!["topology", "apply", "--amqp-url", WRONG],
        vec!["up", "--database-url", &postgres, "--amqp-url", WRONG, "--concurrency", "none"],
    ];
    for args in commands {
        let text = said(&fleet, &args).await;
        assert!(!text.trim().is_empty(), "{args:?} says something");
        search(&planted, &format!("the output of `passereau {}`", args[..2.min(args.len())].join(" ")), &text);
    }
    // The end of the processes sends the last spans.
    fleet.end_workers().await.unwrap();
    let spans = receiver.spans();
    for worker in WORKERS.iter().map(|worker| worker.worker).filter(|worker| !FLOW_WORKERS.contains(worker)) {
        let service = format!("passereau-{worker}");
        assert!(spans.iter().any(|span| span.service() == service), "the {worker} has sent spans");
    }
    assert!(receiver.text().contains("authorization: Basic …"), "what GBIF's front end said stands in them");
    search(&planted, "the traces", &receiver.text());
    let bearer = format!("Bearer {RECEIVER_TOKEN}");
    assert!(receiver.authorizations().iter().all(|sent| *sent == bearer), "the receiver knows who sends");
    fleet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_takes_its_secrets_from_files() {
    let (folder, archive) = generated(50);
    let secret = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("{content}\n")).unwrap();
        path.display().to_string()
    };
    let sandbox = SandboxConfig {
        archives: vec![archive.clone()],
        password: GBIF_PASSWORD.to_owned(),
        ..SandboxConfig::default()
    };
    // The roles are known before the workers start, so that their addresses can be written into files.
    let template = Prepared::new(&archive).await.unwrap();
    let (database, roles) = template.copy().await;
    let of_writer = vec![("PASSEREAU_DATABASE_URL_FILE", secret("writer", &roles.writer.url))];
    let environment = vec![
        ("PASSEREAU_DATABASE_URL", String::new()),
        ("PASSEREAU_DATABASE_URL_FILE", secret("state", &roles.state.url)),
        ("PASSEREAU_GBIF_PASSWORD", String::new()),
        ("PASSEREAU_GBIF_PASSWORD_FILE", secret("gbif", GBIF_PASSWORD)),
        ("PASSEREAU_AMQP_URL", String::new()),
        ("PASSEREAU_AMQP_URL_FILE", secret("amqp", &amqp_url())),
    ];
    let environment_of = vec![("upserter", of_writer)];
    let prepared = Some((database, roles));
    let config = FleetConfig { sandbox, environment, environment_of, prepared, ..FleetConfig::default() };
    let fleet = Fleet::start(config).await.unwrap();
    let id = fleet.submit(&request()).await.unwrap();
    let harvest = fleet.ended(id, SOON).await;
    assert_eq!(harvest.state, State::Completed, "{:?}", harvest.reason);

    let both = ["topology", "apply", "--amqp-url", "amqp://somebody@127.0.0.1/"];
    let text = said(&fleet, &both).await;
    assert!(text.contains("PASSEREAU_AMQP_URL and PASSEREAU_AMQP_URL_FILE are both set"), "{text}");
    fleet.stop().await.unwrap();
}
