//! The users of the private broker: an administrator, and those that a fleet has, with the rights that they have there.

use passereau_broker::permissions_for;
use passereau_contracts::WORKERS;
use serde_json::{Value, json};

/// The prefixes of [`crate::broker_prefix`], as a regular expression.
const PREFIXES: &str = "test-[0-9a-f]{12}-";

/// What the broker loads before it listens: with definitions it makes no user of its own.
pub(crate) fn definitions(administrators_password: &str, others_password: &str) -> String {
    let user = |name: &str, password: &str, tags: &str| json!({"name": name, "password": password, "tags": tags});
    let right = |user: &str, [configure, write, read]: [&str; 3]| json!({"user": user, "vhost": "/", "configure": configure, "write": write, "read": read});
    let workers: Vec<&str> = WORKERS.iter().map(|worker| worker.worker).collect();
    let others = permissions_for(PREFIXES, &workers);
    let users: Vec<Value> = [user("passereau", administrators_password, "administrator")]
        .into_iter()
        .chain(others.iter().map(|of| user(&of.user, others_password, "")))
        .collect();
    let rights: Vec<Value> = [right("passereau", [".*"; 3])]
        .into_iter()
        .chain(others.iter().map(|of| right(&of.user, [&of.configure, &of.write, &of.read])))
        .collect();
    json!({"vhosts": [{"name": "/"}], "users": users, "permissions": rights}).to_string()
}
