//! A fleet that does what a fleet does: a harvest that a person approves, one that fails, schedules, a flow and its partner.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use passereau_contracts::{HarvestRequest, WORKERS};
use passereau_harvest::State;
use passereau_sandbox::{
    Pace, SandboxConfig,
    generate::{GenerateOptions, generate},
};
use passereau_tests::{
    Fleet, FleetConfig, SUBSCRIPTION,
    dashboards::{Dashboard, grants},
    own_address, query,
};
use sqlx::{Connection, Row};

use crate::prometheus::Prometheus;

#[path = "../../src/bin/demo/partner.rs"]
mod partner;

/// Records of the archive: enough that each stage lasts for some scrapes.
const RECORDS: u64 = 4_000;
const PATIENCE: Duration = Duration::from_secs(180);

/// The fleet.
pub struct Stage {
    fleet: Fleet,
    folder: std::path::PathBuf,
    targets: Vec<String>,
    gateway: std::net::SocketAddr,
}

impl Stage {
    /// Starts the fleet, the gateway included.
    pub async fn new(folder: &Path) -> Result<Self> {
        let archive = folder.join("observed.zip");
        generate(&GenerateOptions { records: RECORDS, seed: 7, revision: 1 }, &archive)?;
        let pace = Pace::Polls { preparing: 3, running: 3 };
        let sandbox = SandboxConfig { archives: vec![archive], pace, ..SandboxConfig::default() };
        let gateway = own_address()?;
        let mut targets = Vec::new();
        let mut environment_of = Vec::new();
        for worker in WORKERS.iter().map(|worker| worker.worker).chain(["gateway"]) {
            let listen = own_address()?.to_string();
            let mut settings = vec![("PASSEREAU_HTTP_LISTEN", listen.clone())];
            if worker == "gateway" {
                settings.push(("PASSEREAU_GATEWAY_LISTEN", gateway.to_string()));
            }
            targets.push(listen);
            environment_of.push((worker, settings));
        }
        let environment = [("PASSEREAU_STATE_READ_S", "1"), ("PASSEREAU_INATURALIST_INTERVAL_S", "0.3")];
        let environment = environment.map(|(name, value)| (name, value.to_owned())).into();
        let config = FleetConfig { sandbox, environment, environment_of, with_flows: true, ..FleetConfig::default() };
        let mut fleet = Fleet::start(config).await?;
        fleet.start_worker("gateway")?;
        Ok(Self { fleet, folder: folder.to_owned(), targets, gateway })
    }

    /// Where its processes show their metrics.
    pub fn targets(&self) -> Vec<String> {
        self.targets.clone()
    }

    /// Does it all, with Prometheus watching.
    pub async fn play(&self, prometheus: &Prometheus) -> Result<()> {
        let fleet = &self.fleet;
        prometheus.sees("passereau_state_read_timestamp_seconds").await;
        let request = HarvestRequest {
            subscription: Some(SUBSCRIPTION.into()),
            query: Some(query("passereau")),
            plan: true,
            ..Default::default()
        };
        let id = fleet.submit(&request).await?;
        println!("a harvest whose plan waits for approval");
        prometheus.sees("passereau_harvest_state_since_timestamp_seconds{state=\"awaiting_approval\"}").await;
        fleet.run_command(&["harvest", "approve", &id.to_string(), "--by", "M. Martin"]).await?;
        let harvest = fleet.ended(id, PATIENCE).await;
        ensure!(harvest.state == State::Completed, "the harvest {}: {:?}", harvest.state, harvest.reason);

        println!("one that fails, for it has no archive");
        let broken = self.folder.join("broken.zip");
        fs::write(&broken, b"this is no archive")?;
        let key = fleet.put_archive(&broken)?;
        let request =
            HarvestRequest { subscription: Some(SUBSCRIPTION.into()), archive: Some(key), ..Default::default() };
        let failed = fleet.submit(&request).await?;
        let harvest = fleet.ended(failed, PATIENCE).await;
        ensure!(harvest.state == State::Failed, "an archive that is none: {}", harvest.state);

        println!("schedules, a flow and its partner");
        let body = self.folder.join("request.json");
        fs::write(&body, serde_json::json!({"query": query("passereau")}).to_string())?;
        let body = body.to_str().context("the folder has no name in Unicode")?;
        let name = format!("subscription:{SUBSCRIPTION}");
        fleet.run_command(&["schedule", "set", &name, "--every", "P1M", "--request", body]).await?;
        fleet.run_command(&["schedule", "run", "retention"]).await?;
        // The retention reads the synthèse, and would wait for what follows.
        prometheus.sees("passereau_retention_timestamp_seconds").await;
        // Somebody holds the synthèse, as a migration of GeoNature would, until the delivery that waits for it was seen: it takes a moment else.
        let mut held = fleet.database.pool.begin().await?;
        sqlx::raw_sql("LOCK TABLE gn_synthese.synthese IN ACCESS EXCLUSIVE MODE").execute(&mut *held).await?;
        let let_go = async {
            prometheus.sees("passereau_flow_delivering_since_timestamp_seconds").await;
            // At 0: then the panels of the last day see the delivery.
            prometheus.sees("passereau_deliveries_total == 0").await;
            held.rollback().await.context("letting the synthèse go")
        };
        let (fetched, ()) = tokio::try_join!(partner::fetch(fleet, &self.folder, self.gateway), let_go)?;
        ensure!(fetched.rows > 0 && fetched.withheld > 0, "a flow that delivers and withholds: {fetched:?}");
        for expr in [
            "passereau_flow_delivery_timestamp_seconds",
            "increase(passereau_deliveries_total{outcome=\"delivered\"}[1d]) > 0",
            "increase(passereau_delivered_records_total[1d]) > 0",
            "passereau_subscription_period_seconds",
            "passereau_dead_letters_waiting > 0",
            "count_over_time(passereau_gateway_sent_bytes_total[30s]) > 4",
            "passereau:reject_share",
        ] {
            prometheus.sees(expr).await;
        }
        Ok(())
    }

    /// What the dashboards ask of PostgreSQL, as a role that may read no more than `deploy/grafana/grants.sql` gives it.
    pub async fn table_of_harvests(&self, dashboards: &[Dashboard]) -> Result<()> {
        let role = format!("grafana_{}", uuid::Uuid::new_v4().simple());
        let grants = grants(&role)?;
        let mut admin = sqlx::PgConnection::connect(&self.fleet.database.url).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE ROLE {role}; {grants}; SET ROLE {role}")))
            .execute(&mut admin)
            .await?;
        for sql in dashboards.iter().flat_map(Dashboard::panels).filter_map(|panel| panel.sql.as_ref()) {
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql.clone()))
                .fetch_all(&mut admin)
                .await
                .with_context(|| sql.clone())?;
            ensure!(rows.len() >= 2, "two harvests were made, the table has {}", rows.len());
            rows[0].try_get::<uuid::Uuid, _>("harvest").context("the link to the traces needs the column harvest")?;
        }
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")))
            .execute(&mut admin)
            .await?;
        Ok(())
    }

    /// Ends the fleet in good order.
    pub async fn end(self) -> Result<()> {
        self.fleet.stop().await
    }
}
