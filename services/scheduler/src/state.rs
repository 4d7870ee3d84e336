//! What the database holds, for metrics: one snapshot, read by every scheduler, each of which shows the same.
//!
//! Each metric is a statement that gives the values of its labels and a number; what the list says of it stands in the catalogue of
//! `passereau-telemetry`. The statements read the state alone, none of GeoNature's tables, and none reads a generation.
//!
//! Names. A subscription of an operator is shown under its name, 500 of them at most: those changed last, the others as `(other)`. One-off
//! harvests, whose subscription is named by an identifier, are `(one-off)`: their names would never stop growing. No name of an operator can look
//! like these two.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use passereau_contracts::WORKERS;
use passereau_telemetry::catalogue::{self as list, Family};
use passereau_telemetry::{Metrics, Sample};
use sqlx::{PgConnection, PgPool};

use crate::{
    Subject,
    fire::{can_fire, next_after},
    table::Schedule,
};

/// A reading that takes longer is broken off: the statements take milliseconds, and something is wrong.
const LONGEST: Duration = Duration::from_secs(10);

/// Rejects are counted at every fourth reading: theirs is the only table that grows with the harvests.
const REJECTS_EVERY: u32 = 4;

/// Subscriptions by their label, and harvests that are on their way.
macro_rules! alive {
    ($select:literal) => {
        concat!(
            "WITH shown AS (
                 SELECT name FROM passereau.subscription WHERE NOT one_off ORDER BY updated_at DESC, name LIMIT 500
             ), alive AS (
                 SELECT h.id, h.state, h.state_since, h.updated_at, h.paused_at, h.expected_records, h.generation_id,
                        CASE WHEN s.one_off THEN '(one-off)' WHEN n.name IS NULL THEN '(other)' ELSE s.name END AS label
                 FROM passereau.harvest h
                 JOIN passereau.subscription s ON s.name = h.subscription
                 LEFT JOIN shown n ON n.name = s.name
                 WHERE h.state NOT IN ('completed', 'failed', 'cancelled')
             ) ",
            $select
        )
    };
}

/// Metrics that a statement gives: values of the labels, and the number.
const READINGS: &[(&Family, &str)] = &[
    (
        &list::HARVESTS_ALIVE,
        "SELECT ARRAY[x.state], (SELECT count(*) FROM passereau.harvest h WHERE h.state = x.state)::float8
         FROM unnest(ARRAY['requested', 'requesting', 'preparing', 'fetching', 'loading', 'enriching', 'planning', 'awaiting_approval',
                           'upserting', 'finishing']) AS x (state)",
    ),
    (
        &list::HARVESTS_PAUSED,
        "SELECT '{}'::text[], count(*)::float8 FROM passereau.harvest
         WHERE paused_at IS NOT NULL AND state NOT IN ('completed', 'failed', 'cancelled')",
    ),
    (
        &list::HARVEST_STATE_SINCE,
        alive!("SELECT ARRAY[label, state], extract(epoch FROM min(state_since))::float8 FROM alive GROUP BY label, state"),
    ),
    (
        &list::HARVEST_PROGRESS,
        // A snooze counts as progress up to its end: what waits by its own wish does not stand still. An attempt does not.
        alive!(
            "SELECT ARRAY[a.label, a.state],
                    extract(epoch FROM min(greatest(
                        a.updated_at,
                        (SELECT max(s.done_at) FROM passereau.slice s WHERE s.harvest_id = a.id),
                        (SELECT g.progressed_at FROM pinv_gbif.generation g WHERE g.id = a.generation_id),
                        (SELECT f.progressed_at FROM passereau.fetch f WHERE f.harvest_id = a.id),
                        (SELECT d.status_at FROM passereau.download d WHERE d.harvest_id = a.id),
                        (SELECT max(o.due_at) FROM passereau.outbox o
                         WHERE o.harvest_id = a.id AND o.attempt = 0 AND o.due_at < 'infinity'))))::float8
             FROM alive a
             WHERE a.paused_at IS NULL AND a.state <> 'awaiting_approval'
             GROUP BY a.label, a.state"
        ),
    ),
    (
        &list::HARVEST_EXPECTED,
        alive!(
            "SELECT ARRAY[label, stage], sum(records)::float8
             FROM (SELECT a.label, 'landed' AS stage, a.expected_records AS records FROM alive a WHERE a.expected_records IS NOT NULL
                   UNION ALL
                   SELECT a.label, CASE s.stage WHEN 'enrich' THEN 'enriched' ELSE 'upserted' END, s.records
                   FROM alive a JOIN passereau.slice s ON s.harvest_id = a.id) x
             GROUP BY label, stage"
        ),
    ),
    (
        &list::HARVEST_DONE,
        alive!(
            "SELECT ARRAY[label, stage], sum(records)::float8
             FROM (SELECT a.label, 'landed' AS stage, g.occurrence_cursor AS records
                   FROM alive a JOIN pinv_gbif.generation g ON g.id = a.generation_id
                   UNION ALL
                   SELECT a.label, CASE s.stage WHEN 'enrich' THEN 'enriched' ELSE 'upserted' END,
                          CASE WHEN s.done_at IS NULL THEN 0 ELSE s.records END
                   FROM alive a JOIN passereau.slice s ON s.harvest_id = a.id) x
             GROUP BY label, stage"
        ),
    ),
    (&list::UPSERT_OPEN, "SELECT '{}'::text[], (passereau.upsert_opens_at() IS NULL)::integer::float8"),
    (
        &list::SUBSCRIPTION_HARVEST,
        "SELECT ARRAY[s.name, x.state], extract(epoch FROM x.finished_at)::float8
         FROM (SELECT name FROM passereau.subscription WHERE NOT one_off ORDER BY updated_at DESC, name LIMIT 500) s
         JOIN LATERAL (SELECT h.state, max(h.finished_at) AS finished_at FROM passereau.harvest h
                       WHERE h.subscription = s.name AND h.state IN ('completed', 'failed', 'cancelled') GROUP BY h.state) x
           ON x.finished_at IS NOT NULL",
    ),
    (
        &list::SUBSCRIPTION_NEWEST,
        "SELECT ARRAY[s.name], extract(epoch FROM g.newest_at)::float8
         FROM (SELECT name, current_generation FROM passereau.subscription WHERE NOT one_off ORDER BY updated_at DESC, name LIMIT 500) s
         JOIN pinv_gbif.generation g ON g.id = s.current_generation AND g.newest_at IS NOT NULL",
    ),
    (
        &list::SUBSCRIPTION_RECORDS,
        "SELECT ARRAY[s.name, c.outcome], c.records::float8
         FROM (SELECT name FROM passereau.subscription WHERE NOT one_off ORDER BY updated_at DESC, name LIMIT 500) s
         CROSS JOIN LATERAL (SELECT * FROM passereau.harvest h WHERE h.subscription = s.name AND h.state = 'completed'
                             ORDER BY h.finished_at DESC NULLS LAST LIMIT 1) h
         CROSS JOIN LATERAL (VALUES ('landed', h.landed), ('inserted', h.inserted), ('updated', h.updated), ('unchanged', h.unchanged),
                                    ('rejected', h.rejected), ('kept', h.kept), ('vanished', h.vanished)) AS c (outcome, records)",
    ),
    (
        &list::GBIF_DOWNLOADS,
        "SELECT ARRAY[w.status], count(x.status)::float8
         FROM unnest(ARRAY['preparing', 'running', 'suspended', 'unknown']) AS w (status)
         LEFT JOIN (SELECT lower(coalesce(d.status, 'unknown')) AS status
                    FROM passereau.harvest h JOIN passereau.download d ON d.harvest_id = h.id
                    WHERE h.state IN ('requesting', 'preparing')) x ON x.status = w.status
         GROUP BY w.status",
    ),
    (
        &list::GBIF_WAITING_SINCE,
        "SELECT ARRAY[status], extract(epoch FROM min(since))::float8
         FROM (SELECT CASE WHEN lower(coalesce(d.status, 'unknown')) IN ('preparing', 'running', 'suspended', 'unknown')
                           THEN lower(coalesce(d.status, 'unknown')) ELSE 'other' END AS status,
                      coalesce(d.asked_at, d.intended_at) AS since
               FROM passereau.harvest h JOIN passereau.download d ON d.harvest_id = h.id
               WHERE h.state IN ('requesting', 'preparing')) x
         GROUP BY status",
    ),
    (
        // Budgets of one service by several addresses (an address was changed): the one used last.
        &list::API_FAILURES,
        "SELECT DISTINCT ON (api) ARRAY[api], failures::float8
         FROM (SELECT CASE WHEN name LIKE 'inaturalist %' THEN 'inaturalist' WHEN name LIKE 'gbif registry %' THEN 'gbif_registry' END AS api,
                      failures, next_at FROM passereau.pace) x
         WHERE api IS NOT NULL ORDER BY api, next_at DESC",
    ),
    (
        &list::FLOW_DELIVERY,
        "SELECT ARRAY[flow, state], extract(epoch FROM max(finished_at))::float8
         FROM passereau.delivery WHERE finished_at IS NOT NULL AND state IN ('delivered', 'unchanged', 'failed') GROUP BY flow, state",
    ),
    (
        &list::FLOW_DELIVERING_SINCE,
        "SELECT ARRAY[flow, state], extract(epoch FROM coalesce(read_at, requested_at))::float8
         FROM passereau.delivery WHERE state IN ('reading', 'writing')",
    ),
    (
        &list::FLOW_RECORDS,
        "SELECT ARRAY[d.flow, t.outcome, coalesce(t.reason, 'none')], sum(t.records)::float8
         FROM (SELECT DISTINCT ON (flow) flow, tally FROM passereau.delivery
               WHERE state = 'delivered' AND erased_at IS NULL ORDER BY flow, finished_at DESC) d
         CROSS JOIN LATERAL jsonb_to_recordset(coalesce(d.tally -> 'delivered', '[]') || coalesce(d.tally -> 'withheld', '[]'))
                            AS t (outcome text, reason text, records bigint)
         GROUP BY d.flow, t.outcome, coalesce(t.reason, 'none')",
    ),
    (
        &list::FLOW_FILE_BYTES,
        "SELECT ARRAY[d.flow, f.key], (f.value ->> 'size_bytes')::float8
         FROM (SELECT DISTINCT ON (flow) flow, files FROM passereau.delivery
               WHERE state = 'delivered' AND erased_at IS NULL ORDER BY flow, finished_at DESC) d
         CROSS JOIN LATERAL jsonb_each(d.files) f",
    ),
    (
        &list::CLAIMS,
        "SELECT ARRAY[x.state], x.claims::float8
         FROM (SELECT count(*) FILTER (WHERE expires_at > now()) AS held,
                      count(*) FILTER (WHERE expires_at <= now() AND expires_at > '-infinity') AS expired FROM passereau.claim) c
         CROSS JOIN LATERAL (VALUES ('held', c.held), ('expired', c.expired)) AS x (state, claims)",
    ),
    (
        &list::OUTBOX_ROWS,
        "SELECT ARRAY[x.exchange, x.state], count(o.state)::float8
         FROM (VALUES ('work', 'due'), ('work', 'delayed'), ('work', 'held'), ('events', 'due'), ('events', 'unconfirmed')) AS x (exchange, state)
         LEFT JOIN (SELECT exchange, CASE WHEN exchange = 'events' AND attempt > 0 THEN 'unconfirmed' WHEN due_at <= now() THEN 'due'
                                          WHEN due_at < 'infinity' THEN 'delayed' ELSE 'held' END AS state
                    FROM passereau.outbox) o ON o.exchange = x.exchange AND o.state = x.state
         GROUP BY x.exchange, x.state",
    ),
    (
        &list::RETENTION,
        "SELECT ARRAY[CASE WHEN error IS NULL THEN 'done' ELSE 'failed' END], extract(epoch FROM max(finished_at))::float8
         FROM passereau.retention_run WHERE finished_at IS NOT NULL GROUP BY 1",
    ),
];

const REJECTS: &str = "
    SELECT ARRAY[s.name, r.reason], count(*)::float8
    FROM (SELECT name FROM passereau.subscription WHERE NOT one_off ORDER BY updated_at DESC, name LIMIT 500) s
    JOIN pinv_gbif.reject r ON r.subscription = s.name
    GROUP BY s.name, r.reason";

/// $1 and $2: kinds of messages and their workers.
const UNHANDLED: &str = "
    SELECT k.worker, count(s.id), extract(epoch FROM min(s.sent_at))::float8
    FROM unnest($1::text[], $2::text[]) AS k (kind, worker)
    LEFT JOIN passereau.sent s ON s.routing_key = k.kind
    GROUP BY k.worker";

/// $1: workers, of whom each queue is named after one. Whoever sent a message elsewhere chose the name of that queue.
const DEAD: &str = "
    SELECT ARRAY[x.worker, x.reason], count(d.reason)::float8
    FROM (SELECT w.worker, r.reason
          FROM unnest($1::text[]) AS w (worker)
          CROSS JOIN unnest(ARRAY['malformed', 'unknown_kind', 'unknown_version', 'rejected', 'attempts_exhausted', 'returned_by_broker']) AS r (reason)
          UNION ALL
          SELECT DISTINCT 'unknown', reason FROM passereau.dead_letter WHERE state = 'waiting') x
    LEFT JOIN (SELECT CASE WHEN q.worker = ANY ($1) THEN q.worker ELSE 'unknown' END AS worker, l.reason
               FROM passereau.dead_letter l
               CROSS JOIN LATERAL (SELECT regexp_replace(l.queue, '^.*[.]', '') AS worker) q
               WHERE l.state = 'waiting') d ON d.worker = x.worker AND d.reason = x.reason
    GROUP BY x.worker, x.reason
    HAVING x.worker <> 'unknown' OR count(d.reason) > 0";

/// Reads the state again and again.
#[derive(Debug, Default)]
pub struct StateReader {
    readings: AtomicU32,
}

impl StateReader {
    /// Reads everything in one snapshot and shows it.
    ///
    /// # Errors
    /// PostgreSQL refused or was away, or a flow cannot be read; what was read until then is shown.
    pub async fn read(&self, pool: &PgPool, metrics: &Metrics) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let started = Instant::now();
        let mut tx = pool.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *tx).await?;
        sqlx::query("SELECT set_config('statement_timeout', $1, true)")
            .bind(LONGEST.as_millis().to_string())
            .execute(&mut *tx)
            .await?;
        for (family, statement) in READINGS {
            let samples: Vec<Sample> = sqlx::query_as(*statement).fetch_all(&mut *tx).await?;
            metrics.show(family, samples);
        }
        messages(&mut tx, metrics).await?;
        if self.readings.fetch_add(1, Ordering::Relaxed).is_multiple_of(REJECTS_EVERY) {
            let samples: Vec<Sample> = sqlx::query_as(REJECTS).fetch_all(&mut *tx).await?;
            metrics.show(&list::REJECTS, samples);
        }
        schedules(&mut tx, metrics).await?;
        periods(&mut tx, metrics).await?;
        flows(&mut tx, metrics).await?;
        tx.commit().await?;
        metrics.state_read(started.elapsed());
        Ok(())
    }
}

async fn messages(connection: &mut PgConnection, metrics: &Metrics) -> Result<(), sqlx::Error> {
    let (kinds, workers): (Vec<&str>, Vec<&str>) =
        WORKERS.iter().flat_map(|worker| worker.kinds.iter().map(|kind| (*kind, worker.worker))).unzip();
    let unhandled: Vec<(String, i64, Option<f64>)> =
        sqlx::query_as(UNHANDLED).bind(kinds).bind(workers).fetch_all(&mut *connection).await?;
    #[expect(clippy::cast_precision_loss, reason = "a number of messages")]
    let counts = unhandled.iter().map(|(worker, count, _)| (vec![worker.clone()], *count as f64));
    metrics.show(&list::UNHANDLED, counts);
    let oldest = unhandled.iter().filter_map(|(worker, _, oldest)| Some((vec![worker.clone()], (*oldest)?)));
    metrics.show(&list::OLDEST_MESSAGE, oldest);
    let names: Vec<&str> = WORKERS.iter().map(|worker| worker.worker).collect();
    let dead: Vec<Sample> = sqlx::query_as(DEAD).bind(names).fetch_all(connection).await?;
    metrics.show(&list::DEAD_LETTERS_WAITING, dead);
    Ok(())
}

/// How schedules stand. Whether a suspended one can be read is tried, not remembered: who has mended the row sees it at once.
async fn schedules(connection: &mut PgConnection, metrics: &Metrics) -> Result<(), sqlx::Error> {
    let (active, overdue): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE next_at < now() - interval '1 minute') FROM passereau.schedule WHERE suspended_at IS NULL",
    )
    .fetch_one(&mut *connection)
    .await?;
    let suspended: Vec<Schedule> = sqlx::query_as("SELECT * FROM passereau.schedule WHERE suspended_at IS NOT NULL")
        .fetch_all(&mut *connection)
        .await?;
    let now = sqlx::query_scalar("SELECT now()").fetch_one(connection).await?;
    let broken = suspended.iter().filter(|schedule| !can_fire(schedule, now)).count();
    #[expect(clippy::cast_precision_loss, reason = "a number of schedules")]
    let counts = [
        ("active", active as f64),
        ("overdue", overdue as f64),
        ("suspended", (suspended.len() - broken) as f64),
        ("broken", broken as f64),
    ];
    metrics.show(&list::SCHEDULES, counts.map(|(state, count)| (vec![state.to_owned()], count)));
    Ok(())
}

/// How far apart the next two harvests of each subscription are. A row that cannot be read has none: it is suspended when it is due.
async fn periods(connection: &mut PgConnection, metrics: &Metrics) -> Result<(), sqlx::Error> {
    let schedules: Vec<Schedule> = sqlx::query_as(
        "SELECT c.* FROM passereau.schedule c
         JOIN (SELECT name FROM passereau.subscription WHERE NOT one_off ORDER BY updated_at DESC, name LIMIT 500) s
           ON c.name = 'subscription:' || s.name
         WHERE c.suspended_at IS NULL",
    )
    .fetch_all(connection)
    .await?;
    let periods = schedules.into_iter().filter_map(|schedule| {
        let subject: Subject = schedule.name.parse().ok()?;
        let Subject::Subscription(name) = &subject else { return None };
        let (text, zone, from) = (&schedule.expression, &schedule.time_zone, schedule.next_at);
        let after = next_after(&subject, text, zone, schedule.anchor_at, from).ok()?;
        Some((vec![name.clone()], (after - from).as_seconds_f64()))
    });
    metrics.show(&list::SUBSCRIPTION_PERIOD, periods);
    Ok(())
}

async fn flows(
    connection: &mut PgConnection,
    metrics: &Metrics,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let now = sqlx::query_scalar("SELECT now()").fetch_one(&mut *connection).await?;
    let flows = passereau_flow::list(connection).await?;
    let standing = flows.iter().map(|flow| (vec![flow.name.clone(), flow.standing(now).as_str().to_owned()], 1.0));
    metrics.show(&list::FLOW_STANDING, standing);
    let late = flows.iter().map(|flow| (vec![flow.name.clone()], f64::from(u8::from(flow.is_late(now)))));
    metrics.show(&list::FLOW_LATE, late);
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
    let due = flows.iter().filter_map(|flow| Some((vec![flow.name.clone()], flow.late_from(now)?.timestamp() as f64)));
    metrics.show(&list::FLOW_DUE, due);
    Ok(())
}
