//! Every archive of the fixtures, and archives built to be refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::fs::File;
use std::io::{Cursor, Read, Seek, Write};
use std::path::PathBuf;

use passereau_dwca::{
    Archive, ArchiveError, Block, Descriptor, Limits, LineProblem, MULTIMEDIA, OCCURRENCE, Splitter, Table, lines,
    unquote, verify,
};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn fixture(name: &str) -> Option<PathBuf> {
    passereau_recorded::recorded(&format!("gbif/{name}"))
}

fn open(path: &PathBuf) -> Archive<File> {
    Archive::open(File::open(path).unwrap(), Limits::default()).expect("archive opens")
}

#[derive(Debug, Default, PartialEq)]
struct Counts {
    rows: usize,
    quoted: usize,
    problems: Vec<(u64, LineProblem)>,
}

fn count<R: Read + Seek>(archive: &mut Archive<R>, table: &Table, limits: &Limits) -> Result<Counts, ArchiveError> {
    let mut splitter = Splitter::new(table.width(), limits.max_line_bytes);
    let mut counts = Counts::default();
    let mut blocks = archive.rows(table)?;
    let mut buffer = Vec::new();
    while let Some(block) = blocks.next_block(&mut buffer)? {
        match block {
            Block::TooLong { line } => {
                counts.problems.push((line, LineProblem::TooLong { limit: limits.max_line_bytes }));
            }
            Block::Lines { first_line } => {
                for (number, line) in (first_line..).zip(lines(&buffer)) {
                    match splitter.split(line) {
                        Ok(row) => {
                            counts.rows += 1;
                            counts.quoted +=
                                (0..row.width()).filter(|at| unquote(row.field(*at)) != row.field(*at)).count();
                        }
                        Err(problem) => counts.problems.push((number, problem)),
                    }
                }
            }
        }
    }
    Ok(counts)
}

/// Archive, columns of the core, rows of core, verbatim and multimedia, quoted values of the core where the collection counts them.
type Expected = (&'static str, usize, usize, Option<usize>, Option<usize>, Option<usize>);

const ARCHIVES: [Expected; 8] = [
    ("archives/dwca-2013-07-headerless-gbif-results.zip", 64, 158, None, None, None),
    ("archives/dwca-2014-09-0000066-140928181241064.zip", 225, 470, Some(470), Some(215), None),
    ("archives/dwca-2020-07-0022697-200613084148143.zip", 241, 1310, Some(1310), Some(1362), Some(43)),
    ("archives/dwca-2021-12-0076720-210914110416597.zip", 250, 12, Some(12), Some(6), None),
    ("archives/dwca-2023-05-0205663-230224095556074.zip", 259, 2268, Some(2268), Some(0), None),
    ("archives/dwca-2024-11-0022407-241107131044228.zip", 223, 573, Some(573), Some(0), None),
    ("archives/other-dwca-utf8-eol-test.zip", 64, 1, None, None, None),
    ("derived/dwca-layout-2026-08-from-0022697.zip", 230, 1310, Some(1310), Some(1362), Some(43)),
];

#[test]
fn every_archive_with_rows_gives_its_published_counts() {
    for (name, columns, core, verbatim, multimedia, quoted) in ARCHIVES {
        let Some(path) = fixture(name) else { return };
        let limits = Limits::default();
        let mut archive = open(&path);
        let table = archive.core().clone();
        assert_eq!((table.row_type.as_str(), table.width()), (OCCURRENCE, columns), "{name}");
        let counts = count(&mut archive, &table, &limits).expect(name);
        assert_eq!((counts.rows, counts.problems.len()), (core, 0), "{name}");
        if let Some(quoted) = quoted {
            assert_eq!(counts.quoted, quoted, "{name}");
        }
        let extensions = archive.descriptor().clone();
        for (expected, row_type, location) in
            [(verbatim, OCCURRENCE, "verbatim.txt"), (multimedia, MULTIMEDIA, "multimedia.txt")]
        {
            let table = extensions.extension(row_type, location);
            assert_eq!(table.is_some(), expected.is_some(), "{name} {location}");
            if let (Some(table), Some(expected)) = (table, expected) {
                let counts = count(&mut archive, table, &limits).expect(location);
                assert_eq!((counts.rows, counts.problems.len()), (expected, 0), "{name} {location}");
            }
        }
        assert_eq!(archive.multimedia().is_some(), multimedia.is_some(), "{name}");
        assert_eq!(archive.absent(), Vec::<&str>::new(), "{name}");
        let verified = verify(File::open(&path).unwrap(), &limits).expect(name);
        assert!(verified.entries >= 4 && verified.inflated_bytes > 0, "{name}");
    }
}

#[test]
fn every_row_of_the_2023_archive_is_undone() {
    let Some(path) = fixture(ARCHIVES[4].0) else { return };
    let mut archive = open(&path);
    let table = archive.core().clone();
    let counts = count(&mut archive, &table, &Limits::default()).unwrap();
    assert!(counts.quoted >= 2268, "{}", counts.quoted);
}

#[test]
fn a_next_line_character_stays_in_its_value() {
    let Some(path) = fixture("archives/other-dwca-utf8-eol-test.zip") else { return };
    let mut archive = open(&path);
    let table = archive.core().clone();
    let mut buffer = Vec::new();
    let mut blocks = archive.rows(&table).unwrap();
    assert_eq!(blocks.next_block(&mut buffer).unwrap(), Some(Block::Lines { first_line: 1 }));
    assert!(std::str::from_utf8(&buffer).unwrap().contains('\u{85}'));
    assert_eq!(lines(&buffer).count(), 1);
}

#[test]
fn the_table_without_descriptor_reads_once_it_has_one() {
    let Some(path) = fixture("tables/occurrence-2024-01-blepsias.zip") else { return };
    let bare = Archive::open(File::open(&path).unwrap(), Limits::default());
    assert!(matches!(bare, Err(ArchiveError::NoDescriptor)));
    let mut zip = zip::ZipArchive::new(File::open(&path).unwrap()).unwrap();
    let text = std::io::read_to_string(zip.by_name("occurrence.txt").unwrap()).unwrap();
    let columns: Vec<&str> = text.split('\n').next().unwrap().split('\t').collect();
    let mut archive =
        built(&[("occurrence.txt", text.as_bytes()), ("meta.xml", meta(&columns, 1).as_bytes())]).unwrap();
    let table = archive.core().clone();
    let counts = count(&mut archive, &table, &Limits::default()).unwrap();
    assert_eq!((table.width(), counts.rows, counts.quoted, counts.problems.len()), (212, 809, 221, 0));
}

#[test]
fn simple_csv_downloads_are_told_apart() {
    for name in [
        "archives/simple-csv-2020-02-0011066-200127171203522.zip",
        "archives/simple-csv-2025-02-0009886-250127130748423.zip",
    ] {
        let Some(path) = fixture(name) else { return };
        let opened = Archive::open(File::open(&path).unwrap(), Limits::default());
        assert!(matches!(opened, Err(ArchiveError::NoDescriptor)), "{name}");
        assert_eq!(verify(File::open(&path).unwrap(), &Limits::default()).unwrap().entries, 1);
    }
}

#[test]
fn the_shifted_archive_is_refused_with_its_reason() {
    let Some(path) = fixture("archives/malformed-descriptor-235-vs-234.zip") else { return };
    let mut archive = open(&path);
    let table = archive.core().clone();
    assert_eq!(table.width(), 235);
    let refused = archive.rows(&table).map(|_| ()).unwrap_err();
    assert!(matches!(refused, ArchiveError::Layout { line: 2, .. }), "{refused}");
    assert!(refused.to_string().contains("234 fields instead of 235"), "{refused}");
}

#[test]
fn the_descriptors_of_2026_have_their_tables_where_the_reference_says() {
    let Some(path) = fixture("archives/descriptors-2026-08-0022238-260806074905277.zip") else { return };
    let mut archive = open(&path);
    let core = archive.core().clone();
    assert_eq!((core.width(), core.fields.len()), (230, 231));
    let column = |term: &str| core.field(term).and_then(|field| field.index).map(|index| index + 1);
    assert_eq!(column("http://rs.gbif.org/terms/1.0/verbatimScientificName"), Some(210));
    assert_eq!(column("http://rs.gbif.org/terms/1.0/subgenusKey"), Some(206));
    assert_eq!(column("http://rs.tdwg.org/dwc/terms/eventDate"), Some(63));
    let datum = core.field("http://rs.tdwg.org/dwc/terms/geodeticDatum").unwrap();
    assert_eq!((datum.index, datum.default.as_deref()), (None, Some("WGS84")));
    assert_eq!(archive.descriptor().extension(OCCURRENCE, "verbatim.txt").unwrap().width(), 194);
    assert_eq!(archive.descriptor().extension(MULTIMEDIA, "multimedia.txt").unwrap().width(), 15);
    assert!(archive.multimedia().is_none());
    assert_eq!(archive.absent(), ["occurrence.txt", "verbatim.txt", "multimedia.txt", "verbatim/multimedia.txt"]);
    assert!(
        matches!(archive.rows(&core).map(|_| ()), Err(ArchiveError::MissingEntry { entry }) if entry == "occurrence.txt")
    );
    // Header-only verbatim extensions write lower-case, back-quoted names.
    for table in archive.descriptor().extensions.clone() {
        if archive.holds(&table) {
            let counts = count(&mut archive, &table, &Limits::default()).expect(&table.location);
            assert_eq!(counts, Counts::default(), "{}", table.location);
        }
    }

    let Some(path) = fixture("archives/descriptors-2026-05-0008347-260519110011954.zip") else { return };
    let may = open(&path);
    assert_eq!(may.core(), &core);
}

fn meta(columns: &[&str], header_lines: u8) -> String {
    let mut fields = String::new();
    for (index, column) in columns.iter().enumerate() {
        fields.push_str(&format!("<field index=\"{index}\" term=\"http://rs.tdwg.org/dwc/terms/{column}\"/>"));
    }
    format!(
        "<archive xmlns=\"http://rs.tdwg.org/dwc/text/\"><core encoding=\"UTF-8\" fieldsTerminatedBy=\"\\t\" \
         linesTerminatedBy=\"\\n\" fieldsEnclosedBy=\"\" ignoreHeaderLines=\"{header_lines}\" rowType=\"{OCCURRENCE}\">\
         <files><location>occurrence.txt</location></files><id index=\"0\"/>{fields}</core></archive>"
    )
}

fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, content) in entries {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn built(entries: &[(&str, &[u8])]) -> Result<Archive<Cursor<Vec<u8>>>, ArchiveError> {
    Archive::open(Cursor::new(zipped(entries)), Limits::default())
}

fn checked(bytes: Vec<u8>, limits: &Limits) -> Result<(), ArchiveError> {
    verify(Cursor::new(bytes), limits).map(|_| ())
}

fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut found = 0;
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + from.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0);
    bytes
}

#[test]
fn bad_lines_are_numbered_and_the_rest_goes_on() {
    let text = b"gbifID\ta\tb\n1\tx\ty\n2\tx\n3\t\xff\tz\n4\tx\0\ty\n5\tx\ty\n6\tx\ty\tz\n7\t\"x\n\n9\tx\ty";
    let mut archive =
        built(&[("meta.xml", meta(&["gbifID", "a", "b"], 1).as_bytes()), ("occurrence.txt", text)]).unwrap();
    let table = archive.core().clone();
    let counts = count(&mut archive, &table, &Limits::default()).unwrap();
    assert_eq!(counts.rows, 3);
    let problems: Vec<(u64, String)> = counts.problems.iter().map(|(line, why)| (*line, why.to_string())).collect();
    let expected = [
        (3, "2 fields instead of 3"),
        (4, "not UTF-8 at byte 2"),
        (5, "NUL at byte 3"),
        (7, "4 fields instead of 3"),
        (8, "2 fields instead of 3, with an open quote"),
        (9, "1 fields instead of 3"),
    ];
    assert_eq!(problems, expected.map(|(line, why)| (line, why.to_owned())));
}

#[test]
fn a_renamed_or_missing_header_is_refused() {
    let columns = meta(&["gbifID", "a", "b"], 1);
    let refused = |text: &[u8]| {
        let mut archive = built(&[("meta.xml", columns.as_bytes()), ("occurrence.txt", text)]).unwrap();
        let table = archive.core().clone();
        archive.rows(&table).map(|_| ()).unwrap_err()
    };
    assert!(matches!(refused(b"gbifID\tb\ta\n1\tx\ty\n"), ArchiveError::Header { column: 2, .. }));
    assert!(matches!(refused(b"gbifID\ta\tb\tc\n1\tx\ty\tz\n"), ArchiveError::Header { column: 4, .. }));
    assert!(matches!(refused(b"gbifID\ta\n1\tx\n"), ArchiveError::Header { column: 3, .. }));
    assert!(matches!(refused(b""), ArchiveError::Damaged { .. }));
}

#[test]
fn files_that_are_no_whole_zip_are_told_apart() {
    let limits = Limits::default();
    let good = zipped(&[("meta.xml", b"<archive/>"), ("occurrence.txt", &b"gbifID\n1\n".repeat(1000))]);
    assert!(checked(good.clone(), &limits).is_ok());
    let html = checked(b"<html><body>Too many requests</body></html>".to_vec(), &limits).unwrap_err();
    assert!(html.is_damage() && html.to_string().contains("<htm"), "{html}");
    assert!(checked(Vec::new(), &limits).unwrap_err().is_damage());
    for length in [10, good.len() / 2, good.len() - 1] {
        let cut = checked(good[..length].to_vec(), &limits).unwrap_err();
        assert!(matches!(cut, ArchiveError::NotAZip { .. }), "{length}: {cut}");
    }
}

#[test]
fn a_wrong_checksum_names_its_entry() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    zip.start_file("meta.xml", stored).unwrap();
    zip.write_all(meta(&["gbifID"], 1).as_bytes()).unwrap();
    zip.start_file("occurrence.txt", stored).unwrap();
    zip.write_all(b"gbifID\n12345\n").unwrap();
    let bytes = replaced(zip.finish().unwrap().into_inner(), b"12345", b"12346");
    let wrong = checked(bytes.clone(), &Limits::default()).unwrap_err();
    assert!(matches!(&wrong, ArchiveError::Damaged { entry, .. } if entry == "occurrence.txt"), "{wrong}");
    assert!(wrong.is_damage() && !wrong.is_transient());
    // Reading the table finds it too, before its end is believed.
    let mut archive = Archive::open(Cursor::new(bytes), Limits::default()).unwrap();
    let table = archive.core().clone();
    assert!(count(&mut archive, &table, &Limits::default()).unwrap_err().is_damage());
}

#[test]
fn names_that_lead_out_are_refused() {
    let bytes = zipped(&[("meta.xml", b""), ("ab/evil.txt", b"x")]);
    for evil in [b"../evil.txt", b"/b/evil.txt", b"ab\\evil.txt", b"C:/evil.txt"] {
        let refused = checked(replaced(bytes.clone(), b"ab/evil.txt", evil), &Limits::default()).unwrap_err();
        assert!(matches!(refused, ArchiveError::UnsafeName { .. }), "{refused}");
    }
}

#[test]
fn bombs_are_refused_before_they_inflate() {
    let zeros = vec![0_u8; 40 << 20];
    let bytes = zipped(&[("occurrence.txt", &zeros)]);
    let dense = checked(bytes.clone(), &Limits::default()).unwrap_err();
    assert!(matches!(&dense, ArchiveError::TooLarge { what, .. } if what.contains("ratio")), "{dense}");
    let large = Limits { max_ratio: 2000, max_inflated_bytes: 1 << 20, ..Limits::default() };
    assert!(matches!(checked(bytes.clone(), &large).unwrap_err(), ArchiveError::TooLarge { .. }));
    let many = Limits { max_entries: 1, ..Limits::default() };
    assert!(matches!(checked(zipped(&[("a", b""), ("b", b"")]), &many), Err(ArchiveError::TooLarge { .. })));
    // A lying size is stopped at the size it declares.
    let size = (zeros.len() as u32).to_le_bytes();
    let lying = replaced(bytes, &size, &1000_u32.to_le_bytes());
    let stopped = checked(lying, &Limits::default()).unwrap_err();
    assert!(stopped.is_damage(), "{stopped}");
}

#[test]
fn entries_that_share_bytes_or_names_are_refused() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("a.txt", SimpleFileOptions::default()).unwrap();
    zip.write_all(&b"0123456789".repeat(100)).unwrap();
    zip.shallow_copy_file("a.txt", "b.txt").unwrap();
    let shared = zip.finish().unwrap().into_inner();
    assert!(matches!(checked(shared, &Limits::default()), Err(ArchiveError::Overlap { .. })));
    let twice = replaced(zipped(&[("aa.txt", b"1"), ("bb.txt", b"2")]), b"bb.txt", b"aa.txt");
    assert!(matches!(checked(twice, &Limits::default()), Err(ArchiveError::Overlap { .. })));
}

#[test]
fn other_cores_and_packings_are_refused() {
    let event = meta(&["gbifID"], 1).replace(OCCURRENCE, "http://rs.tdwg.org/dwc/terms/Event");
    assert!(matches!(built(&[("meta.xml", event.as_bytes())]), Err(ArchiveError::Descriptor { .. })));
    assert!(
        matches!(built(&[("meta.xml", b"\xff\xfe")]), Err(error) if error.is_damage() || matches!(error, ArchiveError::Descriptor { .. }))
    );
    assert!(Descriptor::parse(&meta(&["gbifID"], 0)).is_ok());
}
