//! What each user of the broker may do, as RabbitMQ states it: three regular expressions over the names of exchanges and queues
//! ([Access control](https://www.rabbitmq.com/docs/access-control)).
//!
//! - A **worker** reads its own queue, and the dead queue, from which every process moves messages into the table of dead letters. It publishes
//!   to the work and events exchanges, because every process relays for all. It declares nothing.
//! - **up** is all workers in one process.
//! - The **topology** is made by a user who may neither read nor publish a command.
//! - A **client** is another system, or a person's command: it publishes commands and hears events, on queues of its own.
//!
//! The work exchange is direct, and RabbitMQ restricts routing keys on topic exchanges only: who may publish one kind may publish all. That gains
//! little, since a message names things, and the state of what it names decides.

use crate::{Exchange, dead_queue_name, queue_name};

/// Matches no name.
const NOTHING: &str = "^$";
/// Names that the broker gives to queues of a client that chooses none.
const GENERATED: &str = r"amq\.gen-.+";

/// What one user may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Name of the user.
    pub user: String,
    /// What it may declare and delete.
    pub configure: String,
    /// Where it may publish, and what it may bind.
    pub write: String,
    /// What it may consume, and where from it may bind.
    pub read: String,
}

/// The users of a fleet whose names begin with `prefix`.
#[must_use]
pub fn permissions(prefix: &str, workers: &[&str]) -> Vec<Permissions> {
    permissions_for(&escaped(prefix), workers)
}

/// The same where the prefix is a regular expression: for several fleets, such as those of tests.
#[must_use]
pub fn permissions_for(prefix: &str, workers: &[&str]) -> Vec<Permissions> {
    let queue = |worker: &str| escaped(&queue_name("", worker));
    let dead = escaped(&dead_queue_name(""));
    let exchange = |exchange: Exchange| escaped(exchange.base_name());
    let publish = any_of(prefix, &[exchange(Exchange::Work), exchange(Exchange::Events)]);
    let user = |name: &str, configure: &str, write: &str, read: &str| Permissions {
        user: format!("passereau-{name}"),
        configure: configure.to_owned(),
        write: write.to_owned(),
        read: read.to_owned(),
    };
    let mut users: Vec<Permissions> = workers
        .iter()
        .map(|worker| user(worker, NOTHING, &publish, &any_of(prefix, &[queue(worker), dead.clone()])))
        .collect();
    let queues: Vec<String> = workers.iter().map(|worker| queue(worker)).chain([dead]).collect();
    users.push(user("up", NOTHING, &publish, &any_of(prefix, &queues)));

    // The dead exchange has the name of the dead queue. To declare a queue with a dead-letter exchange, one must be allowed to read the queue and
    // to write to the exchange.
    let all: Vec<String> =
        queues.iter().cloned().chain([exchange(Exchange::Work), exchange(Exchange::Events)]).collect();
    users.push(user("topology", &any_of(prefix, &all), &any_of(prefix, &queues), &any_of(prefix, &all)));

    let own = format!(r"{prefix}{}\..+", exchange(Exchange::Events));
    users.push(user(
        "client",
        &format!("^({GENERATED}|{own})$"),
        &format!("^({GENERATED}|{own}|{prefix}{})$", exchange(Exchange::Work)),
        &format!("^({GENERATED}|{own}|{prefix}{})$", exchange(Exchange::Events)),
    ));
    users
}

fn any_of(prefix: &str, names: &[String]) -> String {
    format!("^{prefix}({})$", names.join("|"))
}

/// A name as a regular expression that matches nothing else.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for character in name.chars() {
        // A hyphen is special only within a class, which these expressions have none of.
        if !(character.is_alphanumeric() || matches!(character, '-' | '_')) {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: &str) -> Permissions {
        let all = permissions("a.", &["loader", "inat-enricher"]);
        all.into_iter().find(|permissions| permissions.user == user).expect("a user")
    }

    #[test]
    fn a_worker_reads_its_queue_and_publishes_and_declares_nothing() {
        assert_eq!(
            of("passereau-loader"),
            Permissions {
                user: "passereau-loader".into(),
                configure: "^$".into(),
                write: r"^a\.(passereau\.work|passereau\.events)$".into(),
                read: r"^a\.(passereau\.loader|passereau\.dead)$".into(),
            }
        );
        assert_eq!(of("passereau-up").read, r"^a\.(passereau\.loader|passereau\.inat-enricher|passereau\.dead)$");
    }

    #[test]
    fn who_makes_the_topology_publishes_no_command() {
        let topology = of("passereau-topology");
        assert!(!topology.write.contains("work") && topology.configure.contains("work"), "{topology:?}");
        assert_eq!(of("passereau-client").read, r"^(amq\.gen-.+|a\.passereau\.events\..+|a\.passereau\.events)$");
    }
}
