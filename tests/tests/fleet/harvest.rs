//! The main job: a request by message, records in the synthèse, the same again without a write.

use std::time::Duration;

use passereau_harvest::State;
use passereau_sandbox::{DownloadStatus, Pace, Route, SandboxConfig};
use passereau_testing::wait_until;
use passereau_tests::{Fleet, FleetConfig, query};
use sqlx::PgPool;

use crate::prepared::{RECORDS, SOON, fleet, generated, of_archive, request};

/// Invariant 3 of `docs/invariants.md`: every record that was read is accounted for.
pub fn assert_sums(counts: &passereau_contracts::Counts) {
    assert_eq!(counts.read, counts.landed + counts.duplicate + counts.malformed, "{counts:?}");
    let written = counts.inserted + counts.updated;
    assert_eq!(counts.landed, written + counts.unchanged + counts.rejected + counts.kept, "{counts:?}");
}

/// Less than the ten seconds after which a claim that nobody gives back runs out by itself, at the earliest.
const GIVEN_BACK: Duration = Duration::from_secs(8);

/// No claim is left, once those who gave up theirs have said so: they do it beside their work, and the end of a harvest does not wait for it.
pub async fn claims_are_given_back(pool: &PgPool) {
    wait_until("claims that are given back", GIVEN_BACK, async || {
        let held = "SELECT count(*) FROM passereau.claim WHERE expires_at > now()";
        (sqlx::query_scalar::<_, i64>(held).fetch_one(pool).await.unwrap() == 0).then_some(())
    })
    .await;
}

/// Rows of source GBIF with the physical version of each.
async fn versions(pool: &PgPool) -> Vec<(String, String)> {
    sqlx::query_as(
        "SELECT s.entity_source_pk_value, s.xmin::text FROM gn_synthese.synthese s
         JOIN gn_synthese.t_sources t USING (id_source) WHERE t.name_source = 'GBIF' ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_becomes_rows_of_the_synthese_and_the_same_query_again_writes_nothing() {
    let (_folder, archive) = generated(RECORDS);
    let fleet = fleet(archive).await;
    let pool = fleet.database.pool.clone();

    let first = fleet.submit(&request()).await.unwrap();
    let first = fleet.ended(first, SOON).await;
    assert_eq!(first.state, State::Completed, "{:?}", first.reason);
    assert_eq!(first.counts.read, RECORDS as i64);
    assert!(first.counts.inserted > 0 && first.counts.rejected > 0, "{:?}", first.counts);
    assert_sums(&first.counts);
    assert!(first.doi.is_some(), "the DOI is kept: GBIF asks users to cite it");

    let visible: i64 =
        sqlx::query_scalar("SELECT count(*) FROM gn_synthese.v_synthese_for_web_app").fetch_one(&pool).await.unwrap();
    assert_eq!(visible, first.counts.inserted, "what is inserted is seen in GeoNature");
    let hidden: i64 =
        sqlx::query_scalar("SELECT count(*) FROM gn_synthese.synthese WHERE id_nomenclature_sensitivity IS NULL")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(hidden, 0, "sensitivity is never NULL");
    let (foreign, theirs): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE i.uuid <> s.unique_id_sinp), count(*) FILTER (WHERE i.uuid = s.unique_id_sinp)
         FROM gn_synthese.synthese s
         JOIN pinv_gbif.tmp_gbif_data g ON g.gbif_id = s.entity_source_pk_value::bigint
         JOIN pinv_gbif.occurrence o ON o.gbif_id = g.gbif_id AND o.inaturalist_id IS NOT NULL
         JOIN pinv_gbif.cor_uuid_inaturalist i ON i.id_inaturalist = o.inaturalist_id
         WHERE i.uuid IS NOT NULL",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(foreign, 0, "iNaturalist's observations keep iNaturalist's UUIDs");
    assert!(theirs > RECORDS as i64 / 3, "most of the observations are iNaturalist's: {theirs}");
    let unasked: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pinv_gbif.reject r JOIN pinv_gbif.occurrence o ON o.gbif_id = r.gbif_id
         LEFT JOIN pinv_gbif.cor_uuid_inaturalist i ON i.id_inaturalist = o.inaturalist_id
         WHERE r.reason = 'uuid_pending' AND i.absent_since IS NULL",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(unasked, 0, "only what iNaturalist does not know waits");

    let before = versions(&pool).await;
    let asked = fleet.sandbox.calls(Route::Observations);
    assert!(asked > 0, "iNaturalist was asked");
    let second = fleet.submit(&request()).await.unwrap();
    let second = fleet.ended(second, SOON).await;
    assert_eq!(second.state, State::Completed, "{:?}", second.reason);
    assert_eq!(second.counts.unchanged, first.counts.inserted);
    assert_eq!((second.counts.inserted, second.counts.updated), (0, 0));
    assert_eq!(second.counts.rejected, first.counts.rejected);
    assert_sums(&second.counts);
    assert_eq!(versions(&pool).await, before, "no row of the synthèse was touched");
    assert_eq!(fleet.sandbox.calls(Route::Observations), asked, "iNaturalist's answers are kept for ever");
    assert_eq!(fleet.sandbox.credential_leaks(), 0, "the password stays with GBIF's API");

    wait_until("an empty outbox: nothing is left to be sent", SOON, async || {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM passereau.outbox").fetch_one(&pool).await.unwrap();
        (left == 0).then_some(())
    })
    .await;
    claims_are_given_back(&pool).await;
    fleet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_identity_that_comes_twice_is_one_harvest_and_one_download() {
    let (_folder, archive) = generated(50);
    // GBIF goes on preparing until it is told to end, so that the second copy meets a harvest that is alive, however late it comes.
    let pace = Pace::Polls { preparing: 1_000_000, running: 0 };
    let sandbox = SandboxConfig { archives: vec![archive], pace, ..SandboxConfig::default() };
    let fleet = Fleet::start(FleetConfig { sandbox, ..FleetConfig::default() }).await.unwrap();
    let body = serde_json::to_vec(&request()).unwrap();
    fleet.publish_anonymously("harvest.request", &body).await.unwrap();
    fleet.publish_anonymously("harvest.request", &body).await.unwrap();
    let joined = async || fleet.log("requester").contains("the same request is on its way, joined").then_some(());
    wait_until("the second copy at the first one's harvest", SOON, joined).await;
    let download = wait_until("the download", SOON, async || fleet.sandbox.downloads().pop()).await;
    fleet.sandbox.set_status(&download.key, DownloadStatus::Succeeded);
    let ended = wait_until("the end of the one harvest", SOON, async || {
        let harvests =
            passereau_harvest::list(&fleet.database.pool, &passereau_harvest::Wanted::newest(10)).await.unwrap();
        (!harvests.is_empty() && harvests.iter().all(|harvest| !harvest.state.is_alive())).then_some(harvests)
    })
    .await;
    assert_eq!(ended.len(), 1, "the second request joined the first");
    assert_eq!(ended[0].state, State::Completed, "{:?}", ended[0].reason);
    let handled: i64 = sqlx::query_scalar("SELECT count(*) FROM passereau.inbox WHERE consumer = 'requester'")
        .fetch_one(&fleet.database.pool)
        .await
        .unwrap();
    assert_eq!(handled, 4, "both requests, the one download and the question about its datasets were handled");
    assert_eq!(fleet.sandbox.calls(Route::CreateDownload), 1);
    fleet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_harvests_health_and_counts() {
    let (_folder, archive) = generated(50);
    let fleet = fleet(archive).await;
    let id = fleet.submit(&request()).await.unwrap();
    let harvest = fleet.ended(id, SOON).await;
    let shown = fleet.run_command(&["harvest", "show", &id.to_string(), "--json"]).await.unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["harvest"]["counts"]["inserted"], harvest.counts.inserted);
    assert!(fleet.run_command(&["harvest", "list"]).await.unwrap().contains("completed"));
    assert!(fleet.run_command(&["dead", "list"]).await.unwrap().contains("0 waiting"));

    let listening = fleet.log("loader").lines().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let text = line.to_string();
        let address = text.split("\"address\":\"").nth(1)?.split('"').next()?;
        Some(address.to_owned())
    });
    let listening = listening.expect("the loader logs the address of its metrics");
    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://{listening}{path}")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, metrics) = get("/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains(r#"passereau_records_total{outcome="landed",stage="landed"} 50"#), "{metrics}");
    assert_eq!(get("/healthz").await.0, 200);
    assert_eq!(get("/readyz").await.0, 200);
    fleet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_with_all_workers_does_what_six_processes_do() {
    let (folder, archive) = generated(50);
    let config = FleetConfig { in_one_process: true, ..FleetConfig::handing_out(vec![archive]) };
    let fleet = Fleet::start(config).await.unwrap();
    let file = folder.path().join("query.json");
    std::fs::write(&file, query("passereau").to_string()).unwrap();
    let id = fleet.run_command(&["harvest", "submit", file.to_str().unwrap()]).await.unwrap();
    let harvest = fleet.ended(id.trim().parse().unwrap(), SOON).await;
    assert_eq!(harvest.state, State::Completed, "{:?}", harvest.reason);
    assert!(harvest.counts.inserted > 0, "{:?}", harvest.counts);
    let sql = fleet.run_command(&["install", "--print-sql"]).await.unwrap();
    assert!(sql.contains("Nothing is missing"), "installed once, nothing is left to install: {sql}");
    fleet.stop().await.unwrap();
}

/// An archive of gbifID, datasetKey, basisOfRecord with these rows.
fn archive_of(rows: &[u8]) -> tempfile::NamedTempFile {
    use std::io::Write;
    let terms = ["gbif.org/terms/1.0/gbifID", "gbif.org/terms/1.0/datasetKey", "tdwg.org/dwc/terms/basisOfRecord"];
    let fields: String =
        (0..).zip(terms).map(|(at, term)| format!(r#"<field index="{at}" term="http://rs.{term}"/>"#)).collect();
    let meta = format!(
        r#"<archive xmlns="http://rs.tdwg.org/dwc/text/"><core encoding="UTF-8" fieldsTerminatedBy="\t" linesTerminatedBy="\n"
        fieldsEnclosedBy="" ignoreHeaderLines="0" rowType="http://rs.tdwg.org/dwc/terms/Occurrence"><files>
        <location>occurrence.txt</location></files><id index="0"/>{fields}</core></archive>"#
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut zip = zip::ZipWriter::new(file.reopen().unwrap());
    for (name, content) in [("meta.xml", meta.as_bytes()), ("occurrence.txt", rows)] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_lines_are_shown_with_their_numbers_and_the_rest_goes_on() {
    let (_folder, any) = generated(10);
    let fleet = Fleet::start(FleetConfig::handing_out(vec![any])).await.unwrap();
    let row = |id: &str| format!("{id}\t50c9509d-22c7-4a22-a47d-8c48425ef4a7\tHUMAN_OBSERVATION\n");
    let mut rows = [row("1"), "2\ttoo few\n".to_owned(), row("3"), row("four")].concat().into_bytes();
    rows.extend_from_slice(b"5\t\xff\t\n");
    rows.extend_from_slice(row("6").as_bytes());
    let archive = archive_of(&rows);
    let key = fleet.put_archive(archive.path()).unwrap();
    let id = fleet.submit(&of_archive(key)).await.unwrap();
    let harvest = fleet.ended(id, SOON).await;
    assert_eq!(harvest.state, State::Completed, "{:?}", harvest.reason);
    assert_eq!((harvest.counts.read, harvest.counts.landed, harvest.counts.malformed), (6, 3, 3));
    let shown = fleet.run_command(&["harvest", "show", &id.to_string()]).await.unwrap();
    for line in [
        "occurrence.txt line 2: 2 fields instead of 3",
        "occurrence.txt line 4: gbifID \"four\" is no number",
        "occurrence.txt line 5: not UTF-8 at byte 2",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
}
