//! `passereau harvest pause | resume | cancel`.

use anyhow::bail;
use clap::Args;
use passereau_broker::BrokerConfig;
use passereau_contracts::HarvestCancel;
use passereau_database::DatabaseConfig;
use passereau_harvest::{Ordered, find, is_waiting, pause, resume};
use uuid::Uuid;

use super::{open, show};
use crate::publish::publish;

/// Holds a harvest up: no further step of it begins until it is resumed. A step in hand goes on to its end, for five minutes
/// at most; a download that GBIF is making is made, and keeps its place there.
#[derive(Args, Debug)]
pub struct Pause {
    /// Id of the harvest.
    id: Uuid,
    /// Why, for whoever looks at the harvest meanwhile.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// Lets a paused harvest go on where it is. The time of the pause does not count against the deadline of its download.
#[derive(Args, Debug)]
pub struct Resume {
    /// Id of the harvest.
    id: Uuid,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// Ends a harvest for good, by message. Its download is cancelled at GBIF if it is not made yet; what has been written into
/// the synthèse stays. A request that waits behind another harvest of its subscription is taken back.
#[derive(Args, Debug)]
pub struct Cancel {
    /// Id of the harvest.
    id: Uuid,
    /// Who asks.
    #[arg(long)]
    by: Option<String>,
    /// Why.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    broker: BrokerConfig,
}

impl Pause {
    /// Pauses.
    ///
    /// # Errors
    /// There is no such harvest, or it has ended.
    pub async fn run(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let mut tx = pool.begin().await?;
        let ordered = pause(&mut tx, self.id, self.reason.as_deref()).await?;
        tx.commit().await?;
        let id = self.id;
        say(id, ordered, "paused", &format!("let it go on with `passereau harvest resume {id}`"))
    }
}

impl Resume {
    /// Resumes.
    ///
    /// # Errors
    /// There is no such harvest, or it has ended.
    pub async fn run(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let mut tx = pool.begin().await?;
        let ordered = resume(&mut tx, self.id).await?;
        tx.commit().await?;
        let id = self.id;
        say(id, ordered, "on its way", &format!("follow it with `passereau harvest show {id}`"))
    }
}

fn say(id: Uuid, ordered: Ordered, now: &str, next: &str) -> anyhow::Result<()> {
    match ordered {
        Ordered::Done => show(&format!("{id} is {now}; {next}\n")),
        Ordered::Already => show(&format!("{id} is {now} already; nothing has changed\n")),
        Ordered::Ended(state) => bail!("harvest {id} has ended ({state}): there is nothing to hold up or to let go on"),
        Ordered::Unknown => bail!("there is no harvest {id}; `passereau harvest list` shows those that there are"),
    }
}

impl Cancel {
    /// Publishes the order.
    ///
    /// # Errors
    /// There is no such harvest, or it has ended; the broker.
    pub async fn run(self) -> anyhow::Result<()> {
        let id = self.id;
        let pool = open(&self.database).await?;
        match find(&pool, id).await? {
            None if is_waiting(&pool, id).await? => {}
            None => bail!("there is no harvest {id}; `passereau harvest list` shows those that there are"),
            Some(harvest) if !harvest.state.is_alive() => {
                bail!("harvest {id} has ended ({}): there is nothing to cancel", harvest.state)
            }
            Some(_) => {}
        }
        publish(&self.broker, &HarvestCancel { harvest_id: id, by: self.by, reason: self.reason }).await?;
        show(&format!("{id}\n"))?;
        eprintln!("asked for; a requester ends it, see `passereau harvest show {id}`");
        Ok(())
    }
}
