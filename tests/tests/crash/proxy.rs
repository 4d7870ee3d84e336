//! A TCP proxy between the workers and RabbitMQ that can be cut and restored.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use passereau_tests::own_address;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// While it exists, connections pass; see [`Proxy::cut`].
pub struct Proxy {
    address: SocketAddr,
    broker: String,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// In front of the broker of `url`; gives the URL that leads through the proxy.
    pub async fn start(url: &str) -> Result<(Self, String)> {
        let (before, rest) = url.rsplit_once('@').context("the broker's URL has no user")?;
        let (broker, vhost) = rest.split_once('/').context("the broker's URL has no vhost")?;
        // It is given up while the proxy is cut: nobody else may have it meanwhile.
        let address = own_address()?;
        let listener = TcpListener::bind(address).await.context("listening")?;
        let proxy = Self { address, broker: broker.to_owned(), serving: serve(listener, broker.to_owned()) };
        Ok((proxy, format!("{before}@{address}/{vhost}")))
    }

    /// Ends every connection and refuses new ones.
    pub async fn cut(&mut self) {
        self.serving.abort();
        // An error says that it was aborted.
        let _aborted = (&mut self.serving).await;
    }

    /// Listens at the same address again.
    pub async fn restore(&mut self) -> Result<()> {
        let listener = TcpListener::bind(self.address).await.context("listening again")?;
        self.serving = serve(listener, self.broker.clone());
        Ok(())
    }
}

fn serve(listener: TcpListener, broker: String) -> JoinHandle<()> {
    tokio::spawn(async move {
        // Dropped with the task, which ends every connection.
        let mut connections = JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let broker = broker.clone();
            connections.spawn(async move {
                if let Ok(mut server) = TcpStream::connect(broker).await {
                    let _ended = copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    })
}
