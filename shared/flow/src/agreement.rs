//! The agreement, as its file says it.
//!
//! What a file must say stands in `required` of each object; everything has a default all the same, so that one missing line hides no
//! other problem: [`crate::Document`] reports what is missing and gives no agreement then.

use std::fmt;

use chrono::NaiveDate;
use passereau_gate::{Dialect, Sensitive};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use passereau_formats::{CsvOptions, Format};

use crate::Period;

/// What is agreed with a partner about one flow.
///
/// It asks what regional platforms ask of a partner today (<https://geonature.arb-idf.fr/node/302>).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["name", "structure", "technical_manager", "studies", "territory", "formats", "period", "ends_on", "licences", "in_return"]))]
#[schemars(transform = no_default_where_required)]
pub struct Agreement {
    /// Name of the flow, which is also its name in addresses: small letters, digits and hyphens.
    #[schemars(regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
    pub name: String,
    /// The structure that asks for the flow.
    pub structure: String,
    /// Who integrates the flow at the partner's.
    pub technical_manager: Contact,
    /// The studies that need the flow, one at least.
    #[schemars(length(min = 1))]
    pub studies: Vec<Study>,
    /// Where.
    pub territory: Territory,
    /// Which taxa: those of any of these lists; without a list, all.
    pub taxa: Taxa,
    /// Which sources of the synthèse, by their names.
    pub sources: Chosen<String>,
    /// Which datasets, by their UUIDs.
    pub datasets: Chosen<Uuid>,
    /// The files of each delivery.
    #[schemars(length(min = 1))]
    pub formats: Vec<Format>,
    /// How CSV files are written.
    pub csv: Csv,
    /// The columns.
    pub fields: Fields,
    /// Delivered at least this often, and late beyond: an ISO 8601 duration such as P1D, P1W, P1M, P3M.
    pub period: Period,
    /// When exactly, as a cron expression of five fields; without it a delivery follows the one before by the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// IANA name of the time zone of the schedule and of the end's day.
    pub time_zone: String,
    /// The last day on which the flow is delivered.
    pub ends_on: NaiveDate,
    /// Under which licences records may leave.
    pub licences: Licences,
    /// What becomes of sensitive records.
    pub sensitive: Sensitive,
    /// On what ground sensitive records leave at their precision: with sensitive = "precise", and only then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorisation: Option<Authorisation>,
    /// What the partner gives in return.
    pub in_return: String,
    /// How many versions can be fetched.
    #[schemars(range(min = 1, max = 100))]
    pub keep: u16,
    /// Whether each delivery has a companion file of the statuses (protection, red lists) of its taxa.
    pub statuses: bool,
}

impl Default for Agreement {
    fn default() -> Self {
        Self {
            name: String::new(),
            structure: String::new(),
            technical_manager: Contact::default(),
            studies: Vec::new(),
            territory: Territory::default(),
            taxa: Taxa::default(),
            sources: Chosen::default(),
            datasets: Chosen::default(),
            formats: Vec::new(),
            csv: Csv::default(),
            fields: Fields::default(),
            period: Period::default(),
            schedule: None,
            time_zone: "Europe/Paris".to_owned(),
            ends_on: NaiveDate::default(),
            licences: Licences::default(),
            sensitive: Sensitive::default(),
            authorisation: None,
            in_return: String::new(),
            keep: 3,
            statuses: false,
        }
    }
}

/// A person at the partner's.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["name", "email"]))]
#[schemars(transform = no_default_where_required)]
pub struct Contact {
    /// First and last name.
    pub name: String,
    /// Address of electronic mail.
    pub email: String,
    /// Telephone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// A log of an agreement names no person.
impl fmt::Debug for Contact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Contact(…)")
    }
}

/// A study.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["name", "nature"]))]
#[schemars(transform = no_default_where_required)]
pub struct Study {
    /// Its name.
    pub name: String,
    /// What it is: atlas, commune inventory, management of a site …
    pub nature: String,
}

/// Where. Without areas and file: everywhere that the platform has records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["description"]))]
#[schemars(transform = no_default_where_required)]
pub struct Territory {
    /// In words.
    pub description: String,
    /// Areas of GeoNature's `ref_geo`; several types may mix, and all of them together are the territory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<Areas>,
    /// Instead of areas a file beside this one: a zipped Shapefile (.zip), a GeoPackage (.gpkg), GeoJSON (.geojson) or WKT (.wkt).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// Areas of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["type", "codes"]))]
#[schemars(transform = no_default_where_required)]
pub struct Areas {
    /// Code of the type in `ref_geo.bib_areas_types`: DEP, COM, M10, …
    #[serde(rename = "type")]
    pub area_type: String,
    /// Codes in `ref_geo.l_areas`; texts, since 01 is not 1.
    pub codes: Vec<String>,
}

/// Which taxa: those of any of these lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Taxa {
    /// Kingdoms, as TAXREF writes them: Animalia, Plantae, …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regne: Vec<String>,
    /// First groups of INPN.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group1_inpn: Vec<String>,
    /// Second groups of INPN: Oiseaux, Mammifères, …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group2_inpn: Vec<String>,
    /// Third groups of INPN.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group3_inpn: Vec<String>,
    /// Orders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ordre: Vec<String>,
    /// Families.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub famille: Vec<String>,
    /// Accepted names of TAXREF, each with everything below it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cd_ref: Vec<i32>,
}

impl Taxa {
    /// The lists of names, with their keys, which are also the columns of TAXREF.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, &Vec<String>)> {
        [
            ("regne", &self.regne),
            ("group1_inpn", &self.group1_inpn),
            ("group2_inpn", &self.group2_inpn),
            ("group3_inpn", &self.group3_inpn),
            ("ordre", &self.ordre),
            ("famille", &self.famille),
        ]
        .into_iter()
    }
}

/// What is taken, and what is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, bound(deserialize = "T: Deserialize<'de>"))]
#[schemars(rename = "Chosen_{T}")]
pub struct Chosen<T> {
    /// Only these; without it, all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<T>,
    /// All but these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<T>,
}

impl<T> Default for Chosen<T> {
    fn default() -> Self {
        Self { include: Vec::new(), exclude: Vec::new() }
    }
}

/// What becomes of a cell that a spreadsheet would take for a formula
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Formulas {
    /// An apostrophe goes before it.
    #[default]
    Guard,
    /// It stays as it is, for programs.
    AsIs,
}

impl From<Formulas> for passereau_formats::Formulas {
    fn from(formulas: Formulas) -> Self {
        match formulas {
            Formulas::Guard => Self::Guard,
            Formulas::AsIs => Self::AsIs,
        }
    }
}

/// How CSV files are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Csv {
    /// Between two cells: one of `;`, `,`, `|` or a tab.
    pub separator: String,
    /// Whether the file begins with the mark by which spreadsheets recognise UTF-8.
    pub byte_order_mark: bool,
    /// What becomes of a cell that a spreadsheet would take for a formula.
    pub formulas: Formulas,
}

impl Default for Csv {
    fn default() -> Self {
        Self { separator: ";".to_owned(), byte_order_mark: false, formulas: Formulas::default() }
    }
}

impl Csv {
    /// What a file may say.
    pub(crate) const SEPARATORS: [&str; 4] = [";", ",", "|", "\t"];

    /// For the writer of the files.
    #[must_use]
    pub fn options(&self) -> CsvOptions {
        CsvOptions {
            separator: self.separator.bytes().next().unwrap_or(b';'),
            byte_order_mark: self.byte_order_mark,
            formulas: self.formulas.into(),
        }
    }
}

/// A set of columns to begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Those that `passereau flow fields` marks as basic.
    #[default]
    Basic,
}

/// The columns: a preset, and what is added or removed. `passereau flow fields` explains each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fields {
    /// What to begin with.
    pub preset: Preset,
    /// Whose names the columns of the files bear; in this file they bear those of GeoNature in any case.
    pub dialect: Dialect,
    /// Further columns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
    /// Columns that are not needed. `niveau_sensibilite` and `clause_rediffusion` stay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// Under which licences records may leave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["allowed"]))]
#[schemars(transform = no_default_where_required)]
pub struct Licences {
    /// Those that may leave, as SPDX names them (<https://spdx.org/licenses/>). A record under another one, or under one that
    /// nobody knows, stays.
    #[schemars(length(min = 1))]
    pub allowed: Vec<String>,
    /// The licence of the platform's own records, whose source names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<String>,
}

/// On what ground sensitive records leave at their precision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["reference", "signatory", "ends_on"]))]
#[schemars(transform = no_default_where_required)]
pub struct Authorisation {
    /// Of the document that allows it.
    pub reference: String,
    /// Who signed it.
    pub signatory: String,
    /// The last day on which it holds.
    pub ends_on: NaiveDate,
}

/// A default would say that the line may be left out.
fn no_default_where_required(schema: &mut Schema) {
    let required: Vec<String> =
        schema.get("required").and_then(|names| serde_json::from_value(names.clone()).ok()).unwrap_or_default();
    if let Some(properties) = schema.get_mut("properties").and_then(|properties| properties.as_object_mut()) {
        for name in required {
            if let Some(property) = properties.get_mut(&name).and_then(|property| property.as_object_mut()) {
                property.remove("default");
            }
        }
    }
    schema.remove("default");
}
