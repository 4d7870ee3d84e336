//! The page of invariants names tests: each of them exists.

use std::{fs, path::Path};

#[test]
fn the_tests_that_hold_an_invariant_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/invariants.md")).unwrap();
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| |") && !line.starts_with("| -"))
        .collect();
    assert_eq!(rows.len(), 7, "the page has seven invariants");
    for row in rows {
        let mut source = None;
        let mut named = 0;
        // What stands between backticks in the last cell: a file, then tests of it.
        for code in row.rsplit(" | ").next().unwrap().split('`').skip(1).step_by(2) {
            if Path::new(code).extension().is_some_and(|extension| extension == "rs") {
                source =
                    Some((code, fs::read_to_string(root.join(code)).unwrap_or_else(|error| panic!("{code}: {error}"))));
            } else if let Some((file, text)) = source.as_ref().filter(|_| code.contains('_')) {
                assert!(text.contains(&format!("fn {code}(")), "{file} has no {code}");
                named += 1;
            }
        }
        assert!(named > 0, "nothing holds: {row}");
    }
}
