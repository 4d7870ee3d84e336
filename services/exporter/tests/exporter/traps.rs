//! Traps of the stock export module's files (PnX-SI/gn_module_export 1.8.2), one test each.

use passereau_contracts::FlowDeliver;
use passereau_runner::Worker;
use uuid::Uuid;

use crate::platform::Platform;

/// There an export on demand is made with `filters=None`, whatever was asked. Here a delivery on demand is that of the agreement, as a scheduled one
/// is, and the manifest says what was asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_filters_of_a_file_on_demand_are_ignored() {
    let mut platform = Platform::new().await;
    platform.run().await;
    for (filters, rows) in [
        ("taxa = { ordre = [\"Passeriformes\"] }", 13),
        ("taxa = { ordre = [\"Odonata\"] }", 0),
        ("sources = { exclude = [\"Import\"] }", 0),
        ("sensitive = \"excluded\"", 10),
        ("datasets = { include = [\"00000000-0000-0000-0000-000000000001\"] }", 13),
    ] {
        platform.apply_with("keep = 2", &format!("keep = 2\n{filters}")).await;
        // The message itself carries none: whoever publishes it cannot widen what was agreed.
        let id = platform.bench.send(&FlowDeliver { flow: "atlas".into() }).await;
        assert_eq!(platform.ended(id).await.0, "delivered", "{filters}");
        let manifest = platform.manifest().await;
        assert_eq!(manifest.rows, rows, "{filters}");
        let lines = String::from_utf8(platform.read(&manifest.files["csv"].key)).unwrap().lines().count();
        assert_eq!(lines as i64, rows + 1, "{filters}");
        let said = manifest.filters.to_string();
        let asked = filters.split('"').nth(1).unwrap();
        assert!(said.contains(asked), "{asked} is not in {said}");
    }
    platform.bench.finish().await;
}

/// There a task that dies leaves its schedule marked as in progress for ever. Here the delivery that a dead exporter left goes on with its message; one that is too old for that is given up by the next message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_a_delivery_whose_exporter_died_is_in_process_for_ever() {
    let mut platform = Platform::new().await;
    let left = Uuid::now_v7();
    sqlx::query(
        "INSERT INTO passereau.delivery (id, flow, flow_version, state, requested_at, read_at)
         VALUES ($1, 'atlas', 1, 'reading', now() - interval '3 days', now() - interval '3 days')",
    )
    .bind(left)
    .execute(platform.pool())
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO passereau.claim (name, token, expires_at) VALUES ('flow atlas', 7, now() - interval '3 days')",
    )
    .execute(platform.pool())
    .await
    .unwrap();
    platform.run().await;
    assert_eq!(platform.deliver().await, ("delivered".into(), None));
    let (state, reason) = platform.ended(left).await;
    assert_eq!(state, "failed");
    assert!(reason.unwrap().contains("were read more than 6 hours ago"));
    assert_eq!(platform.deliver().await.0, "unchanged", "and the flow goes on");
    platform.bench.finish().await;
}

/// There files go after 15 days, so a schedule of a month has none for half of the time. Here a version stays until later ones have taken its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_a_file_is_cleaned_away_before_the_next_one_is_made() {
    let mut platform = Platform::new().await;
    platform.run().await;
    assert_eq!(platform.deliver().await.0, "delivered");
    let manifest = platform.manifest().await;
    sqlx::query(
        "UPDATE passereau.delivery SET requested_at = requested_at - interval '400 days', read_at = read_at - interval '400 days',
                finished_at = finished_at - interval '400 days'",
    )
    .execute(platform.pool())
    .await
    .unwrap();
    let exporter = passereau_exporter::Exporter::new(&platform.config()).unwrap();
    exporter.look_out(platform.pool()).await.unwrap();
    for file in manifest.files.values() {
        assert_eq!(platform.read(&file.key).len() as u64, file.size_bytes, "{}", file.key);
    }
    platform.bench.finish().await;
}
