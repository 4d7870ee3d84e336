//! A TCP proxy between the crate and the broker: it can be cut and restored, and it can put a frame of its own into the connection that
//! consumes, which is how a broker is brought to close a channel.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

const PROTOCOL_HEADER: usize = 8;
const FRAME_HEADER: usize = 7;
const METHOD: u8 = 1;
const BASIC_CONSUME: [u8; 4] = [0, 60, 0, 20];

pub struct Proxy {
    address: SocketAddr,
    broker: String,
    serving: Option<JoinHandle<()>>,
    /// The channel that consumes, and where to put frames into its connection.
    consuming: Arc<Mutex<Option<(u16, mpsc::Sender<Vec<u8>>)>>>,
}

impl Proxy {
    /// In front of the broker of `url`; gives the URL that leads through the proxy.
    pub async fn start(url: &str) -> (Self, String) {
        let (before, rest) = url.rsplit_once('@').unwrap();
        let (broker, vhost) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut proxy = Self { address, broker: broker.to_owned(), serving: None, consuming: Arc::default() };
        proxy.serve(listener);
        (proxy, format!("{before}@{address}/{vhost}"))
    }

    fn serve(&mut self, listener: TcpListener) {
        let (broker, consuming) = (self.broker.clone(), self.consuming.clone());
        self.serving = Some(tokio::spawn(async move {
            // Dropped with the task, which ends every connection.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(relay(client, broker.clone(), consuming.clone()));
            }
        }));
    }

    /// Ends every connection and refuses new ones.
    pub async fn cut(&mut self) {
        let serving = self.serving.take().unwrap();
        serving.abort();
        let _cancelled = serving.await;
    }

    /// Listens at the same address again.
    pub async fn restore(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    /// Acknowledges, in the consumer's name, a delivery that never was: the broker closes the channel with 406 PRECONDITION_FAILED.
    pub async fn provoke_channel_error(&self) {
        let (channel, frames) = self.consuming.lock().unwrap().clone().expect("nobody consumes through the proxy");
        let mut frame = vec![METHOD];
        frame.extend(channel.to_be_bytes());
        frame.extend(13_u32.to_be_bytes());
        frame.extend([0, 60, 0, 80]);
        frame.extend(987_654_321_u64.to_be_bytes());
        frame.extend([0, 0xCE]);
        frames.send(frame).await.unwrap();
    }
}

async fn relay(client: TcpStream, broker: String, consuming: Arc<Mutex<Option<(u16, mpsc::Sender<Vec<u8>>)>>>) {
    let Ok(server) = TcpStream::connect(broker).await else { return };
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    let down = async move { tokio::io::copy(&mut from_server, &mut to_client).await.map(|_| ()) };
    tokio::select! {
        _ = up(from_client, to_server, consuming) => {}
        _ = down => {}
    }
}

/// Frame by frame, so that a foreign frame can stand between two of them.
async fn up(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    consuming: Arc<Mutex<Option<(u16, mpsc::Sender<Vec<u8>>)>>>,
) -> std::io::Result<()> {
    let (sender, mut injected) = mpsc::channel::<Vec<u8>>(1);
    let mut header = [0; PROTOCOL_HEADER];
    client.read_exact(&mut header).await?;
    server.write_all(&header).await?;
    let mut buffer = Vec::new();
    loop {
        while let Some(length) = frame_length(&buffer) {
            let frame: Vec<u8> = buffer.drain(..length).collect();
            if frame[0] == METHOD && frame[FRAME_HEADER..].starts_with(&BASIC_CONSUME) {
                let channel = u16::from_be_bytes([frame[1], frame[2]]);
                *consuming.lock().unwrap() = Some((channel, sender.clone()));
            }
            server.write_all(&frame).await?;
        }
        tokio::select! {
            read = client.read_buf(&mut buffer) => if read? == 0 { return Ok(()) },
            Some(frame) = injected.recv() => server.write_all(&frame).await?,
        }
    }
}

fn frame_length(buffer: &[u8]) -> Option<usize> {
    let size = u32::from_be_bytes(buffer.get(3..FRAME_HEADER)?.try_into().ok()?);
    let length = FRAME_HEADER + size as usize + 1;
    (buffer.len() >= length).then_some(length)
}
