//! `passereau flow token create | list | revoke`.

use std::fmt::{Error, Write};

use anyhow::{Context, bail};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use clap::{Args, Subcommand};
use passereau_database::DatabaseConfig;
use passereau_flow::{
    FlowError, find,
    token::{self, Token as Known},
};
use passereau_secret::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

use super::{flow::minute, open, show, show_json};

/// Who may fetch a flow.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token for a partner. It is printed once, on standard output, and kept nowhere.
    Create(Create),
    /// All tokens, without their texts.
    List(List),
    /// Let a token open nothing any more.
    Revoke(Revoke),
}

/// For whom.
#[derive(Args, Debug)]
pub struct Create {
    /// Name of the flow.
    flow: String,
    /// Whose it is: structure and person.
    #[arg(long)]
    partner: String,
    /// Its last day, UTC; without it, it holds until it is revoked.
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<NaiveDate>,
    /// Who makes it; else the role that writes.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// Which.
#[derive(Args, Debug)]
pub struct List {
    /// Name of the flow; without it, of every flow.
    flow: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// Which.
#[derive(Args, Debug)]
pub struct Revoke {
    /// Id of the token, as `flow token list` shows it; not the token itself.
    id: Uuid,
    #[command(flatten)]
    database: DatabaseConfig,
}

impl Token {
    /// Does what was asked.
    ///
    /// # Errors
    /// In words for the operator; none repeats a token.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List(list) => list.run().await,
            Self::Revoke(revoke) => revoke.run().await,
        }
    }
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let until = self.until.map(end_of).transpose()?;
        let pool = open(&self.database).await?;
        let created = token::create(&pool, &self.flow, &self.partner, until, self.by.as_deref()).await?;
        let text = created.text.expose_secret();
        if self.json {
            show_json(&json!({ "id": created.id, "flow": self.flow, "token": text }))?;
        } else {
            show(&format!("{text}\n"))?;
        }
        eprintln!(
            "this is shown once: hand it to the partner by a safe way; `passereau flow token revoke {}` takes it back",
            created.id
        );
        Ok(())
    }
}

/// The moment after a day.
fn end_of(day: NaiveDate) -> anyhow::Result<DateTime<Utc>> {
    let next = day.succ_opt().and_then(|next| next.and_hms_opt(0, 0, 0)).map(|next| next.and_utc());
    next.filter(|end| *end > Utc::now()).with_context(|| format!("{day} has passed: write a later day after --until"))
}

/// The day that was said: a token ends with the moment after it.
fn last_day(expires_at: Option<DateTime<Utc>>) -> String {
    let last = expires_at.map(|end| end - TimeDelta::seconds(1));
    last.map_or_else(|| "-".to_owned(), |last| last.format("%Y-%m-%d").to_string())
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let tokens = token::list(&pool, self.flow.as_deref()).await?;
        // A name that is misspelt has no token either: that it opens nothing must not be read off an empty table.
        if let (Some(flow), true) = (&self.flow, tokens.is_empty())
            && find(&pool, flow).await?.is_none()
        {
            return Err(FlowError::Unknown(flow.clone()).into());
        }
        if self.json { show_json(&tokens) } else { show(&table(&tokens, Utc::now())?) }
    }
}

fn table(tokens: &[Known], now: DateTime<Utc>) -> Result<String, Error> {
    let mut text = format!(
        "{:<36}  {:<24}  {:<7}  {:<16}  {:<10}  {:<16}  partner\n",
        "token", "flow", "state", "made (UTC)", "last day", "used (UTC)"
    );
    for one in tokens {
        let state = match (one.revoked_at, one.is_valid(now)) {
            (Some(_), _) => "revoked",
            (None, true) => "valid",
            (None, false) => "expired",
        };
        writeln!(
            text,
            "{:<36}  {:<24}  {state:<7}  {:<16}  {:<10}  {:<16}  {}",
            one.id,
            one.flow,
            minute(Some(one.created_at)),
            last_day(one.expires_at),
            minute(one.last_used_at),
            one.partner
        )?;
    }
    Ok(text)
}

impl Revoke {
    async fn run(self) -> anyhow::Result<()> {
        let id = self.id;
        match token::revoke(&open(&self.database).await?, id, Utc::now()).await? {
            None => bail!("there is no token {id}; `passereau flow token list` shows those that there are"),
            Some(Known { revoked_at: Some(_), .. }) => show(&format!("{id} is revoked already; nothing has changed\n")),
            Some(Known { flow, .. }) => show(&format!("{id} is revoked: it opens flow {flow} no more\n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_that_is_shown_is_the_one_that_was_said() {
        let day = NaiveDate::from_ymd_opt(2099, 12, 31).unwrap_or_default();
        assert_eq!(last_day(end_of(day).ok()), "2099-12-31");
        assert_eq!(last_day(None), "-");
    }
}
