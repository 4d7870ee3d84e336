//! `passereau dead list | show | replay | drop`.

use std::fmt::{Error, Write};

use anyhow::{bail, ensure};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use passereau_database::DatabaseConfig;
use passereau_runner::{
    DeadFilter, DeadLetter, Replayed, count_dead, drop_dead, find_dead, list_dead, lives, replay_dead,
};
use passereau_telemetry::DeadLetterReason;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::{open, show, show_json};

/// Messages that gave up.
#[derive(Debug, Subcommand)]
pub enum Dead {
    /// The dead letters that wait, oldest first.
    List(List),
    /// One dead letter with its body and its history.
    Show(One),
    /// Send dead letters again, as they came; a harvest that failed goes on where it stopped.
    Replay(Several),
    /// Give dead letters up for good; what their harvests left behind goes with the next retention.
    Drop(Several),
}

/// Which dead letters.
#[derive(Args, Clone, Debug)]
struct Which {
    /// Only messages of this kind, such as archive.load; also one that no worker knows.
    #[arg(long)]
    kind: Option<String>,
    /// Only those about this harvest, or about the request of this id.
    #[arg(long)]
    harvest: Option<Uuid>,
    /// Only those given up for this reason.
    #[arg(long, value_parser = reasons())]
    reason: Option<DeadLetterReason>,
}

fn reasons() -> impl TypedValueParser<Value = DeadLetterReason> {
    PossibleValuesParser::new(DeadLetterReason::ALL.iter().map(|reason| reason.as_str()))
        .try_map(|reason| reason.parse::<DeadLetterReason>())
}

impl Which {
    fn filter(&self, settled: bool) -> DeadFilter {
        DeadFilter { kind: self.kind.clone(), harvest: self.harvest, reason: self.reason, settled }
    }

    fn is_everything(&self) -> bool {
        self.filter(false) == DeadFilter::default()
    }
}

/// How to list.
#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    which: Which,
    /// Also those that were replayed or dropped.
    #[arg(long)]
    settled: bool,
    /// How many.
    #[arg(long, default_value_t = 200)]
    limit: i64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// Which one.
#[derive(Args, Debug)]
pub struct One {
    /// Id of the dead letter, from `passereau dead list`.
    id: Uuid,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// Which ones: by id, by what they have in common, or all.
#[derive(Args, Debug)]
pub struct Several {
    /// Ids of dead letters, from `passereau dead list`.
    #[arg(conflicts_with_all = ["kind", "harvest", "reason", "all"])]
    ids: Vec<Uuid>,
    #[command(flatten)]
    which: Which,
    /// Every dead letter that waits.
    #[arg(long, conflicts_with_all = ["kind", "harvest", "reason"])]
    all: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseConfig,
}

impl Dead {
    /// Does what was asked.
    ///
    /// # Errors
    /// There is no such dead letter, or one of them cannot be replayed now.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(list) => list.run().await,
            Self::Show(one) => one.run().await,
            Self::Replay(several) => several.replay().await,
            Self::Drop(several) => several.drop().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let filter = self.which.filter(self.settled);
        let letters = list_dead(&pool, &filter, self.limit).await?;
        if self.json {
            return show_json(&letters.iter().map(as_json).collect::<Vec<_>>());
        }
        let all = count_dead(&pool, &filter).await?;
        show(&table(&letters, all, self.settled)?)
    }
}

impl One {
    async fn run(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let Some(letter) = find_dead(&pool, self.id).await? else { bail!("there is no dead letter {}", self.id) };
        let lives = lives(&pool, &letter).await?;
        if !self.json {
            return show(&text(&letter, &lives)?);
        }
        let mut all = as_json(&letter);
        all["history"] = lives.iter().map(death).collect();
        show_json(&all)
    }
}

impl Several {
    async fn replay(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let (mut told, mut went, mut refused) = (Vec::new(), Vec::new(), 0);
        for id in self.chosen(&pool).await? {
            if went.contains(&id) {
                continue;
            }
            let outcome = replay_dead(&pool, id).await?;
            if let Replayed::Sent { along } = &outcome {
                went.extend(along);
            }
            let (sent, words) = replayed(id, &outcome);
            refused += usize::from(!sent);
            told.push(json!({"id": id, "sent": sent, "along": along(&outcome), "words": words}));
        }
        self.tell(&told)?;
        ensure!(refused == 0, "{refused} of {} not replayed", told.len());
        Ok(())
    }

    async fn drop(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let (mut told, mut refused) = (Vec::new(), 0);
        for id in self.chosen(&pool).await? {
            let dropped = drop_dead(&pool, id).await?;
            let words = if dropped { format!("{id} is dropped") } else { not_waiting(id) };
            refused += usize::from(!dropped);
            told.push(json!({"id": id, "dropped": dropped, "words": words}));
        }
        self.tell(&told)?;
        ensure!(refused == 0, "{refused} of {} not dropped", told.len());
        Ok(())
    }

    async fn chosen(&self, pool: &PgPool) -> anyhow::Result<Vec<Uuid>> {
        if !self.ids.is_empty() {
            return Ok(self.ids.clone());
        }
        ensure!(
            self.all || !self.which.is_everything(),
            "say which: ids, --kind, --harvest or --reason, or --all; `passereau dead list` takes the same and only looks"
        );
        let letters = list_dead(pool, &self.which.filter(false), i64::MAX).await?;
        Ok(letters.into_iter().map(|letter| letter.id).collect())
    }

    fn tell(&self, told: &[Value]) -> anyhow::Result<()> {
        if self.json {
            return show_json(&told);
        }
        let mut text: String =
            told.iter().filter_map(|one| one["words"].as_str()).map(|words| format!("{words}\n")).collect();
        if told.is_empty() {
            text = "no dead letter that waits is one of these\n".to_owned();
        }
        show(&text)
    }
}

fn not_waiting(id: Uuid) -> String {
    format!("{id} is no dead letter that waits; see `passereau dead list`")
}

fn along(outcome: &Replayed) -> &[Uuid] {
    match outcome {
        Replayed::Sent { along } => along,
        _ => &[],
    }
}

/// Whether it was sent, and what is said about it.
fn replayed(id: Uuid, outcome: &Replayed) -> (bool, String) {
    let words = match outcome {
        Replayed::Sent { along } if along.is_empty() => format!("{id} is on its way again"),
        Replayed::Sent { along } => {
            format!("{id} is on its way again, and {} more of its harvest with it", along.len())
        }
        Replayed::NotWaiting => not_waiting(id),
        Replayed::NoWorker(kind) => format!(
            "no worker of this version takes kind {kind:?}: {id} stays; replay it with a version that does, or drop it"
        ),
        Replayed::Cancelled(harvest) => {
            format!("harvest {harvest} was cancelled, nothing would be done for {id}; drop it")
        }
        Replayed::Superseded(newer) => {
            format!("harvest {newer} of the same subscription is newer and complete; {id} would put older data back")
        }
        Replayed::Busy(other) => {
            format!("harvest {other} of the same subscription is alive; replay {id} when it has ended")
        }
    };
    (matches!(outcome, Replayed::Sent { .. }), words)
}

/// What a stranger wrote must not move the cursor of a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn table(letters: &[DeadLetter], all: i64, settled: bool) -> Result<String, Error> {
    let mut text =
        format!("{:<36}  {:<36}  {:<16} {:<18} error\n", "dead letter", "harvest or request", "kind", "reason");
    for letter in letters {
        let about = letter.harvest_id.or(letter.message_id);
        writeln!(
            text,
            "{}  {:<36}  {:<16} {:<18} {}{}",
            letter.id,
            about.map(|id| id.to_string()).unwrap_or_default(),
            plain(letter.kind.as_deref().unwrap_or("?")),
            letter.reason,
            if letter.state == "waiting" { String::new() } else { format!("({}) ", letter.state) },
            plain(letter.error.lines().next().unwrap_or_default())
        )?;
    }
    let what = if settled { "in all" } else { "waiting" };
    match usize::try_from(all) {
        Ok(all) if all > letters.len() => {
            writeln!(text, "{} of {all} {what}; --limit shows more", letters.len())?;
        }
        _ => writeln!(text, "{all} {what}")?,
    }
    Ok(text)
}

fn text(letter: &DeadLetter, lives: &[DeadLetter]) -> Result<String, Error> {
    let time = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    let mut text = String::new();
    writeln!(text, "dead letter   {}", letter.id)?;
    let settled = letter.settled_at.map(|at| format!(" since {}", time(at))).unwrap_or_default();
    writeln!(text, "state         {}{settled}", letter.state)?;
    let version = letter.version.map(|version| format!(", version {version}")).unwrap_or_default();
    writeln!(text, "kind          {}{version}", plain(letter.kind.as_deref().unwrap_or("?")))?;
    if let Some(id) = letter.message_id {
        writeln!(text, "message       {id}")?;
    }
    if let Some(id) = letter.harvest_id {
        writeln!(text, "harvest       {id}")?;
    }
    if let Some(at) = letter.first_published_at {
        writeln!(text, "published     {}", time(at))?;
    }
    writeln!(text, "queue         {}", plain(&letter.queue))?;
    for (name, value) in &letter.headers.0 {
        writeln!(text, "header        {}: {}", plain(name), plain(value))?;
    }
    for life in lives {
        let again = match (life.state.as_str(), life.settled_at) {
            ("replayed", Some(at)) => format!("; replayed {}", time(at)),
            _ => String::new(),
        };
        let attempts = life.attempts;
        writeln!(
            text,
            "died          {}, {} after {attempts} failed attempts{again}",
            time(life.died_at),
            life.reason
        )?;
        writeln!(text, "              {}", plain(&life.error).replace('\n', "\n              "))?;
    }
    let bytes = letter.body.as_deref().unwrap_or_default();
    let body = match serde_json::from_slice::<Value>(bytes) {
        Ok(body) => format!("{body:#}"),
        Err(_) => plain(&String::from_utf8_lossy(bytes)),
    };
    writeln!(text, "body          {} bytes\n{body}", bytes.len())?;
    if letter.state == "waiting" {
        writeln!(text, "once mended   passereau dead replay {}", letter.id)?;
    }
    Ok(text)
}

/// One death of a message.
fn death(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id, "queue": letter.queue, "reason": letter.reason, "error": letter.error,
        "attempts": letter.attempts, "died_at": letter.died_at, "state": letter.state, "settled_at": letter.settled_at,
    })
}

/// The body, where it was read, as JSON where it is, else as text, with its bytes where the text cannot say them.
pub(super) fn as_json(letter: &DeadLetter) -> Value {
    let mut all = json!({
        "message_id": letter.message_id, "kind": letter.kind, "version": letter.version,
        "harvest_id": letter.harvest_id, "first_published_at": letter.first_published_at,
        "headers": letter.headers.0,
    });
    if let Some(body) = &letter.body {
        all["body"] =
            serde_json::from_slice(body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body).into_owned()));
        if std::str::from_utf8(body).is_err() {
            all["body_hex"] = body.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
        }
    }
    if let (Value::Object(all), Value::Object(death)) = (&mut all, death(letter)) {
        all.extend(death);
    }
    all
}
