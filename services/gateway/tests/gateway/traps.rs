//! Traps of the stock export module (PnX-SI/gn_module_export 1.8.2) that concern access, one test each.

use passereau_flow::token;

use crate::support::{Bench, V1, basic, bearer};

/// Scheduled files of exports that are not public lie there where the web server shows them to everybody, at a name made from the label.
#[tokio::test]
async fn trap_scheduled_files_lie_open_at_a_name_that_can_be_guessed() {
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    bench.deliver("atlas", V1, &[("csv", b"a;b\n"), ("csv.gz", b"zipped"), ("gpkg", b"GP")]).await;
    let guesses = [
        "/flows/atlas/latest.csv",
        "/flows/atlas/latest.csv.gz",
        "/flows/atlas/latest.gpkg",
        &format!("/flows/atlas/{V1}/atlas.csv"),
        &format!("/flows/atlas/{V1}/manifest.json"),
        "/flows/atlas/manifest.json",
        "/flows/atlas/versions",
        "/flows/atlas",
        "/media/exports/schedules/atlas.csv",
        &format!("/{V1}/atlas.csv"),
        "/atlas.csv",
    ];
    for path in guesses {
        let answer = bench.get(path, &[]).await;
        assert!([401, 404].contains(&answer.status), "{path}: {}", answer.status);
        assert!(!answer.text().contains("a;b"), "{path}");
    }
    for path in &guesses[..8] {
        assert_eq!(bench.fetch(&token, path, &[]).await.status, 200, "{path}");
    }
}

/// There the default is computed once for a process, and a migration gives all roles the same one: a partner's token opens another's export.
#[tokio::test]
async fn trap_partners_share_one_token() {
    let bench = Bench::start(&[]).await;
    bench.flow("atlas").await;
    bench.flow("other").await;
    bench.deliver("atlas", V1, &[("csv", b"a;b\n")]).await;
    bench.deliver("other", V1, &[("csv", b"c;d\n")]).await;
    let (mut texts, mut ids) = (Vec::new(), Vec::new());
    for flow in ["atlas", "atlas", "other", "other"] {
        let (text, id) = bench.token(flow).await;
        texts.push(text);
        ids.push(id);
    }
    let digests: i64 =
        sqlx::query_scalar("SELECT count(DISTINCT t.digest) FROM passereau.flow_token t WHERE t.id = ANY ($1)")
            .bind(&ids)
            .fetch_one(bench.pool())
            .await
            .unwrap();
    assert_eq!(digests, 4);
    for (position, token) in texts.iter().enumerate() {
        let (own, others) = if position < 2 { ("atlas", "other") } else { ("other", "atlas") };
        assert_eq!(bench.fetch(token, &format!("/flows/{own}/latest.csv"), &[]).await.status, 200);
        assert_eq!(bench.fetch(token, &format!("/flows/{others}/latest.csv"), &[]).await.status, 401);
    }
    // One partner's can end alone.
    token::revoke(bench.pool(), ids[0], chrono::Utc::now()).await.unwrap();
    assert_eq!(bench.fetch(&texts[0], "/flows/atlas/latest.csv", &[]).await.status, 401);
    assert_eq!(bench.fetch(&texts[1], "/flows/atlas/latest.csv", &[]).await.status, 200);
}

/// There the documents say `Authorization: Bearer`, and the code reads `api-key`. Here each way that the documents name opens, and no other does.
#[tokio::test]
async fn trap_the_documented_header_is_not_the_one_that_is_read() {
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    bench.deliver("atlas", V1, &[("csv", b"a;b\n")]).await;
    let document = passereau_gateway::openapi::document();
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/gateway.md")).unwrap();
    for (name, scheme) in schemes {
        let (query, header, said) = match (scheme["type"].as_str(), scheme["scheme"].as_str(), scheme["in"].as_str()) {
            (Some("http"), Some("bearer"), _) => (String::new(), Some(bearer(&token)), "Authorization: Bearer"),
            (Some("http"), Some("basic"), _) => (String::new(), Some(basic("partner", &token)), "Basic authentication"),
            (Some("apiKey"), _, Some("query")) => {
                let key = scheme["name"].as_str().unwrap();
                (format!("?{key}={token}"), None, "?token=")
            }
            other => panic!("{name}: a test for {other:?}"),
        };
        let headers: Vec<_> = header.iter().map(|value| ("Authorization", value.as_str())).collect();
        assert_eq!(bench.get(&format!("/flows/atlas/latest.csv{query}"), &headers).await.status, 200, "{name}");
        assert!(page.contains(said), "docs/gateway.md does not tell of {name}");
    }
    for header in ["api-key", "X-API-Key", "Token"] {
        assert_eq!(bench.get("/flows/atlas/latest.csv", &[(header, &token)]).await.status, 401, "{header}");
    }
}
