//! Tokens: where they stand, what they open, and what a stranger learns.

use chrono::{TimeDelta, Utc};
use passereau_flow::token;
use passereau_testing::TestDatabase;
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::support::{Answer, Bench, V1, ask, basic, bearer};

#[tokio::test]
async fn a_token_is_taken_from_each_of_its_places() {
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    bench.deliver("atlas", V1, &[("csv", b"a;b\n")]).await;
    for (path, header) in [
        ("/flows/atlas/latest.csv".to_owned(), Some(bearer(&token))),
        ("/flows/atlas/latest.csv".to_owned(), Some(basic("qgis", &token))),
        ("/flows/atlas/latest.csv".to_owned(), Some(basic("", &token))),
        (format!("/flows/atlas/latest.csv?token={token}"), None),
    ] {
        let headers: Vec<_> = header.iter().map(|value| ("Authorization", value.as_str())).collect();
        let answer = bench.get(&path, &headers).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "a;b\n"), "{headers:?}");
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(!answer.headers.iter().any(|(_, value)| value.contains(&token)), "{answer:?}");
        assert_eq!(answer.all("location"), [] as [&str; 0]);
    }
    let used: Option<chrono::DateTime<Utc>> =
        sqlx::query_scalar("SELECT last_used_at FROM passereau.flow_token").fetch_one(bench.pool()).await.unwrap();
    assert!(used.is_some());
}

#[tokio::test]
async fn two_tokens_are_refused() {
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    let answer = bench.fetch(&token, &format!("/flows/atlas?token={token}"), &[]).await;
    assert_eq!(answer.status, 400);
    assert!(answer.header("www-authenticate").contains("invalid_request"));
    let answer = bench.fetch(&token, "/flows/atlas", &[("Authorization", &basic("x", &token))]).await;
    assert_eq!(answer.status, 400);
    let answer = bench.get(&format!("/flows/atlas?token={token}&token={token}"), &[]).await;
    assert_eq!(answer.status, 400);
}

/// A flow that there is not, a wrong token, another flow's, a revoked and an expired one: one answer.
#[tokio::test]
async fn a_stranger_learns_nothing() {
    let bench = Bench::start(&[]).await;
    let good = bench.flow("atlas").await;
    let other = bench.flow("other").await;
    bench.deliver("atlas", V1, &[("csv", b"a;b\n")]).await;
    let (revoked, id) = bench.token("atlas").await;
    token::revoke(bench.pool(), id, Utc::now()).await.unwrap();
    let (expired, id) = bench.token("atlas").await;
    sqlx::query("UPDATE passereau.flow_token SET expires_at = $2 WHERE id = $1")
        .bind(id)
        .bind(Utc::now() - TimeDelta::seconds(1))
        .execute(bench.pool())
        .await
        .unwrap();
    let unknown = format!("psr_{}", "0".repeat(64));
    let reference = bench.fetch(&unknown, "/flows/no-such-flow/latest.csv", &[]).await;
    assert_eq!(reference.status, 401);
    assert_eq!(
        reference.all("www-authenticate"),
        ["Bearer realm=\"flows\", error=\"invalid_token\"", "Basic realm=\"flows\", charset=\"UTF-8\""]
    );
    assert_eq!(reference.header("cache-control"), "no-store");
    for (name, token) in
        [("another flow's", &other), ("revoked", &revoked), ("expired", &expired), ("unknown", &unknown)]
    {
        for path in [
            "/flows/atlas",
            "/flows/atlas/latest.csv",
            "/flows/atlas/versions",
            "/flows/atlas/nothing/here",
            "/flows/atlas/",
        ] {
            let answer = bench.fetch(token, path, &[]).await;
            assert_eq!(answer.timeless(), reference.timeless(), "{name} {path}");
        }
    }
    assert_eq!(bench.fetch(&good, "/flows/other", &[]).await.timeless(), reference.timeless());
    assert_eq!(bench.fetch(&good, "/flows/atlas/latest.csv", &[]).await.status, 200);
    // Who presents none is told no error, here as there.
    let none: Vec<Answer> =
        vec![bench.get("/flows/atlas/latest.csv", &[]).await, bench.get("/flows/no-such-flow", &[]).await];
    assert_eq!(none[0].timeless(), none[1].timeless());
    assert_eq!(none[0].all("www-authenticate")[0], "Bearer realm=\"flows\"");
}

/// A role that may do what the gateway does: look tokens up and date them; and with `sees_flows` read the rest.
async fn role(database: &TestDatabase, sees_flows: bool) -> PgPool {
    let worker = database.worker().await;
    let mut grants = vec![
        "GRANT USAGE ON SCHEMA passereau TO ".to_owned(),
        "GRANT SELECT, UPDATE (last_used_at) ON passereau.flow_token TO ".to_owned(),
    ];
    if sees_flows {
        grants.push("GRANT SELECT ON passereau.delivery, passereau.schedule, passereau.schema_migration, passereau.function_set TO ".to_owned());
        grants.push(
            "GRANT SELECT (name, agreement, version, applied_at, applied_by, approved_version, approved_by, approved_at, suspended_at,
             suspended_because) ON passereau.flow TO "
                .to_owned(),
        );
        grants.push("GRANT SELECT (flow, version, agreement) ON passereau.flow_version TO ".to_owned());
    }
    for grant in grants {
        let sql = format!("{grant} \"{}\"", worker.name);
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
    }
    PgPoolOptions::new().max_connections(2).connect(&worker.url).await.unwrap()
}

/// The time of an answer cannot tell whether there is a flow: to whom has no token for it, nothing of it is read.
#[tokio::test]
async fn nothing_of_a_flow_is_read_before_a_token_opens_it() {
    let database = TestDatabase::migrated().await;
    let blind = role(&database, false).await;
    let bench = Bench::with(database, blind, &[]).await;
    let token = bench.flow("atlas").await;
    bench.flow("other").await;
    for path in ["/flows/other", "/flows/other/latest.csv", "/flows/none", "/flows/none/versions"] {
        assert_eq!(bench.fetch(&token, path, &[]).await.status, 401, "{path}");
    }
    let answer = bench.fetch(&token, "/flows/atlas/latest.csv", &[]).await;
    assert_eq!(answer.status, 500, "only now is the flow read, which this role may not");
    assert!(!answer.text().contains("permission"), "{}", answer.text());
}

#[tokio::test]
async fn a_date_of_use_is_all_that_is_written() {
    let database = TestDatabase::migrated().await;
    let reader = role(&database, true).await;
    passereau_database::check_migrated(&reader).await.unwrap();
    let bench = Bench::with(database, reader, &[]).await;
    let token = bench.flow("atlas").await;
    bench.deliver("atlas", V1, &[("csv", b"a;b\n"), ("csv.gz", b"zipped")]).await;
    for path in ["/flows/atlas", "/flows/atlas/versions", "/flows/atlas/manifest.json", "/flows/atlas/latest.csv"] {
        assert_eq!(bench.fetch(&token, path, &[]).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn no_path_reaches_the_store() {
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    bench.deliver("atlas", V1, &[("csv", b"a;b\n")]).await;
    std::fs::write(bench.folder.path().join("store/secret"), "secret").unwrap();
    for path in [
        "/flows/../etc/passwd",
        "/flows/atlas/../../../../etc/passwd",
        "/flows/atlas/..%2f..%2fetc%2fpasswd",
        "/flows/atlas/latest.%2e%2e%2f%2e%2e%2fsecret",
        "/flows/atlas/latest.csv%00",
        "/flows/atlas/latest.csv/..",
        "/flows/atlas/20261128T020000Z/../atlas.csv",
        "/flows/atlas/20261128T020000Z/atlas.csv%2f..%2f..%2fsecret",
        "/flows/atlas/20261128T020000Z/secret",
        "/flows/atlas/20261128T020000Z/other.csv",
        "/flows/atlas/flows/atlas.csv",
        "/flows/atlas/latest.parts",
        "/flows/atlas//latest.csv",
        "/flows/atlas%00/latest.csv",
        "/flows/ATLAS/latest.csv",
        "//flows/atlas/latest.csv",
    ] {
        let answer = bench.fetch(&token, path, &[]).await;
        assert!(matches!(answer.status, 401 | 404), "{path}: {answer:?}");
        assert!(!answer.text().contains("a;b") && !answer.text().contains("secret"), "{answer:?}");
    }
    // What is no address at all is refused before anything looks at it.
    for path in ["/flows/atlas/latest.csv\0", "/flows/atlas/\u{7f}", "flows/atlas"] {
        assert_eq!(bench.fetch(&token, path, &[]).await.status, 400, "{path:?}");
    }
}

/// What only a row could say does not lead outside either.
#[tokio::test]
async fn a_row_with_a_hostile_key_is_refused() {
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    bench.deliver("atlas", V1, &[("csv", b"a;b\n")]).await;
    sqlx::query("UPDATE passereau.delivery SET files = jsonb_set(files, '{csv,key}', '\"../secret\"')")
        .execute(bench.pool())
        .await
        .unwrap();
    std::fs::write(bench.folder.path().join("secret"), "secret").unwrap();
    assert_eq!(bench.fetch(&token, "/flows/atlas/latest.csv", &[]).await.status, 500);
}

#[tokio::test]
async fn only_get_and_head_are_answered() {
    let bench = Bench::start(&[]).await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        for path in ["/flows/atlas/latest.csv", "/openapi.json", "/"] {
            let answer = ask(bench.address, method, path, &[]).await;
            assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_of_security() {
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    bench.deliver("atlas", V1, &[("csv", b"a;b\n")]).await;
    for path in ["/flows/atlas", "/flows/atlas/latest.csv", "/flows/other", "/", "/openapi.json", "/flows/atlas/x/y/z"]
    {
        let answer = bench.fetch(&token, path, &[]).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
    }
}

#[tokio::test]
async fn a_token_has_a_budget_of_its_own() {
    let bench = Bench::start(&["--gateway-requests-per-minute", "3"]).await;
    let (first, second) = (bench.flow("atlas").await, bench.token("atlas").await.0);
    for _ in 0..3 {
        assert_eq!(bench.fetch(&first, "/flows/atlas/versions", &[]).await.status, 200);
    }
    let answer = bench.fetch(&first, "/flows/atlas/versions", &[]).await;
    assert_eq!(answer.status, 429);
    let after: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=21).contains(&after), "{after}");
    assert_eq!(bench.fetch(&second, "/flows/atlas/versions", &[]).await.status, 200);
}

#[tokio::test]
async fn an_address_has_a_budget_of_failures() {
    let bench = Bench::start(&["--gateway-failures-per-minute", "2", "--gateway-trusted-proxies", "127.0.0.1"]).await;
    let token = bench.flow("atlas").await;
    let from = [("X-Forwarded-For", "198.51.100.7")];
    for flow in ["atlas", "none"] {
        assert_eq!(bench.fetch("wrong", &format!("/flows/{flow}"), &from).await.status, 401);
    }
    let refused = [bench.fetch("wrong", "/flows/atlas", &from).await, bench.fetch("wrong", "/flows/none", &from).await];
    assert_eq!(refused.iter().map(|answer| answer.status).collect::<Vec<_>>(), [429, 429]);
    assert!(!refused[0].header("retry-after").is_empty());
    assert_eq!(refused[0].body, refused[1].body);
    assert_eq!(
        bench.fetch(&token, "/flows/atlas", &from).await.status,
        200,
        "a good token is not held up by a neighbour"
    );
    assert_eq!(bench.fetch("wrong", "/flows/atlas", &[("X-Forwarded-For", "198.51.100.8")]).await.status, 401);
}
