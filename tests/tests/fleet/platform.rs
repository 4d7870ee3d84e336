//! A data manager's platform around the harvests: what waits, what must be chosen, what is asked afterwards.

use passereau_harvest::{Harvest, State, rejects_by_reason};
use passereau_sandbox::seeds::UNKNOWN_DATASET;
use passereau_testing::{Variant, seed_dataset, wait_until};
use passereau_tests::{Fleet, FleetConfig, SUBSCRIPTION};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::{
    harvest::assert_sums,
    prepared::{RECORDS, SOON, generated, request},
};

/// Harvests the request of the tests.
async fn harvest(fleet: &Fleet) -> Harvest {
    let id = fleet.submit(&request()).await.unwrap();
    fleet.ended(id, SOON).await
}

async fn rejected(fleet: &Fleet, reason: &str) -> i64 {
    let rejects = rejects_by_reason(&fleet.database.pool, SUBSCRIPTION).await.unwrap();
    rejects.iter().find(|reject| reject.reason == reason).map_or(0, |reject| reject.records)
}

async fn count(fleet: &Fleet, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&fleet.database.pool).await.unwrap()
}

/// The newest harvest, once it is a reconversion that has ended.
async fn reconverted(fleet: &Fleet, after: &Harvest) -> Harvest {
    wait_until("a reconversion that nobody asked for", SOON, async || {
        let newest = passereau_harvest::list(&fleet.database.pool, &passereau_harvest::Wanted::newest(1))
            .await
            .ok()?
            .into_iter()
            .next()?;
        (newest.id != after.id && !newest.state.is_alive()).then_some(newest)
    })
    .await
}

/// The sheet as a spreadsheet saves it once its first row is answered.
fn with_first_answer(sheet: &str, cd_nom: &str) -> NamedTempFile {
    let mut table =
        csv::ReaderBuilder::new().delimiter(b';').from_reader(sheet.trim_start_matches('\u{feff}').as_bytes());
    let headings = table.headers().unwrap().clone();
    let answer = headings.iter().position(|heading| heading.starts_with("answer")).expect("a column for answers");
    let file = NamedTempFile::new().unwrap();
    let mut saved = csv::WriterBuilder::new().delimiter(b';').from_path(file.path()).unwrap();
    saved.write_record(&headings).unwrap();
    for (place, line) in table.records().enumerate() {
        let line = line.unwrap();
        let cell = |(column, cell)| if (place, column) == (0, answer) { cd_nom } else { cell };
        saved.write_record(line.iter().enumerate().map(cell)).unwrap();
    }
    saved.flush().unwrap();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_wait_enter_by_themselves_once_the_cause_is_gone() {
    let (_folder, archive) = generated(RECORDS);
    let environment = vec![("PASSEREAU_RECONVERT_SECONDS", "1".to_owned())];
    let fleet = Fleet::start(FleetConfig { environment, ..FleetConfig::handing_out(vec![archive]) }).await.unwrap();
    let first = harvest(&fleet).await;
    assert_eq!(first.state, State::Completed, "{:?}", first.reason);
    let (orphans, unmatched) = (rejected(&fleet, "dataset_unknown").await, rejected(&fleet, "taxon_unmatched").await);
    assert!(orphans > 0 && unmatched > 0, "{orphans} orphans, {unmatched} unmatched");

    // A person declares the dataset under GBIF's key.
    seed_dataset(&fleet.database.pool, UNKNOWN_DATASET.key.parse().unwrap(), UNKNOWN_DATASET.title).await.unwrap();
    let second = reconverted(&fleet, &first).await;
    assert_eq!(second.state, State::Completed, "{:?}", second.reason);
    assert_eq!(rejected(&fleet, "dataset_unknown").await, 0);
    assert!(second.counts.inserted > 0 && second.counts.updated == 0, "{:?}", second.counts);
    assert_eq!(second.counts.unchanged, first.counts.inserted);
    assert_sums(&second.counts);

    // A taxonomist answers through the sheet.
    let unmatched = rejected(&fleet, "taxon_unmatched").await;
    let sheet = fleet.run_command(&["taxon", "unmatched", SUBSCRIPTION, "--csv", "--lang", "en"]).await.unwrap();
    let cd_nom =
        count(&fleet, "SELECT min(cd_nom)::bigint FROM taxonomie.taxref WHERE id_rang = 'ES'").await.to_string();
    let answered = with_first_answer(&sheet, &cd_nom);
    let said = fleet.run_command(&["taxon", "import", answered.path().to_str().unwrap()]).await.unwrap();
    assert!(said.contains("1 answers written"), "{said}");
    let third = reconverted(&fleet, &second).await;
    assert_eq!(third.state, State::Completed, "{:?}", third.reason);
    assert!(third.counts.inserted > 0, "{:?}", third.counts);
    assert!(rejected(&fleet, "taxon_unmatched").await < unmatched);
    let answered = count(&fleet, "SELECT count(*) FROM pinv_gbif.v_provenance WHERE taxon_path = 'answer'").await;
    assert_eq!(answered, third.counts.inserted, "{sheet}");
    fleet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_whose_triggers_do_nothing_must_choose_before_anything_enters() {
    let (_folder, archive) = generated(200);
    let variant = Some(Variant::NoOpSensitivity);
    let fleet = Fleet::start(FleetConfig { variant, ..FleetConfig::handing_out(vec![archive]) }).await.unwrap();
    let checked = fleet.command(&["check"]).await.unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(2), "{said}");
    assert!(said.contains("sensitivity_when_null"), "the check demands a choice: {said}");

    let stopped = harvest(&fleet).await;
    assert_eq!(stopped.state, State::Failed);
    let reason = stopped.reason.clone().unwrap();
    assert!(reason.contains("sensitivity_when_null"), "{reason}");
    assert_eq!(count(&fleet, "SELECT count(*) FROM gn_synthese.synthese").await, 0, "nothing is written");

    sqlx::query("UPDATE pinv_gbif.setting SET value = 'compute' WHERE name = 'sensitivity_when_null'")
        .execute(&fleet.database.pool)
        .await
        .unwrap();
    let letters = fleet.run_command(&["dead", "list"]).await.unwrap();
    let letter = letters.split_whitespace().find(|word| word.parse::<uuid::Uuid>().is_ok()).unwrap().to_owned();
    fleet.run_command(&["dead", "replay", &letter]).await.unwrap();
    let done = fleet.ended(stopped.id, SOON).await;
    assert_eq!(done.state, State::Completed, "{:?}", done.reason);
    assert!(done.counts.inserted > 100, "{:?}", done.counts);
    let without = "SELECT count(*) FROM gn_synthese.synthese WHERE id_nomenclature_sensitivity IS NULL";
    assert_eq!(count(&fleet, without).await, 0);
    let fine = "SELECT count(*) FROM gn_synthese.synthese WHERE ref_nomenclatures.get_cd_nomenclature(id_nomenclature_sensitivity) LIKE '2._'";
    assert!(count(&fleet, fine).await > 0, "levels 2.1 to 2.8 are kept");
    let visible = count(&fleet, "SELECT count(*) FROM gn_synthese.v_synthese_for_web_app").await;
    assert_eq!(visible, done.counts.inserted);
    let checked = fleet.command(&["check"]).await.unwrap();
    assert!(checked.status.code() < Some(2), "{}", String::from_utf8_lossy(&checked.stdout));
    fleet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_makes_datasets_and_wants_media_gets_both_once() {
    let (_folder, archive) = generated(RECORDS);
    let fleet = Fleet::start(FleetConfig::handing_out(vec![archive])).await.unwrap();
    sqlx::query(
        "UPDATE pinv_gbif.setting SET value = (SELECT unique_acquisition_framework_id::text FROM gn_meta.t_acquisition_frameworks LIMIT 1)
         WHERE name = 'acquisition_framework'",
    )
    .execute(&fleet.database.pool)
    .await
    .unwrap();
    let mut wanted = request();
    wanted.settings = Some(passereau_contracts::SubscriptionSettings {
        metadata: Some(passereau_contracts::Metadata::Create),
        media: true,
        obscured: Some(passereau_contracts::Obscured::Cell),
        ..Default::default()
    });
    let id = fleet.submit(&wanted).await.unwrap();
    let first = fleet.ended(id, SOON).await;
    assert_eq!(first.state, State::Completed, "{:?}", first.reason);
    assert_eq!(rejected(&fleet, "dataset_unknown").await, 0);
    let media = count(&fleet, "SELECT count(*) FROM gn_commons.t_medias").await;
    assert!(media > 100, "{media} media");
    let attached = "SELECT count(*) FROM gn_commons.t_medias m JOIN gn_synthese.synthese s ON s.unique_id_sinp = m.uuid_attached_row";
    assert_eq!(count(&fleet, attached).await, media);
    let made =
        "SELECT count(*) FROM gn_synthese.v_synthese_for_web_app v JOIN passereau.made_dataset USING (id_dataset)";
    assert!(count(&fleet, made).await > 0);
    let placed = "SELECT count(*) FROM gn_synthese.synthese s JOIN gn_synthese.cor_area_synthese c USING (id_synthese)
                  JOIN ref_geo.l_areas a USING (id_area)
                  WHERE GeometryType(s.the_geom_4326) = 'POLYGON' AND NOT ST_Covers(a.geom, s.the_geom_local)";
    assert_eq!(count(&fleet, placed).await, 0, "no obscured observation stands in a commune");
    assert!(
        count(&fleet, "SELECT count(*) FROM gn_synthese.synthese WHERE GeometryType(the_geom_4326) = 'POLYGON'").await
            > 0
    );

    let id = fleet.submit(&wanted).await.unwrap();
    let second = fleet.ended(id, SOON).await;
    assert_eq!(second.state, State::Completed, "{:?}", second.reason);
    assert_eq!((second.counts.inserted, second.counts.updated), (0, 0), "{:?}", second.counts);
    assert_eq!(second.counts.unchanged, first.counts.inserted);
    assert_eq!(count(&fleet, "SELECT count(*) FROM gn_commons.t_medias").await, media);
    fleet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_data_manager_asks_after_a_harvest_has_an_answer() {
    let (_folder, archive) = generated(RECORDS);
    let fleet = Fleet::start(FleetConfig::handing_out(vec![archive])).await.unwrap();
    let done = harvest(&fleet).await;
    assert_eq!(done.state, State::Completed, "{:?}", done.reason);
    let id = done.id.to_string();

    let reasons = fleet.run_command(&["harvest", "rejects", &id, "--lang", "fr"]).await.unwrap();
    assert!(reasons.contains("taxon_unmatched") && reasons.contains("obscured"), "{reasons}");
    let listed = fleet.run_command(&["harvest", "rejects", &id, "--list", "--csv"]).await.unwrap();
    assert_eq!(
        listed.lines().filter(|line| line.contains("https://www.gbif.org/occurrence/")).count() as i64,
        done.counts.rejected
    );
    let datasets = fleet.run_command(&["harvest", "rejects", &id, "--by", "dataset", "--csv"]).await.unwrap();
    assert!(datasets.contains(UNKNOWN_DATASET.key), "{datasets}");

    let citation = fleet.run_command(&["harvest", "cite", &id]).await.unwrap();
    assert!(citation.contains("GBIF.org") && citation.contains(done.doi.as_deref().unwrap()), "{citation}");
    let traced = "SELECT count(*) FROM pinv_gbif.v_provenance WHERE download_doi IS NOT NULL AND license IS NOT NULL AND dataset_title IS NOT NULL";
    assert_eq!(count(&fleet, traced).await, done.counts.inserted, "every observation leads to its citation");

    let keys = fleet.run_command(&["taxon-keys", "--rank", "ES", "--regne", "Animalia", "--json"]).await.unwrap();
    assert!(serde_json::from_str::<Value>(&keys).unwrap()["values"][0].is_string(), "{keys}");
    let unknown = fleet.run_command(&["vocabulary", "unmatched", SUBSCRIPTION]).await.unwrap();
    assert!(unknown.contains("\tbehavior\tjumping around\n"), "{unknown}");
    let checked = fleet.command(&["check", "--json"]).await.unwrap();
    let findings: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert!(checked.status.success(), "{findings:#}");
    fleet.stop().await.unwrap();
}
