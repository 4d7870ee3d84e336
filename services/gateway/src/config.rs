//! Settings of the gateway.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
};

use crate::network::Network;

/// Everything the gateway alone is configured by.
#[derive(clap::Args, Clone, Debug)]
pub struct GatewayConfig {
    /// Address that partners reach, directly or through a proxy that does TLS.
    #[arg(long, env = "PASSEREAU_GATEWAY_LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    pub gateway_listen: SocketAddr,
    /// Downloads at the same time, of which one token has a quarter at most; one more is answered 503 with a time to come back.
    #[arg(long, env = "PASSEREAU_GATEWAY_DOWNLOADS", default_value = "64")]
    pub gateway_downloads: NonZeroUsize,
    /// Connections at the same time; further ones wait to be accepted.
    #[arg(long, env = "PASSEREAU_GATEWAY_CONNECTIONS", default_value = "1024")]
    pub gateway_connections: NonZeroUsize,
    /// Seconds that a client has to take what was offered to it, which is at most 128 KiB; one that takes longer is cut off.
    #[arg(long, env = "PASSEREAU_GATEWAY_CHUNK_SECONDS", default_value = "60")]
    pub gateway_chunk_seconds: NonZeroU64,
    /// Seconds that a client has to send the head of a request, and that an idle connection stays open.
    #[arg(long, env = "PASSEREAU_GATEWAY_HEAD_SECONDS", default_value = "30")]
    pub gateway_head_seconds: NonZeroU64,
    /// Requests of one token in a minute; as many may come at once. A GIS that reads a remote GeoPackage sends many small ones.
    #[arg(long, env = "PASSEREAU_GATEWAY_REQUESTS_PER_MINUTE", default_value = "600")]
    pub gateway_requests_per_minute: NonZeroU32,
    /// Requests of one address with a token that does not open the flow, in a minute.
    #[arg(long, env = "PASSEREAU_GATEWAY_FAILURES_PER_MINUTE", default_value = "30")]
    pub gateway_failures_per_minute: NonZeroU32,
    /// Proxies before the gateway, as addresses or networks separated by commas (10.0.0.0/8): what they say in X-Forwarded-For is believed.
    #[arg(long, env = "PASSEREAU_GATEWAY_TRUSTED_PROXIES", value_delimiter = ',', value_name = "NETWORKS")]
    pub gateway_trusted_proxies: Vec<Network>,
}
