//! Reports: reasons to reject, and the way from an observation to what is to be cited for it.

use std::{fs, path::Path};

use passereau_telemetry::REJECT_REASONS;
use serde_json::json;
use sqlx::{FromRow, types::Uuid};

use crate::platform::{DATASET, OTHER_DATASET, Platform, code, record};

/// A row of `pinv_gbif.bib_reject_reason`.
#[derive(FromRow)]
struct Reason {
    reason: String,
    waits: bool,
    fr: String,
    to_do_fr: String,
    en: String,
    to_do_en: String,
}

async fn reasons(platform: &Platform) -> Vec<Reason> {
    sqlx::query_as("SELECT * FROM pinv_gbif.bib_reject_reason ORDER BY reason").fetch_all(&platform.pool).await.unwrap()
}

#[tokio::test]
async fn the_list_of_reasons_is_closed() {
    let platform = Platform::new().await;
    let listed: Vec<String> = reasons(&platform).await.into_iter().map(|reason| reason.reason).collect();
    assert_eq!(listed, REJECT_REASONS);
    let invented = "INSERT INTO pinv_gbif.reject (subscription, gbif_id, reason, harvest_id) VALUES ('one', 1, 'dislike', uuid_nil())";
    let error = sqlx::raw_sql(invented).execute(&platform.pool).await.unwrap_err();
    assert_eq!(code(&error), "23503", "{error}");
}

const HEAD_FR: &str = "# Rejets

[In English](#rejects)

Une donnée qui ne peut pas entrer dans la synthèse est gardée dans `pinv_gbif.reject`, avec un motif, jusqu'à ce qu'elle le puisse.
`passereau harvest rejects <id>` les compte par motif, `--by taxon` et `--by dataset` par taxon et par jeu de données, `--list` les montre
une à une ; `--csv` écrit pour un tableur. En SQL : `pinv_gbif.v_reject_by_reason`, `v_reject_by_taxon`, `v_reject_by_dataset`.

**Attend** : ce qui manque n'est ni dans la donnée ni une décision de la plateforme ; dès que c'est là, la donnée entre d'elle-même, sans autre
téléchargement. Les autres rejets sont tels que leur producteur les a publiés, ou tels que la plateforme les a décidés : changer le réglage
les fait entrer aussi, sans autre téléchargement, mais rien n'est attendu.

Un rejet peut avoir une ligne dans la synthèse ; la colonne `id_synthese` la donne. Elle reste comme elle a été écrite en dernier, à deux
exceptions près : une observation devenue une absence passe à « Non observé », sans effectif, et une observation qu'iNaturalist a floutée depuis
passe à sa maille.

| motif | attend | pourquoi | que faire |
| --- | --- | --- | --- |
";

const HEAD_EN: &str = "
# Rejects

[En français](#rejets)

A record that cannot enter the synthèse is kept in `pinv_gbif.reject`, with a reason, until it can. `passereau harvest rejects <id>` counts them by
reason, `--by taxon` and `--by dataset` by taxon and by dataset, `--list` shows each; `--csv` writes for a spreadsheet. In SQL:
`pinv_gbif.v_reject_by_reason`, `v_reject_by_taxon`, `v_reject_by_dataset`.

**Waits**: what is missing is neither in the record nor a decision of the platform's; as soon as it is there, the record enters by itself,
without another download. Other rejects are as their publisher made them, or as the platform has decided: a setting that is
changed lets them enter too, without another download, but nothing is expected to come.

A reject may have a row in the synthèse; column `id_synthese` tells which. The row is left standing as it was written last, but for two: an observation
that has become an absence is changed to \"Non observé\" without a count, and one that iNaturalist has obscured since is changed to its cell.

| reason | waits | why | what to do |
| --- | --- | --- | --- |
";

/// `UPDATE_REJECTS=1` writes the file; otherwise a difference fails.
#[tokio::test]
async fn every_reason_is_documented_in_both_languages() {
    let platform = Platform::new().await;
    let (mut french, mut english) = (HEAD_FR.to_owned(), HEAD_EN.to_owned());
    for Reason { reason, waits, fr, to_do_fr, en, to_do_en } in reasons(&platform).await {
        for text in [&fr, &to_do_fr, &en, &to_do_en] {
            assert!(text.len() > 5 && !text.contains(['|', '\n']), "{reason} is not explained: {text:?}");
        }
        french += &format!("| `{reason}` | {} | {fr} | {to_do_fr} |\n", if waits { "oui" } else { "non" });
        english += &format!("| `{reason}` | {} | {en} | {to_do_en} |\n", if waits { "yes" } else { "no" });
    }
    let text = french + &english;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rejects.md");
    if std::env::var_os("UPDATE_REJECTS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "docs/rejects.md is stale: run with UPDATE_REJECTS=1 and review");
}

#[tokio::test]
async fn rejects_are_counted_by_reason_taxon_and_dataset() {
    let platform = Platform::new().await;
    let unknown = "99999999-0000-4000-8000-000000000000";
    let harvest = platform
        .land(
            "one",
            &[
                record(1).with("dataset_key", json!(unknown)),
                record(2).with("dataset_key", json!(unknown)),
                record(3).with("taxon_key", json!("71")).with("scientific_name", json!("Aus bus L., 1758")),
                record(4).with("decimal_latitude", json!(null)).with("dataset_key", json!(OTHER_DATASET)),
                record(5),
            ],
        )
        .await;
    platform.run(harvest).await;
    platform
        .execute(&format!(
            "INSERT INTO pinv_gbif.dataset (dataset_key, title) VALUES ('{unknown}', 'Théâtre des oiseaux')"
        ))
        .await;

    let by_reason: Vec<(String, i64, bool)> = sqlx::query_as(
        "SELECT reason, records, waits FROM pinv_gbif.v_reject_by_reason WHERE subscription = 'one' ORDER BY reason",
    )
    .fetch_all(&platform.pool)
    .await
    .unwrap();
    let expected = [("coordinates_missing", 1, false), ("dataset_unknown", 2, true), ("taxon_unmatched", 1, true)];
    assert_eq!(by_reason, expected.map(|(reason, records, waits)| (reason.to_owned(), records, waits)));

    let by_taxon: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT taxon_key, scientific_name, records FROM pinv_gbif.v_reject_by_taxon
         WHERE subscription = 'one' AND reason = 'taxon_unmatched'",
    )
    .fetch_all(&platform.pool)
    .await
    .unwrap();
    assert_eq!(by_taxon, [("71".to_owned(), "Aus bus L., 1758".to_owned(), 1)]);

    let by_dataset: Vec<(Uuid, String, String, i64)> = sqlx::query_as(
        "SELECT dataset_key, title, reason, records FROM pinv_gbif.v_reject_by_dataset
         WHERE subscription = 'one' ORDER BY dataset_key, reason",
    )
    .fetch_all(&platform.pool)
    .await
    .unwrap();
    let title = |key: &str, title: &str, reason: &str, records| {
        (key.parse().unwrap(), title.to_owned(), reason.to_owned(), records)
    };
    assert_eq!(
        by_dataset,
        [
            title(DATASET, DATASET, "taxon_unmatched", 1),
            title(OTHER_DATASET, OTHER_DATASET, "coordinates_missing", 1),
            title(unknown, "Théâtre des oiseaux", "dataset_unknown", 2),
        ],
        "GBIF's title, else the name that GeoNature has for the dataset"
    );
}

/// What somebody reads who starts from an observation.
#[derive(Debug, PartialEq, FromRow)]
struct Provenance {
    unique_id_sinp: Uuid,
    occurrence_url: String,
    dataset_key: Uuid,
    dataset_title: String,
    dataset_doi: String,
    dataset_citation: String,
    license: String,
    rights_holder: String,
    download_key: String,
    download_doi: String,
    archive_sha256: String,
    harvest_id: Uuid,
    subscription: String,
    taxon_path: String,
}

#[tokio::test]
async fn provenance_leads_from_an_observation_to_its_citation_even_without_its_generation() {
    let platform = Platform::new().await;
    platform
        .execute(&format!(
            "INSERT INTO pinv_gbif.dataset (dataset_key, title, doi, citation)
             VALUES ('{DATASET}', 'Birds of a valley', '10.15468/ab3s5x', 'A. Nonyme (2026). Birds of a valley.')"
        ))
        .await;
    let harvest = platform.land("one", &[record(5_006_733_106).with("rights_holder", json!("A. Nonyme"))]).await;
    sqlx::query(
        "UPDATE passereau.harvest SET download_key = '0015000-260108000000665', doi = '10.15468/dl.4gbcs6', archive_sha256 = 'abc'
         WHERE id = $1",
    )
    .bind(harvest)
    .execute(&platform.pool)
    .await
    .unwrap();
    platform.run(harvest).await;
    let of_the_observation = async || -> Provenance {
        sqlx::query_as(
            "SELECT v.* FROM gn_synthese.synthese s JOIN pinv_gbif.v_provenance v ON v.id_synthese = s.id_synthese",
        )
        .fetch_one(&platform.pool)
        .await
        .unwrap()
    };
    let found = of_the_observation().await;
    assert_eq!(found.occurrence_url, "https://www.gbif.org/occurrence/5006733106");
    assert_eq!((found.dataset_key, found.dataset_title.as_str()), (DATASET.parse().unwrap(), "Birds of a valley"));
    assert_eq!(
        (found.dataset_doi.as_str(), found.dataset_citation.as_str()),
        ("10.15468/ab3s5x", "A. Nonyme (2026). Birds of a valley.")
    );
    assert_eq!((found.license.as_str(), found.rights_holder.as_str()), ("CC_BY_4_0", "A. Nonyme"));
    assert_eq!((found.download_key.as_str(), found.archive_sha256.as_str()), ("0015000-260108000000665", "abc"));
    assert_eq!((found.download_doi.as_str(), found.subscription.as_str()), ("10.15468/dl.4gbcs6", "one"));
    assert_eq!((found.harvest_id, found.taxon_path.is_empty()), (harvest, false));

    // A later harvest without the record takes its generation away, the row stays.
    let later = platform.land("one", &[record(2)]).await;
    platform.run(later).await;
    platform.execute("DELETE FROM gn_synthese.synthese WHERE entity_source_pk_value = '2'").await;
    assert_eq!(of_the_observation().await, found);
}

#[tokio::test]
async fn no_view_of_ours_stands_in_the_way_of_geonatures_migrations() {
    let platform = Platform::new().await;
    let foreign = "SELECT count(*)
        FROM pg_depend d
        JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
        JOIN pg_class view ON view.oid = r.ev_class
        JOIN pg_class used ON used.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass
        WHERE view.relnamespace IN ('pinv_gbif'::regnamespace, 'passereau'::regnamespace)
          AND used.relnamespace NOT IN ('pinv_gbif'::regnamespace, 'passereau'::regnamespace, 'pg_catalog'::regnamespace)";
    assert_eq!(platform.count(foreign).await, 0);
}

#[tokio::test]
async fn a_harvest_is_cited_as_gbif_words_it() {
    let platform = Platform::new().await;
    let harvest = platform
        .land(
            "one",
            &[
                record(1),
                record(2),
                record(3).with("dataset_key", json!(OTHER_DATASET)),
                record(4).with("taxon_key", json!("1")).with("scientific_name", json!("Aus")),
            ],
        )
        .await;
    platform.run(harvest).await;
    let citation = async || -> Option<String> {
        sqlx::query_scalar("SELECT passereau.citation($1)").bind(harvest).fetch_one(&platform.pool).await.unwrap()
    };
    assert_eq!(citation().await, None, "no DOI, no citation of a download");
    let key = "0015000-260108000000665";
    platform
        .execute(&format!(
            "UPDATE passereau.harvest SET download_key = '{key}', doi = '10.15468/dl.4gbcs6', created_at = '2024-10-09T23:59:00Z';
             INSERT INTO passereau.harvest (id, subscription, state, request, request_digest) VALUES (uuid_nil(), 'one', 'failed', '{{}}', '');"
        ))
        .await;
    let of = |date| Some(format!("GBIF.org ({date}) GBIF Occurrence Download https://doi.org/10.15468/dl.4gbcs6"));
    assert_eq!(citation().await, of("9 October 2024"), "the harvest's date, where the download's is not known");
    // The download's own date, be it another harvest that asked for it.
    platform
        .execute(&format!(
            "INSERT INTO passereau.download (harvest_id, account, body, key, created_at)
             VALUES (uuid_nil(), 'somebody', '{{}}', '{key}', '2023-01-02T10:00:00Z')"
        ))
        .await;
    assert_eq!(citation().await, of("2 January 2023"));

    let datasets = async || -> Vec<(Uuid, Option<String>, i64)> {
        sqlx::query_as("SELECT dataset_key, license, records FROM passereau.cited_datasets($1)")
            .bind(harvest)
            .fetch_all(&platform.pool)
            .await
            .unwrap()
    };
    let licence = Some("CC_BY_4_0".to_owned());
    let (own, other) = (DATASET.parse().unwrap(), OTHER_DATASET.parse().unwrap());
    assert_eq!(datasets().await, [(own, licence.clone(), 2), (other, licence.clone(), 1)], "the reject is not counted");
    // Its generation is gone, and one of its records was written again.
    let later = platform.land("one", &[record(1).with("occurrence_remarks", json!("new"))]).await;
    platform.run(later).await;
    assert_eq!(datasets().await, [(own, licence.clone(), 1), (other, licence, 1)]);
}
