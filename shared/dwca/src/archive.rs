//! An archive opened for reading: its descriptor, and its tables as blocks of lines.

use std::io::{Read, Seek};

use zip::ZipArchive;

use crate::blocks::lines;
use crate::{ArchiveError, Blocks, Descriptor, Limits, LineProblem, MULTIMEDIA, OCCURRENCE, Splitter, Table};
use crate::{Block, entries, header};

/// Rows that are looked at before a table's width is believed.
const PROBED_ROWS: usize = 100;

/// An archive whose directory was checked and whose descriptor was read.
#[derive(Debug)]
pub struct Archive<R> {
    zip: ZipArchive<R>,
    descriptor: Descriptor,
    limits: Limits,
}

impl<R: Read + Seek> Archive<R> {
    /// Checks the zip's directory and reads `meta.xml`. Checksums are checked while tables are read, or by [`crate::verify`].
    pub fn open(reader: R, limits: Limits) -> Result<Self, ArchiveError> {
        let mut zip = entries::open(reader, &limits)?;
        let index = zip.index_for_name("meta.xml").ok_or(ArchiveError::NoDescriptor)?;
        let entry = zip.by_index(index).map_err(ArchiveError::opening)?;
        if entry.size() > limits.max_descriptor_bytes {
            return Err(ArchiveError::TooLarge {
                what: "meta.xml in bytes".to_owned(),
                found: u128::from(entry.size()),
                limit: u128::from(limits.max_descriptor_bytes),
                setting: "PASSEREAU_ARCHIVE_MAX_DESCRIPTOR_BYTES",
            });
        }
        let xml = std::io::read_to_string(entry).map_err(|source| ArchiveError::reading("meta.xml", source))?;
        let descriptor = Descriptor::parse(&xml)?;
        if descriptor.core.row_type != OCCURRENCE {
            let reason = format!("its core is {}, only {OCCURRENCE} is read", descriptor.core.row_type);
            return Err(ArchiveError::Descriptor { reason });
        }
        Ok(Self { zip, descriptor, limits })
    }

    /// What `meta.xml` says.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The interpreted occurrences.
    pub fn core(&self) -> &Table {
        &self.descriptor.core
    }

    /// The interpreted multimedia at the root, unless the archive has none.
    pub fn multimedia(&self) -> Option<&Table> {
        self.descriptor.extension(MULTIMEDIA, "multimedia.txt").filter(|table| self.holds(table))
    }

    /// Whether the zip holds the text of this table.
    pub fn holds(&self, table: &Table) -> bool {
        self.zip.index_for_name(&table.location).is_some()
    }

    /// Locations that `meta.xml` names and the zip does not hold.
    pub fn absent(&self) -> Vec<&str> {
        let tables = std::iter::once(&self.descriptor.core).chain(&self.descriptor.extensions);
        tables.filter(|table| !self.holds(table)).map(|table| table.location.as_str()).collect()
    }

    /// Names of the documents that describe datasets, `dataset/<key>.xml`, in their order. GBIF leaves some out.
    pub fn documents(&self) -> Vec<String> {
        let names = self.zip.file_names().filter_map(|name| name.ok().map(std::borrow::Cow::into_owned));
        let mut names: Vec<String> =
            names.filter(|name| name.starts_with("dataset/") && name.ends_with(".xml")).collect();
        names.sort_unstable();
        names
    }

    /// The beginning of one of them: `max_bytes` at most.
    pub fn document(&mut self, name: &str, max_bytes: u64) -> Result<Vec<u8>, ArchiveError> {
        let index =
            self.zip.index_for_name(name).ok_or_else(|| ArchiveError::MissingEntry { entry: name.to_owned() })?;
        let entry = self.zip.by_index(index).map_err(ArchiveError::opening)?;
        let mut bytes = Vec::new();
        entry.take(max_bytes).read_to_end(&mut bytes).map_err(|source| ArchiveError::reading(name, source))?;
        Ok(bytes)
    }

    /// The rows of a table, after its header was compared with the descriptor.
    ///
    /// The first rows are looked at as well: when none of them has the declared width, columns are shifted and the
    /// archive is refused rather than reported as a thousand bad lines.
    pub fn rows(&mut self, table: &Table) -> Result<Blocks<impl Read + use<'_, R>>, ArchiveError> {
        self.probe(table)?;
        let mut blocks = self.blocks(table)?;
        blocks.skip_lines(table.header_lines)?;
        Ok(blocks)
    }

    fn blocks(&mut self, table: &Table) -> Result<Blocks<impl Read + use<'_, R>>, ArchiveError> {
        let index = self
            .zip
            .index_for_name(&table.location)
            .ok_or_else(|| ArchiveError::MissingEntry { entry: table.location.clone() })?;
        let entry = self.zip.by_index(index).map_err(ArchiveError::opening)?;
        Ok(Blocks::new(entry, &table.location, self.limits.max_line_bytes))
    }

    fn probe(&mut self, table: &Table) -> Result<(), ArchiveError> {
        let max_line_bytes = self.limits.max_line_bytes;
        let mut blocks = self.blocks(table)?;
        let mut buffer = Vec::new();
        let mut block = blocks.next_block(&mut buffer)?;
        let mut splitter = Splitter::new(table.width(), max_line_bytes);
        let mut shifted: Option<(u64, LineProblem)> = None;
        let (mut probed, mut headers) = (0, 0);
        while let Some(found) = block {
            let Block::Lines { first_line } = found else {
                block = blocks.next_block(&mut buffer)?;
                continue;
            };
            for (number, line) in (first_line..).zip(lines(&buffer)) {
                if number <= table.header_lines {
                    header::check(table, &String::from_utf8_lossy(line))?;
                    headers += 1;
                    continue;
                }
                match splitter.split(line) {
                    Ok(_) => return Ok(()),
                    Err(problem @ LineProblem::Width { .. }) => shifted = shifted.or(Some((number, problem))),
                    Err(_) => {}
                }
                probed += 1;
                if probed == PROBED_ROWS {
                    break;
                }
            }
            if probed == PROBED_ROWS {
                break;
            }
            block = blocks.next_block(&mut buffer)?;
        }
        match shifted {
            Some((line, problem)) => Err(ArchiveError::Layout {
                entry: table.location.clone(),
                line,
                reason: format!("no row has the declared width: {problem}"),
            }),
            None if headers < table.header_lines => Err(ArchiveError::Damaged {
                entry: table.location.clone(),
                reason: "the header line is missing".to_owned(),
            }),
            None => Ok(()),
        }
    }
}
