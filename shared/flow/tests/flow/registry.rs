//! Applying, approving, suspending.

#![allow(clippy::unwrap_used, reason = "tests")]

use chrono::{DateTime, TimeDelta, Utc};
use passereau_flow::{Applied, Changed, Document, Standing, apply, approve, find, history, list, resume, suspend};
use sqlx::PgPool;

use crate::support::{and, database, document, now, text, with};

fn precise() -> Document {
    document(&and(
        "sensitive = \"precise\"\nauthorisation = { reference = \"A-1\", signatory = \"B\", ends_on = 2026-12-31 }",
    ))
}

async fn standing(pool: &PgPool, at: DateTime<Utc>) -> Standing {
    find(pool, "atlas").await.unwrap().unwrap().standing(at)
}

/// Whether the schedule runs, and its expression.
async fn schedule(pool: &PgPool) -> (bool, String) {
    sqlx::query_as("SELECT suspended_at IS NULL, expression FROM passereau.schedule WHERE name = 'flow:atlas'")
        .fetch_one(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn applied_twice_it_is_one_version_and_a_change_makes_another() {
    let database = database().await;
    let pool = &database.pool;
    let first = document(&with(&[]));
    assert_eq!(apply(pool, &first, "Anne", now()).await.unwrap(), Applied::Created);
    let key = text(pool, "SELECT encode(key, 'hex') FROM passereau.flow").await;
    assert_eq!(apply(pool, &first, "Bertrand", now()).await.unwrap(), Applied::Unchanged { version: 1 });
    let flow = find(pool, "atlas").await.unwrap().unwrap();
    assert_eq!((flow.version, flow.applied_by.as_deref(), flow.next_at), (1, Some("Anne"), Some(now())));
    assert_eq!(flow.agreement, first.agreement);

    let second = document(&and("keep = 5\nschedule = \"0 3 * * *\""));
    assert_eq!(apply(pool, &second, "Bertrand", now()).await.unwrap(), Applied::Changed { version: 2 });
    assert_eq!(text(pool, "SELECT encode(key, 'hex') FROM passereau.flow").await, key, "names of blurred records stay");
    let flow = find(pool, "atlas").await.unwrap().unwrap();
    // Three in the morning in Paris.
    assert_eq!((flow.version, flow.next_at), (2, Some("2026-11-30T02:00:00Z".parse().unwrap())));
    assert_eq!(schedule(pool).await, (true, "0 3 * * *".to_owned()));
    let versions = history(pool, "atlas", 10).await.unwrap().versions;
    assert_eq!(versions.iter().map(|version| version.version).collect::<Vec<_>>(), [2, 1]);
    assert_eq!((versions[1].agreement.keep, versions[1].applied_by.as_str()), (3, "Anne"));
    assert_eq!(list(pool).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_area_that_changed_its_shape_makes_a_version_although_the_file_is_the_same() {
    let database = database().await;
    let pool = &database.pool;
    let document = document(&with(&[("\"Isère\"", "\"Isère\", areas = [{ type = \"DEP\", codes = [\"38\"] }]")]));
    apply(pool, &document, "Anne", now()).await.unwrap();
    assert_eq!(apply(pool, &document, "Anne", now()).await.unwrap(), Applied::Unchanged { version: 1 });
    sqlx::query(
        "UPDATE ref_geo.l_areas SET geom = ST_Multi(ST_Buffer(geom, 100)) WHERE area_code = '38' AND id_type = ref_geo.get_id_area_type('DEP')",
    )
    .execute(pool)
    .await
    .unwrap();
    assert_eq!(apply(pool, &document, "Anne", now()).await.unwrap(), Applied::Changed { version: 2 });
    let shapes: i64 = sqlx::query_scalar("SELECT count(DISTINCT ST_Area(territory)) FROM passereau.flow_version")
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(shapes, 2);
}

#[tokio::test]
async fn two_who_apply_at_once_make_one_version() {
    let database = database().await;
    let document = document(&with(&[]));
    let (one, other) = tokio::join!(
        apply(&database.pool, &document, "Anne", now()),
        apply(&database.pool, &document, "Bertrand", now())
    );
    let mut done = [one.unwrap(), other.unwrap()];
    done.sort_by_key(|applied| *applied != Applied::Created);
    assert_eq!(done, [Applied::Created, Applied::Unchanged { version: 1 }]);
}

#[tokio::test]
async fn sensitive_records_need_a_second_person_for_each_version_within_the_authorisation() {
    let database = database().await;
    let pool = &database.pool;
    let refused = async |by: &str, version, at| approve(pool, "atlas", by, version, at).await.unwrap_err().to_string();
    assert!(refused("Anne", None, now()).await.contains("there is no flow atlas"));
    apply(pool, &document(&with(&[])), "Anne  Martin", now()).await.unwrap();
    assert!(refused("Bertrand", None, now()).await.contains("needs no approval"));

    apply(pool, &precise(), "Anne  Martin", now()).await.unwrap();
    assert_eq!(standing(pool, now()).await, Standing::AwaitsApproval);
    assert!(!schedule(pool).await.0, "nothing is due before the approval");
    for same in ["Anne Martin", " anne   MARTIN "] {
        let said = refused(same, None, now()).await;
        assert!(said.contains("a second person must approve it"), "{said}");
    }
    assert!(refused(" ", None, now()).await.contains("nobody is named"));
    assert!(refused("Bertrand", Some(1), now()).await.contains("version 2 of flow atlas is in force"));
    let past: DateTime<Utc> = "2027-01-01T12:00:00Z".parse().unwrap();
    assert!(refused("Bertrand", None, past).await.contains("its authorisation ended on 2026-12-31"));
    assert_eq!(standing(pool, now()).await, Standing::AwaitsApproval, "no refusal has left an approval");

    assert_eq!(approve(pool, "atlas", "Bertrand", Some(2), now()).await.unwrap(), 2);
    assert_eq!(standing(pool, now()).await, Standing::Active);
    assert!(schedule(pool).await.0);
    assert!(refused("Claire", None, now()).await.contains("approved already, by Bertrand"));
    assert!(matches!(standing(pool, past).await, Standing::AuthorisationEnded { .. }));

    let mut changed = precise();
    changed.agreement.keep = 9;
    apply(pool, &changed, "Bertrand", now()).await.unwrap();
    assert_eq!(standing(pool, now()).await, Standing::AwaitsApproval, "an approval is for its version alone");
    let versions = history(pool, "atlas", 1).await.unwrap().versions;
    let approvals: Vec<_> = versions.iter().map(|version| version.approved_by.as_deref()).collect();
    assert_eq!(approvals, [None, Some("Bertrand"), None]);
}

#[tokio::test]
async fn a_suspended_flow_is_not_due_until_it_is_resumed() {
    let database = database().await;
    let pool = &database.pool;
    apply(pool, &document(&with(&[])), "Anne", now()).await.unwrap();
    assert!(suspend(pool, "atlas", " ", now()).await.is_err());
    assert!(suspend(pool, "other", "why", now()).await.is_err());
    assert_eq!(suspend(pool, "atlas", "a complaint", now()).await.unwrap(), Changed::Done);
    assert_eq!(suspend(pool, "atlas", "another", now()).await.unwrap(), Changed::Already);
    assert_eq!(standing(pool, now()).await, Standing::Suspended { because: "a complaint".to_owned() });
    assert!(!schedule(pool).await.0);
    // A new version does not let it go on.
    apply(pool, &document(&and("keep = 9")), "Anne", now()).await.unwrap();
    assert!(!schedule(pool).await.0 && !standing(pool, now()).await.is_active());
    assert_eq!(resume(pool, "atlas", now()).await.unwrap(), Changed::Done);
    assert_eq!(resume(pool, "atlas", now()).await.unwrap(), Changed::Already);
    assert!(schedule(pool).await.0 && standing(pool, now()).await.is_active());
    // Nor does resuming approve anything.
    apply(pool, &precise(), "Anne", now()).await.unwrap();
    suspend(pool, "atlas", "why", now()).await.unwrap();
    resume(pool, "atlas", now()).await.unwrap();
    assert!(!schedule(pool).await.0);
    assert_eq!(standing(pool, now()).await, Standing::AwaitsApproval);
}

#[tokio::test]
async fn a_flow_ends_after_its_last_day_in_its_own_time_zone_and_is_late_after_its_period() {
    let database = database().await;
    let pool = &database.pool;
    let text = with(&[("2030-12-31", "2027-06-30")]);
    apply(pool, &document(&text), "Anne", now()).await.unwrap();
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    assert!(standing(pool, at("2027-06-30T21:59:59Z")).await.is_active());
    let ended = standing(pool, at("2027-06-30T22:00:00Z")).await;
    assert!(matches!(ended, Standing::Ended { .. }) && ended.to_string().contains("write a later ends_on"), "{ended}");
    let flow = find(pool, "atlas").await.unwrap().unwrap();
    assert!(!flow.is_late(now() + TimeDelta::days(29)) && flow.is_late(now() + TimeDelta::days(31)));
    assert!(!flow.is_late(at("2028-01-01T00:00:00Z")), "what has ended is not late");
}
