//! A message in work, and how it ends.

use std::time::Duration;

use lapin::message::Delivery as LapinDelivery;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};
use lapin::{Acker, Channel};

use crate::Incoming;
use crate::error::words;

/// Writing a settlement into the socket can hang for as long as the heartbeat when the network has died.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the broker was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a lost settlement means that the message comes again"]
pub enum Settled {
    /// It was written to the channel the message came from. A broker from 4.3 on can still ignore it when it came after the
    /// consumer timeout, so only the database knows what was done.
    Done,
    /// The channel had ended: the message comes again, here or elsewhere. Count it, do not treat it as a failure.
    Lost,
}

/// A delivery: one message and the right to settle it, once. Dropping it settles nothing: the broker keeps the message for this
/// consumer until its channel closes.
#[derive(Debug)]
#[must_use = "a delivery that is dropped without being settled stays with this consumer until its channel closes"]
pub struct Delivery {
    /// The message.
    pub message: Incoming,
    acker: Acker,
    /// lapin closes a channel with its last handle, which would return the message while it is in work.
    _channel: Channel,
}

impl Delivery {
    pub(crate) fn new(mut delivery: LapinDelivery, channel: Channel) -> Self {
        let message = Incoming::from_delivery(&mut delivery);
        Self { message, acker: delivery.acker, _channel: channel }
    }

    /// Done with it: the broker forgets the message. Call it after the commit, never before.
    pub async fn ack(self) -> Settled {
        let settlement = self.acker.ack(BasicAckOptions { multiple: false });
        settled("ack", &self.message, settlement).await
    }

    /// Hands back what was not started, e.g. at shutdown. It is delivered again at once, so this is no way to wait or to retry:
    /// up to RabbitMQ 4.2 every hand-back counts towards the queue's delivery limit, and from 4.3 none does.
    pub async fn requeue(self) -> Settled {
        let settlement = self.acker.nack(BasicNackOptions { multiple: false, requeue: true });
        settled("requeue", &self.message, settlement).await
    }

    /// Gives the message to the dead exchange with reason `rejected`. For what cannot even be written down as a dead letter row.
    pub async fn dead_letter(self) -> Settled {
        let settlement = self.acker.reject(BasicRejectOptions { requeue: false });
        settled("dead-letter", &self.message, settlement).await
    }

    /// False once the channel of this delivery has ended: whatever is done now will be delivered again.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.acker.usable()
    }
}

/// lapin answers `Ok(false)` when the channel died before; an error when it died meanwhile. Both mean that the message comes again.
async fn settled(
    operation: &str,
    message: &Incoming,
    settlement: impl Future<Output = lapin::Result<bool>>,
) -> Settled {
    let reason = match tokio::time::timeout(SETTLE_TIMEOUT, settlement).await {
        Ok(Ok(true)) => return Settled::Done,
        Ok(Ok(false)) => "its channel had ended".to_owned(),
        Ok(Err(error)) => words(&error),
        Err(_) => "the connection does not take it".to_owned(),
    };
    tracing::warn!(operation, message_id = message.message_id, kind = message.kind, %reason, "settlement lost, the message will come again");
    Settled::Lost
}
