#![doc = include_str!("../README.md")]

mod agreement;
mod check;
mod document;
mod error;
mod fields;
mod flow;
mod history;
mod known;
mod period;
mod plan;
mod problem;
mod registry;
mod schedule;
mod territory;
pub mod token;

pub use agreement::{
    Agreement, Areas, Authorisation, Chosen, Contact, Csv, Fields, Formulas, Licences, Preset, Study, Taxa, Territory,
};
pub use document::{Document, Draft};
pub use error::FlowError;
pub use flow::{Flow, Standing, find, find_held, list};
pub use history::{Delivered, History, Version, history};
pub use known::lacks;
pub use passereau_formats::{CsvOptions, Format};
pub use period::Period;
pub use plan::{Estimate, Limits, Plan, Withheld, plan, plan_applied};
pub use problem::{Problem, in_lines};
pub use registry::{Applied, Changed, apply, approve, resume, suspend};
