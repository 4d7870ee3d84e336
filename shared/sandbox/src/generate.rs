//! Writes a Darwin Core Archive of invented records, as GBIF's download service would.
//!
//! The same arguments give the same bytes. Memory does not grow with the number of records: each table is a pass over the
//! indices, made on its own thread while the calling one compresses. The zip is written as a stream, with data
//! descriptors (sizes and checksums stand after each entry, as in GBIF's files), big tables first; entries that can pass
//! 4 GiB are ZIP64. The file appears under its name only when it is whole.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

use uuid::Uuid;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use crate::{
    dice::mix,
    documents::{self, Counts},
    layout::{Layout, MULTIMEDIA, OCCURRENCE, Quoting, Row, VERBATIM},
    media,
    record::{Record, World},
    rows,
    seeds::ALL_DATASETS,
};

/// From this many records on, an archive has the quoting habit of large downloads. GBIF's own threshold is private.
pub const LARGE_DOWNLOAD: u64 = 100_000;

/// What to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateOptions {
    /// Number of records at revision 1.
    pub records: u64,
    /// Which world; equal seeds give equal records.
    pub seed: u64,
    /// Which state of that world, from 1. See [`crate::record`] for what changes.
    pub revision: u32,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Rows of `occurrence.txt` (and of `verbatim.txt`), all with distinct ids.
    pub records: u64,
    /// Rows of `multimedia.txt`.
    pub multimedia: u64,
    /// Records per dataset, in the order of [`ALL_DATASETS`].
    pub by_dataset: Counts,
    /// Size of the archive.
    pub size_bytes: u64,
}

/// Why no archive was written.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The file could not be created, written or renamed.
    #[error("writing archive {path}: {source}; check that the folder exists, is writable and has room")]
    Write {
        /// The archive asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The zip writer refused an entry.
    #[error("adding entry {entry} to archive {path}: {source}")]
    Entry {
        /// The archive asked for.
        path: PathBuf,
        /// The entry.
        entry: String,
        /// What the zip writer said.
        source: zip::result::ZipError,
    },
}

/// Size of the blocks that the row thread hands over.
const BLOCK_BYTES: usize = 1 << 20;

/// Writes the archive `out`.
///
/// # Errors
/// When the file cannot be written; a half-written file is left only under the name `<out>.part`.
pub fn generate(options: &GenerateOptions, out: &Path) -> Result<Generated, GenerateError> {
    let fail = |source| GenerateError::Write { path: out.to_owned(), source };
    let mut part = out.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let file = File::create(&part).map_err(fail)?;
    let mut writer = BufWriter::with_capacity(BLOCK_BYTES, file);
    let mut zip = ZipWriter::new_stream(&mut writer);
    let mut archive = Archive { zip: &mut zip, path: out };

    let world = World::new(options.seed);
    let small = options.records < LARGE_DOWNLOAD;
    let mut counts = Counts::default();
    let mut multimedia = 0;
    archive.table(&world, options, &OCCURRENCE, |row, record, quoting, block| {
        rows::occurrence(row, record, small);
        row.write(quoting, block);
        let key = record.source.dataset().key;
        for (count, _) in counts.iter_mut().zip(&ALL_DATASETS).filter(|(_, dataset)| dataset.key == key) {
            *count += 1;
        }
    })?;
    archive.table(&world, options, &VERBATIM, |row, record, quoting, block| {
        rows::verbatim(row, record);
        row.write(quoting, block);
    })?;
    archive.table(&world, options, &MULTIMEDIA, |row, record, quoting, block| {
        for number in 0..media::count(record) {
            rows::multimedia(row, record, number);
            row.write(quoting, block);
            multimedia += 1;
        }
    })?;
    archive.text("citations.txt", &documents::citations_txt(&counts))?;
    for (dataset, _) in ALL_DATASETS.iter().zip(counts).filter(|(_, count)| *count > 0) {
        archive.text(&format!("dataset/{}.xml", dataset.key), &documents::dataset_xml(dataset))?;
    }
    archive.text("rights.txt", &documents::rights_txt(&counts))?;
    archive.text("metadata.xml", &documents::metadata_xml(&key(options), &package_id(options), &counts))?;
    archive.text("meta.xml", &documents::meta_xml())?;

    zip.finish().map_err(|source| GenerateError::Entry {
        path: out.to_owned(),
        entry: "central directory".to_owned(),
        source,
    })?;
    let file = writer.into_inner().map_err(|error| fail(error.into_error()))?;
    let size_bytes = file.metadata().map_err(fail)?.len();
    drop(file);
    std::fs::rename(&part, out).map_err(fail)?;
    Ok(Generated { records: counts.iter().sum(), multimedia, by_dataset: counts, size_bytes })
}

/// The key that the archive's metadata names: made from the arguments, in GBIF's form.
pub fn key(options: &GenerateOptions) -> String {
    let number = mix(options.seed ^ mix(options.records ^ mix(u64::from(options.revision)))) % 10_000_000;
    format!("{number:07}-260806074905277")
}

fn package_id(options: &GenerateOptions) -> String {
    let bits = mix(options.seed ^ mix(options.records));
    Uuid::from_u64_pair(bits, mix(bits)).to_string()
}

/// The zip under construction, with the path for error messages.
struct Archive<'a, W: Write + io::Seek> {
    zip: &'a mut ZipWriter<W>,
    path: &'a Path,
}

impl<W: Write + io::Seek> Archive<'_, W> {
    fn start(&mut self, entry: &str, large: bool) -> Result<(), GenerateError> {
        let made = DateTime::from_date_and_time(2026, 8, 18, 14, 31, 6).unwrap_or_default();
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(1))
            .last_modified_time(made)
            .unix_permissions(0o644)
            .large_file(large);
        self.zip.start_file(entry, options).map_err(|source| GenerateError::Entry {
            path: self.path.to_owned(),
            entry: entry.to_owned(),
            source,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), GenerateError> {
        self.zip.write_all(bytes).map_err(|source| GenerateError::Write { path: self.path.to_owned(), source })
    }

    fn text(&mut self, entry: &str, text: &str) -> Result<(), GenerateError> {
        self.start(entry, false)?;
        self.write(text.as_bytes())
    }

    /// Writes one table: `append` puts the rows of a record into the block, on a thread of its own.
    fn table(
        &mut self,
        world: &World,
        options: &GenerateOptions,
        layout: &'static Layout,
        mut append: impl FnMut(&mut Row, &Record, Quoting, &mut Vec<u8>) + Send,
    ) -> Result<(), GenerateError> {
        let total = World::indices(options.records, options.revision);
        // 2 kB a row is more than any generated table holds.
        self.start(layout.location, total > u64::from(u32::MAX) / 2_000)?;
        let quoting = if options.records < LARGE_DOWNLOAD { Quoting::Doubled } else { Quoting::Raw };
        let (sender, receiver) = mpsc::sync_channel::<Vec<u8>>(4);
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut row = Row::new(layout);
                let mut block = Vec::with_capacity(BLOCK_BYTES + 8_192);
                block.extend_from_slice(layout.header().as_bytes());
                block.push(b'\n');
                for index in 0..total {
                    let Some(record) = world.record(index, options.records, options.revision) else { continue };
                    append(&mut row, &record, quoting, &mut block);
                    if block.len() >= BLOCK_BYTES {
                        let full = std::mem::replace(&mut block, Vec::with_capacity(BLOCK_BYTES + 8_192));
                        // The receiver is gone only when writing failed: nothing more to do here.
                        if sender.send(full).is_err() {
                            return;
                        }
                    }
                }
                let _ = sender.send(block);
            });
            // Owned by this closure, so that an early return lets the row thread end.
            let receiver = receiver;
            receiver.iter().try_for_each(|block| self.write(&block))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::{collections::BTreeSet, io::Read};

    use super::*;

    fn archive(records: u64, seed: u64, revision: u32) -> (Vec<u8>, Generated) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zip");
        let generated = generate(&GenerateOptions { records, seed, revision }, &path).unwrap();
        (std::fs::read(&path).unwrap(), generated)
    }

    fn entry(bytes: &[u8], name: &str) -> String {
        let mut zip = zip::ZipArchive::new(io::Cursor::new(bytes)).unwrap();
        let mut text = String::new();
        zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn rows(bytes: &[u8], name: &str) -> Vec<Vec<String>> {
        let text = entry(bytes, name);
        assert!(text.ends_with('\n'));
        text.trim_end_matches('\n').split('\n').map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }

    fn column(rows: &[Vec<String>], name: &str) -> Vec<String> {
        let position = rows[0].iter().position(|header| header == name).unwrap();
        rows[1..].iter().map(|row| row[position].clone()).collect()
    }

    #[test]
    fn same_arguments_same_bytes() {
        assert_eq!(archive(500, 7, 1), archive(500, 7, 1));
        assert_ne!(archive(500, 7, 1).0, archive(500, 8, 1).0);
    }

    #[test]
    fn tables_are_as_wide_as_their_headers_and_ids_increase() {
        let (bytes, generated) = archive(1_000, 1, 1);
        assert_eq!(generated.records, 1_000);
        for (name, width) in [("occurrence.txt", 230), ("verbatim.txt", 194), ("multimedia.txt", 15)] {
            let rows = rows(&bytes, name);
            assert!(rows.iter().all(|row| row.len() == width), "{name}");
        }
        let ids: Vec<u64> =
            column(&rows(&bytes, "occurrence.txt"), "gbifID").iter().map(|id| id.parse().unwrap()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(ids.len(), 1_000);
        assert_eq!(rows(&bytes, "multimedia.txt").len() as u64 - 1, generated.multimedia);
    }

    #[test]
    fn descriptor_has_every_column_and_the_default() {
        let (bytes, _) = archive(10, 1, 1);
        let xml = entry(&bytes, "meta.xml");
        let core = &xml[..xml.find("</core>").unwrap()];
        assert_eq!(core.matches("<field ").count(), 231);
        assert_eq!(xml.matches("<field ").count(), 231 + 194 + 15);
        assert_eq!(xml.matches("rowType=\"http://rs.tdwg.org/dwc/terms/Occurrence\"").count(), 2);
        assert!(core.contains("<field default=\"WGS84\" term=\"http://rs.tdwg.org/dwc/terms/geodeticDatum\"/>"));
    }

    /// The occurrence table of an archive, asked by column.
    struct Table(Vec<Vec<String>>);

    impl Table {
        /// How many rows have such a value.
        fn count(&self, name: &str, wanted: impl Fn(&str) -> bool) -> usize {
            column(&self.0, name).iter().filter(|value| wanted(value)).count()
        }

        /// How many rows have exactly this value.
        fn equal(&self, name: &str, value: &str) -> usize {
            self.count(name, |found| found == value)
        }

        /// How many rows have a value in this column.
        fn filled(&self, name: &str) -> usize {
            self.count(name, |found| !found.is_empty())
        }
    }

    #[test]
    fn shares_are_those_promised() {
        let (bytes, generated) = archive(8_000, 3, 1);
        let table = Table(rows(&bytes, "occurrence.txt"));
        assert!((4_600..5_000).contains(&generated.by_dataset[0]), "{:?}", generated.by_dataset);
        assert_eq!(generated.by_dataset[3..], [80, 32]);
        for (name, value, per_mille) in [
            ("occurrenceStatus", "ABSENT", 5),
            ("individualCount", "0", 8),
            ("basisOfRecord", "FOSSIL_SPECIMEN", 3),
            ("basisOfRecord", "LIVING_SPECIMEN", 3),
            ("basisOfRecord", "MATERIAL_SAMPLE", 5),
            ("basisOfRecord", "MACHINE_OBSERVATION", 5),
            ("eventDate", "", 4),
            ("year", "2099", 3),
            ("decimalLatitude", "", 5),
            ("hasCoordinate", "false", 5),
            ("level1Name", "", 4),
            ("informationWithheld", "Coordinates hidden at the request of the observer", 2),
            ("coordinateUncertaintyInMeters", "350202.0", 5),
            ("hasGeospatialIssues", "true", 4),
            ("taxonKey", crate::seeds::UNKNOWN_TAXON_KEY, 3),
        ] {
            assert_eq!(table.equal(name, value), 8 * per_mille, "{name} = {value}");
        }
        let obscured = |reason: &str| {
            table.count("informationWithheld", |text| {
                text.starts_with("Coordinate uncertainty increased to 2") && text.ends_with(reason)
            })
        };
        assert_eq!(obscured("m to protect threatened taxon"), 64);
        assert_eq!(obscured("m at the request of the observer"), 64);
        assert_eq!(table.count("eventDate", |date| !date.is_empty() && date < "1900"), 32);
        assert_eq!(table.count("issue", |issue| issue.contains("TAXON_MATCH_FUZZY")), 24);
        assert_eq!(table.count("issue", |issue| issue.contains("TAXON_MATCH_HIGHERRANK")), 56);
        assert!(table.count("eventDate", |date| date.contains('/')) > 200);
        assert!(table.count("eventDate", |date| date.ends_with('Z')) > 80);
        assert!(table.count("coordinateUncertaintyInMeters", str::is_empty) > 1_200);
        assert!(table.count("occurrenceRemarks", |remarks| remarks.starts_with('"')) > 40);
        for (name, at_least) in [
            ("sex", 300),
            ("lifeStage", 500),
            ("vitality", 100),
            ("caste", 20),
            ("behavior", 40),
            ("reproductiveCondition", 150),
            ("establishmentMeans", 200),
            ("degreeOfEstablishment", 100),
            ("organismQuantityType", 60),
            ("verbatimLocality", 8_000),
            ("dataGeneralizations", 3),
        ] {
            assert!(table.filled(name) >= at_least, "{name}: {}", table.filled(name));
        }
        let bytes_per_row = entry(&bytes, "occurrence.txt").len() / table.0.len();
        assert!((900..1_400).contains(&bytes_per_row), "{bytes_per_row}");
    }

    #[test]
    fn points_lie_where_their_case_says() {
        let world = World::new(3);
        let within =
            |(longitude, latitude): (f64, f64)| (2.1..=7.1).contains(&longitude) && (44.2..=46.8).contains(&latitude);
        let mut cells = BTreeSet::new();
        for record in (0..4_000).filter_map(|index| world.record(index, 4_000, 1)) {
            let Some(point) = record.point else {
                assert!(!record.case.has_coordinates());
                continue;
            };
            assert_eq!(within(point), record.case != crate::cases::Case::Outside, "{:?} {point:?}", record.case);
            if record.case.is_obscured() {
                // The diagonal of the cell of 0.2 degree in which the point lies (see `record`), 27.0 to 27.4 km hereabouts.
                assert!((26_900.0..27_500.0).contains(&record.uncertainty_m.unwrap()), "{:?}", record.uncertainty_m);
                cells.insert(((point.0 / 0.2).floor() as i64, (point.1 / 0.2).floor() as i64));
                assert_eq!(record.source, crate::record::Source::Inaturalist);
            }
        }
        assert!(cells.len() > 10, "{} cells", cells.len());
    }

    #[test]
    fn identifiers_come_in_every_form_and_one_comes_twice() {
        let (bytes, _) = archive(4_000, 3, 1);
        let table = rows(&bytes, "occurrence.txt");
        let bare = |text: &str| Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
        let mut seen = std::collections::BTreeMap::<Uuid, usize>::new();
        let (mut urns, mut addresses) = (0, 0);
        for id in column(&table, "occurrenceID") {
            let (urn, address) = (id.strip_prefix("urn:uuid:"), id.strip_prefix("https://openobs.mnhn.fr/occurrence/"));
            urns += usize::from(urn.is_some());
            addresses += usize::from(address.is_some());
            if let Some(uuid) = urn.or(address).or(Some(id.as_str())).and_then(bare) {
                *seen.entry(uuid).or_default() += 1;
            }
        }
        assert!(urns > 20 && addresses > 20, "{urns} URNs, {addresses} addresses");
        assert_eq!(seen.values().filter(|times| **times == 3).count(), 4, "one in each thousand");
        assert_eq!(seen.values().filter(|times| **times > 1).count(), 4);
    }

    #[test]
    fn media_are_of_three_kinds_and_some_fit_nowhere() {
        let (bytes, _) = archive(8_000, 3, 1);
        let media = Table(rows(&bytes, "multimedia.txt"));
        for kind in ["StillImage", "Sound", "MovingImage"] {
            assert!(media.equal("type", kind) > 20, "{kind}: {}", media.equal("type", kind));
        }
        assert!(media.count("license", str::is_empty) > 100);
        assert!(media.count("identifier", |address| address.len() > 255) > 10);
        let table = Table(rows(&bytes, "occurrence.txt"));
        for types in ["StillImage", "Sound", "StillImage;Sound", "StillImage;MovingImage"] {
            assert!(table.equal("mediaType", types) > 10, "{types}: {}", table.equal("mediaType", types));
        }
        let with_media: BTreeSet<String> = column(&media.0, "gbifID").into_iter().collect();
        assert_eq!(table.filled("mediaType"), with_media.len());
    }

    #[test]
    fn a_revision_changes_a_small_share() {
        let (first, second) = (archive(4_000, 5, 1).0, archive(4_000, 5, 2).0);
        let keyed = |bytes: &[u8]| -> std::collections::BTreeMap<String, Vec<String>> {
            rows(bytes, "occurrence.txt")[1..].iter().map(|row| (row[0].clone(), row.clone())).collect()
        };
        let (before, after) = (keyed(&first), keyed(&second));
        let vanished = before.keys().filter(|id| !after.contains_key(*id)).count();
        let new = after.keys().filter(|id| !before.contains_key(*id)).count();
        let differing = |name: &str| {
            let position = OCCURRENCE.columns.iter().position(|column| column.name == name).unwrap();
            before.iter().filter(|(id, row)| after.get(*id).is_some_and(|now| now[position] != row[position])).count()
        };
        assert!((20..65).contains(&vanished), "{vanished}");
        assert_eq!(new, 40);
        let moved = before
            .iter()
            .filter(|(id, row)| after.get(*id).is_some_and(|now| now[97] != row[97] || now[98] != row[98]))
            .count();
        assert!((20..65).contains(&moved), "{moved}");
        assert!((20..65).contains(&differing("occurrenceRemarks")));
        assert!((80..165).contains(&differing("lastInterpreted")));
    }

    #[test]
    fn the_reader_of_the_workspace_agrees() {
        use passereau_dwca::{Archive, Block, Limits, Splitter, lines, unquote, verify};

        let (bytes, generated) = archive(2_000, 9, 1);
        assert_eq!(verify(io::Cursor::new(&bytes), &Limits::default()).unwrap().entries, 12);
        let mut archive = Archive::open(io::Cursor::new(&bytes), Limits::default()).unwrap();
        assert_eq!(archive.absent(), Vec::<&str>::new());
        let core = archive.core().clone();
        let media = archive.multimedia().unwrap().clone();
        let remarks = OCCURRENCE.columns.iter().position(|column| column.name == "occurrenceRemarks").unwrap();
        for (table, expected) in [(core, generated.records), (media, generated.multimedia)] {
            let mut splitter = Splitter::new(table.width(), 1 << 20);
            let (mut rows, mut labels) = (0, 0);
            let mut blocks = archive.rows(&table).unwrap();
            let mut buffer = Vec::new();
            while let Some(block) = blocks.next_block(&mut buffer).unwrap() {
                let Block::Lines { .. } = block else { panic!("a line is too long") };
                for line in lines(&buffer) {
                    let row = splitter.split(line).unwrap();
                    rows += 1;
                    if table.width() == 230 && unquote(row.field(remarks)) == "\"ancienne collection\"" {
                        labels += 1;
                    }
                }
            }
            assert_eq!(rows, expected);
            assert_eq!(labels > 10, table.width() == 230, "{labels} labels came back as they were");
        }
    }
}
