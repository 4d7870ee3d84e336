//! Two subscriptions that meet the same record at the same moment.
//!
//! One session applies its slice and holds its transaction open, the other one must wait for it, and the first then
//! commits: what the second one does next is what these tests are about.

use std::time::Duration;

use crate::platform::{Platform, record};
use passereau_testing::wait_until;
use passereau_upserter::functions::{self, Applied};
use serde_json::json;
use sqlx::types::Uuid;

/// Far more than a statement takes to come to a lock.
const SOON: Duration = Duration::from_secs(30);

/// Applies both harvests, the second one while the first is not committed yet.
pub async fn meet(platform: &Platform, first: Uuid, second: Uuid) -> (Applied, Applied) {
    for harvest in [first, second] {
        assert_eq!(functions::plan(&platform.pool, harvest, 100).await.unwrap().slices, Some(1));
    }
    let mut open = platform.pool.begin().await.unwrap();
    let ahead = functions::apply(&mut *open, first, 0).await.unwrap();
    let pool = platform.pool.clone();
    let behind = tokio::spawn(async move { functions::apply(&pool, second, 0).await });
    wait_until("the second session at the lock of the first", SOON, async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%passereau.apply(%'";
        (platform.count(waiting).await == 1).then_some(())
    })
    .await;
    open.commit().await.unwrap();
    (ahead, behind.await.unwrap().expect("a slice that met another harvest is no error"))
}

#[tokio::test]
async fn a_record_that_is_new_to_both_enters_once_and_is_kept_by_the_second() {
    let platform = Platform::new().await;
    let shared_uuid = json!("eeeeeeee-0000-4000-8000-000000000000");
    let first = platform.land("one", &[record(4), record(7).with("producer_uuid", shared_uuid.clone())]).await;
    let second = platform
        .land(
            "two",
            &[
                record(3),
                record(4).with("occurrence_remarks", json!("of the second")),
                record(5),
                // Another record under the UUID that the first one is entering: refused, not kept.
                record(6).with("producer_uuid", shared_uuid),
            ],
        )
        .await;
    let (ahead, behind) = meet(&platform, first, second).await;
    assert_eq!((ahead.inserted, ahead.rejected, ahead.kept), (2, 0, 0));
    assert_eq!((behind.inserted, behind.updated, behind.rejected, behind.kept), (2, 0, 1, 1));
    assert_eq!(platform.count("SELECT count(*) FROM gn_synthese.synthese").await, 4);
    let rejected = "SELECT count(*) FROM pinv_gbif.reject WHERE gbif_id = 6 AND reason = 'already_present'";
    assert_eq!(platform.count(rejected).await, 1);
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.reject").await, 1);
    for harvest in [first, second] {
        functions::finish(&platform.pool, harvest).await.unwrap();
    }
}

#[tokio::test]
async fn two_updates_of_one_record_leave_the_columns_of_one_of_them() {
    let platform = Platform::new().await;
    let before = platform.land("one", &[record(1)]).await;
    platform.run(before).await;
    let moved = record(1).with("decimal_latitude", json!(45.9)).with("occurrence_remarks", json!("of the first"));
    let first = platform.land("one", &[moved]).await;
    let second = platform.land("two", &[record(1).with("occurrence_remarks", json!("of the second"))]).await;
    let (ahead, behind) = meet(&platform, first, second).await;
    assert_eq!((ahead.updated, behind.updated), (1, 1));
    let whole = "SELECT count(*) FROM gn_synthese.synthese
                 WHERE comment_description = 'of the second' AND abs(ST_Y(the_geom_4326) - 45.18) < 0.0001";
    assert_eq!(platform.count(whole).await, 1, "the place is the second one's too");
    for harvest in [first, second] {
        functions::finish(&platform.pool, harvest).await.unwrap();
    }
}
