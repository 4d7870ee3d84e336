//! `passereau flow fields`: the dictionary.

use std::fmt::{Error, Write};

use clap::{Args, ValueEnum};
use passereau_gate::{Dialect, Field, REQUIRED};
use serde_json::json;

use super::{
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
}

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
    /// Only where nothing can be printed.
    pub fn run(self) -> anyhow::Result<()> {
        let fields: Vec<&Field> = Field::all().iter().filter(|field| field.is_basic || !self.basic).collect();
        let dialect = self.dialect.into();
        if self.json {
            let one = |field: &&Field| {
                json!({
                    "name": field.name, "column": field.name_in(dialect), "occtax": field.occtax, "values": field.kind,
                    "is_basic": field.is_basic, "is_required": REQUIRED.contains(&field.name), "fr": field.fr, "en": field.en,
                })
            };
            return show_json(&fields.iter().map(one).collect::<Vec<_>>());
        }
        show(&table(&fields, dialect, self.language.or_session())?)
    }
}

fn table(fields: &[&Field], dialect: Dialect, lang: Lang) -> Result<String, Error> {
    let heads = match lang {
        Lang::Fr => ["champ", "colonne", "valeurs", "base", "définition"],
        Lang::En => ["field", "column", "values", "basic", "definition"],
    };
    let [name, column, values, basic, definition] = heads;
    let mut text = format!("{name:<28}  {column:<30}  {values:<8}  {basic:<5}  {definition}\n");
    for field in fields {
        let kind = format!("{:?}", field.kind).to_lowercase();
        // The two that no agreement can remove.
        let basic = match (REQUIRED.contains(&field.name), field.is_basic) {
            (true, _) => "1!",
            (false, true) => "1",
            (false, false) => "",
        };
        let meaning = if lang == Lang::Fr { field.fr } else { field.en };
        writeln!(text, "{:<28}  {:<30}  {kind:<8}  {basic:<5}  {meaning}", field.name, field.name_in(dialect))?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_shown_with_its_column_its_values_and_what_it_means() {
        let field = |name| Field::find(name).into_iter();
        let fields: Vec<&Field> = field("alti_min").chain(field("niveau_sensibilite")).collect();
        let text = table(&fields, Dialect::OccTax, Lang::Fr).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].starts_with("alti_min ") && lines[1].contains("altitudeMin") && lines[1].contains("integer"),
            "{text}"
        );
        assert!(lines[2].contains(" 1! ") && lines[2].contains("Niveau de sensibilité"), "{text}");
    }
}
