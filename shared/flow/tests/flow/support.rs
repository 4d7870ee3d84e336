//! An agreement to change, and databases that know what it names.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use passereau_flow::{Document, Problem};
use passereau_testing::TestDatabase;
use sqlx::PgPool;

/// The least that an agreement must say. Keys of the root come first; tables end it.
pub const LEAST: &str = r#"
name = "atlas"
structure = "Association"
formats = ["csv"]
period = "P1M"
ends_on = 2030-12-31
in_return = "records"
technical_manager = { name = "Camille", email = "camille@example.org" }
studies = [{ name = "Atlas", nature = "atlas" }]
territory = { description = "Isère" }
licences = { allowed = ["CC-BY-4.0"] }
"#;

pub fn now() -> DateTime<Utc> {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

/// The least, with a part of it replaced; what is replaced must be there.
pub fn with(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(LEAST.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "{old} is not in the agreement");
        text.replace(old, new)
    })
}

/// The least, with lines before its end.
pub fn and(lines: &str) -> String {
    format!("{LEAST}{lines}\n")
}

pub fn parse(text: &str) -> Result<Document, Vec<Problem>> {
    Document::parse(text, PathBuf::new(), now())
}

pub fn document(text: &str) -> Document {
    parse(text).unwrap_or_else(|problems| panic!("{}", passereau_flow::in_lines(&problems)))
}

/// Whose territory's file is in a folder.
pub fn in_folder(text: &str, folder: &Path) -> Document {
    Document::parse(text, folder.to_owned(), now()).unwrap()
}

pub async fn database() -> TestDatabase {
    TestDatabase::migrated().await
}

pub async fn text(pool: &PgPool, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}
