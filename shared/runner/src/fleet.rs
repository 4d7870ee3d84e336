//! What the fleet needs of RabbitMQ, as data.

use passereau_broker::Topology;
use passereau_contracts::WORKERS;

/// The topology of the fleet: one queue per worker, bound by its kinds.
#[must_use]
pub fn fleet_topology(prefix: &str) -> Topology {
    let workers: Vec<(&str, &[&str])> = WORKERS.iter().map(|worker| (worker.worker, worker.kinds)).collect();
    Topology::new(prefix, &workers)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use passereau_broker::Release;

    use super::*;

    /// `UPDATE_CONTRACTS=1` writes the files; otherwise a difference fails.
    #[test]
    fn the_files_for_rabbitmq_are_those_of_the_topology() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/rabbitmq");
        let fleet = fleet_topology("");
        let files = [
            ("definitions.json", fleet.definitions("passereau")),
            ("policies-3.10.json", fleet.policies("passereau", Release::V3_10)),
            ("policies-4.json", fleet.policies("passereau", Release::V3_12)),
        ];
        for (name, value) in files {
            let path = folder.join(name);
            let text = serde_json::to_string_pretty(&value).expect("JSON") + "\n";
            if std::env::var_os("UPDATE_CONTRACTS").is_some() {
                fs::write(&path, &text).expect("file");
            }
            let committed = fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(committed, text, "{} is stale: run with UPDATE_CONTRACTS=1 and review", path.display());
        }
    }
}
