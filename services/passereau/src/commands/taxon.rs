//! `passereau taxon unmatched | answer | import`: what a taxonomist is asked, and answers.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use passereau_database::DatabaseConfig;
use sqlx::{PgPool, types::Json};

use super::{
    language::{Lang, Language},
    open, show,
    taxon_sheet::{self, Answer, Proposal, Question},
    unless_closed,
};

/// Names of GBIF that TAXREF's links do not know.
#[derive(Debug, Subcommand)]
pub enum Taxon {
    /// The names that keep records of a subscription out, and what they may be.
    Unmatched(Unmatched),
    /// Say what a name is, or that its records never enter.
    Answer(One),
    /// Take over the answers of a sheet that `taxon unmatched --csv` has printed.
    Import(Import),
}

/// Whose names, and how to show them.
#[derive(Args, Debug)]
pub struct Unmatched {
    /// Name of the subscription.
    subscription: String,
    /// CSV for a taxonomist: UTF-8, semicolons, with empty columns for the answers.
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    language: Language,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// One answer.
#[derive(Args, Debug)]
pub struct One {
    /// GBIF's taxon key.
    #[arg(long, required_unless_present = "name")]
    key: Option<String>,
    /// The name as `taxon unmatched` shows it; with --key too, both must be the record's.
    #[arg(long)]
    name: Option<String>,
    /// The name of TAXREF that it is.
    #[arg(long, required_unless_present = "never")]
    cd_nom: Option<i32>,
    /// Records of this name never enter.
    #[arg(long, requires = "note", conflicts_with = "cd_nom")]
    never: bool,
    /// Why.
    #[arg(long)]
    note: Option<String>,
    /// Who answers; else the role that writes.
    #[arg(long)]
    author: Option<String>,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// A sheet with answers.
#[derive(Args, Debug)]
pub struct Import {
    /// The file; rows without an answer are left as they are.
    file: PathBuf,
    /// Who answered; else the role that writes.
    #[arg(long)]
    author: Option<String>,
    #[command(flatten)]
    database: DatabaseConfig,
}

impl Taxon {
    /// Does what was asked.
    ///
    /// # Errors
    /// In words for the operator.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Unmatched(unmatched) => unmatched.run().await,
            Self::Answer(one) => one.run().await,
            Self::Import(import) => import.run().await,
        }
    }
}

impl Unmatched {
    async fn run(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM passereau.subscription WHERE name = $1)")
            .bind(&self.subscription)
            .fetch_one(&pool)
            .await?;
        ensure!(known, "there is no subscription {}; `passereau harvest list` shows their names", self.subscription);
        let questions = questions(&pool, &self.subscription).await?;
        let lang = self.language.or_session();
        let mut out = io::BufWriter::new(io::stdout().lock());
        let written =
            if self.csv { taxon_sheet::write(&questions, lang, &mut out) } else { print(&questions, lang, &mut out) };
        unless_closed(written.and_then(|()| out.flush())).context("writing the names")?;
        let records: i64 = questions.iter().map(|question| question.records).sum();
        eprintln!("{} names without an answer keep {records} records of {} out", questions.len(), self.subscription);
        Ok(())
    }
}

type Row = (Option<String>, Option<String>, Option<String>, Option<String>, Option<String>, i64, Json<Vec<Proposal>>);

async fn questions(pool: &PgPool, subscription: &str) -> anyhow::Result<Vec<Question>> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT taxon_key, scientific_name, verbatim_scientific_name, kingdom, taxon_rank, records, proposals
         FROM passereau.unmatched_taxa($1)",
    )
    .bind(subscription)
    .fetch_all(pool)
    .await
    .context("looking for names near to those that TAXREF lacks")?;
    let question = |row: Row| {
        let (taxon_key, scientific_name, verbatim_scientific_name, kingdom, taxon_rank, records, Json(proposals)) = row;
        Question { taxon_key, scientific_name, verbatim_scientific_name, kingdom, taxon_rank, records, proposals }
    };
    Ok(rows.into_iter().map(question).collect())
}

/// Each name on a line, what it may be below.
fn print(questions: &[Question], lang: Lang, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{:>9}  {:>9}  name", "records", "GBIF key")?;
    for question in questions {
        let key = question.taxon_key.as_deref().unwrap_or("-");
        let name = question.scientific_name.as_deref().unwrap_or("-");
        let cited =
            question.verbatim_scientific_name.as_ref().map(|cited| format!(", cited as {cited}")).unwrap_or_default();
        let kind: Vec<&str> =
            [&question.kingdom, &question.taxon_rank].into_iter().flatten().map(String::as_str).collect();
        writeln!(out, "{:>9}  {key:>9}  {name}{cited} ({})", question.records, kind.join(", "))?;
        for near in &question.proposals {
            writeln!(out, "{:>22} {}", "?", near.in_words(lang))?;
        }
    }
    Ok(())
}

impl One {
    async fn run(self) -> anyhow::Result<()> {
        let answer = Answer { taxon_key: self.key, name: self.name, cd_nom: self.cd_nom, note: self.note };
        let answer = taxon_sheet::checked(answer).map_err(anyhow::Error::msg)?;
        keep(&open(&self.database).await?, &[answer], self.author.as_deref()).await
    }
}

impl Import {
    async fn run(self) -> anyhow::Result<()> {
        let file = fs::read(&self.file).with_context(|| format!("reading {}", self.file.display()))?;
        let answers = taxon_sheet::read(&file).with_context(|| format!("reading {}", self.file.display()))?;
        ensure!(!answers.is_empty(), "{} holds no answer", self.file.display());
        keep(&open(&self.database).await?, &answers, self.author.as_deref()).await
    }
}

/// Writes what is new of the answers, and says what becomes of it. Nothing is written when nothing is new: each writing makes
/// every subscription look at its waiting records again.
async fn keep(pool: &PgPool, answers: &[Answer], author: Option<&str>) -> anyhow::Result<()> {
    let unknown: Vec<i32> = sqlx::query_scalar(
        "SELECT DISTINCT given FROM unnest($1::integer[]) given
         WHERE NOT EXISTS (SELECT FROM taxonomie.taxref t WHERE t.cd_nom = given) ORDER BY given",
    )
    .bind(answers.iter().filter_map(|answer| answer.cd_nom).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    if !unknown.is_empty() {
        let unknown: Vec<String> = unknown.iter().map(i32::to_string).collect();
        bail!("nothing was written: TAXREF holds no cd_nom {} in this database", unknown.join(", "));
    }
    let new = not_standing(pool, answers).await?;
    if !new.is_empty() {
        sqlx::query(
            "INSERT INTO pinv_gbif.cor_taxon AS known (taxon_key, scientific_name, cd_nom, note, author)
             SELECT given.*, COALESCE($5, current_user)
             FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[]) given
             ON CONFLICT (COALESCE(taxon_key, ''), COALESCE(scientific_name, '')) DO UPDATE
             SET cd_nom = excluded.cd_nom, note = excluded.note, author = excluded.author, answered_at = now()",
        )
        .bind(new.iter().map(|answer| answer.taxon_key.as_deref()).collect::<Vec<_>>())
        .bind(new.iter().map(|answer| answer.name.as_deref()).collect::<Vec<_>>())
        .bind(new.iter().map(|answer| answer.cd_nom).collect::<Vec<_>>())
        .bind(new.iter().map(|answer| answer.note.as_deref()).collect::<Vec<_>>())
        .bind(author)
        .execute(pool)
        .await
        .context("writing the answers into pinv_gbif.cor_taxon")?;
    }
    show(&format!("{} answers written, {} stood already\n", new.len(), answers.len() - new.len()))?;
    if !new.is_empty() {
        eprintln!("the workers convert the waiting records again within minutes; `passereau harvest list` shows it");
    }
    Ok(())
}

/// The answers that the table does not hold just so.
async fn not_standing<'a>(pool: &PgPool, answers: &'a [Answer]) -> anyhow::Result<Vec<&'a Answer>> {
    let standing: Vec<bool> = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pinv_gbif.cor_taxon known
                        WHERE COALESCE(known.taxon_key, '') = COALESCE(given.taxon_key, '')
                          AND COALESCE(known.scientific_name, '') = COALESCE(given.name, '')
                          AND (known.cd_nom, known.note) IS NOT DISTINCT FROM (given.cd_nom, given.note))
         FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[]) WITH ORDINALITY given (taxon_key, name, cd_nom, note, place)
         ORDER BY given.place",
    )
    .bind(answers.iter().map(|answer| answer.taxon_key.as_deref()).collect::<Vec<_>>())
    .bind(answers.iter().map(|answer| answer.name.as_deref()).collect::<Vec<_>>())
    .bind(answers.iter().map(|answer| answer.cd_nom).collect::<Vec<_>>())
    .bind(answers.iter().map(|answer| answer.note.as_deref()).collect::<Vec<_>>())
    .fetch_all(pool)
    .await
    .context("comparing the answers with pinv_gbif.cor_taxon")?;
    Ok(answers.iter().zip(standing).filter_map(|(answer, stands)| (!stands).then_some(answer)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        taxon: Taxon,
    }

    #[test]
    fn an_answer_names_what_it_answers_and_decides_one_thing() {
        let parse = |words: &str| {
            Cli::try_parse_from(format!("taxon answer --database-url postgres://x/y {words}").split(' ')).is_ok()
        };
        for right in ["--key 71 --cd-nom 1", "--name Aus --cd-nom 1", "--key 0 --name Aus --never --note reason"] {
            assert!(parse(right), "{right}");
        }
        for wrong in ["--key 71", "--cd-nom 1", "--key 71 --never", "--key 71 --cd-nom 1 --never --note reason"] {
            assert!(!parse(wrong), "{wrong}");
        }
    }

    #[test]
    fn each_name_is_shown_with_what_it_may_be() {
        let near = serde_json::json!([{"cd_nom": 1, "name": "Aus bus L., 1758", "regne": "Animalia", "how": 1}]);
        let question = Question {
            taxon_key: Some("73".to_owned()),
            scientific_name: Some("Aus L., 1758".to_owned()),
            verbatim_scientific_name: Some("Aus busus".to_owned()),
            kingdom: Some("Animalia".to_owned()),
            taxon_rank: None,
            records: 12,
            proposals: serde_json::from_value(near).unwrap(),
        };
        let mut out = Vec::new();
        print(&[question], Lang::En, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "  records   GBIF key  name\n\
             \u{20}      12         73  Aus L., 1758, cited as Aus busus (Animalia)\n\
             \u{20}                    ? 1 Aus bus L., 1758 [Animalia, same name]\n"
        );
    }
}
