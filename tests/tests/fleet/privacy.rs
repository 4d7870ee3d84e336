//! A person who asks to be forgotten, from the command to the next download.

use passereau_contracts::SubscriptionSettings;
use passereau_harvest::{Harvest, State};
use passereau_tests::{Fleet, FleetConfig};

use crate::prepared::{RECORDS, SOON, generated, request};

/// Somebody of the stand-in GBIF, as a letter would write her name.
const NAME: &str = "GIRARD Helene";
/// As GBIF publishes her.
const PUBLISHED: &str = "Hélène Girard";

async fn harvest(fleet: &Fleet) -> Harvest {
    let settings = Some(SubscriptionSettings { media: true, ..SubscriptionSettings::default() });
    let mut wanted = request();
    wanted.settings = settings;
    let id = fleet.submit(&wanted).await.unwrap();
    let harvest = fleet.ended(id, SOON).await;
    assert_eq!(harvest.state, State::Completed, "{:?}", harvest.reason);
    harvest
}

/// Rows that hold the published name: of the synthèse, media, landed records and their media.
async fn named(fleet: &Fleet) -> Vec<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM gn_synthese.synthese t WHERE t::text LIKE '%' || $1 || '%'
         UNION ALL SELECT count(*) FROM gn_commons.t_medias t WHERE t::text LIKE '%' || $1 || '%'
         UNION ALL SELECT count(*) FROM pinv_gbif.occurrence t WHERE t::text LIKE '%' || $1 || '%'
         UNION ALL SELECT count(*) FROM pinv_gbif.multimedia t WHERE t::text LIKE '%' || $1 || '%'",
    )
    .bind(PUBLISHED)
    .fetch_all(&fleet.database.pool)
    .await
    .unwrap()
}

fn in_store(fleet: &Fleet, harvest: &Harvest) -> bool {
    fleet.store_folder().join(harvest.archive_key.as_deref().unwrap()).exists()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_asks_is_forgotten_and_no_later_download_brings_the_name_back() {
    let (_folder, archive) = generated(RECORDS);
    let environment = vec![("PASSEREAU_RECONVERT_SECONDS", "0".to_owned())];
    let fleet = Fleet::start(FleetConfig { environment, ..FleetConfig::handing_out(vec![archive]) }).await.unwrap();
    let first = harvest(&fleet).await;
    let before = named(&fleet).await;
    assert!(before.iter().all(|rows| *rows > 0), "{before:?}");

    let planned = fleet.run_command(&["privacy", "erase", "--observer", NAME]).await.unwrap();
    for told in
        ["gn_synthese.synthese.observers", "gn_commons.t_medias.author", PUBLISHED, "archive ", "Nothing was changed"]
    {
        assert!(planned.contains(told), "{told}: {planned}");
    }
    assert_eq!(named(&fleet).await, before);
    assert!(in_store(&fleet, &first));

    let erase = ["privacy", "erase", "--observer", NAME, "--yes", "--reference", "2026-12"];
    let erased = fleet.run_command(&erase).await.unwrap();
    assert!(!erased.contains("irard") && !erased.contains("IRARD"), "no name where it may be kept: {erased}");
    assert_eq!(named(&fleet).await, [0; 4], "{erased}");
    assert!(!in_store(&fleet, &first), "an archive cannot be edited");
    let noted: bool = sqlx::query_scalar(
        "SELECT archive_erased_at IS NOT NULL AND archive_sha256 IS NOT NULL FROM passereau.harvest WHERE id = $1",
    )
    .bind(first.id)
    .fetch_one(&fleet.database.pool)
    .await
    .unwrap();
    assert!(noted, "the harvest says what became of its archive");
    let listed = fleet.run_command(&["privacy", "list"]).await.unwrap();
    assert!(listed.contains("2026-12") && listed.contains("1 names are suppressed"), "{listed}");

    // GBIF hands the same data out again.
    let second = harvest(&fleet).await;
    assert_eq!(named(&fleet).await, [0; 4]);
    assert_eq!((second.counts.inserted, second.counts.updated), (0, 0), "{:?}", second.counts);
    assert!(in_store(&fleet, &second));
    fleet.run_command(&["privacy", "sweep"]).await.unwrap();
    assert!(!in_store(&fleet, &second), "an archive that brought the name again is not kept");

    let again = fleet.run_command(&erase).await.unwrap();
    assert!(again.contains("Nothing of ours held the name"), "{again}");
    for worker in ["requester", "loader", "upserter"] {
        assert!(!fleet.log(worker).contains("irard"), "{worker}");
    }
    fleet.stop().await.unwrap();
}
