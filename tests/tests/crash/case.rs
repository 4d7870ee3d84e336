//! One case: a fleet, a fault, a harvest, and the comparison.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use passereau_broker::queue_name;
use passereau_contracts::WORKERS;
use passereau_harvest::{Harvest, State};
use passereau_sandbox::SandboxConfig;
use passereau_testing::{amqp_url, servers::Platform};
use passereau_tests::{FLOW_WORKERS, Fleet, FleetConfig, Prepared};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;
use tokio::{sync::Mutex, time::Instant};
use uuid::Uuid;

use crate::{
    Baseline,
    faults::{Fault, worker_of},
    outcome::{Outcome, left_over},
    proxy::Proxy,
    rolling::slow_down,
    table::Passed,
    way::Way,
};

/// Longest life of a harvest, whatever disturbs it.
const DEADLINE: Duration = Duration::from_secs(90);
/// Time between two looks at a harvest.
pub const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a server stays away, or RabbitMQ out of reach: more than the longest back-off of the fleet under test.
const AWAY: Duration = Duration::from_millis(2500);
/// How long a queue is young: RabbitMQ (3.10.8) may have forgotten a quorum queue that it was killed with shortly after its declaration. Ra writes the
/// names of its servers into their file only after half a second without a use of it
/// (<https://github.com/rabbitmq/ra/blob/main/src/ra_directory.erl>; `auto_save` of <https://www.erlang.org/doc/apps/stdlib/dets.html>), and nobody is told.
const YOUNG: Duration = Duration::from_secs(2);
/// How much longer a slice takes where the fault has to meet it.
const SLOW: Duration = Duration::from_millis(300);
/// Ends of the workers, until no message is back in a queue, where every message comes twice.
const ENDS: usize = 3;
/// Records of a slice and ids of a batch: so few that a harvest of the matrix has several of each.
const SLICE_RECORDS: u32 = 20;
const BATCH_IDS: u32 = 25;
/// The longest back-off of the fleet under test, in milliseconds.
const LONGEST_BACKOFF_MS: &str = "1500";

/// What cases share.
pub struct Stage {
    /// The database that each case copies.
    pub prepared: Prepared,
    /// The archive that the sandbox hands out.
    pub archive: PathBuf,
    /// The servers.
    pub platform: Mutex<Platform>,
}

/// One line of the matrix.
#[derive(Clone, Debug)]
pub struct Case {
    /// What happens.
    pub fault: Fault,
}

impl Case {
    /// Its name, to choose it by.
    pub fn name(&self) -> String {
        format!("{}: {}", self.fault.whom(), self.fault.words())
    }
}

/// A way without any fault.
pub async fn undisturbed(stage: &Stage, way: Way) -> Result<Outcome> {
    let mut fleet = Fleet::start(config(stage, way).await?).await?;
    let id = way.begin(&mut fleet, 1).await?;
    let harvest = run_to_its_end(&mut fleet, id).await?;
    let outcome = settled(&mut fleet, &harvest, way, 1).await?;
    if way != Way::Cancelled {
        let parts = "SELECT count(*) FILTER (WHERE stage = 'upsert'), count(*) FILTER (WHERE stage = 'enrich') FROM passereau.slice";
        let (slices, batches): (i64, i64) = sqlx::query_as(parts).fetch_one(&fleet.database.pool).await?;
        ensure!(slices >= 5 && batches >= 4, "{slices} slices and {batches} batches: too few to disturb them");
    }
    fleet.stop().await?;
    Ok(outcome)
}

/// Runs a case and tells how it went.
pub async fn judge(stage: &Stage, case: Case, baseline: &Baseline) -> (Case, Result<Passed>) {
    let started = Instant::now();
    let passed = run(stage, &case.fault, baseline).await;
    let words = match &passed {
        Ok(passed) => format!("ok, ended {:.1} s after the fault", passed.recovery.as_secs_f64()),
        Err(error) => format!("FAILED: {error:#}"),
    };
    println!("crash: {} ({:.1} s): {words}", case.name(), started.elapsed().as_secs_f64());
    (case, passed)
}

/// As an administrator does who lets datasets be made.
const FRAMEWORK: &str = "UPDATE pinv_gbif.setting
    SET value = (SELECT min(unique_acquisition_framework_id::text) FROM gn_meta.t_acquisition_frameworks)
    WHERE name = 'acquisition_framework'";

/// What every fleet of the matrix has.
pub async fn config(stage: &Stage, way: Way) -> Result<FleetConfig> {
    let prepared = stage.prepared.copy().await;
    for (name, value) in [("slice_records", SLICE_RECORDS), ("batch_ids", BATCH_IDS)] {
        set(&prepared.0.pool, name, value).await?;
    }
    sqlx::query(FRAMEWORK).execute(&prepared.0.pool).await.context("naming the acquisition framework")?;
    let mut sandbox = SandboxConfig { archives: vec![stage.archive.clone()], ..SandboxConfig::default() };
    way.prepare(&mut sandbox);
    let environment = [
        ("PASSEREAU_AMQP_RECONNECT_MAX_DELAY_MS", LONGEST_BACKOFF_MS),
        ("PASSEREAU_RESEND_SECONDS", "3"),
        // Slow enough to be met in the middle.
        ("PASSEREAU_INATURALIST_INTERVAL_S", "0.1"),
    ];
    Ok(FleetConfig {
        sandbox,
        prepared: Some(prepared),
        listens: true,
        environment: environment.map(|(name, value)| (name, value.to_owned())).into(),
        ..FleetConfig::default()
    })
}

/// Sets what only tests set, for whoever connects to a fleet's database from now on.
pub async fn set(pool: &sqlx::PgPool, name: &str, value: u32) -> Result<()> {
    let database: String = sqlx::query_scalar("SELECT current_database()").fetch_one(pool).await?;
    let sql = format!("ALTER DATABASE \"{database}\" SET passereau.{name} = '{value}'");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.with_context(|| format!("setting {name}"))?;
    Ok(())
}

async fn run(stage: &Stage, fault: &Fault, baseline: &Baseline) -> Result<Passed> {
    let way = Way::to(fault);
    let mut config = config(stage, way).await?;
    if fault.meets_slices() {
        let (database, _) = config.prepared.as_ref().context("there is no database")?;
        slow_down(&database.pool, SLOW).await?;
    }
    let folder = tempfile::tempdir()?;
    let mark = folder.path().join("mark");
    let order = |order: String| vec![("PASSEREAU_FAULT", order), ("PASSEREAU_FAULT_MARK", mark.display().to_string())];
    let mut proxy = None;
    let mut full = None;
    match fault {
        Fault::Killed { boundary, kind } => {
            config.environment_of.push((worker_of(kind), order(format!("{boundary}:{kind}"))))
        }
        Fault::RelayKilled(kind) => config.environment.extend(order(format!("confirmed:{kind}"))),
        Fault::Held(kind) => config.environment_of.push((worker_of(kind), order(format!("held:{kind}")))),
        Fault::Twice => config.environment.extend(order("twice".into())),
        Fault::Shuffled => {
            config.environment.extend(order("shuffled".into()));
            // One after the other, so that the order can be told afterwards.
            config.environment_of.push(("upserter", vec![("PASSEREAU_CONCURRENCY", "1".to_owned())]));
        }
        Fault::TwoCopies => config.copies = Some(2),
        Fault::Cut(_) => {
            let (started, url) = Proxy::start(&amqp_url()).await?;
            config.amqp_url = Some(url);
            proxy = Some(started);
        }
        Fault::MessageLost(worker) => config.absent.push(*worker),
        Fault::StoreFull => {
            let disk = SmallDisk::mount()?;
            config.environment.push(("PASSEREAU_STORE_URL", format!("file://{}", disk.path().display())));
            config.environment.push(("PASSEREAU_FETCH_RESERVE_BYTES", "1000000".to_owned()));
            full = Some(disk);
        }
        Fault::KilledAgainAndAgain | Fault::ServersKilled(..) | Fault::QueueDeleted(_) => {}
    }
    let mut fleet = Fleet::start(config).await?;
    if fault.kills_the_broker() {
        tokio::time::sleep(YOUNG).await;
    }
    if *fault == Fault::TwoCopies {
        until("two consumers of each queue", async || Ok(all_consume(&fleet, 2))).await?;
    }
    // The relay doubles what the fleet sends, the test what it sends itself.
    let id = way.begin(&mut fleet, if *fault == Fault::Twice { 2 } else { 1 }).await?;
    let mut at = Instant::now();
    match fault {
        Fault::ServersKilled(which, state) => {
            reached(&mut fleet, id, *state).await?;
            at = Instant::now();
            let mut platform = stage.platform.lock().await;
            for which in *which {
                platform.kill(*which).await?;
            }
            away().await;
            for which in *which {
                platform.start_again(*which).await?;
            }
        }
        Fault::Cut(state) => {
            reached(&mut fleet, id, *state).await?;
            at = Instant::now();
            let proxy = proxy.as_mut().context("there is no proxy")?;
            proxy.cut().await;
            away().await;
            proxy.restore().await?;
        }
        Fault::KilledAgainAndAgain => {
            for state in [State::Preparing, State::Fetching, State::Loading, State::Enriching, State::Upserting] {
                reached(&mut fleet, id, state).await?;
                at = Instant::now();
                fleet.kill_all().await?;
                fleet.restart_ended()?;
            }
        }
        Fault::QueueDeleted(worker) => {
            reached(&mut fleet, id, State::Preparing).await?;
            at = Instant::now();
            fleet.delete_queue(worker).await?;
            away().await;
            fleet.run_command(&["topology", "apply"]).await?;
        }
        Fault::MessageLost(worker) => {
            until("a message in the queue", async || Ok(fleet.waiting(worker).await? > 0)).await?;
            at = Instant::now();
            fleet.delete_queue(worker).await?;
            fleet.run_command(&["topology", "apply"]).await?;
            fleet.start_worker(worker)?;
        }
        Fault::StoreFull => {
            reached(&mut fleet, id, State::Fetching).await?;
            at = Instant::now();
            until("the downloader's word about the room", async || Ok(fleet.log("downloader").contains("room")))
                .await?;
            full.as_ref().context("there is no disk")?.free()?;
            // It looks again after minutes; the test need not wait for them.
            let look_now = "UPDATE passereau.outbox SET due_at = now() WHERE routing_key = 'archive.fetch' AND due_at > now() + interval '5 s'";
            until("the message that waits", async || {
                Ok(sqlx::query(look_now).execute(&fleet.database.pool).await?.rows_affected() > 0)
            })
            .await?;
        }
        Fault::Killed { .. } | Fault::RelayKilled(_) => {
            until("the fault", async || {
                fleet.restart_ended()?;
                Ok(mark.exists())
            })
            .await?;
            at = Instant::now();
        }
        Fault::Held(kind) => {
            until("the fault", async || Ok(mark.exists())).await?;
            at = Instant::now();
            until("a channel that RabbitMQ has closed", async || {
                Ok(fleet.log(worker_of(kind)).contains("not consuming, subscribing again"))
            })
            .await?;
        }
        Fault::Twice | Fault::Shuffled | Fault::TwoCopies => {}
    }
    let harvest = run_to_its_end(&mut fleet, id).await?;
    let recovery = at.elapsed();
    if let Fault::Killed { boundary: "committed" | "published", kind } = fault {
        let again = format!(r#""kind":"{kind}","outcome":"duplicate""#);
        until("the delivery that comes again because nobody has acknowledged it", async || {
            fleet.restart_ended()?;
            Ok(fleet.log(worker_of(kind)).contains(&again))
        })
        .await?;
    }
    let outcome = settled(&mut fleet, &harvest, way, if *fault == Fault::Twice { ENDS } else { 1 }).await?;
    happened(&fleet, fault).await?;
    fleet.stop().await?;
    match outcome.difference(baseline.get(&way).context("there is nothing to compare with")?) {
        Some(difference) => bail!("{difference}"),
        None => Ok(Passed { recovery, compared: outcome.records() }),
    }
}

/// That a fault which leaves no mark of its own was one.
async fn happened(fleet: &Fleet, fault: &Fault) -> Result<()> {
    match fault {
        Fault::Shuffled => {
            let order = "SELECT array_agg(ordinal ORDER BY done_at) FROM passereau.slice WHERE stage = 'upsert'";
            let order: Vec<i32> = sqlx::query_scalar(order).fetch_one(&fleet.database.pool).await?;
            ensure!(!order.is_sorted(), "the slices were done in the order in which they were sent: {order:?}");
        }
        Fault::Twice => {
            for worker in WORKERS.iter().map(|worker| worker.worker).filter(|worker| !FLOW_WORKERS.contains(worker)) {
                let again = fleet.log(worker).contains(r#""outcome":"duplicate""#);
                ensure!(again, "the {worker} has met no message twice");
            }
        }
        Fault::TwoCopies => {
            // Those that get several messages.
            for worker in ["inat-enricher", "upserter"] {
                let done: Vec<usize> =
                    fleet.logs(worker).iter().map(|log| log.matches(r#""outcome":"done""#).count()).collect();
                ensure!(
                    done.len() == 2 && !done.contains(&0),
                    "the copies of the {worker} have done {done:?} messages"
                );
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether each of so many processes of each worker consumes from its queue.
fn all_consume(fleet: &Fleet, copies: usize) -> bool {
    let mut workers = WORKERS.iter().map(|worker| worker.worker).filter(|worker| !FLOW_WORKERS.contains(worker));
    workers.all(|worker| {
        let consuming = format!(r#""message":"consuming","queue":"{}""#, queue_name(fleet.broker.prefix(), worker));
        let logs = fleet.logs(worker);
        logs.len() == copies && logs.iter().all(|log| log.contains(&consuming))
    })
}

/// Lets time pass while something is away.
async fn away() {
    tokio::time::sleep(AWAY).await;
}

/// Waits for a condition, for as long as a case may take.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !condition().await? {
        ensure!(started.elapsed() < DEADLINE, "{what}: not seen within {DEADLINE:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Waits until a harvest has come as far as a state, and is still alive.
pub async fn reached(fleet: &mut Fleet, id: Uuid, state: State) -> Result<()> {
    until(&format!("a harvest that is {state}"), async || {
        let Some(harvest) = fleet.harvest(id).await? else { return Ok(false) };
        ensure!(harvest.state.is_alive(), "the harvest has ended before it could be disturbed: {}", harvest.state);
        Ok(order(harvest.state) >= order(state))
    })
    .await
}

fn order(state: State) -> usize {
    let way = [
        State::Requested,
        State::Requesting,
        State::Preparing,
        State::Fetching,
        State::Loading,
        State::Enriching,
        State::Planning,
        State::AwaitingApproval,
        State::Upserting,
        State::Finishing,
    ];
    way.iter().position(|known| *known == state).unwrap_or(0)
}

/// Starts again what has died, until the harvest has ended.
async fn run_to_its_end(fleet: &mut Fleet, id: Uuid) -> Result<Harvest> {
    let mut ended = None;
    let waited = until("the end of the harvest", async || {
        fleet.restart_ended()?;
        // The database may be away.
        ended = fleet.harvest(id).await.ok().flatten().filter(|harvest| !harvest.state.is_alive());
        Ok(ended.is_some())
    })
    .await;
    match waited {
        Ok(()) => ended.context("the harvest has not ended"),
        Err(error) => {
            let state = fleet.harvest(id).await.ok().flatten().map(|harvest| harvest.state.to_string());
            Err(error.context(format!("the harvest is {state:?}\n{}", complaints(fleet))))
        }
    }
}

/// What the workers have complained of, the last few lines of each.
fn complaints(fleet: &Fleet) -> String {
    let of = |worker: &'static str| {
        let log = fleet.log(worker);
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("WARN") || line.contains("ERROR") || !line.starts_with('{'))
            .collect();
        lines[lines.len().saturating_sub(5)..].iter().map(|line| format!("{worker}: {line}\n")).collect::<String>()
    };
    WORKERS.iter().map(|worker| of(worker.worker)).collect()
}

/// Waits until nothing is on its way any more, and reads what is there. The workers have ended then: what they held without an acknowledgement
/// is back in the queues. `ends` says how often they may end until nothing is: a second copy of a message, of which nobody knows while a worker
/// has it in hand and has not begun with it, goes back when that worker ends, as it should.
async fn settled(fleet: &mut Fleet, harvest: &Harvest, way: Way, ends: usize) -> Result<Outcome> {
    for left_ends in (0..ends).rev() {
        nothing_left(fleet).await?;
        fleet.end_workers().await?;
        match left_over(fleet, &fleet.database.pool).await? {
            None => break,
            Some(left) => ensure!(left_ends > 0, "the workers have ended, and there are still {left}"),
        }
    }
    Outcome::read(fleet, harvest, way).await
}

/// Waits until nothing is on its way any more.
pub async fn nothing_left(fleet: &mut Fleet) -> Result<()> {
    let pool = fleet.database.pool.clone();
    let started = Instant::now();
    loop {
        fleet.restart_ended()?;
        match left_over(fleet, &pool).await {
            Ok(None) => return Ok(()),
            Ok(Some(left)) => {
                ensure!(
                    started.elapsed() < DEADLINE,
                    "after the end of the harvest there are still {left}\n{}",
                    complaints(fleet)
                )
            }
            // The broker may just be coming back.
            Err(error) => ensure!(started.elapsed() < DEADLINE, "{error:#}"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A file system of its own, too small for the archive until it is freed.
struct SmallDisk(TempDir);

impl SmallDisk {
    const BALLAST: &str = "ballast";

    fn mount() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(folder.path())
            .output()
            .context("running mount")?;
        ensure!(
            mounted.status.success(),
            "a small file system cannot be mounted (as root?): {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        let disk = Self(folder);
        std::fs::write(disk.path().join(Self::BALLAST), vec![1; 3_900_000])?;
        Ok(disk)
    }

    fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    fn free(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.path().join(Self::BALLAST))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a worker may still have a file open.
        let _unmounted = std::process::Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
