//! The file of an agreement, with the places of its keys.

use std::{
    fs::File,
    io::Read,
    ops::Range,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgPool;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use crate::{
    Agreement, FlowError, Problem,
    check::check,
    problem::{Found, Places, join, position},
    registry::{self, Unresolved},
    territory::file,
};

/// Larger files are something else.
const MOST_BYTES: u64 = 256 * 1024;

/// An agreement that is right as far as the file alone can tell, and where its file is.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it says.
    pub agreement: Agreement,
    /// The folder that the file of a territory is looked for in.
    pub folder: PathBuf,
    places: Places,
}

/// What could be read of a file that may be wrong, and all that is wrong with it so far.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Without what is wrong with it: nothing but defaults where the file is no TOML.
    document: Document,
    problems: Vec<Problem>,
    /// Keys of what is no value, and was taken out.
    taken: Vec<String>,
}

impl Document {
    /// Reads a file. `now` decides whether an end has passed.
    ///
    /// # Errors
    /// The file cannot be read, or all that is wrong with it.
    pub fn read(file: &Path, now: DateTime<Utc>) -> Result<Self, FlowError> {
        Draft::read(file, now)?.finish()
    }

    /// Reads a text, whose territory's file is in `folder`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(text: &str, folder: PathBuf, now: DateTime<Utc>) -> Result<Self, Vec<Problem>> {
        let Draft { document, problems, .. } = Draft::parse(text, folder, now);
        if problems.is_empty() { Ok(document) } else { Err(problems) }
    }

    /// Problems that were found elsewhere, at their places.
    pub(crate) fn locate(&self, found: Vec<Found>) -> Vec<Problem> {
        let mut problems: Vec<Problem> = found.into_iter().map(|found| self.places.locate(found)).collect();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems
    }
}

impl Draft {
    /// Reads a file. `now` decides whether an end has passed.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(file: &Path, now: DateTime<Utc>) -> Result<Self, FlowError> {
        let unreadable = |source| FlowError::Unreadable { file: file.to_owned(), source };
        let mut text = String::new();
        let size = File::open(file)
            .and_then(|opened| opened.take(MOST_BYTES + 1).read_to_string(&mut text))
            .map_err(unreadable)?;
        if size as u64 > MOST_BYTES {
            let too_large = std::io::Error::new(std::io::ErrorKind::FileTooLarge, "it is larger than 256 KiB");
            return Err(unreadable(too_large));
        }
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self::parse(&text, folder, now))
    }

    /// Reads a text, whose territory's file is in `folder`.
    #[must_use]
    pub fn parse(text: &str, folder: PathBuf, now: DateTime<Utc>) -> Self {
        // Windows' editors begin a UTF-8 file with a mark that is no TOML.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (mut table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let document = Document { agreement: Agreement::default(), folder, places: Places::default() };
            let problems = errors.iter().map(|error| syntax(text, error)).collect();
            return Self { document, problems, taken: Vec::new() };
        }
        dates_as_text(table.get_mut());
        let places = Places::of(text, table.get_ref());
        let (agreement, mut found) = deserialize(text, table, &places);
        let taken = found.iter().map(|found| found.key.clone()).collect();
        for problem in check(&agreement, &|key| places.has(key), now) {
            // What is no value is not missing as well.
            let within = |key: &str, of: &str| key.strip_prefix(of).is_some_and(|rest| rest.starts_with(['.', '[']));
            let is_known = |known: &Found| {
                known.key == problem.key || within(&problem.key, &known.key) || within(&known.key, &problem.key)
            };
            if !found.iter().any(is_known) {
                found.push(problem);
            }
        }
        let document = Document { agreement, folder, places };
        let problems = document.locate(found);
        Self { document, problems, taken }
    }

    /// What could be read of it.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// All that is wrong with it so far, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Reads the file of the territory, if there is one; what its geometries are worth, the database tells.
    pub fn read_territory(&mut self) {
        let Some(name) = &self.document.agreement.territory.file else { return };
        if let Err(found) = file::read(&self.document.folder.join(name)) {
            self.add(vec![Found { key: "territory.file".to_owned(), ..found }]);
        }
    }

    /// Looks up all that it names, as far as it could be read, and writes nothing.
    ///
    /// # Errors
    /// The database.
    pub async fn look_up(&mut self, pool: &PgPool) -> Result<(), FlowError> {
        match registry::resolve(pool, &self.document).await {
            Ok(_) => {}
            Err(Unresolved::Found(found)) => self.add(found),
            Err(Unresolved::Failed(error)) => return Err(error),
        }
        Ok(())
    }

    /// Adds what was found elsewhere. An element that was taken out of a list leaves the others at another place: of such a list nothing more is said.
    fn add(&mut self, found: Vec<Found>) {
        fn list(key: &str) -> &str {
            key.strip_suffix(']').and_then(|key| key.rsplit_once('[')).map_or(key, |(list, _)| list)
        }
        let is_told = |new: &Found| {
            self.problems.iter().any(|known| known.key == new.key)
                || self.taken.iter().any(|taken| !taken.is_empty() && list(taken) == list(&new.key))
        };
        let new: Vec<Found> = found.into_iter().filter(|new| !is_told(new)).collect();
        self.problems.extend(self.document.locate(new));
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
    }

    /// The agreement, where nothing is wrong with it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn finish(self) -> Result<Document, FlowError> {
        if self.problems.is_empty() { Ok(self.document) } else { Err(FlowError::Problems(self.problems)) }
    }
}

fn syntax(text: &str, error: &toml::de::Error) -> Problem {
    let place = error.span().map(|span| position(text, span.start));
    Problem {
        line: place.map(|place| place.0),
        column: place.map(|place| place.1),
        key: String::new(),
        problem: format!("this is no TOML: {}", error.message()),
        instead: "write `key = value` on each line, texts between quotes (https://toml.io)".to_owned(),
    }
}

/// TOML's own dates become texts, so that `2027-12-31` and `"2027-12-31"` are the same.
fn dates_as_text(table: &mut DeTable<'_>) {
    fn value(of: &mut DeValue<'_>) {
        match of {
            DeValue::Datetime(date) => *of = DeValue::String(date.to_string().into()),
            DeValue::Table(table) => dates_as_text(table),
            DeValue::Array(values) => values.iter_mut().for_each(|element| value(element.get_mut())),
            _ => {}
        }
    }
    for (_, of) in table.iter_mut() {
        value(of.get_mut());
    }
}

/// The agreement without what is none, and what that is: serde stops at the first mistake, so each is taken out in turn.
fn deserialize(text: &str, mut table: Spanned<DeTable<'_>>, places: &Places) -> (Agreement, Vec<Found>) {
    let mut found = Vec::new();
    loop {
        let error = match Agreement::deserialize(Deserializer::from(table.clone())) {
            Ok(agreement) => return (agreement, found),
            Err(error) => error,
        };
        let key = error.span().and_then(|span| {
            let taken = take_out(table.get_mut(), "", &span)?;
            // What stands behind an element that was taken out has another index by now.
            let here = places.key_at(position(text, span.start)).filter(|_| taken.ends_with(']'));
            Some(here.map_or(taken, str::to_owned))
        });
        let (problem, instead) = in_words(error.message());
        let is_placed = key.is_some();
        found.push(Found::new(key.unwrap_or_default(), problem, instead));
        if !is_placed {
            return (Agreement::default(), found);
        }
    }
}

/// Serde's message as what is wrong and what to write.
fn in_words(message: &str) -> (String, String) {
    let message = message.trim();
    for parting in [", expected ", "; write ", ", there are no "] {
        if let Some((problem, rest)) = message.split_once(parting) {
            return match parting {
                ", expected " => (format!("is wrong: {problem}"), format!("write {rest}")),
                "; write " => (format!("is wrong: {problem}"), format!("write {rest}")),
                _ => (format!("is wrong: {problem}"), "take it out".to_owned()),
            };
        }
    }
    let instead = if message.contains("UUID") {
        "write the unique_dataset_id of a dataset, as gn_meta.t_datasets has it"
    } else if message.contains("input") || message.contains("out of range") {
        "write a day of the calendar as YYYY-MM-DD, such as 2027-12-31"
    } else {
        "see `passereau flow check --help` and docs/flows.md"
    };
    (format!("is wrong: {message}"), instead.to_owned())
}

/// Takes the innermost key or value at `span` out and returns its key.
fn take_out(table: &mut DeTable<'_>, prefix: &str, span: &Range<usize>) -> Option<String> {
    let covers = |of: &Range<usize>| of.start <= span.start && span.end <= of.end;
    let mut whole = None;
    for (key, value) in table.iter_mut() {
        let path = join(prefix, key.get_ref());
        if covers(&key.span()) {
            whole = Some((key.clone(), path));
            break;
        }
        if let Some(inner) = take_out_of_value(value.get_mut(), &path, span) {
            return Some(inner);
        }
        if covers(&value.span()) {
            whole = Some((key.clone(), path));
            break;
        }
    }
    let (key, path) = whole?;
    table.remove(&key).map(|_| path)
}

fn take_out_of_value(value: &mut DeValue<'_>, path: &str, span: &Range<usize>) -> Option<String> {
    match value {
        DeValue::Table(table) => take_out(table, path, span),
        DeValue::Array(values) => {
            for index in 0..values.len() {
                let element = values.get_mut(index)?;
                let element_path = format!("{path}[{index}]");
                if let Some(inner) = take_out_of_value(element.get_mut(), &element_path, span) {
                    return Some(inner);
                }
                if element.span().start <= span.start && span.end <= element.span().end {
                    let kept = values.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, kept)| kept.clone());
                    *values = kept.collect();
                    return Some(element_path);
                }
            }
            None
        }
        _ => None,
    }
}
