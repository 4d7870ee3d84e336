//! A column of a flow, and where its value comes from.

use serde::{Deserialize, Serialize};

use crate::dictionary::FIELDS;

/// How the text of a value is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Words.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Real,
    /// `2026-11-29`.
    Date,
    /// `10:00:00`.
    Time,
    /// `2026-11-29T10:00:00`, without a time zone, as GeoNature stores it.
    DateTime,
    /// A JSON document.
    Json,
}

/// Whose names the columns of a file bear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// GeoNature's own export, `gn_synthese.v_synthese_for_export`.
    #[default]
    GeoNature,
    /// SINP OccTax v2
    /// (<https://inpn.mnhn.fr/programme/donnees-observations-especes/references/standard-echange>); a field that the standard does not
    /// have keeps GeoNature's name.
    OccTax,
}

impl Dialect {
    /// The column of the geometry in files of tables (CSV, JSON). Every file has it, and no agreement names it.
    #[must_use]
    pub const fn geometry(self) -> &'static str {
        match self {
            Self::GeoNature => "geometrie_wkt_4326",
            Self::OccTax => "geometrie",
        }
    }
}

/// What the geometry of a row is, in French and in English.
pub const GEOMETRY: [&str; 2] = [
    "Géométrie, WGS 84 (longitude, latitude) : WKT dans les CSV et JSON, géométrie de l'objet en GeoJSON, colonne geom du GeoPackage ; pour une donnée floutée, sa zone entière, au contour simplifié",
    "Geometry, WGS 84 (longitude, latitude): WKT in CSV and JSON, the feature's geometry in GeoJSON, column geom of the GeoPackage; for a blurred record, the whole area, its border simplified",
];

/// A column that a flow may have.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in an agreement, and in files of dialect [`Dialect::GeoNature`].
    pub name: &'static str,
    /// Its name in SINP OccTax v2, where the standard has it.
    pub occtax: Option<&'static str>,
    /// How its values are read.
    pub kind: Kind,
    /// The nomenclature whose labels are its values (`ref_nomenclatures.bib_nomenclatures_types.mnemonique`).
    pub nomenclature: Option<&'static str>,
    /// Whether it is in the basic preset.
    pub is_basic: bool,
    /// What it is, in French.
    pub fr: &'static str,
    /// What it is, in English.
    pub en: &'static str,
    /// SQL of the value of a record that leaves exactly.
    pub(crate) exact: &'static str,
    /// SQL of what the area says instead.
    pub(crate) generalised: &'static str,
    /// Whether a blurred record never has the exact value, whatever table `passereau.blur_rule` says: it is the place itself, or leads
    /// to it by a look-up, or would be untrue. A rule `keep` then means `generalise`.
    pub(crate) is_never_kept: bool,
    /// What both need beside the synthèse.
    pub(crate) joins: &'static [Join],
}

/// SQL of no value.
const NOTHING: &str = "NULL";

/// A relation beside the synthèse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Join {
    /// `LEFT JOIN …`, which gives at most one row for each row of the synthèse.
    pub sql: &'static str,
}

/// Columns that no agreement can remove: without them a partner could not keep to the redistribution clause.
pub const REQUIRED: [&str; 2] = ["niveau_sensibilite", "clause_rediffusion"];

impl Field {
    /// The field of a name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        FIELDS.iter().find(|field| field.name == name)
    }

    /// All, in the order of the columns of a file.
    #[must_use]
    pub fn all() -> &'static [Self] {
        FIELDS
    }

    /// Its name in files of a dialect.
    #[must_use]
    pub fn name_in(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::GeoNature => self.name,
            Dialect::OccTax => self.occtax.unwrap_or(self.name),
        }
    }

    /// Whether a record that leaves as an area can have something of this field beside the exact value.
    #[must_use]
    pub fn is_generalised(&self) -> bool {
        self.generalised != NOTHING
    }

    /// What becomes of it in a record that leaves as an area, by what table `passereau.blur_rule` says of it for that type of area: `keep`, `generalise` or
    /// `empty`. A column that the table does not know is emptied.
    #[must_use]
    pub fn treatment(&self, rule: Option<&str>) -> &'static str {
        match rule {
            // A partner must have them, whatever the table says.
            _ if REQUIRED.contains(&self.name) => {
                if self.exact == self.generalised {
                    "keep"
                } else {
                    "generalise"
                }
            }
            Some("keep") if !self.is_never_kept => "keep",
            Some("keep" | "generalise") if self.is_generalised() => "generalise",
            _ => "empty",
        }
    }

    pub(crate) const fn new(
        name: &'static str,
        kind: Kind,
        exact: &'static str,
        fr: &'static str,
        en: &'static str,
    ) -> Self {
        Self {
            name,
            occtax: None,
            kind,
            nomenclature: None,
            is_basic: false,
            fr,
            en,
            exact,
            generalised: NOTHING,
            is_never_kept: false,
            joins: &[],
        }
    }

    pub(crate) const fn basic(mut self) -> Self {
        self.is_basic = true;
        self
    }

    pub(crate) const fn of(mut self, nomenclature: &'static str) -> Self {
        self.nomenclature = Some(nomenclature);
        self
    }

    pub(crate) const fn occtax(mut self, name: &'static str) -> Self {
        self.occtax = Some(name);
        self
    }

    pub(crate) const fn generalised(mut self, sql: &'static str) -> Self {
        self.generalised = sql;
        self
    }

    pub(crate) const fn never_kept(mut self) -> Self {
        self.is_never_kept = true;
        self
    }

    pub(crate) const fn with(mut self, joins: &'static [Join]) -> Self {
        self.joins = joins;
        self
    }
}
