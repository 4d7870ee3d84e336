//! `passereau harvest cite`: the citation that GBIF asks for, and the datasets behind it.
//!
//! GBIF asks whoever uses a download to cite its DOI, and whoever uses only a part of one, or data without a DOI, to register a
//! *derived dataset*, a list of dataset keys with a number of records each, and to cite its DOI
//! (<https://www.gbif.org/citation-guidelines>, <https://data-blog.gbif.org/post/derived-datasets/>).

use std::fmt::Write;

use anyhow::bail;
use clap::Args;
use passereau_database::DatabaseConfig;
use passereau_harvest::{Harvest, find};
use serde_json::{Value, json};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::{open, show, show_json};

/// Which harvest, and how to print it.
#[derive(Args, Debug)]
pub struct Cite {
    /// Id of the harvest.
    id: Uuid,
    /// Print JSON.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print the list that GBIF takes for a derived dataset: dataset keys with their numbers of records.
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// What is to be cited for a harvest.
#[derive(Debug)]
struct Citation {
    harvest_id: Uuid,
    /// As GBIF words it; none without a DOI.
    citation: Option<String>,
    doi: Option<String>,
    download_key: Option<String>,
    datasets: Vec<Dataset>,
}

/// A dataset with records in the synthèse.
#[derive(Debug, FromRow)]
struct Dataset {
    dataset_key: Option<Uuid>,
    title: Option<String>,
    doi: Option<String>,
    citation: Option<String>,
    license: Option<String>,
    records: i64,
}

impl Cite {
    /// Prints the citation.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let Some(harvest) = find(&pool, self.id).await? else {
            bail!("there is no harvest {} (yet); `passereau harvest list` shows them", self.id);
        };
        let citation = Citation::read(&pool, harvest).await?;
        match (self.json, self.csv) {
            (true, _) => show_json(&citation.json()),
            (_, true) => show(&citation.list()),
            _ => show(&citation.text()?),
        }
    }
}

impl Citation {
    async fn read(pool: &PgPool, harvest: Harvest) -> Result<Self, sqlx::Error> {
        Ok(Self {
            harvest_id: harvest.id,
            citation: sqlx::query_scalar("SELECT passereau.citation($1)").bind(harvest.id).fetch_one(pool).await?,
            doi: harvest.doi,
            download_key: harvest.download_key,
            datasets: sqlx::query_as("SELECT * FROM passereau.cited_datasets($1)")
                .bind(harvest.id)
                .fetch_all(pool)
                .await?,
        })
    }

    /// For people.
    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let register = format!(
            "register the list that `passereau harvest cite {} --csv` prints as a derived dataset\n\
             (https://www.gbif.org/derived-dataset/register), and cite its DOI",
            self.harvest_id
        );
        match &self.citation {
            Some(citation) => writeln!(text, "{citation}\n\nFor a part of these data: {register}.")?,
            None => writeln!(text, "This harvest has no DOI of GBIF. To have one to cite, {register}.")?,
        }
        if self.datasets.is_empty() {
            writeln!(text, "\nNo record of this harvest stands in the synthèse.")?;
            return Ok(text);
        }
        writeln!(text, "\nIts records in the synthèse, by dataset:\n")?;
        for dataset in &self.datasets {
            let licence = dataset.license.as_deref().map_or("licence not given".to_owned(), readable);
            writeln!(text, "{:>9}  {} [{licence}]", dataset.records, dataset.words())?;
        }
        Ok(text)
    }

    /// For programs.
    fn json(&self) -> Value {
        let dataset = |dataset: &Dataset| {
            json!({
                "dataset_key": dataset.dataset_key, "title": dataset.title, "doi": dataset.doi,
                "citation": dataset.words(), "license": dataset.license, "records": dataset.records,
            })
        };
        json!({
            "harvest_id": self.harvest_id, "citation": self.citation, "doi": self.doi, "download_key": self.download_key,
            "datasets": self.datasets.iter().map(dataset).collect::<Vec<_>>(),
        })
    }

    /// For GBIF's form, which wants plain CSV. Keys and numbers need no quoting.
    fn list(&self) -> String {
        self.datasets
            .iter()
            .filter_map(|dataset| dataset.dataset_key.map(|key| format!("{key},{}\n", dataset.records)))
            .collect()
    }
}

impl Dataset {
    /// Its own citation; else its title and its address.
    fn words(&self) -> String {
        if let Some(citation) = &self.citation {
            return citation.clone();
        }
        let address = match (&self.doi, self.dataset_key) {
            (Some(doi), _) => format!("https://doi.org/{doi}"),
            (None, Some(key)) => format!("https://www.gbif.org/dataset/{key}"),
            (None, None) => "dataset not given".to_owned(),
        };
        match &self.title {
            Some(title) => format!("{title}. {address}"),
            None => address,
        }
    }
}

/// `CC_BY_NC_4_0` as Creative Commons writes it; anything else as it is.
fn readable(license: &str) -> String {
    license.replace("CC0_1_0", "CC0 1.0").replace("CC_BY_NC_4_0", "CC BY-NC 4.0").replace("CC_BY_4_0", "CC BY 4.0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset() -> Dataset {
        Dataset {
            dataset_key: Some(Uuid::from_u128(7)),
            title: Some("Birds of a valley".to_owned()),
            doi: Some("10.15468/ab3s5x".to_owned()),
            citation: None,
            license: Some("CC0_1_0, CC_BY_NC_4_0".to_owned()),
            records: 12,
        }
    }

    fn citation(words: Option<&str>, datasets: Vec<Dataset>) -> Citation {
        Citation {
            harvest_id: Uuid::from_u128(1),
            citation: words.map(str::to_owned),
            doi: None,
            download_key: None,
            datasets,
        }
    }

    #[test]
    fn the_download_is_cited_first_then_its_datasets() {
        let words = "GBIF.org (2 January 2023) GBIF Occurrence Download https://doi.org/10.15468/dl.xxxxxx";
        let text = citation(Some(words), vec![dataset()]).text().expect("text");
        assert_eq!(text.lines().next(), Some(words));
        assert_eq!(
            text.lines().last(),
            Some("       12  Birds of a valley. https://doi.org/10.15468/ab3s5x [CC0 1.0, CC BY-NC 4.0]")
        );
    }

    #[test]
    fn a_datasets_own_citation_comes_before_ours() {
        let own = Dataset { citation: Some("A. Nonyme (2026). Birds.".to_owned()), ..dataset() };
        assert_eq!(own.words(), "A. Nonyme (2026). Birds.");
        let bare = Dataset { title: None, doi: None, ..dataset() };
        assert_eq!(bare.words(), "https://www.gbif.org/dataset/00000000-0000-0000-0000-000000000007");
    }

    #[test]
    fn without_a_doi_it_says_what_to_do() {
        let text = citation(None, vec![dataset()]).text().expect("text");
        assert!(
            text.contains("has no DOI") && text.contains("https://www.gbif.org/derived-dataset/register"),
            "{text}"
        );
        assert!(text.contains("harvest cite 00000000-0000-0000-0000-000000000001 --csv"), "{text}");
    }

    #[test]
    fn the_list_for_gbif_is_keys_and_numbers() {
        let unknown = Dataset { dataset_key: None, ..dataset() };
        assert_eq!(citation(None, vec![dataset(), unknown]).list(), "00000000-0000-0000-0000-000000000007,12\n");
    }
}
