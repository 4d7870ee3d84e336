//! GBIF, its file server and iNaturalist misbehave, one way after the other: the table in `services/cases.rs` is the test.
//!
//! One fleet with the times of production meets each row of the table, on an empty platform. Time is not waited for, it is made to pass
//! (`services/time.rs`), and what passed beyond a run without the fault is part of the outcome. Nothing may be lost: what a row leaves out
//! must enter when the same request is made again and the services are well.

mod cases;
mod page;
mod time;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use cases::{CASES, Case, Ends};
use futures_util::future::join_all;
use passereau_contracts::{Counts, HarvestRequest};
use passereau_harvest::{Harvest, State};
use passereau_sandbox::{DownloadStatus, Route};
use passereau_testing::wait_until;
use passereau_tests::{Fleet, FleetConfig, query};
use serde_json::json;
use sqlx::PgPool;

use crate::{
    harvest::{assert_sums, claims_are_given_back},
    prepared::generated,
};

/// Two parts of the smallest size that an archive is fetched in.
const RECORDS: u64 = 120;

/// How long the fleet waits for a byte of a file, and for a whole answer: longer than the stand-ins, which run in this process, ever stand still on two
/// loaded cores, for an answer that is given up is a call more.
const STALL_S: u64 = 5;
const TOTAL_S: u64 = 8;

/// Long enough for two loaded cores; only a defect waits it out.
const STUCK: Duration = Duration::from_secs(60);

/// After this, iNaturalist is asked again: it rests for a quarter of an hour after an outage, and an observation that it did not know is
/// asked for again after seven days.
const A_WEEK: Duration = Duration::from_secs(7 * 86_400 + 60);

/// What a platform has after a harvest, as far as a fault must not change it.
#[derive(Clone, Debug, PartialEq)]
struct Platform {
    /// Rows of GBIF in the synthèse.
    rows: i64,
    /// Digest of those rows without serials, dates of the write, and the harvest's own provenance.
    digest: String,
    /// Records that did not enter, by reason.
    rejects: BTreeMap<String, i64>,
}

/// How one harvest went.
struct Run {
    harvest: Harvest,
    platform: Platform,
    /// Time that was made to pass.
    waited: Duration,
    /// Real time between the moments in which what was waited for got its date and was seen, at most: that much of the wait is not in `waited`.
    unseen: Duration,
}

struct World {
    fleet: Fleet,
    archive: PathBuf,
}

impl World {
    /// A fleet with the times of production, but for those that a test really has to wait for.
    async fn new(archive: PathBuf) -> Self {
        let times = [
            ("PASSEREAU_POLL_FIRST_S", "10"),
            ("PASSEREAU_POLL_LONGEST_S", "300"),
            ("PASSEREAU_RETRY_INITIAL_MS", "5000"),
            ("PASSEREAU_RETRY_MAX_MS", "600000"),
            ("PASSEREAU_FETCH_PART_BYTES", "65536"),
            ("PASSEREAU_RECONVERT_SECONDS", "0"),
        ];
        let silence = [("PASSEREAU_HTTP_STALL_TIMEOUT_S", STALL_S), ("PASSEREAU_HTTP_TOTAL_TIMEOUT_S", TOTAL_S)];
        let silence = silence.map(|(name, seconds)| (name, seconds.to_string()));
        let environment = times.map(|(name, value)| (name, value.to_owned())).into_iter().chain(silence).collect();
        let config =
            FleetConfig { environment, in_one_process: true, ..FleetConfig::handing_out(vec![archive.clone()]) };
        Self { fleet: Fleet::start(config).await.unwrap(), archive }
    }

    fn pool(&self) -> &PgPool {
        &self.fleet.database.pool
    }

    /// Harvests; `leap` is the least time that passes while something is waited for.
    async fn harvest(&self, request: &HarvestRequest, leap: Duration) -> Run {
        let id = self.fleet.submit(request).await.unwrap();
        let (mut waited, mut unseen) = (Duration::ZERO, Duration::ZERO);
        let mut seen = None;
        let harvest = wait_until("the end of the harvest", STUCK, async || {
            let harvest = self.fleet.harvest(id).await.unwrap();
            if harvest.as_ref().is_some_and(|harvest| !harvest.state.is_alive()) {
                return harvest;
            }
            let next = time::next_wait(self.pool()).await;
            // Twice the same: nobody is at work any more that would still send something.
            if let Some(time::Wait { message, left, age }) = next
                && seen.replace(message) == Some(message)
            {
                let by = left.max(leap);
                time::pass(self.pool(), by).await;
                waited += by;
                unseen += age;
                seen = None;
            }
            None
        })
        .await;
        wait_until("an empty outbox", STUCK, async || {
            let left: i64 =
                sqlx::query_scalar("SELECT count(*) FROM passereau.outbox").fetch_one(self.pool()).await.unwrap();
            if left > 0 && time::next_wait(self.pool()).await.is_some() {
                time::pass(self.pool(), Duration::from_secs(60)).await;
            }
            (left == 0).then_some(())
        })
        .await;
        Run { harvest, platform: platform(self.pool()).await, waited, unseen }
    }

    /// The calls that each route has received.
    fn calls(&self) -> BTreeMap<Route, u64> {
        cases::ROUTES.into_iter().map(|route| (route, self.fleet.sandbox.calls(route))).collect()
    }
}

async fn platform(pool: &PgPool) -> Platform {
    let (rows, digest): (i64, Option<String>) = sqlx::query_as(
        "SELECT count(*), md5(string_agg(kept::text, ',' ORDER BY kept->>'entity_source_pk_value'))
         FROM gn_synthese.synthese s JOIN gn_synthese.t_sources t USING (id_source),
              LATERAL (SELECT to_jsonb(s) - '{id_synthese,meta_create_date,meta_update_date,additional_data,last_action}'::text[]
                              || jsonb_build_object('additional_data',
                                     passereau.json_object(s.additional_data) - passereau.provenance_keys()) AS kept) k
         WHERE t.name_source = 'GBIF'",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    let rejects: Vec<(String, i64)> =
        sqlx::query_as("SELECT reason, count(*) FROM pinv_gbif.reject GROUP BY 1").fetch_all(pool).await.unwrap();
    Platform { rows, digest: digest.unwrap_or_default(), rejects: rejects.into_iter().collect() }
}

/// An empty platform: nothing was ever harvested, nobody was ever asked, and GBIF makes nothing for the account.
async fn empty(world: &World) {
    let (pool, sandbox) = (world.pool(), &world.fleet.sandbox);
    for download in sandbox.downloads().iter().filter(|download| download.status.is_unfinished()) {
        sandbox.set_status(&download.key, DownloadStatus::Cancelled);
    }
    time::between_queries(pool, "the tables emptied between two queries of the workers", async |tx| {
        for statement in [
            "DELETE FROM gn_synthese.synthese WHERE id_source IN (SELECT id_source FROM gn_synthese.t_sources WHERE name_source = 'GBIF')",
            "SELECT pinv_gbif.drop_generation(id) FROM pinv_gbif.generation WHERE state <> 'dropped'",
            "TRUNCATE passereau.subscription, passereau.harvest, passereau.download, passereau.fetch, passereau.slice,
                 passereau.plan, passereau.written, passereau.outbox, passereau.sent, passereau.inbox, passereau.claim, passereau.dead_letter,
                 passereau.pace, passereau.gbif_places, passereau.media, pinv_gbif.generation, pinv_gbif.reject, pinv_gbif.cor_uuid_inaturalist,
                 pinv_gbif.dataset CASCADE",
        ] {
            sqlx::query(statement).execute(&mut *tx).await?;
        }
        Ok(())
    })
    .await;
}

/// A request of its own for each row: GBIF gives the same request the same download for two days.
fn request(row: usize) -> HarvestRequest {
    let mut body = query("passereau");
    let predicates = body["predicate"]["predicates"].as_array_mut().unwrap();
    predicates.push(json!({"type": "equals", "key": "YEAR", "value": (1900 + row).to_string()}));
    HarvestRequest { subscription: Some(format!("row-{row}")), query: Some(body), ..Default::default() }
}

/// What is wrong with the outcome of a row.
async fn problems(world: &World, usual: &Run, row: usize, case: &Case) -> Vec<String> {
    let mut wrong = Vec::new();
    let (sandbox, pool) = (&world.fleet.sandbox, world.pool());
    let before = world.calls();
    for (route, scripts) in (case.play)() {
        sandbox.script(route, scripts);
    }
    let whole = fs::read(&world.archive).unwrap();
    if let Some(left) = case.archive_cut_to {
        fs::write(&world.archive, &whole[..left]).unwrap();
    }
    let run = world.harvest(&request(row), Duration::from_secs(case.leap_s)).await;
    let after = world.calls();
    fs::write(&world.archive, &whole).unwrap();

    let Run { harvest, platform, waited, unseen } = &run;
    let mut check = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    let reason = harvest.reason.clone().unwrap_or_default();
    let least = waited.saturating_sub(usual.waited + usual.unseen);
    let most = (*waited + *unseen).saturating_sub(usual.waited);
    let unmet = sandbox.forget_scripts();
    check(unmet == 0, format!("{unmet} scripts were not met"));
    check(sandbox.credential_leaks() == 0, "the password left for the file server".to_owned());
    check(case.later.holds(least, most), format!("it took {least:.1?} to {most:.1?} more, not {:?}", case.later));
    for (route, wanted) in case.calls {
        let calls = after[route] - before[route];
        check(calls == *wanted, format!("{calls} calls of {route:?}, not {wanted}"));
    }
    let waiting = platform.rejects.get("uuid_pending").copied().unwrap_or(0);
    match case.ends {
        Ends::AsUsual => {
            check(harvest.state == State::Completed, format!("{}: {reason}", harvest.state));
            check(harvest.counts == usual.harvest.counts, format!("{:?}", harvest.counts));
            check(*platform == usual.platform, format!("the platform differs: {platform:?}"));
        }
        Ends::Waiting => {
            check(harvest.state == State::Completed, format!("{}: {reason}", harvest.state));
            assert_sums(&harvest.counts);
            let usually = usual.platform.rejects.get("uuid_pending").copied().unwrap_or(0);
            let late = usual.platform.rows - platform.rows;
            check(
                late > 0 && waiting - usually == late,
                format!("{late} rows fewer, {waiting} wait, usually {usually}"),
            );
        }
        Ends::PublishersUnknown => {
            check(harvest.state == State::Completed, format!("{}: {reason}", harvest.state));
            assert_sums(&harvest.counts);
            let mut rejects = usual.platform.rejects.clone();
            let refused = rejects.remove("own_data").unwrap_or(0);
            check(refused > 0 && platform.rows == usual.platform.rows + refused, format!("{} rows", platform.rows));
            check(platform.rejects == rejects, format!("{:?}", platform.rejects));
        }
        Ends::Failed(words) => {
            check(harvest.state == State::Failed, format!("{}", harvest.state));
            for word in words {
                check(reason.contains(word), format!("{word:?} is not in the reason: {reason}"));
            }
            check(platform.rows == 0, format!("{} rows of a harvest that failed", platform.rows));
        }
    }
    claims_are_given_back(pool).await;
    if !matches!(case.ends, Ends::AsUsual) {
        time::pass(pool, A_WEEK).await;
        let again = world.harvest(&request(row), Duration::ZERO).await;
        let (state, reason) = (again.harvest.state, again.harvest.reason);
        check(state == State::Completed, format!("again: {state}: {reason:?}"));
        // A row that was written stays as it was; that its record is refused is known.
        let same = match case.ends {
            Ends::PublishersUnknown => again.platform.rejects == usual.platform.rejects,
            _ => again.platform == usual.platform,
        };
        check(same, format!("again: the platform differs: {:?}", again.platform));
    }
    wrong
}

/// Fleets that share the rows out among themselves: most of a row is waiting for PostgreSQL and RabbitMQ, or for a server that is silent.
const LANES: usize = 3;

/// Meets rows until none is left; tells what was wrong.
async fn lane(next: &AtomicUsize, cases: &[(usize, &Case)]) -> String {
    let (_folder, archive) = generated(RECORDS);
    let world = World::new(archive).await;
    let usual = world.harvest(&request(0), Duration::ZERO).await;
    assert_eq!(usual.harvest.state, State::Completed, "{:?}", usual.harvest.reason);
    let Counts { inserted, rejected, .. } = usual.harvest.counts;
    assert!(inserted > 50 && rejected > 0, "{:?}", usual.harvest.counts);
    let mut report = String::new();
    while let Some((row, case)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
        let began = Instant::now();
        empty(&world).await;
        for problem in problems(&world, &usual, row + 1, case).await {
            println!("   wrong  {problem}");
            report += &format!("\n{}: {}: {problem}", case.who, case.does);
        }
        println!("{:>6} ms  {}: {}", began.elapsed().as_millis(), case.who, case.does);
    }
    world.fleet.stop().await.unwrap();
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_misbehave_delay_a_harvest_or_end_it_in_words_and_cost_no_record() {
    page::assert_written();
    // A part of the words of a row leaves the others out.
    let only = std::env::var("PASSEREAU_TEST_ROW").unwrap_or_default();
    let mut cases: Vec<_> = CASES.iter().enumerate().filter(|(_, case)| case.does.contains(&only)).collect();
    // The longest first, so that no lane ends with one alone.
    cases.sort_by_key(|(_, case)| !case.is_silent);
    let (began, next) = (Instant::now(), AtomicUsize::new(0));
    let reports = join_all((0..LANES.min(cases.len())).map(|_| lane(&next, &cases))).await;
    let took = began.elapsed();
    println!("{} rows in {} s", cases.len(), took.as_secs());
    let report = reports.concat();
    assert!(report.is_empty(), "{report}");
}

/// The repository's page of the table.
fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/faults-services.md")
}
