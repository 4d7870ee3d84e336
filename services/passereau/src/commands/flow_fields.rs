//! `passereau flow fields`: the dictionary, and what the platform's nomenclatures say.

use std::{
    collections::BTreeMap,
    fmt::{Error, Write},
};

use clap::{Args, ValueEnum};
use passereau_gate::{Dialect, Field, REQUIRED};
use serde_json::json;
use sqlx::PgPool;

use super::{
    at_hand::AtHand,
    language::{Lang, Language},
    show, show_json,
};

/// Whose names, and how to show them.
#[derive(Args, Debug)]
pub struct Fields {
    /// Show the names that columns bear in files of this dialect, beside those of agreements.
    #[arg(long, value_enum, default_value_t = Named::Geonature)]
    dialect: Named,
    /// Only the basic preset.
    #[arg(long)]
    basic: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    language: Language,
    #[command(flatten)]
    database: AtHand,
}

/// Labels by nomenclature, in their order.
type Labels = BTreeMap<String, Vec<String>>;

/// A dialect as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Named {
    /// GeoNature's export.
    Geonature,
    /// SINP OccTax v2.
    Occtax,
}

impl From<Named> for Dialect {
    fn from(named: Named) -> Self {
        match named {
            Named::Geonature => Self::GeoNature,
            Named::Occtax => Self::OccTax,
        }
    }
}

impl Fields {
    /// Prints them.
    ///
    /// # Errors
    /// The database, where there is one.
    pub async fn run(self) -> anyhow::Result<()> {
        let fields: Vec<&Field> = Field::all().iter().filter(|field| field.is_basic || !self.basic).collect();
        let dialect = self.dialect.into();
        let labels = match self.database.open().await? {
            Some(pool) => labels(&pool, &fields).await?,
            None => Labels::new(),
        };
        if self.json {
            let one = |field: &&Field| {
                json!({
                    "name": field.name, "column": field.name_in(dialect), "occtax": field.occtax, "values": field.kind,
                    "nomenclature": field.nomenclature, "labels": field.nomenclature.and_then(|of| labels.get(of)),
                    "is_basic": field.is_basic, "is_required": REQUIRED.contains(&field.name), "fr": field.fr, "en": field.en,
                })
            };
            return show_json(&fields.iter().map(one).collect::<Vec<_>>());
        }
        show(&table(&fields, &labels, dialect, self.language.or_session())?)
    }
}

/// The labels that the columns of nomenclatures hold on this platform, which may have edited them.
async fn labels(pool: &PgPool, fields: &[&Field]) -> Result<Labels, sqlx::Error> {
    let wanted: Vec<&str> = fields.iter().filter_map(|field| field.nomenclature).collect();
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT y.mnemonique::text, n.label_default::text FROM ref_nomenclatures.bib_nomenclatures_types y
         JOIN ref_nomenclatures.t_nomenclatures n ON n.id_type = y.id_type AND n.active
         WHERE y.mnemonique = ANY ($1) ORDER BY y.mnemonique, n.hierarchy, n.cd_nomenclature",
    )
    .bind(wanted)
    .fetch_all(pool)
    .await?;
    let mut labels = Labels::new();
    for (nomenclature, label) in rows {
        labels.entry(nomenclature).or_default().push(label);
    }
    Ok(labels)
}

fn table(fields: &[&Field], labels: &Labels, dialect: Dialect, lang: Lang) -> Result<String, Error> {
    let heads = match lang {
        Lang::Fr => ["champ", "colonne", "valeurs", "base", "définition"],
        Lang::En => ["field", "column", "values", "basic", "definition"],
    };
    let [name, column, values, basic, definition] = heads;
    let mut text = format!("{name:<28}  {column:<30}  {values:<16}  {basic:<5}  {definition}\n");
    for field in fields {
        let kind = field.nomenclature.map_or_else(|| format!("{:?}", field.kind).to_lowercase(), str::to_owned);
        // The two that no agreement can remove.
        let basic = match (REQUIRED.contains(&field.name), field.is_basic) {
            (true, _) => "1!",
            (false, true) => "1",
            (false, false) => "",
        };
        let meaning = if lang == Lang::Fr { field.fr } else { field.en };
        writeln!(text, "{:<28}  {:<30}  {kind:<16}  {basic:<5}  {meaning}", field.name, field.name_in(dialect))?;
        if let Some(labels) = field.nomenclature.and_then(|of| labels.get(of)) {
            writeln!(text, "{:<28}  {}", "", labels.join(" | "))?;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_shown_with_its_column_its_values_and_what_it_means() {
        let field = |name| Field::find(name).into_iter();
        let fields: Vec<&Field> = field("alti_min").chain(field("niveau_sensibilite")).chain(field("sexe")).collect();
        let labels = Labels::from([("SEXE".to_owned(), vec!["Femelle".to_owned(), "Mâle".to_owned()])]);
        let text = table(&fields, &labels, Dialect::OccTax, Lang::Fr).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].starts_with("alti_min ") && lines[1].contains("altitudeMin") && lines[1].contains("integer"),
            "{text}"
        );
        assert!(lines[3].contains(" SEXE ") && lines[4].trim() == "Femelle | Mâle", "{text}");
        assert!(
            lines[2].contains(" SENSIBILITE ")
                && lines[2].contains(" 1! ")
                && lines[2].contains("Niveau de sensibilité"),
            "{text}"
        );
    }
}
