//! What an agreement says of files, in the words of `passereau-formats`.

pub use passereau_formats::{CsvOptions, Format};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of a cell that a spreadsheet would take for a formula
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Formulas {
    /// An apostrophe goes before it.
    #[default]
    Escape,
    /// It stays as it is, for programs.
    Keep,
}

impl From<Formulas> for passereau_formats::Formulas {
    fn from(formulas: Formulas) -> Self {
        match formulas {
            Formulas::Escape => Self::Guard,
            Formulas::Keep => Self::AsIs,
        }
    }
}
