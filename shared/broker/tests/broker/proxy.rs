//! A TCP proxy between the crate and the broker. It can be cut and restored, and it can put frames of its own between those that pass:
//! that is how a broker is brought to close a channel, or seems to raise a memory alarm, without touching the broker others use.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

const PROTOCOL_HEADER: usize = 8;
const FRAME_HEADER: usize = 7;
const FRAME_END: u8 = 0xCE;
const METHOD: u8 = 1;
const CONNECTION_BLOCKED: [u8; 4] = [0, 10, 0, 60];
const CONNECTION_UNBLOCKED: [u8; 4] = [0, 10, 0, 61];
const BASIC_CONSUME: [u8; 4] = [0, 60, 0, 20];
const BASIC_PUBLISH: [u8; 4] = [0, 60, 0, 40];
const BASIC_ACK: [u8; 4] = [0, 60, 0, 80];

type Frames = mpsc::Sender<Vec<u8>>;

/// Where frames can be put: found by watching what the connections do.
#[derive(Default)]
struct Taps {
    /// The channel that consumes, and the way to the broker on its connection.
    consuming: Option<(u16, Frames)>,
    /// The way to the client on the connection that publishes.
    publishing: Option<Frames>,
    /// Every method that went to the broker: class, method, arguments.
    methods: Vec<Vec<u8>>,
}

pub struct Proxy {
    address: SocketAddr,
    broker: String,
    serving: Option<JoinHandle<()>>,
    taps: Arc<Mutex<Taps>>,
}

impl Proxy {
    /// In front of the broker of `url`; gives the URL that leads through the proxy.
    pub async fn start(url: &str) -> (Self, String) {
        let (before, rest) = url.rsplit_once('@').unwrap();
        let (broker, vhost) = rest.split_once('/').unwrap();
        // All of 127.0.0.0/8 is Linux's loopback: an address of its own, which nobody else takes while the proxy is cut and has given it up.
        let [one, two, three, ..] = uuid::Uuid::new_v4().into_bytes();
        let own = Ipv4Addr::new(127, one.clamp(1, 254), two, three.clamp(1, 254));
        let listener = TcpListener::bind((own, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut proxy = Self { address, broker: broker.to_owned(), serving: None, taps: Arc::default() };
        proxy.serve(listener);
        (proxy, format!("{before}@{address}/{vhost}"))
    }

    fn serve(&mut self, listener: TcpListener) {
        let (broker, taps) = (self.broker.clone(), self.taps.clone());
        self.serving = Some(tokio::spawn(async move {
            // Dropped with the task, which ends every connection.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(relay(client, broker.clone(), taps.clone()));
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
        let tap = self.taps.lock().unwrap().consuming.clone();
        let (channel, to_broker) = tap.expect("nobody consumes through the proxy");
        let mut arguments = 987_654_321_u64.to_be_bytes().to_vec();
        arguments.push(0);
        to_broker.send(method(channel, BASIC_ACK, &arguments)).await.unwrap();
    }

    /// Tells the publishing connection, in the broker's name, that it is blocked.
    pub async fn block(&self, reason: &str) {
        let mut arguments = vec![u8::try_from(reason.len()).unwrap()];
        arguments.extend(reason.as_bytes());
        self.to_publisher(method(0, CONNECTION_BLOCKED, &arguments)).await;
    }

    /// And that it is so no more.
    pub async fn unblock(&self) {
        self.to_publisher(method(0, CONNECTION_UNBLOCKED, &[])).await;
    }

    /// Every method that went to the broker so far: class and method, two bytes each, then its arguments.
    pub fn methods(&self) -> Vec<Vec<u8>> {
        self.taps.lock().unwrap().methods.clone()
    }

    async fn to_publisher(&self, frame: Vec<u8>) {
        let tap = self.taps.lock().unwrap().publishing.clone();
        tap.expect("nobody publishes through the proxy").send(frame).await.unwrap();
    }
}

async fn relay(client: TcpStream, broker: String, taps: Arc<Mutex<Taps>>) {
    let Ok(server) = TcpStream::connect(broker).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (to_broker, mut for_broker) = mpsc::channel(1);
    let (to_publisher, mut for_client) = mpsc::channel(1);
    let watch = |frame: &[u8]| {
        let method = frame.get(FRAME_HEADER..FRAME_HEADER + 4).filter(|_| frame[0] == METHOD);
        let mut taps = taps.lock().unwrap();
        if method.is_some() {
            taps.methods.push(frame[FRAME_HEADER..frame.len() - 1].to_vec());
        }
        match method {
            Some(method) if method == BASIC_CONSUME => {
                taps.consuming = Some((u16::from_be_bytes([frame[1], frame[2]]), to_broker.clone()));
            }
            Some(method) if method == BASIC_PUBLISH => taps.publishing = Some(to_publisher.clone()),
            _ => {}
        }
    };
    let up = async {
        let mut header = [0; PROTOCOL_HEADER];
        from_client.read_exact(&mut header).await?;
        to_server.write_all(&header).await?;
        pass(&mut from_client, &mut to_server, &mut for_broker, watch).await
    };
    tokio::select! {
        _ = up => {}
        _ = pass(&mut from_server, &mut to_client, &mut for_client, |_| ()) => {}
    }
}

/// Frame by frame, so that a foreign frame can stand between two of them.
async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    foreign: &mut mpsc::Receiver<Vec<u8>>,
    watch: impl Fn(&[u8]),
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        while let Some(length) = frame_length(&buffer) {
            let frame: Vec<u8> = buffer.drain(..length).collect();
            watch(&frame);
            to.write_all(&frame).await?;
        }
        tokio::select! {
            read = from.read_buf(&mut buffer) => if read? == 0 { return Ok(()) },
            Some(frame) = foreign.recv() => to.write_all(&frame).await?,
        }
    }
}

fn frame_length(buffer: &[u8]) -> Option<usize> {
    let size = u32::from_be_bytes(buffer.get(3..FRAME_HEADER)?.try_into().ok()?);
    let length = FRAME_HEADER + size as usize + 1;
    (buffer.len() >= length).then_some(length)
}

fn method(channel: u16, class_and_method: [u8; 4], arguments: &[u8]) -> Vec<u8> {
    let size = u32::try_from(class_and_method.len() + arguments.len()).unwrap();
    let mut frame = vec![METHOD];
    frame.extend(channel.to_be_bytes());
    frame.extend(size.to_be_bytes());
    frame.extend(class_and_method);
    frame.extend(arguments);
    frame.push(FRAME_END);
    frame
}
