//! `passereau taxon-keys`: GBIF's keys of a group of taxa, for the predicate of a request.

use std::fmt::Write;

use clap::Args;
use passereau_database::DatabaseConfig;
use serde_json::{Value, json};

use super::{open, show, show_json, spreadsheet::Spreadsheet};

/// Prints cd_nom, name and GBIF key of the taxa of a rank and a kingdom, as TAXREF links them. Taxa without a link are told
/// apart: their records are in no download that asks for these keys.
#[derive(Args, Debug)]
pub struct TaxonKeys {
    /// Rank as TAXREF writes it: KD, PH, CL, OR, FM, GN, ES …
    #[arg(long)]
    rank: String,
    /// Kingdom as TAXREF writes it.
    #[arg(long)]
    regne: String,
    /// Phylum to leave out; may be given several times.
    #[arg(long)]
    exclude_phylum: Vec<String>,
    /// The predicate for query.json.
    #[arg(long)]
    json: bool,
    /// CSV (cd_nom, name, key) for a spreadsheet: UTF-8, semicolons.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// A taxon of TAXREF.
#[derive(Debug, sqlx::FromRow)]
struct Taxon {
    cd_nom: i32,
    name: String,
    gbif_key: Option<String>,
}

impl TaxonKeys {
    /// Prints them.
    ///
    /// # Errors
    /// TAXREF has no such taxon, or the database cannot be asked.
    pub async fn run(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let taxa: Vec<Taxon> = sqlx::query_as("SELECT cd_nom, name, gbif_key FROM passereau.taxon_keys($1, $2, $3)")
            .bind(&self.rank)
            .bind(&self.regne)
            .bind(&self.exclude_phylum)
            .fetch_all(&pool)
            .await?;
        anyhow::ensure!(
            !taxa.is_empty(),
            "TAXREF has no taxon of rank {} in the kingdom {}: ranks are written as in taxonomie.bib_taxref_rangs, kingdoms as in taxonomie.vm_regne",
            self.rank,
            self.regne
        );
        let unknown: Vec<String> = sqlx::query_scalar(
            "SELECT excluded FROM unnest($1::text[]) AS excluded
             WHERE NOT EXISTS (SELECT FROM taxonomie.taxref t WHERE t.regne = $2 AND t.phylum = excluded)",
        )
        .bind(&self.exclude_phylum)
        .bind(&self.regne)
        .fetch_all(&pool)
        .await?;
        anyhow::ensure!(unknown.is_empty(), "TAXREF has no phylum {} in {}", unknown.join(", "), self.regne);
        let (linked, unlinked): (Vec<_>, Vec<_>) = taxa.into_iter().partition(|taxon| taxon.gbif_key.is_some());
        if self.json {
            anyhow::ensure!(!linked.is_empty(), "no name of these {} taxa has a link to GBIF", unlinked.len());
            show_json(&predicate(&self.rank, &linked))?;
        } else if self.csv {
            show(&sheet(&linked)?)?;
        } else {
            show(&table(&linked)?)?;
        }
        if !unlinked.is_empty() {
            eprintln!("without a link to GBIF in taxonomie.taxref_liens:");
        }
        for taxon in unlinked {
            eprintln!("{:>8}  {:>9}  {}", taxon.cd_nom, "-", taxon.name);
        }
        Ok(())
    }
}

/// GBIF's search key for taxa of a rank of TAXREF. Taxa of any rank are found by TAXON_KEY.
fn search_key(rank: &str) -> &'static str {
    match rank {
        "KD" => "KINGDOM_KEY",
        "PH" => "PHYLUM_KEY",
        "CL" => "CLASS_KEY",
        "OR" => "ORDER_KEY",
        "FM" => "FAMILY_KEY",
        "GN" => "GENUS_KEY",
        "ES" => "SPECIES_KEY",
        _ => "TAXON_KEY",
    }
}

/// A predicate of GBIF's download API, each key once; values are strings even where they are numbers.
fn predicate(rank: &str, linked: &[Taxon]) -> Value {
    let mut keys: Vec<&str> = linked.iter().filter_map(|taxon| taxon.gbif_key.as_deref()).collect();
    keys.sort_unstable_by_key(|key| (key.len(), *key));
    keys.dedup();
    json!({"type": "in", "key": search_key(rank), "values": keys})
}

fn table(linked: &[Taxon]) -> Result<String, std::fmt::Error> {
    let mut text = format!("{:>8}  {:>9}  name\n", "cd_nom", "GBIF key");
    for Taxon { cd_nom, name, gbif_key } in linked {
        writeln!(text, "{cd_nom:>8}  {:>9}  {name}", gbif_key.as_deref().unwrap_or_default())?;
    }
    Ok(text)
}

fn sheet(linked: &[Taxon]) -> anyhow::Result<String> {
    let mut text = Vec::new();
    let mut sheet = Spreadsheet::new(&mut text)?;
    sheet.row(["cd_nom", "name", "gbif_key"])?;
    for Taxon { cd_nom, name, gbif_key } in linked {
        sheet.row([&cd_nom.to_string(), name, gbif_key.as_deref().unwrap_or_default()])?;
    }
    sheet.flush()?;
    drop(sheet);
    Ok(String::from_utf8(text)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn linked() -> Vec<Taxon> {
        [(1, "Arthropoda", "54"), (2, "Annelida", "42"), (3, "Ciliophora, sensu lato", "107"), (4, "Articulata", "54")]
            .map(|(cd_nom, name, key)| Taxon { cd_nom, name: name.to_owned(), gbif_key: Some(key.to_owned()) })
            .into()
    }

    #[test]
    fn the_predicate_can_be_pasted_into_a_query() {
        assert_eq!(
            predicate("PH", &linked()),
            json!({"type": "in", "key": "PHYLUM_KEY", "values": ["42", "54", "107"]})
        );
        assert_eq!(predicate("SSFM", &[]), json!({"type": "in", "key": "TAXON_KEY", "values": []}));
    }

    #[test]
    fn the_sheet_has_a_row_for_each_link() {
        let sheet = sheet(&linked()).unwrap();
        assert!(sheet.starts_with("\u{feff}cd_nom;name;gbif_key\n1;Arthropoda;54\n"), "{sheet}");
        assert!(sheet.contains("3;Ciliophora, sensu lato;107\n"), "{sheet}");
    }
}
