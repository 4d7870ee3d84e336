//! Tokens.

#![allow(clippy::unwrap_used, reason = "tests")]

use chrono::TimeDelta;
use passereau_flow::{apply, token};
use passereau_secret::ExposeSecret;

use crate::support::{database, document, now, text, with};

#[tokio::test]
async fn a_token_opens_its_flow_until_it_expires_or_is_revoked() {
    let database = database().await;
    let pool = &database.pool;
    apply(pool, &document(&with(&[])), "Anne", now()).await.unwrap();
    apply(
        pool,
        &document(&with(&[("\"atlas\"", "\"other\"")]).replace("nature = \"other\"", "nature = \"x\"")),
        "Anne",
        now(),
    )
    .await
    .unwrap();
    assert!(
        token::create(pool, "absent", "Partner", None, None).await.unwrap_err().to_string().contains("no flow absent")
    );
    assert!(token::create(pool, "atlas", " ", None, None).await.is_err());

    let created =
        token::create(pool, "atlas", "Partner", Some(now() + TimeDelta::days(1)), Some("Anne")).await.unwrap();
    let secret = created.text.expose_secret();
    assert!(secret.starts_with("psr_") && secret.len() == 4 + 64);
    assert!(!format!("{created:?}").contains(&secret[4..12]));
    let everything = text(pool, "SELECT string_agg(t::text, '') FROM passereau.flow_token t").await;
    assert!(!everything.contains(&secret[4..]), "the database has the digest alone");

    let opens =
        async |flow: &str, presented: &str, at| token::verify(pool, flow, presented, at).await.unwrap().is_some();
    assert!(opens("atlas", secret, now()).await);
    assert!(!opens("other", secret, now()).await, "a token opens one flow");
    for wrong in [
        "",
        "psr_",
        &secret[4..],
        &secret[..67],
        &format!("{secret}0"),
        &format!("psr_{}", "0".repeat(64)),
        &secret.to_uppercase(),
    ] {
        assert!(!opens("atlas", wrong, now()).await);
    }
    assert!(!opens("atlas", secret, now() + TimeDelta::days(1)).await, "it has expired");

    assert!(token::revoke(pool, created.id, now()).await.unwrap().is_some_and(|before| before.revoked_at.is_none()));
    assert!(!opens("atlas", secret, now()).await, "it is revoked");
    let again = token::revoke(pool, created.id, now() + TimeDelta::days(1)).await.unwrap().unwrap();
    assert_eq!(again.revoked_at, Some(now()));
    assert_eq!(token::revoke(pool, uuid::Uuid::nil(), now()).await.unwrap(), None);
}

#[tokio::test]
async fn its_last_use_is_written_once_a_minute() {
    let database = database().await;
    let pool = &database.pool;
    apply(pool, &document(&with(&[])), "Anne", now()).await.unwrap();
    let created = token::create(pool, "atlas", "Partner", None, None).await.unwrap();
    for (after_s, last_s) in [(0, 0), (30, 0), (60, 0), (61, 61), (100, 61)] {
        token::verify(pool, "atlas", created.text.expose_secret(), now() + TimeDelta::seconds(after_s))
            .await
            .unwrap()
            .unwrap();
        let listed = token::list(pool, Some("atlas")).await.unwrap();
        assert_eq!(listed[0].last_used_at, Some(now() + TimeDelta::seconds(last_s)), "after {after_s} s");
    }
    assert_eq!(token::list(pool, Some("absent")).await.unwrap(), []);
}
