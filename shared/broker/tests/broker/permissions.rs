//! What the users of a fleet may do on a real broker, and what they are refused.

use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ErrorKind, ExchangeKind};
use passereau_broker::{Broker, BrokerConfig, Exchange, Topology, dead_queue_name, queue_name, topology};
use uuid::Uuid;

use crate::harness::url;

const ACCESS_REFUSED: u16 = 403;

/// A user of the private broker.
fn url_of(user: &str) -> String {
    let password = std::env::var("PASSEREAU_TEST_AMQP_PASSWORD")
        .expect("the users of a fleet exist on a private broker only: unset PASSEREAU_AMQP_URL and run `make test`");
    let (_, rest) = url().rsplit_once('@').map(|(before, rest)| (before.to_owned(), rest.to_owned())).unwrap();
    format!("amqp://passereau-{user}:{password}@{rest}")
}

/// What is tried.
#[derive(Clone, Debug)]
enum Attempt {
    Consume(String),
    Get(String),
    Publish(String, &'static str),
    DeclareQueue(String),
    DeleteQueue(String),
    PurgeQueue(String),
    DeclareExchange(String),
    DeleteExchange(String),
    Bind(String, String),
}

impl Attempt {
    async fn run(&self, channel: &Channel) -> lapin::Result<()> {
        let none = FieldTable::default;
        match self {
            Self::Consume(queue) => channel
                .basic_consume(queue.as_str().into(), "test".into(), BasicConsumeOptions::default(), none())
                .await
                .map(drop),
            Self::Get(queue) => channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await.map(drop),
            Self::Publish(exchange, key) => {
                channel.confirm_select(ConfirmSelectOptions::default()).await?;
                let options = BasicPublishOptions::default();
                let properties = BasicProperties::default();
                let exchange = exchange.as_str().into();
                channel.basic_publish(exchange, (*key).into(), options, b"{}", properties).await?.await.map(drop)
            }
            Self::DeclareQueue(queue) => {
                channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), none()).await.map(drop)
            }
            Self::DeleteQueue(queue) => {
                channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.map(drop)
            }
            Self::PurgeQueue(queue) => {
                channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await.map(drop)
            }
            Self::DeclareExchange(exchange) => {
                let options = ExchangeDeclareOptions::default();
                channel.exchange_declare(exchange.as_str().into(), ExchangeKind::Fanout, options, none()).await
            }
            Self::DeleteExchange(exchange) => {
                channel.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default()).await
            }
            Self::Bind(queue, exchange) => {
                let (queue, exchange) = (queue.as_str().into(), exchange.as_str().into());
                channel.queue_bind(queue, exchange, "#".into(), QueueBindOptions::default(), none()).await
            }
        }
    }
}

/// Tries each on a channel of its own: a refusal closes it.
async fn expect(user: &str, attempts: &[Attempt], refused: bool) {
    let connection = Connection::connect(&url_of(user), ConnectionProperties::default()).await.unwrap();
    for attempt in attempts {
        let channel = connection.create_channel().await.unwrap();
        let outcome = attempt.run(&channel).await;
        let code = outcome.as_ref().err().and_then(|error| match error.kind() {
            ErrorKind::ProtocolError(error) => Some(error.get_id()),
            _ => None,
        });
        let expected = refused.then_some(ACCESS_REFUSED);
        assert_eq!(code, expected, "{user}: {attempt:?}: {outcome:?}");
    }
    // A channel that the broker has closed may still be on its way down, which lapin takes for an error.
    drop(connection.close(200, "done".into()).await);
}

#[tokio::test]
async fn each_user_of_a_fleet_does_its_part_and_is_refused_more() {
    let prefix = format!("test-{}-", &Uuid::new_v4().simple().to_string()[..12]);
    let workers: [(&str, &[&str]); 2] = [("loader", &["archive.load"]), ("upserter", &["harvest.plan"])];
    let fleet = Topology::new(&prefix, &workers);
    let exchange = |exchange: Exchange| exchange.name(&prefix);
    let (work, events, dead) = (exchange(Exchange::Work), exchange(Exchange::Events), exchange(Exchange::Dead));
    let queue = |worker: &str| queue_name(&prefix, worker);

    // The topology is made and looked at as its own user would.
    let maker = BrokerConfig::new(url_of("topology")).with_prefix(prefix.clone());
    let maker = Broker::connect(&maker, "test").await.unwrap();
    topology::apply(&maker, &fleet).await.unwrap();
    maker.close().await;
    let loader = BrokerConfig::new(url_of("loader")).with_prefix(prefix.clone());
    let loader = Broker::connect(&loader, "test").await.unwrap();
    topology::check(&loader, &fleet).await.unwrap();
    loader.close().await;

    use Attempt::*;
    let foreign = [
        Publish(String::new(), "anything"),
        Publish("amq.topic".into(), "x"),
        Publish("test-000000000000-passereau.work.x".into(), "x"),
        DeclareQueue(format!("{prefix}passereau.another")),
        DeclareQueue("another".into()),
        DeclareExchange(format!("{prefix}passereau.another")),
        DeleteExchange(work.clone()),
        DeleteQueue(queue("loader")),
        DeleteQueue(dead_queue_name(&prefix)),
        Bind(queue("loader"), events.clone()),
    ];
    let own = [
        Consume(queue("loader")),
        Consume(dead_queue_name(&prefix)),
        Publish(work.clone(), "archive.load"),
        Publish(events.clone(), "harvest.started"),
    ];
    expect("loader", &own, false).await;
    expect("loader", &foreign, true).await;
    let others =
        [Consume(queue("upserter")), Get(queue("upserter")), PurgeQueue(queue("upserter")), Publish(dead.clone(), "")];
    expect("loader", &others, true).await;
    expect("up", &[Get(queue("loader")), Get(queue("upserter"))], false).await;
    expect("up", &foreign, true).await;

    // Who makes the topology sends no command; other systems ask, and hear events on queues of their own.
    expect("topology", &[Publish(work.clone(), "harvest.request"), Publish(events.clone(), "x")], true).await;
    let heard = format!("{events}.test");
    let asks = [
        Publish(work, "archive.load"),
        DeclareQueue(heard.clone()),
        Bind(heard.clone(), events.clone()),
        DeleteQueue(heard),
    ];
    expect("client", &asks, false).await;
    let asks_more = [
        Get(queue("loader")),
        Get(dead_queue_name(&prefix)),
        Publish(events.clone(), "harvest.completed"),
        Publish(dead, ""),
        DeclareQueue(queue("another")),
        Bind(queue("loader"), events),
        DeleteQueue(queue("loader")),
        DeclareQueue("another".into()),
    ];
    expect("client", &asks_more, true).await;

    let administrator = BrokerConfig::new(url()).with_prefix(prefix);
    let administrator = Broker::connect(&administrator, "test").await.unwrap();
    topology::delete(&administrator, &fleet).await.unwrap();
    administrator.close().await;
}
