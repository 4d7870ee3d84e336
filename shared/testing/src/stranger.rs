//! Messages as a stranger may send them, byte by byte: with what no library of ours would put on the wire.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const FRAME_END: u8 = 0xCE;
/// Which properties follow: headers, delivery mode, message id
/// (<https://www.rabbitmq.com/resources/specs/amqp0-9-1.extended.xml>, class `basic`).
const PROPERTIES: u16 = 0x2000 | 0x1000 | 0x0080;

/// A message of a stranger.
#[derive(Clone, Copy, Debug)]
pub struct Stranger<'a> {
    /// Full name of the exchange.
    pub exchange: &'a str,
    /// Routing key.
    pub routing_key: &'a str,
    /// Any bytes.
    pub message_id: &'a [u8],
    /// Headers, also those that belong to the broker.
    pub headers: &'a [(&'a str, &'a str)],
    /// Any bytes.
    pub body: &'a [u8],
}

impl Stranger<'_> {
    /// Publishes the message over a connection of its own, and waits until the broker has it.
    ///
    /// # Panics
    /// When the broker does not take it.
    pub async fn publish(&self, url: &str) {
        let url = url::Url::parse(url).expect("the broker's address");
        let address = (url.host_str().expect("a host"), url.port().unwrap_or(5672));
        let mut broker = Wire(TcpStream::connect(address).await.expect("the broker"));
        broker.0.write_all(b"AMQP\x00\x00\x09\x01").await.expect("the broker");
        broker.hears([10, 10]).await;
        let user = format!("\0{}\0{}", url.username(), url.password().unwrap_or_default());
        broker.says(0, [10, 11], &[&[0; 4], &short(b"PLAIN"), &long(user.as_bytes()), &short(b"en_US")]).await;
        // No heartbeat; the channels and frames that the broker proposes.
        let tune = broker.hears([10, 30]).await;
        broker.says(0, [10, 31], &[&tune[..6], &[0; 2]]).await;
        let vhost = url.path().trim_start_matches('/').replace("%2f", "/").replace("%2F", "/");
        broker.says(0, [10, 40], &[&short(vhost.as_bytes()), &[0, 0]]).await;
        broker.hears([10, 41]).await;
        broker.says(1, [20, 10], &[&[0]]).await;
        broker.hears([20, 11]).await;
        broker.says(1, [85, 10], &[&[0]]).await;
        broker.hears([85, 11]).await;

        let (exchange, key) = (short(self.exchange.as_bytes()), short(self.routing_key.as_bytes()));
        broker.says(1, [60, 40], &[&[0; 2], &exchange, &key, &[0]]).await;
        let table: Vec<u8> = self
            .headers
            .iter()
            .flat_map(|(name, value)| [short(name.as_bytes()), b"S".to_vec(), long(value.as_bytes())].concat())
            .collect();
        let size = (self.body.len() as u64).to_be_bytes();
        let properties = [&PROPERTIES.to_be_bytes()[..], &long(&table), &[2], &short(self.message_id)].concat();
        broker.sends(HEADER, 1, &[&[0, 60, 0, 0], &size[..], &properties].concat()).await;
        for part in self.body.chunks(4000) {
            broker.sends(BODY, 1, part).await;
        }
        broker.hears([60, 80]).await;
    }
}

struct Wire(TcpStream);

impl Wire {
    async fn says(&mut self, channel: u16, [class, method]: [u8; 2], arguments: &[&[u8]]) {
        let payload = [&[0, class, 0, method], &arguments.concat()[..]].concat();
        self.sends(METHOD, channel, &payload).await;
    }

    async fn sends(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let size = u32::try_from(payload.len()).expect("a short frame");
        let frame = [&[kind][..], &channel.to_be_bytes(), &size.to_be_bytes(), payload, &[FRAME_END]].concat();
        self.0.write_all(&frame).await.expect("the broker");
    }

    /// The arguments of the next method, which must be this one.
    async fn hears(&mut self, [class, method]: [u8; 2]) -> Vec<u8> {
        let mut head = [0; 7];
        self.0.read_exact(&mut head).await.expect("an answer");
        let mut payload = vec![0; u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize + 1];
        self.0.read_exact(&mut payload).await.expect("the whole answer");
        assert_eq!((payload[1], payload[3]), (class, method), "{}", String::from_utf8_lossy(&payload));
        payload[4..payload.len() - 1].to_vec()
    }
}

fn short(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).expect("255 bytes at most")], bytes].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).expect("a short text").to_be_bytes(), bytes].concat()
}
