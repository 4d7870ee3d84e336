//! The scheduler as a process of its own.

use clap::Parser;
use passereau_runner::{Process, ProcessConfig};
use passereau_scheduler::{Scheduler, SchedulerConfig};

/// Starts what is done again and again when it is due, and takes away what has expired.
#[derive(Debug, Parser)]
#[command(name = "passereau-scheduler", version, after_help = passereau_telemetry::healthcheck::HELP)]
struct Arguments {
    #[command(flatten)]
    process: ProcessConfig,
    #[command(flatten)]
    scheduler: SchedulerConfig,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if let Some(answer) = passereau_telemetry::healthcheck::asked() {
        return Ok(answer?);
    }
    let arguments = Arguments::parse();
    let _log = passereau_telemetry::logs::init(&arguments.process.log, "passereau-scheduler")?;
    let scheduler = Scheduler::new(&arguments.scheduler)?;
    let mut process = Process::start("scheduler", &arguments.process).await?;
    process.work(scheduler);
    Ok(process.run().await?)
}
