//! A client of another language, with nothing but AMQP and JSON: the example of `docs/messages.md`, as it stands there.

use std::path::Path;

use crate::prepared::{SOON, fleet, generated};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_example_of_the_documentation_gets_a_harvest_to_its_end() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/harvest.py");
    let (_folder, archive) = generated(50);
    let fleet = fleet(archive.clone()).await;
    let key = fleet.put_archive(&archive).unwrap();
    // Debian's python3-pika belongs to the system's Python.
    let mut python = tokio::process::Command::new("/usr/bin/python3");
    python.arg(example).arg(key).envs(fleet.environment().to_vec()).kill_on_drop(true);
    let output = tokio::time::timeout(SOON, python.output()).await.expect("the example ends").unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for kind in ["harvest.started", "harvest.planned", "harvest.completed"] {
        assert!(said.contains(kind), "{kind} was not heard: {said}");
    }
    fleet.stop().await.unwrap();
}
