//! The crash matrix: a harvest is disturbed in every way that we can think of, and must end as if nothing had happened.
//!
//! Each case starts a fleet on a copy of one prepared database, orders one fault, harvests one archive, starts again what has
//! died, and compares everything that a user could see with the run without a fault ([`outcome`]). Cases that only kill
//! workers run side by side; those that kill a server run alone, because all fleets share the servers.
//!
//! `crash [WORDS …]` runs the cases whose names hold all the words, `crash rolling` the rolling restart ([`rolling`]). All cases together write or check `docs/faults.md`
//! (`UPDATE_DOCS=1` writes it).
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to a terminal")]

mod case;
mod faults;
mod outcome;
mod proxy;
mod rolling;
mod table;
mod way;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use passereau_sandbox::generate::{GenerateOptions, generate};
use passereau_testing::servers::{Platform, Wanted, Which};
use passereau_tests::{Prepared, program};
use tokio::sync::Mutex;

use case::{Case, Stage};
use faults::cases;
use outcome::Outcome;
use table::Passed;
use way::Way;

/// Records of the archive: small, with every kind of record in it.
const RECORDS: u64 = 200;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    match run(&words).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("crash: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(words: &[String]) -> Result<bool> {
    passereau_broker::install_crypto();
    let started = Instant::now();
    let wanted = Wanted { database: true, broker: true, ..Wanted::default() };
    let platform = Platform::start(&program("passereau-platform")?, wanted).await?;
    passereau_testing::use_servers(&platform.addresses);
    let folder = tempfile::tempdir().context("making a folder")?;
    let archive = folder.path().join("generated.zip");
    generate(&GenerateOptions { records: RECORDS, seed: 7, revision: 1 }, &archive)?;
    let stage = Stage { prepared: Prepared::new(&archive).await?, archive, platform: Mutex::new(platform) };

    let all = cases();
    let total = all.len();
    let chosen: Vec<Case> =
        all.into_iter().filter(|case| words.iter().all(|word| case.name().contains(word))).collect();
    ensure!(!chosen.is_empty() || words.iter().any(|word| word == "rolling"), "no case has a name with {words:?}");
    let is_whole = chosen.len() == total;

    let mut baseline = Baseline::new();
    for way in chosen.iter().map(|case| Way::to(&case.fault)) {
        if let Entry::Vacant(vacant) = baseline.entry(way) {
            let outcome = case::undisturbed(&stage, way).await.with_context(|| format!("{way:?}, without a fault"))?;
            println!("crash: {way:?}, without a fault: {}", outcome.summary());
            vacant.insert(outcome);
        }
    }
    let (alone, beside): (Vec<Case>, Vec<Case>) = chosen.into_iter().partition(|case| case.fault.needs_the_servers());
    let (held, beside) = beside.into_iter().partition(|case| case.fault.needs_an_impatient_broker());
    let mut results = side_by_side(&stage, BUSY_LANES, beside, &baseline).await;
    for case in alone {
        results.push(case::judge(&stage, case, &baseline).await);
    }
    results.extend(before_an_impatient_broker(&stage, held, &baseline).await?);
    let mut failed = 0;
    if is_whole || words.iter().any(|word| word == "rolling") {
        match rolling::run(&stage).await {
            Ok(figures) => println!("crash: {figures}"),
            Err(error) => {
                eprintln!("crash: FAILED rolling restart: {error:#}");
                failed += 1;
            }
        }
    }
    failed += results.iter().filter(|(_, result)| result.is_err()).count();
    for (case, result) in &results {
        if let Err(error) = result {
            eprintln!("crash: FAILED {}: {error:#}", case.name());
        }
    }
    let passed: Vec<(&Case, &Passed)> =
        results.iter().filter_map(|(case, result)| Some((case, result.as_ref().ok()?))).collect();
    println!("{}", table::figures(&passed, results.len(), started.elapsed()));
    drop(stage.prepared);
    stage.platform.into_inner().stop().await?;
    if is_whole && failed == 0 {
        table::check(&passed)?;
    }
    Ok(failed == 0)
}

/// What each way looks like without a fault.
pub type Baseline = BTreeMap<Way, Outcome>;

type Judged = (Case, Result<Passed>);

/// Cases side by side: two where processors are busy, more where a delivery is held and nobody does anything.
const BUSY_LANES: usize = 2;
const IDLE_LANES: usize = 3;

/// So many at a time, in this one task: the work is done by the processes under test.
async fn side_by_side(stage: &Stage, lanes: usize, cases: Vec<Case>, baseline: &Baseline) -> Vec<Judged> {
    let queue = Mutex::new(cases);
    let lane = async || {
        let mut results = Vec::new();
        loop {
            let Some(case) = queue.lock().await.pop() else { return results };
            results.push(case::judge(stage, case, baseline).await);
        }
    };
    join_all((0..lanes).map(|_| lane())).await.into_iter().flatten().collect()
}

/// The same with a broker that soon takes back what a consumer holds.
async fn before_an_impatient_broker(stage: &Stage, cases: Vec<Case>, baseline: &Baseline) -> Result<Vec<Judged>> {
    if cases.is_empty() {
        return Ok(Vec::new());
    }
    let mut platform = stage.platform.lock().await;
    platform.kill(Which::Broker).await?;
    platform.start_impatient_broker().await?;
    drop(platform);
    let results = side_by_side(stage, IDLE_LANES, cases, baseline).await;
    let mut platform = stage.platform.lock().await;
    platform.kill(Which::Broker).await?;
    platform.start_again(Which::Broker).await?;
    Ok(results)
}
