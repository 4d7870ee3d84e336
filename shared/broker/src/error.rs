//! What can go wrong with the broker. Every message says what was being done, to what, and what to do next; none holds credentials.
//!
//! `lapin` stays inside: its errors are kept as sources or texts, never as public types.

use lapin::{Error as LapinError, ErrorKind};

use crate::Exchange;

/// A failure to connect, to declare or to check.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The address cannot be understood. The text of the parser is left out: it repeats the URL, password included.
    #[error(
        "PASSEREAU_AMQP_URL is not an AMQP address; expected amqp://user:password@host:5672/%2f (a vhost `/` is written %2f, IPv6 addresses need a host name)"
    )]
    Url,

    /// The address cannot be had.
    #[error(transparent)]
    Secret(#[from] passereau_secret::SecretError),

    /// The certificates of the authority cannot be used.
    #[error("PASSEREAU_AMQP_CA_FILE: {} {problem}", file.display())]
    Authority {
        /// The file.
        file: std::path::PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// The broker answered and refused us: wrong credentials, or a virtual host that does not exist.
    #[error("RabbitMQ at {endpoint} refused us: {reason}; check user, password and virtual host in PASSEREAU_AMQP_URL")]
    Refused {
        /// `host:port/vhost`.
        endpoint: String,
        /// The broker's words.
        reason: String,
    },

    /// Nobody answered in time.
    #[error(
        "RabbitMQ at {endpoint} could not be reached within {waited_ms} ms ({reason}); is it running, and reachable from here?"
    )]
    Unreachable {
        /// `host:port/vhost`.
        endpoint: String,
        /// How long we tried, in milliseconds.
        waited_ms: u128,
        /// The last failure.
        reason: String,
    },

    /// Exchanges or queues are missing.
    #[error("RabbitMQ at {endpoint} lacks {}; run `passereau topology apply`", .missing.join(", "))]
    TopologyMissing {
        /// `host:port/vhost`.
        endpoint: String,
        /// `exchange …` or `queue …`, with prefix.
        missing: Vec<String>,
    },

    /// Something of that name exists with other arguments (reply code 406).
    #[error(
        "{what} exists at {endpoint} with other settings ({reason}); RabbitMQ cannot change them in place: drain it, delete it, and run `passereau topology apply`"
    )]
    TopologyMismatch {
        /// `host:port/vhost`.
        endpoint: String,
        /// `exchange …` or `queue …`, with prefix.
        what: String,
        /// The broker's words, which name the argument that differs.
        reason: String,
    },

    /// A name longer than the 255 bytes that AMQP allows.
    #[error("the name {name:?} has more than 255 bytes; choose a shorter PASSEREAU_AMQP_PREFIX")]
    Name {
        /// The name.
        name: String,
    },

    /// An operation failed for another reason.
    #[error("{doing} at {endpoint} failed; it can be repeated")]
    Operation {
        /// What was being done, to what.
        doing: String,
        /// `host:port/vhost`.
        endpoint: String,
        /// What lapin said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl BrokerError {
    /// Whether the same call can succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Operation { .. })
    }
}

/// Why one message was not, or not surely, published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The body is larger than a message may be. Messages name things, they do not carry them.
    #[error(
        "a message {kind} has {size_bytes} bytes, more than the {limit_bytes} allowed; put the data into the object store and name it"
    )]
    TooLarge {
        /// Kind of the message.
        kind: String,
        /// Size of its body in bytes.
        size_bytes: usize,
        /// The limit in bytes.
        limit_bytes: usize,
    },

    /// A property that AMQP cannot carry: short strings end at 255 bytes.
    #[error("the {field} of a message {kind} has more than 255 bytes, which AMQP cannot carry")]
    Property {
        /// Which property, or which header.
        field: String,
        /// Kind of the message.
        kind: String,
    },

    /// Another message of the same batch has this `message_id`, so their answers could not be told apart.
    #[error("the message_id is used twice in one batch; publish the second one later, or give it its own id")]
    DuplicateId,

    /// There is no connection. Nothing was sent.
    #[error("not connected to RabbitMQ at {endpoint}; nothing was sent, publish again later")]
    NotConnected {
        /// `host:port/vhost`.
        endpoint: String,
    },

    /// The broker is short of memory or disk and does not read from publishers. Nothing was sent.
    #[error("RabbitMQ blocks publishers ({reason}); free its memory or disk, then publish again")]
    Blocked {
        /// The broker's words.
        reason: String,
    },

    /// No queue is bound for this message. It was returned.
    #[error("no queue takes {routing_key:?} from {exchange} ({reason}); run `passereau topology apply`")]
    Unroutable {
        /// Exchange it went to.
        exchange: Exchange,
        /// Its routing key.
        routing_key: String,
        /// The broker's words.
        reason: String,
    },

    /// The broker closed the channel while these messages were under way, e.g. because the exchange is missing (404).
    #[error(
        "RabbitMQ refused a publish to {exchange}: {reason}; if the exchange is missing run `passereau topology apply`"
    )]
    Refused {
        /// Exchange it went to.
        exchange: Exchange,
        /// The broker's words, with the reply code.
        reason: String,
    },

    /// An earlier part of the same batch found the broker gone, blocked or mute. Nothing was sent.
    #[error("not attempted, because RabbitMQ failed an earlier part of the batch; publish it again later")]
    NotAttempted,

    /// The outcome is unknown: nacked, timed out, or the connection broke. Publish again with the **same** `message_id`.
    #[error("whether the message was published is unknown ({reason}); publish it again with the same message_id")]
    Unknown {
        /// What happened.
        reason: String,
    },
}

impl PublishError {
    /// What kind of failure it is, in one word: for spans, which group failures and hold nobody's words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::Property { .. } => "property",
            Self::DuplicateId => "duplicate_id",
            Self::NotConnected { .. } => "not_connected",
            Self::Blocked { .. } => "blocked",
            Self::Unroutable { .. } => "unroutable",
            Self::Refused { .. } => "refused",
            Self::NotAttempted => "not_attempted",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// Whether publishing the same message again can succeed. An unroutable or refused one can, once the topology is there.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::TooLarge { .. } | Self::Property { .. } | Self::DuplicateId)
    }
}

/// The broker's reply code, when it closed a channel or connection with one (404, 406 …).
pub(crate) fn reply_code(error: &LapinError) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

/// The broker's own words for a protocol error, lapin's for anything else.
pub(crate) fn words(error: &LapinError) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(error) => format!("{} {}", error.get_id(), error.get_message()),
        _ => error.to_string(),
    }
}
