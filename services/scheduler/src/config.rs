//! Settings of the scheduler.

use std::time::Duration;

use passereau_store::StoreConfig;

/// Everything the scheduler is configured by.
#[derive(clap::Args, Clone, Debug)]
pub struct SchedulerConfig {
    /// Where archives and deliveries are kept, for the retention.
    #[command(flatten)]
    pub store: StoreConfig,
    /// How it looks.
    #[command(flatten)]
    pub schedule: ScheduleConfig,
}

/// Settings of the scheduler alone.
#[derive(clap::Args, Clone, Debug)]
pub struct ScheduleConfig {
    /// How often to look for schedules that are due, in seconds: how late one fires at most.
    #[arg(long, env = "PASSEREAU_SCHEDULE_LOOK_S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub schedule_look_s: u64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { schedule_look_s: 5 }
    }
}

impl ScheduleConfig {
    pub(crate) fn look(&self) -> Duration {
        Duration::from_secs(self.schedule_look_s)
    }
}
