//! `passereau up`: all workers in one process, and the gateway where it is wanted.

use std::{net::SocketAddr, time::Duration};

use clap::{Args, Parser};
use passereau_downloader::{Downloader, DownloaderConfig};
use passereau_exporter::{Exporter, ExporterConfig};
use passereau_gateway::{Gateway, GatewayConfig};
use passereau_inat_enricher::{Enricher, EnricherConfig};
use passereau_loader::{Loader, LoaderConfig};
use passereau_poller::{Poller, PollerConfig};
use passereau_requester::{Requester, RequesterConfig};
use passereau_runner::{Process, ProcessConfig};
use passereau_scheduler::{Scheduler, SchedulerConfig};
use passereau_store::{Store, StoreConfig};
use passereau_upserter::{Upserter, UpserterConfig};

/// Runs all workers. The workers' own settings come from the environment, under the names that each worker's `--help`
/// shows: several workers share some of them, and one value then holds for all. `passereau --healthcheck` asks it how it is.
#[derive(Args, Debug)]
pub struct Up {
    #[command(flatten)]
    process: ProcessConfig,
    /// Address that partners reach. Without it this process serves no flows, and a gateway of its own does. With it whoever reaches the address talks to a
    /// process that may write the synthèse: a gateway of its own, with a role of its own, is the safer choice.
    #[arg(long, env = "PASSEREAU_GATEWAY_LISTEN", value_name = "ADDRESS")]
    gateway_listen: Option<SocketAddr>,
}

/// The settings of one worker, from the environment alone.
#[derive(Parser)]
#[command(name = "passereau up", no_binary_name = true)]
struct FromEnvironment<C: Args> {
    #[command(flatten)]
    config: C,
}

/// The settings of a worker, or clap's words about what is missing or wrong and where to set it.
fn settings<C: Args>() -> anyhow::Result<C> {
    FromEnvironment::<C>::try_parse_from(std::iter::empty::<&str>())
        .map(|parsed| parsed.config)
        .map_err(|error| anyhow::anyhow!("{error}\n`passereau up` takes the workers' settings from the environment only: --store-url is PASSEREAU_STORE_URL, and so on"))
}

impl Up {
    /// Works until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// A setting is missing, or the database or the broker is not prepared; the error names the command that prepares it.
    pub async fn run(self) -> anyhow::Result<()> {
        let _logs = passereau_telemetry::logs::init(&self.process.log, "passereau")?;
        let requester = Requester::new(&settings::<RequesterConfig>()?)?;
        let poller = Poller::new(&settings::<PollerConfig>()?)?;
        let downloader = Downloader::new(&settings::<DownloaderConfig>()?)?;
        let loader = Loader::new(&settings::<LoaderConfig>()?)?;
        let enricher = Enricher::new(&settings::<EnricherConfig>()?)?;
        let upserter = Upserter::new(&settings::<UpserterConfig>()?);
        let exporter = Exporter::new(&settings::<ExporterConfig>()?)?;
        let scheduler = Scheduler::new(&settings::<SchedulerConfig>()?)?;
        let mut process = Process::start("passereau", &self.process).await?;
        process.work(requester);
        process.work(poller);
        process.work(downloader);
        process.work(loader);
        process.work(enricher);
        process.work(upserter);
        process.work(exporter);
        process.work(scheduler);
        if let Some(address) = self.gateway_listen {
            let gateway = self.gateway(address, &process).await?;
            let (shutdown, grace) = (process.shutdown(), Duration::from_secs(self.process.grace_seconds));
            process.beside(gateway.serve(shutdown, grace));
        }
        Ok(process.run().await?)
    }

    /// With connections of its own: partners do not wait for harvests, nor harvests for partners.
    async fn gateway(&self, address: SocketAddr, process: &Process) -> anyhow::Result<Gateway> {
        let config = GatewayConfig { gateway_listen: address, ..settings::<GatewayConfig>()? };
        let pool = passereau_database::connect(&self.process.database)?;
        let store = Store::open(&settings::<StoreConfig>()?)?;
        Ok(Gateway::bind(&config, pool, store, process.metrics()).await?)
    }
}
