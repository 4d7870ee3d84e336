//! How observers are named, and how a person is forgotten.

use crate::platform::{Counts, INATURALIST, Platform, Record, record};
use passereau_dwca::Limits;
use passereau_erasure::{Erased, ErasureError, Plan, erase, plan};
use passereau_store::{Store, StoreConfig};
use serde_json::{Value, json};
use sqlx::types::Uuid;
use tempfile::TempDir;

pub const CC_BY: &str = "http://creativecommons.org/licenses/by/4.0/";
const CC0: &str = "http://creativecommons.org/publicdomain/zero/1.0/";

/// What every test forgets, as the request writes it.
pub const NAME: &str = "Zoé Müller-Dupont";

pub struct Privacy {
    pub platform: Platform,
    pub store: Store,
    _folder: TempDir,
}

impl Privacy {
    pub async fn new() -> Self {
        let platform = Platform::new().await;
        platform
            .execute(
                "INSERT INTO gn_commons.bib_tables_location (table_desc, schema_name, table_name, pk_field, uuid_field_name)
                 VALUES ('Synthèse', 'gn_synthese', 'synthese', 'id_synthese', 'unique_id_sinp') ON CONFLICT DO NOTHING",
            )
            .await;
        let folder = TempDir::new().unwrap();
        let url = format!("file://{}", folder.path().display());
        let store = Store::open(&StoreConfig::new(url, folder.path())).unwrap();
        Self { platform, store, _folder: folder }
    }

    pub async fn plan(&self, names: &[&str]) -> Result<Plan, ErasureError> {
        plan(&self.platform.pool, &self.store, &Limits::default(), &owned(names)).await
    }

    pub async fn erase(&self, names: &[&str]) -> Erased {
        let names = owned(names);
        let done = erase(&self.platform.pool, &self.store, &Limits::default(), &names, Some("2026-7")).await.unwrap();
        assert!(done.is_complete(), "{done:?}");
        done
    }

    /// A harvest of a subscription with these settings, up to its end.
    pub async fn harvest(&self, subscription: &str, settings: Value, records: &[Record], media: &[Value]) -> Counts {
        self.platform.decide(subscription, settings).await;
        let harvest = self.platform.land(subscription, records).await;
        self.add_media(harvest, media).await;
        self.platform.run(harvest).await
    }

    /// What the loader has done before it completes a generation.
    pub async fn add_media(&self, harvest: Uuid, media: &[Value]) {
        sqlx::query(
            "INSERT INTO pinv_gbif.multimedia
             SELECT r.* FROM passereau.harvest h, unnest($2::jsonb[]) media,
                  jsonb_populate_record(NULL::pinv_gbif.multimedia, media || jsonb_build_object('generation_id', h.generation_id)) r
             WHERE h.id = $1",
        )
        .bind(harvest)
        .bind(media)
        .execute(&self.platform.pool)
        .await
        .unwrap();
        sqlx::query("SELECT passereau.suppress_names(generation_id) FROM passereau.harvest WHERE id = $1")
            .bind(harvest)
            .execute(&self.platform.pool)
            .await
            .unwrap();
    }

    /// Tables, of ours and of what we write, in any row of which a text stands.
    pub async fn tables_with(&self, text: &str) -> Vec<String> {
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind = 'r' AND (n.nspname IN ('passereau', 'pinv_gbif')
                   OR c.oid IN ('gn_synthese.synthese'::regclass, 'gn_commons.t_medias'::regclass)) ORDER BY 1",
        )
        .fetch_all(&self.platform.pool)
        .await
        .unwrap();
        let mut found = Vec::new();
        for table in tables {
            let holds = format!("SELECT count(*) FROM {table} t WHERE t::text ILIKE '%{text}%'");
            if self.platform.count(&holds).await > 0 {
                found.push(table);
            }
        }
        found
    }

    /// gbifID, observers, determiner and rightsHolder of each row.
    pub async fn people(&self) -> Vec<(String, Option<String>, Option<String>, Option<String>)> {
        sqlx::query_as(
            "SELECT entity_source_pk_value, observers, determiner, additional_data ->> 'rightsHolder'
             FROM gn_synthese.synthese ORDER BY entity_source_pk_value::bigint",
        )
        .fetch_all(&self.platform.pool)
        .await
        .unwrap()
    }

    async fn versions(&self) -> String {
        let media: Option<String> = sqlx::query_scalar(
            "SELECT string_agg(xmin::text || ctid::text, ' ' ORDER BY id_media) FROM gn_commons.t_medias",
        )
        .fetch_one(&self.platform.pool)
        .await
        .unwrap();
        self.platform.fingerprint().await + &media.unwrap_or_default()
    }
}

pub fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A record with these people.
pub fn seen_by(gbif_id: i64, observers: &str, determiner: &str, rights_holder: &str) -> Record {
    record(gbif_id)
        .with("recorded_by", observers.into())
        .with("identified_by", determiner.into())
        .with("rights_holder", rights_holder.into())
}

/// One of iNaturalist, whose UUID is known.
pub fn of_inaturalist(gbif_id: i64, name: &str) -> Record {
    seen_by(gbif_id, name, name, name)
        .with("dataset_key", INATURALIST.into())
        .with("inaturalist_id", gbif_id.into())
        .with("references", format!("https://www.inaturalist.org/observations/{gbif_id}").into())
}

pub fn photo(gbif_id: i64, license: &str, creator: &str) -> Value {
    json!({
        "gbif_id": gbif_id, "type": "StillImage", "format": "image/jpeg", "license": license, "creator": creator,
        "rights_holder": creator, "identifier": format!("https://photos.example.org/{gbif_id}.jpg"),
        "references": format!("https://www.example.org/photos/{gbif_id}"),
    })
}

pub fn all() -> Vec<Record> {
    vec![
        seen_by(1, "Zoé Müller-Dupont", "MULLER DUPONT Zoe", "Zoé Müller-Dupont"),
        seen_by(2, "A. Nonyme; zoé müller-dupont | Paul Martin", "Paul Martin", "Muséum"),
        seen_by(3, "Müller‑Dupont, Zoé, Martin, Paul", "Zoé Müller", "Muséum"),
        seen_by(4, "Zoé Müller-Dupont-Martin", "Z. Müller-Dupont", "Muséum"),
        seen_by(5, "Paul Martin et Zoé Müller-Dupont", "A. Nonyme & Zoé Müller-Dupont (LPO)", "© Zoé Müller-Dupont"),
        seen_by(6, "A. Nonyme", "B. Nonyme", "Muséum")
            .with("occurrence_remarks", "vue avec Zoé Müller-Dupont au bord du lac".into()),
    ]
}

fn photos() -> Vec<Value> {
    vec![photo(1, CC_BY, "Zoé Müller-Dupont"), photo(2, CC_BY, "Paul Martin")]
}

#[tokio::test]
async fn one_person_is_found_however_written_and_nobody_else() {
    let platform = Platform::new().await;
    let cases = [
        // The whole value.
        ("Zoé Müller-Dupont", None),
        ("zoe muller dupont", None),
        ("MÜLLER-DUPONT Zoé", None),
        ("Müller-Dupont, Zoé", None),
        ("(c) Zoé Müller-Dupont (CC BY-NC)", None),
        ("© Zoé Müller‑Dupont", None),
        ("[Zoé Müller-Dupont]", None),
        ("Zoe\u{301} Mu\u{308}ller-Dupont", None),
        // One of several: the others stay as they are written.
        ("Zoé Müller-Dupont; Paul  Martin", Some("Paul  Martin")),
        ("Paul Martin | Zoé Müller-Dupont | A. Nonyme", Some("Paul Martin | A. Nonyme")),
        ("Paul Martin, Zoé Müller-Dupont, A. Nonyme", Some("Paul Martin, A. Nonyme")),
        ("Martin, Paul, Müller-Dupont, Zoé", Some("Martin, Paul")),
        ("Paul Martin et Zoé Müller-Dupont", Some("Paul Martin")),
        ("Paul Martin AND Zoé Müller-Dupont", Some("Paul Martin")),
        ("Zoé Müller-Dupont & Zoé Müller-Dupont", None),
        ("CC BY · Zoé Müller-Dupont · GBIF", Some("CC BY · GBIF")),
        (
            "http://creativecommons.org/licenses/by/4.0/ · Zoé Müller-Dupont · GBIF",
            Some("http://creativecommons.org/licenses/by/4.0/ · GBIF"),
        ),
        ("(c) Zoé Müller-Dupont, some rights reserved (CC BY)", None),
        // Somebody else.
        ("Zoé Müller", Some("Zoé Müller")),
        ("Zoé Müller-Dupont-Martin", Some("Zoé Müller-Dupont-Martin")),
        ("Z. Müller-Dupont", Some("Z. Müller-Dupont")),
        ("Zoé Martin, Paul Müller-Dupont", Some("Zoé Martin, Paul Müller-Dupont")),
        ("Dupont, Müller, Zoé, Paul", Some("Dupont, Müller, Zoé, Paul")),
        ("zoe_muller_dupont", Some("zoe_muller_dupont")),
        ("avec Zoé Müller-Dupont", Some("avec Zoé Müller-Dupont")),
        (" ; , | ", Some(" ; , | ")),
        ("", Some("")),
    ];
    for (value, expected) in cases {
        let without: Option<String> = sqlx::query_scalar(
            "SELECT passereau.without_names($1, ARRAY[passereau.name_digest($2, s.salt)], s.salt) FROM passereau.erasure_salt s",
        )
        .bind(value)
        .bind(NAME)
        .fetch_one(&platform.pool)
        .await
        .unwrap();
        assert_eq!(without.as_deref(), expected, "{value:?}");
    }
}

#[tokio::test]
async fn a_name_goes_from_everywhere_and_the_next_harvest_brings_nothing_back() {
    let privacy = Privacy::new().await;
    let settings = json!({ "media": true });
    let first = privacy.harvest("one", settings.clone(), &all(), &photos()).await;
    assert_eq!(first.inserted, 6);
    privacy.platform.execute(
        "INSERT INTO pinv_gbif.cor_login_inaturalist (id_inaturalist, login) VALUES (1, 'zoe_md'), (2, 'paul_m');
         INSERT INTO pinv_gbif.tmp_gbif_data (gbif_id, recorded_by) VALUES (99, 'Zoé Müller-Dupont');
         INSERT INTO passereau.plan (harvest_id, gbif_id, action, observers, additional_data)
         VALUES (gen_random_uuid(), 1, 'update', 'Zoé Müller-Dupont', '{\"rightsHolder\": \"Zoé Müller-Dupont\", \"issue\": \"x\"}')",
    ).await;
    let before = privacy.versions().await;

    // The plan: every place, and nothing is changed.
    let planned = privacy.plan(&[NAME, "zoe_md"]).await.unwrap();
    let mut places: Vec<&str> = planned.values.iter().map(|value| value.place.as_str()).collect();
    places.dedup();
    for place in ["synthese", "media", "landed", "copied by hand", "planned", "accounts"] {
        assert!(places.contains(&place), "{place} in {places:?}");
    }
    assert!(!planned.recorded && !planned.is_empty());
    let texts: Vec<&str> = planned.texts.iter().map(|text| text.of_column.as_str()).collect();
    for column in ["comment_description", "occurrence_remarks", "determiner", "observers"] {
        assert!(texts.contains(&column), "{column} is to be looked at: {texts:?}");
    }
    assert_eq!(privacy.versions().await, before, "a plan changes nothing");
    assert_eq!(privacy.platform.count("SELECT count(*) FROM passereau.erasure").await, 0);

    let erased = privacy.erase(&[NAME, "zoe_md"]).await;
    assert_eq!(erased.recorded, 2);
    assert_eq!(erased.changed["synthese"], 4 + 2 + 2, "observers, determiners, holders of rights: {erased:?}");
    let expected = [
        ("1", None, None, None),
        ("2", Some("A. Nonyme; Paul Martin"), Some("Paul Martin"), Some("Muséum")),
        ("3", Some("Martin, Paul"), Some("Zoé Müller"), Some("Muséum")),
        ("4", Some("Zoé Müller-Dupont-Martin"), Some("Z. Müller-Dupont"), Some("Muséum")),
        ("5", Some("Paul Martin"), Some("A. Nonyme"), None),
        ("6", Some("A. Nonyme"), Some("B. Nonyme"), Some("Muséum")),
    ];
    let people = privacy.people().await;
    let shown: Vec<_> =
        people.iter().map(|(id, a, b, c)| (id.as_str(), a.as_deref(), b.as_deref(), c.as_deref())).collect();
    assert_eq!(shown, expected);
    let media: Vec<(Option<String>, Option<String>)> =
        sqlx::query_as("SELECT author, description_fr FROM gn_commons.t_medias ORDER BY media_url")
            .fetch_all(&privacy.platform.pool)
            .await
            .unwrap();
    assert_eq!(media[0], (None, Some(format!("{CC_BY} · GBIF"))));
    assert_eq!(media[1], (Some("Paul Martin".into()), Some(format!("{CC_BY} · Paul Martin · GBIF"))));
    assert_eq!(privacy.tables_with("zoe_md").await, Vec::<String>::new());
    // The records of people whose names only come near, and the remark, are what is left.
    privacy.platform.execute(
        "UPDATE gn_synthese.synthese SET comment_description = NULL, observers = NULL, determiner = NULL WHERE entity_source_pk_value IN ('3', '4', '6');
         UPDATE pinv_gbif.occurrence SET occurrence_remarks = NULL, recorded_by = NULL, identified_by = NULL WHERE gbif_id IN (3, 4, 6)",
    ).await;
    assert_eq!(privacy.tables_with("Zo_ M_ller").await, Vec::<String>::new());
    assert_eq!(privacy.tables_with("M_ller.Dupont").await, Vec::<String>::new());

    // Once more: nothing.
    let before = privacy.versions().await;
    let again = privacy.erase(&[NAME, "zoe_md"]).await;
    assert_eq!((again.recorded, again.changed.len()), (0, 0), "{again:?}");
    assert!(privacy.plan(&[NAME]).await.unwrap().recorded);

    // The same archive once more: nothing is written, nothing comes back.
    let second = privacy.harvest("one", settings, &all(), &photos()).await;
    assert_eq!((second.unchanged, second.updated), (6, 0), "{second:?}");
    assert_eq!(privacy.versions().await, before);
    let landed: Vec<Option<String>> =
        sqlx::query_scalar("SELECT recorded_by FROM pinv_gbif.occurrence WHERE gbif_id <= 3 ORDER BY gbif_id")
            .fetch_all(&privacy.platform.pool)
            .await
            .unwrap();
    assert_eq!(landed, [None, Some("A. Nonyme; Paul Martin".into()), Some("Martin, Paul".into())]);
    assert_eq!(
        privacy
            .platform
            .count("SELECT count(*) FROM pinv_gbif.multimedia WHERE creator IS NULL AND rights_holder IS NULL")
            .await,
        1
    );
    // A record that changes is written without the name as well.
    let mut changed = all();
    changed[0] = changed[0].clone().with("individual_count", 9.into());
    let third = privacy.harvest("one", json!({ "media": true }), &changed, &photos()).await;
    assert_eq!((third.unchanged, third.updated), (5, 1), "{third:?}");
    assert_eq!(privacy.people().await[0], ("1".into(), None, None, None));
}

#[tokio::test]
async fn the_name_itself_is_kept_nowhere_and_counts_add_up() {
    let privacy = Privacy::new().await;
    privacy.harvest("one", json!({}), &all(), &[]).await;
    privacy.erase(&[NAME]).await;
    privacy.harvest("two", json!({}), &[record(50)], &[]).await;
    privacy.erase(&[NAME]).await;
    let kept: Vec<(Option<String>, bool, Value, i32)> =
        sqlx::query_as("SELECT reference, erased_at IS NOT NULL, counts, octet_length(digest) FROM passereau.erasure")
            .fetch_all(&privacy.platform.pool)
            .await
            .unwrap();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!((kept[0].0.as_deref(), kept[0].1, kept[0].3), (Some("2026-7"), true, 32));
    assert_eq!(kept[0].2["synthese"], json!(8));
}

#[tokio::test]
async fn rows_of_another_source_are_told_and_not_touched() {
    let privacy = Privacy::new().await;
    privacy
        .platform
        .execute(
            "INSERT INTO gn_synthese.synthese (id_source, entity_source_pk_value, nom_cite, date_min, date_max, observers)
             SELECT s.id_source, '7', 'cité', now(), now(), 'Zoé Müller-Dupont, Paul Martin'
             FROM gn_synthese.t_sources s WHERE s.name_source <> 'GBIF' LIMIT 1",
        )
        .await;
    privacy.harvest("one", json!({}), &[seen_by(1, NAME, "B. Nonyme", "Muséum")], &[]).await;
    let planned = privacy.plan(&[NAME]).await.unwrap();
    let others: Vec<_> = planned.values.iter().filter(|value| !value.ours).collect();
    assert_eq!((others.len(), others[0].records), (1, 1), "{planned:?}");
    privacy.erase(&[NAME]).await;
    let left = "SELECT count(*) FROM gn_synthese.synthese WHERE observers = 'Zoé Müller-Dupont, Paul Martin'";
    assert_eq!(privacy.platform.count(left).await, 1);
    assert_eq!(privacy.people().await.into_iter().find(|row| row.0 == "1").unwrap().1, None);
}

#[tokio::test]
async fn what_is_no_single_name_is_refused_without_being_repeated() {
    let privacy = Privacy::new().await;
    for wrong in ["J.", "--", "Zoé Dupont; Paul Martin", "Zoé Dupont et Paul Martin"] {
        let error = privacy.plan(&["Paul Martin", wrong]).await.unwrap_err();
        let ErasureError::Database { source, .. } = &error else { panic!("{error}") };
        assert_eq!(crate::platform::code(source), "PS004");
        assert!(source.to_string().contains("name 2") && !source.to_string().contains(wrong), "{source}");
    }
}

#[tokio::test]
async fn a_name_that_is_copied_by_hand_does_not_come_back_either() {
    let privacy = Privacy::new().await;
    privacy.erase(&[NAME]).await;
    privacy
        .platform
        .execute(&format!(
            "INSERT INTO pinv_gbif.tmp_gbif_data (gbif_id, recorded_by, identified_by, event_date, decimal_latitude, decimal_longitude,
                                                  scientific_name, dataset_key, taxonkey, basis_of_record, occurrence_status)
             VALUES (1, 'Paul Martin;Zoé Müller-Dupont', 'Zoé Müller-Dupont', '2021-05-01', 45.18, 5.72, 'Parus major Linnaeus, 1758',
                     '{}', 9705453, 'HUMAN_OBSERVATION', 'PRESENT');
             SELECT pinv_gbif.upsert_gbif_data()",
            crate::platform::DATASET
        ))
        .await;
    assert_eq!(privacy.people().await, [("1".into(), Some("Paul Martin".into()), None, None)]);
    assert_eq!(privacy.tables_with("M_ller").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_subscription_that_names_nobody_writes_no_name() {
    let privacy = Privacy::new().await;
    let records = [seen_by(1, "Paul Martin", "Zoé Müller", "Paul Martin"), record(2)];
    let photos = [photo(1, CC_BY, "Paul Martin"), photo(2, CC0, "A. Nonyme")];
    privacy.harvest("one", json!({ "media": true, "observers": "none" }), &records, &photos).await;
    assert_eq!(privacy.people().await, [("1".into(), None, None, None), ("2".into(), None, None, None)]);
    let media: Vec<(String, Option<String>, String)> =
        sqlx::query_as("SELECT media_url, author, description_fr FROM gn_commons.t_medias ORDER BY uuid_attached_row <> (SELECT unique_id_sinp FROM gn_synthese.synthese WHERE entity_source_pk_value = '1')")
            .fetch_all(&privacy.platform.pool)
            .await
            .unwrap();
    let expected = [
        // CC BY asks for a name: the page that tells it is linked. CC0 asks for none.
        ("https://www.example.org/photos/1".to_owned(), None, format!("{CC_BY} · GBIF")),
        ("https://photos.example.org/2.jpg".to_owned(), None, format!("{CC0} · GBIF")),
    ];
    assert_eq!(media, expected);

    // Another choice converts again, and only what comes out different is written.
    privacy.platform.decide("one", json!({ "media": true })).await;
    let again = privacy.platform.look_out().await;
    assert_eq!((again.len(), again[0].0.updated), (1, 2), "{again:?}");
    assert_eq!(privacy.people().await[0].1.as_deref(), Some("Paul Martin"));
    let files = "SELECT count(*) FROM gn_commons.t_medias WHERE media_url LIKE '%.jpg' AND author IS NOT NULL";
    assert_eq!(privacy.platform.count(files).await, 2);
    assert!(privacy.platform.look_out().await.is_empty());
}

#[tokio::test]
async fn a_subscription_that_names_accounts_writes_the_account_of_the_observer_and_nobody_else() {
    let privacy = Privacy::new().await;
    passereau_testing::seed_dataset(&privacy.platform.pool, INATURALIST.parse().unwrap(), "iNaturalist").await.unwrap();
    privacy
        .platform
        .execute(
            "INSERT INTO pinv_gbif.cor_uuid_inaturalist (id_inaturalist, uuid, asked_at)
         SELECT n, gen_random_uuid(), now() FROM generate_series(1, 3) n;
         INSERT INTO pinv_gbif.cor_login_inaturalist (id_inaturalist, login) VALUES (1, 'paul_m'), (2, NULL)",
        )
        .await;
    let records = [
        of_inaturalist(1, "Paul Martin").with("identified_by", "Zoé Müller".into()),
        of_inaturalist(2, "Gone Person"),
        of_inaturalist(3, "Not Asked"),
        record(4),
    ];
    let photos = [photo(1, CC_BY, "Paul Martin")];
    let settings = json!({ "observers": "login", "media": true });
    privacy.harvest("one", settings.clone(), &records, &photos).await;
    let account = Some("paul_m".to_owned());
    let mut expected = vec![
        ("1".to_owned(), account.clone(), None, account.clone()),
        ("2".to_owned(), None, None, None),
        ("3".to_owned(), None, None, None),
        ("4".to_owned(), None, None, None),
    ];
    assert_eq!(privacy.people().await, expected);
    let named = "SELECT count(*) FROM gn_commons.t_medias WHERE author = 'paul_m' AND media_url LIKE '%.jpg'";
    assert_eq!(privacy.platform.count(named).await, 1, "an account is an attribution: the file may be shown");

    // The account becomes known: that row alone is written.
    privacy
        .platform
        .execute("INSERT INTO pinv_gbif.cor_login_inaturalist (id_inaturalist, login) VALUES (3, 'n_asked')")
        .await;
    let second = privacy.harvest("one", settings, &records, &photos).await;
    assert_eq!((second.updated, second.unchanged), (1, 3), "{second:?}");
    let account = Some("n_asked".to_owned());
    expected[2] = ("3".to_owned(), account.clone(), account.clone(), account);
    assert_eq!(privacy.people().await, expected);

    // Who is forgotten by name is told that there is an account, and it is not told any more even if nobody names it.
    let planned = privacy.plan(&["MARTIN Paul"]).await.unwrap();
    assert!(planned.texts.iter().any(|text| text.of_column == "login" && text.example == "paul_m"), "{planned:?}");
    privacy.erase(&["MARTIN Paul"]).await;
    privacy.harvest("one", json!({ "observers": "login", "media": true }), &records, &photos).await;
    expected[0] = ("1".to_owned(), None, None, None);
    assert_eq!(privacy.people().await, expected);
}

#[tokio::test]
async fn of_two_subscriptions_with_one_record_the_stricter_decides_and_no_row_goes_to_and_fro() {
    let privacy = Privacy::new().await;
    let both = seen_by(1, "Paul Martin", "Paul Martin", "Paul Martin");
    let newer = both.clone().with_unhashed("last_interpreted", "2026-02-01T00:00:00Z".into());
    let open = [newer, seen_by(2, "Paul Martin", "Paul Martin", "Paul Martin")];
    privacy.harvest("open", json!({}), &open, &[]).await;
    assert_eq!(privacy.people().await[0].1.as_deref(), Some("Paul Martin"));

    // The stricter one holds an older interpretation: its claim does not win, its discretion does.
    let older = both.with_unhashed("last_interpreted", "2026-01-01T00:00:00Z".into());
    privacy.harvest("discreet", json!({ "observers": "none" }), std::slice::from_ref(&older), &[]).await;
    let due = privacy.platform.look_out().await;
    assert_eq!(due.len(), 1, "{due:?}");
    assert_eq!((due[0].0.updated, due[0].0.unchanged), (1, 1), "{due:?}");
    let people = privacy.people().await;
    assert_eq!((people[0].1.as_deref(), people[1].1.as_deref()), (None, Some("Paul Martin")));

    let before = privacy.versions().await;
    for _ in 0..2 {
        privacy.harvest("open", json!({}), &open, &[]).await;
        privacy.harvest("discreet", json!({ "observers": "none" }), std::slice::from_ref(&older), &[]).await;
        privacy.platform.look_out().await;
    }
    assert_eq!(privacy.versions().await, before);
    // Who no longer asks for discretion gives the name back.
    privacy.platform.decide("discreet", json!({})).await;
    privacy.platform.look_out().await;
    assert_eq!(privacy.people().await[0].1.as_deref(), Some("Paul Martin"));
    assert!(privacy.platform.look_out().await.is_empty());
}

#[tokio::test]
async fn an_erasure_is_no_edit_of_a_persons_and_a_persons_edit_stays_theirs() {
    let privacy = Privacy::new().await;
    privacy
        .harvest("one", json!({}), &[seen_by(1, NAME, "B. Nonyme", NAME), seen_by(2, NAME, "B. Nonyme", NAME)], &[])
        .await;
    privacy
        .platform
        .execute(
            "UPDATE gn_synthese.synthese SET comment_description = 'corrected by a person' WHERE entity_source_pk_value = '2'",
        )
        .await;
    let differing = "SELECT count(*) FROM passereau.written w JOIN gn_synthese.synthese s USING (id_synthese)
                     CROSS JOIN LATERAL unnest(w.columns, passereau.row_hashes(s)) c (before, now)
                     WHERE c.before IS DISTINCT FROM c.now";
    assert_eq!(privacy.platform.count(differing).await, 1);
    privacy.erase(&[NAME]).await;
    assert_eq!(privacy.people().await[1], ("2".into(), None, Some("B. Nonyme".into()), None));
    assert_eq!(privacy.platform.count(differing).await, 1, "the person's column and no other");
}

#[tokio::test]
async fn what_is_kept_of_edits_plans_and_deleted_rows_names_nobody_either() {
    let privacy = Privacy::new().await;
    let settings = json!({ "vanished": "delete" });
    let whole = async |records: &[Record]| {
        privacy.platform.decide("one", settings.clone()).await;
        let harvest = privacy.platform.land_whole("one", "x", records).await;
        privacy.platform.run(harvest).await;
    };
    whole(&[seen_by(1, "A. Nonyme", NAME, NAME), seen_by(2, NAME, NAME, NAME)]).await;
    // A person's edit, about which GBIF names her; then a record that vanishes with its row.
    privacy
        .platform
        .execute("UPDATE gn_synthese.synthese SET observers = 'Paul Martin' WHERE entity_source_pk_value = '1'")
        .await;
    whole(&[seen_by(1, NAME, NAME, NAME), seen_by(2, NAME, "B. Nonyme", NAME)]).await;
    whole(&[seen_by(1, NAME, NAME, NAME)]).await;
    let kept = "SELECT count(*) FROM (SELECT content::text AS text FROM pinv_gbif.edited_locally UNION ALL SELECT content::text FROM passereau.deleted
                UNION ALL SELECT plan_summary::text FROM passereau.harvest) t WHERE t.text LIKE '%Müller-Dupont%'";
    assert!(privacy.platform.count(kept).await >= 3, "the edit, the deleted row, and plans in which they were samples");

    privacy.erase(&[NAME]).await;
    assert_eq!(privacy.platform.count(kept).await, 0);
    let rest = "SELECT count(*) FROM passereau.deleted WHERE content ->> 'determiner' = 'B. Nonyme' AND content ->> 'nom_cite' = 'Parus major'";
    assert_eq!(privacy.platform.count(rest).await, 1, "and what names others stays");
}
