//! iNaturalist's answers: UUIDs, kept for ever in `pinv_gbif.cor_uuid_inaturalist`; and, for subscriptions with
//! `observers = login` alone, names of accounts in `pinv_gbif.cor_login_inaturalist`, which may be emptied at any time.

use passereau_inaturalist::{Fields, Lookup};
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use uuid::Uuid;

/// What the subscription of a harvest needs to know of each observation.
pub(crate) async fn wanted(pool: &PgPool, harvest_id: Uuid) -> Result<Fields, sqlx::Error> {
    let login: Option<bool> =
        sqlx::query_scalar("SELECT settings ->> 'observers' = 'login' FROM passereau.harvest WHERE id = $1")
            .bind(harvest_id)
            .fetch_optional(pool)
            .await?
            .flatten();
    Ok(if login == Some(true) { Fields::UuidAndLogin } else { Fields::Uuid })
}

/// The ids of a batch that still need an answer: never asked, absent for long enough, or without the account that is
/// wanted. `None` when the batch is done or does not exist.
pub(crate) async fn unanswered(
    pool: &PgPool,
    harvest_id: Uuid,
    batch: i32,
    fields: Fields,
    absent_again: Duration,
) -> Result<Option<Vec<i64>>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT coalesce(array_agg(wanted.id ORDER BY wanted.id) FILTER (WHERE
                    (known.uuid IS NULL AND (known.asked_at IS NULL OR known.asked_at < now() - make_interval(secs => $3)))
                    OR ($4 AND account.id_inaturalist IS NULL)), '{}')
         FROM passereau.slice s
         LEFT JOIN LATERAL (SELECT DISTINCT unnest(s.ids) AS id) wanted ON true
         LEFT JOIN pinv_gbif.cor_uuid_inaturalist known ON known.id_inaturalist = wanted.id
         LEFT JOIN pinv_gbif.cor_login_inaturalist account ON account.id_inaturalist = wanted.id
         WHERE s.harvest_id = $1 AND s.stage = 'enrich' AND s.ordinal = $2 AND s.done_at IS NULL
         GROUP BY s.ordinal",
    )
    .bind(harvest_id)
    .bind(batch)
    .bind(absent_again.as_secs_f64())
    .bind(fields == Fields::UuidAndLogin)
    .fetch_optional(pool)
    .await
    // An empty `ids` gives one row of nothing.
    .map(|ids: Option<Vec<Option<i64>>>| ids.map(|ids| ids.into_iter().flatten().collect()))
}

/// Keeps the answers of one lookup. A UUID is never replaced by an absence: an observation that was deleted keeps its key.
pub(crate) async fn keep(connection: &mut PgConnection, lookup: &Lookup, fields: Fields) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pinv_gbif.cor_uuid_inaturalist (id_inaturalist, url, uuid, asked_at)
         SELECT id, url, uuid, now() FROM unnest($1::bigint[], $2::text[], $3::uuid[]) AS found(id, url, uuid)
         ORDER BY id
         ON CONFLICT (id_inaturalist) DO UPDATE
         SET url = excluded.url, uuid = excluded.uuid, asked_at = excluded.asked_at, absent_since = NULL",
    )
    .bind(lookup.found.iter().map(|found| found.id).collect::<Vec<_>>())
    .bind(lookup.found.iter().map(|found| found.uri.clone()).collect::<Vec<_>>())
    .bind(lookup.found.iter().map(|found| found.uuid).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO pinv_gbif.cor_uuid_inaturalist AS known (id_inaturalist, asked_at, absent_since)
         SELECT id, now(), now() FROM unnest($1::bigint[]) AS absent(id) ORDER BY id
         ON CONFLICT (id_inaturalist) DO UPDATE
         SET asked_at = excluded.asked_at, absent_since = coalesce(known.absent_since, excluded.absent_since)
         WHERE known.uuid IS NULL",
    )
    .bind(&lookup.absent)
    .execute(&mut *connection)
    .await?;
    match fields {
        Fields::Uuid => Ok(()),
        Fields::UuidAndLogin => keep_logins(connection, lookup).await,
    }
}

/// Keeps the accounts, but for those of people who asked not to be named. Who is absent is not asked for again.
async fn keep_logins(connection: &mut PgConnection, lookup: &Lookup) -> Result<(), sqlx::Error> {
    // As in passereau.suppress_names: an erasure that comes meanwhile waits, and finds these rows.
    sqlx::query("LOCK TABLE passereau.erasure IN SHARE MODE").execute(&mut *connection).await?;
    sqlx::query(
        "INSERT INTO pinv_gbif.cor_login_inaturalist (id_inaturalist, login)
         SELECT id, passereau.without_erased_names(login) FROM unnest($1::bigint[], $2::text[]) AS found(id, login)
         ORDER BY id
         ON CONFLICT (id_inaturalist) DO UPDATE SET login = excluded.login, asked_at = excluded.asked_at",
    )
    .bind(lookup.found.iter().map(|found| found.id).collect::<Vec<_>>())
    .bind(lookup.found.iter().map(|found| found.login.clone()).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO pinv_gbif.cor_login_inaturalist (id_inaturalist)
         SELECT id FROM unnest($1::bigint[]) AS absent(id) ORDER BY id
         ON CONFLICT DO NOTHING",
    )
    .bind(&lookup.absent)
    .execute(connection)
    .await?;
    Ok(())
}
