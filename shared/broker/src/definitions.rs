//! The topology as files for RabbitMQ: what `rabbitmqctl import_definitions` reads
//! (<https://www.rabbitmq.com/docs/definitions>), for operators who declare everything from outside.
//!
//! Definitions hold what [`topology::apply`](crate::topology::apply) declares, and importing them first is as good: the declaration that
//! follows finds everything equal. Policies hold the tunables, which no declaration fixes; they are apart because releases know different
//! keys, and RabbitMQ refuses a policy with a key that it does not know.

use serde_json::{Value, json};

use crate::topology::{Argument, Queue};
use crate::{Exchange, Topology, dead_queue_name};

/// Above the catch-all policies that a broker may have: only one policy applies to a queue, the one with the highest priority
/// (<https://www.rabbitmq.com/docs/policies>).
const PRIORITY: i32 = 10;
/// Messages of a work queue; more are refused (`overflow` is `reject-publish`) and wait in the outbox.
const MAX_LENGTH: i32 = 1_000_000;
/// Half an hour, in milliseconds: RabbitMQ's own default. A delivery is held for twenty minutes at most.
const CONSUMER_TIMEOUT_MS: i32 = 1_800_000;

/// Which keys of policies a RabbitMQ knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// 3.10 and 3.11.
    V3_10,
    /// 3.12 and later, 4.x: `consumer-timeout` can be set for a queue.
    V3_12,
}

impl Topology {
    /// Exchanges, queues and bindings in RabbitMQ's format, in a virtual host.
    #[must_use]
    pub fn definitions(&self, vhost: &str) -> Value {
        let exchanges: Vec<Value> = Exchange::ALL
            .into_iter()
            .map(|exchange| {
                json!({
                    "name": exchange.name(self.prefix()), "vhost": vhost, "type": exchange.type_name(),
                    "durable": true, "auto_delete": false, "internal": false, "arguments": {}
                })
            })
            .collect();
        let queues: Vec<Value> = self.declarations().iter().map(|queue| definition(queue, vhost)).collect();
        let bindings: Vec<Value> = self
            .bindings()
            .into_iter()
            .map(|(queue, exchange, routing_key)| {
                json!({
                    "source": exchange.name(self.prefix()), "vhost": vhost, "destination": queue,
                    "destination_type": "queue", "routing_key": routing_key, "arguments": {}
                })
            })
            .collect();
        json!({"vhosts": [{"name": vhost}], "exchanges": exchanges, "queues": queues, "bindings": bindings})
    }

    /// Tunables in RabbitMQ's format, for a release. The dead queue has a policy of its own, so that no catch-all policy gives it
    /// a length or a time to live, which would drop dead letters.
    #[must_use]
    pub fn policies(&self, vhost: &str, release: Release) -> Value {
        let dead = dead_queue_name(self.prefix());
        let work: Vec<String> =
            self.queue_names().into_iter().filter(|name| *name != dead).map(|name| literal(&name)).collect();
        let policy = |name: &str, pattern: String, mut definition: Value| {
            if release == Release::V3_12 {
                definition["consumer-timeout"] = CONSUMER_TIMEOUT_MS.into();
            }
            json!({
                "name": format!("{}{name}", self.prefix()), "vhost": vhost, "pattern": pattern, "apply-to": "queues",
                "priority": PRIORITY, "definition": definition
            })
        };
        let limit = crate::topology::DEAD_DELIVERY_LIMIT;
        json!({"policies": [
            policy("passereau-work", format!("^({})$", work.join("|")), json!({"max-length": MAX_LENGTH})),
            policy("passereau-dead", format!("^{}$", literal(&dead)), json!({"delivery-limit": limit})),
        ]})
    }
}

fn definition(queue: &Queue, vhost: &str) -> Value {
    let arguments: serde_json::Map<String, Value> = queue
        .arguments
        .iter()
        .map(|(name, argument)| {
            let value = match argument {
                Argument::Text(text) => Value::from(text.as_str()),
                Argument::Number(number) => Value::from(*number),
            };
            ((*name).to_owned(), value)
        })
        .collect();
    json!({"name": queue.name, "vhost": vhost, "durable": true, "auto_delete": false, "arguments": arguments})
}

/// A name as a regular expression that means nothing else.
fn literal(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys that RabbitMQ 3.10 knows, of those used here: <https://www.rabbitmq.com/docs/3.13/quorum-queues#configuration>.
    const KNOWN_TO_3_10: [&str; 2] = ["max-length", "delivery-limit"];

    fn topology() -> Topology {
        Topology::new("t.", &[("alpha", &["alpha.do"]), ("beta-gamma", &["beta.do", "beta.undo"])])
    }

    #[test]
    fn a_policy_for_3_10_has_no_key_that_3_10_refuses_and_the_dead_queue_has_no_length() {
        let keys = |release, policy: usize| -> Vec<String> {
            let policies = topology().policies("passereau", release);
            policies["policies"][policy]["definition"].as_object().expect("definition").keys().cloned().collect()
        };
        for policy in [0, 1] {
            assert!(keys(Release::V3_10, policy).iter().all(|key| KNOWN_TO_3_10.contains(&key.as_str())));
            assert!(keys(Release::V3_12, policy).contains(&"consumer-timeout".to_owned()));
        }
        assert!(!keys(Release::V3_12, 1).contains(&"max-length".to_owned()), "it would drop dead letters");
    }

    #[test]
    fn a_policy_means_the_work_queues_and_nothing_else() {
        let policies = topology().policies("passereau", Release::V3_10);
        assert_eq!(policies["policies"][0]["pattern"], r"^(t\.passereau\.alpha|t\.passereau\.beta-gamma)$");
        assert_eq!(policies["policies"][1]["pattern"], r"^t\.passereau\.dead$");
    }

    #[test]
    fn every_kind_is_bound_to_its_queue_and_the_dead_queue_to_its_exchange() {
        let definitions = topology().definitions("passereau");
        let bindings = definitions["bindings"].as_array().expect("bindings");
        let told: Vec<_> = bindings
            .iter()
            .map(|binding| {
                [&binding["source"], &binding["routing_key"], &binding["destination"]]
                    .map(|v| v.as_str().expect("text"))
            })
            .collect();
        assert_eq!(
            told,
            [
                ["t.passereau.dead", "", "t.passereau.dead"],
                ["t.passereau.work", "alpha.do", "t.passereau.alpha"],
                ["t.passereau.work", "beta.do", "t.passereau.beta-gamma"],
                ["t.passereau.work", "beta.undo", "t.passereau.beta-gamma"],
            ]
        );
    }
}
