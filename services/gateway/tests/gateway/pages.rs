//! The page of a flow.

use chrono::{TimeDelta, Utc};
use serde_json::json;

use crate::support::{Bench, V1};

const NASTY: &str = r#"<script>alert("1")</script>'&"#;
const ESCAPED: &str = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;";

async fn bench() -> (Bench, String) {
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    let manifest = json!({
        "flow": "atlas", "version": V1, "rows": 1234, "taxref_version": "18.0",
        "fields": [
            { "name": "cd_ref", "field": "cd_ref", "fr": "Taxon de référence", "en": "Accepted taxon" },
            { "name": "sensibiliteNiveau", "field": "niveau_sensibilite", "fr": "Niveau", "en": "Level" },
            { "name": "geometrie", "field": "", "fr": "Géométrie de la donnée", "en": "Geometry of the record" },
        ],
        "licences": { "CC-BY-4.0": 1200, "etalab-2.0": 34 },
        "delivered": [{ "level": "0", "outcome": "exact", "area_type": null, "reason": null, "licence": "CC-BY-4.0", "records": 1230 },
                      { "level": "2.1", "outcome": "area", "area_type": "M10", "reason": null, "licence": "CC-BY-4.0", "records": 4 }],
        "withheld": [{ "level": "4", "outcome": "withheld", "area_type": null, "reason": "no_diffusion", "licence": null, "records": 56 }],
        "clause": { "fr": "Clause en français.", "en": "Clause in English." },
        "citations": ["GBIF.org, https://doi.org/10.15468/dl.example"],
    });
    let files: [(&str, &[u8]); 3] = [("csv", &[b'x'; 1500]), ("csv.gz", b"z"), ("statuts.csv", b"cd_ref")];
    bench.deliver_with("atlas", V1, &files, manifest).await;
    (bench, token)
}

#[tokio::test]
async fn a_page_tells_what_the_flow_contains_in_both_languages() {
    let (bench, token) = bench().await;
    sqlx::query(
        r#"UPDATE passereau.flow SET agreement = jsonb_set(agreement, '{studies}', '[{"name": "One", "nature": "atlas"}, {"name": "Two", "nature": "atlas"}]')"#,
    )
    .execute(bench.pool())
    .await
    .unwrap();
    for (language, expected) in [
        (
            "fr",
            [
                "<dd>One (atlas) ; Two (atlas)</dd>",
                "Contenu",
                "Fraîcheur",
                "1\u{202f}234",
                "Taxon de référence",
                "Clause en français.",
                "sans aucune diffusion",
                "floutée (M10)",
                "1,5\u{a0}ko",
            ],
        ),
        (
            "en",
            [
                "<dd>One (atlas); Two (atlas)</dd>",
                "Contents",
                "Freshness",
                "1,234",
                "Accepted taxon",
                "Clause in English.",
                "allows no diffusion",
                "blurred (M10)",
                "1.5\u{a0}kB",
            ],
        ),
    ] {
        let answer = bench.fetch(&token, "/flows/atlas", &[("Accept-Language", language)]).await;
        let page = answer.text();
        assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"));
        assert_eq!((answer.header("content-language"), answer.header("vary")), (language, "Accept-Language"));
        assert!(page.contains(&format!("<html lang=\"{language}\">")));
        for text in expected {
            assert!(page.contains(text), "{language}: {text} is not in {page}");
        }
        for text in [
            "href=\"/flows/atlas/latest.csv\"",
            "href=\"https://spdx.org/licenses/CC-BY-4.0.html\"",
            "href=\"/flows/atlas/manifest.json\"",
            "<code>sensibiliteNiveau</code>",
            "<code>niveau_sensibilite</code>",
            "<code>geometrie</code>",
            "https://doi.org/10.15468/dl.example",
            "<code>atlas.statuts.csv</code>",
        ] {
            assert!(page.contains(text), "{text}");
        }
        let by_address =
            bench.fetch(&token, &format!("/flows/atlas?lang={language}"), &[("Accept-Language", "de")]).await;
        assert_eq!(by_address.header("content-language"), language);
    }
}

/// A page that counts some of what stays within a territory must not be read as if that were all.
#[tokio::test]
async fn a_page_of_a_territory_says_that_not_all_that_stays_is_counted() {
    const CAVEAT: &str = "Records whose place may not be told are not counted";
    let (bench, token) = bench().await;
    let page = bench.fetch(&token, "/flows/atlas?lang=en", &[]).await.text();
    assert!(page.contains("Records withheld, and why") && !page.contains(CAVEAT), "{page}");
    sqlx::query(
        "UPDATE passereau.flow SET agreement = jsonb_set(agreement, '{territory,areas}', '[{\"type\": \"DEP\", \"codes\": [\"38\"]}]')",
    )
    .execute(bench.pool())
    .await
    .unwrap();
    let page = bench.fetch(&token, "/flows/atlas?lang=en", &[]).await.text();
    assert!(page.contains("Records withheld, and why") && page.contains(CAVEAT), "{page}");
    sqlx::query("UPDATE passereau.delivery SET manifest = jsonb_set(manifest, '{withheld}', '[]')")
        .execute(bench.pool())
        .await
        .unwrap();
    let page = bench.fetch(&token, "/flows/atlas?lang=en", &[]).await.text();
    assert!(page.contains("No record is counted as withheld.") && page.contains(CAVEAT), "{page}");
}

#[tokio::test]
async fn a_page_is_plain_and_accessible() {
    let (bench, token) = bench().await;
    let page = bench.fetch(&token, "/flows/atlas?lang=en", &[]).await.text();
    assert!(page.starts_with("<!DOCTYPE html>"));
    for absent in
        ["<script", "<img", "<link", "<iframe", "<form", " style=", "onclick", "javascript:", "@import", "url("]
    {
        assert!(!page.contains(absent), "{absent}");
    }
    assert_eq!(page.matches("<h1>").count(), 1);
    assert_eq!(page.matches("<table>").count(), page.matches("<caption>").count());
    assert_eq!(page.matches("<thead><tr><th scope=\"col\">").count(), page.matches("<table>").count());
    assert!(page.contains("<main>") && page.contains("<nav aria-label=") && page.contains("<title>"));
    for tag in ["table", "tr", "td", "th", "dl", "dt", "dd", "ul", "li", "a", "p", "main", "div", "code"] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[tokio::test]
async fn the_style_is_the_one_that_the_policy_names() {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use sha2::{Digest, Sha256};
    let (bench, token) = bench().await;
    let answer = bench.fetch(&token, "/flows/atlas", &[]).await;
    let page = answer.text();
    let (_, style) = page.split_once("<style>").unwrap();
    let (style, _) = style.split_once("</style>").unwrap();
    let digest = BASE64_STANDARD.encode(Sha256::digest(style.as_bytes()));
    assert!(answer.header("content-security-policy").contains(&format!("'sha256-{digest}'")));
}

#[tokio::test]
async fn the_token_of_the_address_is_not_in_the_page() {
    let (bench, token) = bench().await;
    let answer = bench.get(&format!("/flows/atlas?token={token}&lang=fr"), &[]).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains(&token) && !answer.text().contains("token="));
    assert!(!answer.text().contains("camille@example.org") && !answer.text().contains("Camille"), "nor are persons");
}

/// Whatever an agreement, a row or a manifest says is text.
#[tokio::test]
async fn a_hostile_agreement_is_text() {
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    let manifest = json!({
        "rows": 1, "taxref_version": NASTY, "citations": [NASTY], "licences": { NASTY: 1 },
        "fields": [{ "name": NASTY, "field": NASTY, "fr": NASTY, "en": NASTY }],
        "delivered": [{ "level": NASTY, "outcome": NASTY, "records": 1 }, { "level": NASTY, "outcome": "area", "area_type": NASTY, "records": 1 }],
        "withheld": [{ "level": NASTY, "outcome": "withheld", "reason": NASTY, "records": i64::MAX }, { "level": NASTY, "reason": NASTY, "records": 1 }],
        "clause": { "fr": NASTY, "en": NASTY },
    });
    bench.deliver_with("atlas", V1, &[("csv", b"x")], manifest).await;
    sqlx::query(
        "UPDATE passereau.flow SET agreement = agreement || jsonb_build_object('structure', $1::text, 'in_return', $1::text,
             'territory', jsonb_build_object('description', $1::text),
             'studies', jsonb_build_array(jsonb_build_object('name', $1::text, 'nature', $1::text)),
             'sources', jsonb_build_object('exclude', jsonb_build_array($1::text)),
             'taxa', jsonb_build_object('famille', jsonb_build_array($1::text)),
             'licences', jsonb_build_object('allowed', jsonb_build_array($1::text)))",
    )
    .bind(NASTY)
    .execute(bench.pool())
    .await
    .unwrap();
    sqlx::query("UPDATE passereau.delivery SET files = files || jsonb_build_object($1::text, files -> 'csv')")
        .bind(NASTY)
        .execute(bench.pool())
        .await
        .unwrap();
    for language in ["fr", "en"] {
        let answer = bench.fetch(&token, &format!("/flows/atlas?lang={language}"), &[]).await;
        let page = answer.text();
        assert_eq!(answer.status, 200);
        assert!(!page.contains("<script") && !page.contains(NASTY), "{page}");
        assert!(page.matches(ESCAPED).count() > 12, "{page}");
        assert!(!page.contains(&format!("licenses/{ESCAPED}")), "no link is made of what is no name of SPDX");
    }
}

#[tokio::test]
async fn a_page_tells_whether_the_flow_is_late() {
    let (bench, token) = bench().await;
    for (age, expected) in
        [(TimeDelta::hours(3), ["on time", "3 hours ago"]), (TimeDelta::days(4), ["class=\"late\"", "4 days ago"])]
    {
        sqlx::query("UPDATE passereau.delivery SET finished_at = $1")
            .bind(Utc::now() - age)
            .execute(bench.pool())
            .await
            .unwrap();
        let page = bench.fetch(&token, "/flows/atlas?lang=en", &[]).await.text();
        for text in expected {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert!(page.contains("1 day"), "the period");
    }
    sqlx::query("UPDATE passereau.flow SET suspended_at = now(), suspended_because = 'a secret reason'")
        .execute(bench.pool())
        .await
        .unwrap();
    let page = bench.fetch(&token, "/flows/atlas?lang=en", &[]).await.text();
    assert!(page.contains("suspended by the platform") && !page.contains("a secret reason"), "{page}");
}

/// "Nothing has been delivered yet" would send the partner looking for a mistake of its own.
#[tokio::test]
async fn a_page_says_that_the_authorisation_of_what_was_delivered_has_ended() {
    let (bench, token) = bench().await;
    sqlx::raw_sql(
        "WITH ended AS (SELECT '{\"sensitive\": \"precise\", \"authorisation\": {\"reference\": \"1\", \"signatory\": \"A\", \"ends_on\": \"2020-12-31\"}}'::jsonb AS of),
              flow AS (UPDATE passereau.flow SET agreement = agreement || ended.of, approved_version = version, approved_by = 'Bertrand', approved_at = now() FROM ended)
         UPDATE passereau.flow_version SET agreement = agreement || ended.of FROM ended",
    )
    .execute(bench.pool())
    .await
    .unwrap();
    let page = bench.fetch(&token, "/flows/atlas?lang=en", &[]).await.text();
    for text in ["authorisation ended on 2020-12-31", "may not be fetched any more", "none that may still be fetched"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("Nothing has been delivered yet"), "{page}");
    let refused = bench.fetch(&token, "/flows/atlas/latest.csv", &[]).await;
    assert!(refused.status == 404 && refused.text().contains("authorisation"), "{}", refused.text());
    // The flow goes on without its sensitive records at their precision, or not at all: what was delivered was so, and is closed.
    for change in [
        "UPDATE passereau.flow SET version = 2, agreement = agreement - 'authorisation' || '{\"sensitive\": \"blurred\"}'",
        "UPDATE passereau.flow SET suspended_at = now(), suspended_because = 'a pause'",
    ] {
        sqlx::query(change).execute(bench.pool()).await.unwrap();
        let page = bench.fetch(&token, "/flows/atlas?lang=en", &[]).await.text();
        assert!(
            page.contains("may not be fetched any more.") && page.contains("none that may still be fetched"),
            "{page}"
        );
        assert!(!page.contains("Nothing has been delivered yet"), "{page}");
    }
    sqlx::query("DELETE FROM passereau.delivery").execute(bench.pool()).await.unwrap();
    let page = bench.fetch(&token, "/flows/atlas?lang=en", &[]).await.text();
    assert!(page.contains("Nothing has been delivered yet.") && !page.contains("any more"), "{page}");
}

#[tokio::test]
async fn a_flow_without_a_delivery_has_a_page() {
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    let page = bench.fetch(&token, "/flows/atlas?lang=en", &[]).await.text();
    assert!(page.contains("Nothing has been delivered yet.") && page.contains("none yet"), "{page}");
    assert!(page.contains("niveau_sensibilite"), "the fields are those of the agreement");
}
