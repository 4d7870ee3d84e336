//! `passereau topology apply | export | permissions`.

use clap::{Args, Subcommand, ValueEnum};
use passereau_broker::{Broker, BrokerConfig, Release, permissions, topology};
use passereau_contracts::WORKERS;
use passereau_runner::fleet_topology;

use super::{show, show_json};

/// Exchanges and queues.
#[derive(Debug, Subcommand)]
pub enum Topology {
    /// Declare what is missing; safe to repeat.
    Apply(Apply),
    /// Print what each user of the broker may do, as lines for a shell: `passereau topology permissions | sh` on the broker's machine, once the users
    /// exist.
    Permissions(Print),
    /// Print the same as a file for `rabbitmqctl import_definitions`, or the policies that go with it. Needs no RabbitMQ.
    Export(Export),
}

/// Where to declare.
#[derive(Args, Debug)]
pub struct Apply {
    #[command(flatten)]
    broker: BrokerConfig,
}

/// For which names.
#[derive(Args, Debug)]
pub struct Print {
    /// Virtual host of the fleet.
    #[arg(long, default_value = "passereau")]
    vhost: String,
    /// What stands before the name of every exchange and queue.
    #[arg(long, env = "PASSEREAU_AMQP_PREFIX", default_value = "")]
    amqp_prefix: String,
}

/// What to print, for which fleet.
#[derive(Args, Debug)]
pub struct Export {
    /// The virtual host.
    #[arg(long, default_value = "passereau")]
    vhost: String,
    /// What stands before the name of every exchange and queue.
    #[arg(long = "amqp-prefix", env = "PASSEREAU_AMQP_PREFIX", default_value = "")]
    prefix: String,
    /// The policies for this RabbitMQ instead.
    #[arg(long, value_enum)]
    policies: Option<For>,
}

/// Which RabbitMQ.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum For {
    /// 3.10 and 3.11.
    #[value(name = "3.10")]
    V3_10,
    /// 3.12, 3.13 and 4.x.
    #[value(name = "4", alias = "3.12")]
    V4,
}

impl Topology {
    /// Declares exchanges, queues and bindings, or prints them.
    ///
    /// # Errors
    /// The broker refuses, or has a queue of that name with other settings.
    pub async fn run(self) -> anyhow::Result<()> {
        let apply = match self {
            Self::Apply(apply) => apply,
            Self::Permissions(print) => return show(&lines(&print.vhost, &print.amqp_prefix)),
            Self::Export(export) => return export.run(),
        };
        let broker = Broker::connect(&apply.broker, "passereau-command").await?;
        let fleet = fleet_topology(broker.prefix());
        let applied = topology::apply(&broker, &fleet).await;
        broker.close().await;
        applied?;
        show(&fleet.queue_names().iter().map(|queue| format!("queue {queue}\n")).collect::<String>())
    }
}

impl Export {
    fn run(self) -> anyhow::Result<()> {
        let fleet = fleet_topology(&self.prefix);
        show_json(&match self.policies {
            None => fleet.definitions(&self.vhost),
            Some(For::V3_10) => fleet.policies(&self.vhost, Release::V3_10),
            Some(For::V4) => fleet.policies(&self.vhost, Release::V3_12),
        })
    }
}

/// One line for each user.
fn lines(vhost: &str, prefix: &str) -> String {
    let workers: Vec<&str> = WORKERS.iter().map(|worker| worker.worker).collect();
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    permissions(prefix, &workers)
        .iter()
        .map(|of| {
            let words = [vhost, &of.user, &of.configure, &of.write, &of.read].map(quoted).join(" ");
            format!("rabbitmqctl set_permissions -p {words}\n")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// `UPDATE_PERMISSIONS=1` writes the file.
    #[test]
    fn the_published_permissions_are_those_of_the_topology() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/rabbitmq/permissions.sh");
        let text = format!(
            "# Printed by `passereau topology permissions`: user, what it may declare, write to, read from. A test compares.\n{}",
            lines("passereau", "")
        );
        if std::env::var_os("UPDATE_PERMISSIONS").is_some() {
            fs::write(&path, &text).expect("file");
        }
        let published = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(published, text, "{} is stale: run with UPDATE_PERMISSIONS=1 and review", path.display());
    }
}
