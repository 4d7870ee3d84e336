//! `meta.xml`. Input: the document.
#![no_main]

use libfuzzer_sys::fuzz_target;
use passereau_dwca::{Descriptor, Table};

fn check(table: &Table, source: &str) {
    assert!(!table.location.is_empty() && table.header_lines <= 1);
    assert!(table.width() <= 10_000 && table.id_column < table.width());
    assert!(table.fields.len() <= source.len() / 8, "more fields than the document has room for");
    let mut columns: Vec<usize> = table.fields.iter().filter_map(|field| field.index).collect();
    let all = columns.len();
    columns.sort_unstable();
    columns.dedup();
    assert_eq!(columns.len(), all, "two terms stand in one column");
    assert!(columns.last().is_none_or(|last| *last < table.width()));
    for field in &table.fields {
        assert!(field.index.is_some() || field.default.is_some());
        assert_eq!(table.field(&field.term), Some(field), "a term stands twice");
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Descriptor::parse(text) {
        Ok(descriptor) => {
            let tables = || descriptor.extensions.iter().chain([&descriptor.core]);
            tables().for_each(|table| check(table, text));
            for table in tables() {
                assert_eq!(tables().filter(|other| other.location == table.location).count(), 1);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.is_transient()),
    }
});
