//! The archives that the sandbox hands out, and what GBIF would know about them.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use memchr::memchr_iter;
use zip::ZipArchive;

/// An archive on disk with what was read from it at the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosted {
    pub(crate) path: PathBuf,
    /// Rows of the core; 0 when the file is no readable archive, which tests of broken files want.
    pub(crate) total_records: u64,
    /// Records by `datasetKey`; empty when the core has no such column.
    pub(crate) datasets: BTreeMap<String, u64>,
    /// Keys of the EML documents inside. May lack a dataset that has rows, as at GBIF.
    pub(crate) documents: Vec<String>,
}

impl Hosted {
    /// Reads what is needed. Never fails: an unreadable archive is hosted as it is.
    pub(crate) fn inspect(path: &Path) -> Self {
        let mut hosted = Self { path: path.to_owned(), ..Self::default() };
        let Some(mut zip) = File::open(path).ok().and_then(|file| ZipArchive::new(BufReader::new(file)).ok()) else {
            return hosted;
        };
        hosted.documents = zip
            .file_names()
            .filter_map(|name| name.ok()?.strip_prefix("dataset/")?.strip_suffix(".xml").map(str::to_owned))
            .collect();
        let has_header = !entry_text(&mut zip, "meta.xml").is_some_and(|xml| {
            xml.split("</core>").next().is_some_and(|core| core.contains("ignoreHeaderLines=\"0\""))
        });
        if let Ok(core) = zip.by_name("occurrence.txt") {
            hosted.count(BufReader::with_capacity(1 << 18, core), has_header);
        }
        hosted
    }

    fn count(&mut self, mut core: impl BufRead, has_header: bool) {
        let mut line = Vec::new();
        let mut dataset_column = None;
        if has_header {
            if core.read_until(b'\n', &mut line).is_err() {
                return;
            }
            dataset_column = line
                .split(|byte| *byte == b'\t')
                .position(|name| name.trim_ascii().eq_ignore_ascii_case(b"datasetKey"));
            line.clear();
        }
        // A truncated entry ends the count like the end of the file: the archive is hosted as it is.
        while core.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            self.total_records += 1;
            if let Some(key) = dataset_column.and_then(|column| field(&line, column)) {
                match self.datasets.get_mut(key) {
                    Some(count) => *count += 1,
                    None => {
                        self.datasets.insert(key.to_owned(), 1);
                    }
                }
            }
            line.clear();
        }
    }

    /// The EML of a dataset, when the archive has it.
    pub(crate) fn document(&self, dataset_key: &str) -> Option<String> {
        let file = File::open(&self.path).ok()?;
        entry_text(&mut ZipArchive::new(BufReader::new(file)).ok()?, &format!("dataset/{dataset_key}.xml"))
    }
}

fn field(line: &[u8], column: usize) -> Option<&str> {
    let start = match column {
        0 => 0,
        _ => memchr_iter(b'\t', line).nth(column - 1)? + 1,
    };
    let rest = line.get(start..)?;
    let end = memchr::memchr2(b'\t', b'\n', rest).unwrap_or(rest.len());
    std::str::from_utf8(rest.get(..end)?).ok()
}

fn entry_text<R: Read + std::io::Seek>(zip: &mut ZipArchive<R>, name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    zip.by_name(name).ok()?.read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
