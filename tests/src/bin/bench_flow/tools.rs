//! The tools that a person would use: each reads the rows of the gate's statements, with the settings of the exporter's transactions.

use std::{fmt::Write, io::BufRead, path::Path, time::Instant};

use anyhow::{Context, Result, ensure};
use passereau_flow::Flow;
use passereau_gate::{CONTROL_COLUMNS, Kind, Query};
use tokio::process::Command;
use url::Url;

/// What a tool took.
pub(crate) struct Tool {
    pub name: &'static str,
    pub seconds: f64,
}

/// Blurred rows and exact ones, as statements without `COPY`.
fn statements(flow: &Flow) -> [String; 2] {
    let query = Query::new(flow.agreement.selection(flow.version), flow.agreement.fields());
    let all = u32::try_from(i32::MAX).unwrap_or(u32::MAX);
    [query.blurred_rows().0, query.exact_rows(0, all).0].map(|sql| {
        let inner = sql.strip_prefix("COPY (").and_then(|sql| sql.strip_suffix(") TO STDOUT")).unwrap_or(&sql);
        inner.split_whitespace().collect::<Vec<_>>().join(" ")
    })
}

/// A command with the database and the selection in its environment.
fn command(program: &str, database: &str, flow: &Flow) -> Result<Command> {
    let url = Url::parse(database).context("reading the database's URL")?;
    let selection =
        serde_json::to_string(&flow.agreement.selection(flow.version))?.replace('\\', "\\\\").replace(' ', "\\ ");
    let mut command = Command::new(program);
    command
        .env("PGHOST", url.host_str().unwrap_or("localhost"))
        .env("PGPORT", url.port().unwrap_or(5432).to_string())
        .env("PGUSER", url.username())
        .env("PGPASSWORD", url.password().unwrap_or_default())
        .env("PGDATABASE", url.path().trim_start_matches('/'))
        // A cursor's plan is made for its first rows otherwise.
        .env("PGOPTIONS", format!("-c jit=off -c cursor_tuple_fraction=1 -c passereau.selection={selection}"))
        .kill_on_drop(true);
    Ok(command)
}

async fn timed(name: &'static str, mut command: Command) -> Result<Tool> {
    let started = Instant::now();
    let output = command.output().await.with_context(|| format!("running {name}; `make setup` installs it"))?;
    ensure!(output.status.success(), "{name} has failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(Tool { name, seconds: started.elapsed().as_secs_f64() })
}

/// `psql \copy`, with the geometry as it comes.
pub(crate) async fn psql(database: &str, flow: &Flow, rows: i64, folder: &Path) -> Result<Tool> {
    let mut command = command("psql", database, flow)?;
    command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]);
    let files = ["blurred.csv", "exact.csv"].map(|name| folder.join(name));
    for (sql, file) in statements(flow).iter().zip(&files) {
        command.arg("-c").arg(format!("\\copy ({sql}) to '{}' with (format csv, delimiter ';')", file.display()));
    }
    let tool = timed("psql \\copy", command).await?;
    let mut lines = 0;
    for file in &files {
        // No cell of the seed holds a line end.
        lines += std::io::BufReader::new(std::fs::File::open(file)?).split(b'\n').count();
        std::fs::remove_file(file)?;
    }
    ensure!(i64::try_from(lines)? == rows, "psql has written {lines} rows, the exporter {rows}");
    Ok(tool)
}

/// `ogr2ogr -f GPKG`, with columns of the same types.
pub(crate) async fn ogr2ogr(database: &str, flow: &Flow, rows: i64, folder: &Path) -> Result<Tool> {
    let fields = flow.agreement.fields();
    let count = CONTROL_COLUMNS + fields.len();
    let names = (1..=count).map(|number| format!("c{number}")).collect::<Vec<_>>().join(", ");
    let mut columns = String::from("ST_GeomFromWKB(decode(c3, 'hex'), 4326) AS geom");
    for (position, field) in fields.iter().enumerate() {
        let kind = match field.kind {
            Kind::Integer => "bigint",
            Kind::Real => "float8",
            Kind::Date => "date",
            Kind::Time => "time",
            Kind::DateTime => "timestamp",
            Kind::Text | Kind::Json => "text",
        };
        write!(columns, ", c{}::{kind} AS {}", CONTROL_COLUMNS + 1 + position, field.name)?;
    }
    let [blurred, exact] = statements(flow).map(|sql| format!("SELECT {columns} FROM ({sql}) AS gate ({names})"));
    let file = folder.join("tool.gpkg");
    let mut command = command("ogr2ogr", database, flow)?;
    let database = Url::parse(database)?.path().trim_start_matches('/').to_owned();
    command.args(["-f", "GPKG"]).arg(&file).arg(format!("PG:dbname={database}"));
    command.args(["-nln", "observations", "-sql", &format!("{blurred} UNION ALL {exact}")]);
    let tool = timed("ogr2ogr -f GPKG", command).await?;
    let info = Command::new("ogrinfo").args(["-so", "-ro"]).arg(&file).arg("observations").output().await?;
    let info = String::from_utf8_lossy(&info.stdout);
    let counted = info.lines().find_map(|line| line.strip_prefix("Feature Count: "));
    ensure!(counted == Some(rows.to_string().as_str()), "ogr2ogr has written {counted:?} rows, the exporter {rows}");
    std::fs::remove_file(&file)?;
    Ok(tool)
}
