//! The test databases against committed listings of GeoNature's catalogue.
//!
//! `geonature/catalogue/2.17.tsv` is the answer of `catalogue.sql` for GeoNature 2.17, read against the public migrations and dumps of
//! GeoNature, TaxHub, RefGeo, Nomenclature-api-module and UsersHub-authentification. A test database that differs is wrong, not the
//! listing. The other versions have a file each with the lines that they lack (`-`) or have besides (`+`).

use std::collections::BTreeSet;

use passereau_testing::{TestDatabase, Variant};
use sqlx::{PgPool, Row};

const LISTING: &str = include_str!("../../geonature/catalogue/2.17.tsv");
const QUERY: &str = include_str!("../../geonature/catalogue/catalogue.sql");

async fn catalogue(pool: &PgPool) -> BTreeSet<String> {
    let rows = sqlx::raw_sql(QUERY).fetch_all(pool).await.expect("catalogue");
    rows.iter().map(|row| row.get("line")).collect()
}

/// What stands only in `listed` (`-`) and only in `found` (`+`), by name.
fn difference(listed: &BTreeSet<String>, found: &BTreeSet<String>) -> Vec<String> {
    let differing: BTreeSet<(&String, char)> = listed
        .difference(found)
        .map(|line| (line, '-'))
        .chain(found.difference(listed).map(|line| (line, '+')))
        .collect();
    differing.into_iter().map(|(line, sign)| format!("{sign} {line}")).collect()
}

fn listing() -> BTreeSet<String> {
    LISTING.lines().map(str::to_owned).collect()
}

#[test]
fn the_listing_has_every_object_of_the_synthese() {
    let count = |kind: &str, wanted: &str| {
        let start = format!("gn_synthese.synthese\t{kind}\t");
        LISTING.lines().filter(|line| line.starts_with(&start) && line.contains(wanted)).count()
    };
    assert_eq!(count("column", ""), 64);
    assert_eq!(count("column", "NOT NULL"), 5);
    assert_eq!(count("column", "id_nomenclature_"), 21);
    assert_eq!(count("foreign key", ""), 27);
    assert_eq!(count("check", ""), 30);
    assert_eq!(count("check", "NOT VALID"), 19);
    assert_eq!(count("check", "check_nomenclature_type_by_mnemonique"), 18);
    assert_eq!(count("index", ""), 14);
    assert_eq!(count("trigger", ""), 6);
    assert_eq!(count("trigger", "FOR EACH STATEMENT"), 3);
    assert_eq!(listing().len(), LISTING.lines().count(), "no line twice");
}

#[tokio::test]
async fn the_catalogue_is_that_of_geonature_2_17() {
    let database = TestDatabase::geonature().await;
    let difference = difference(&listing(), &catalogue(&database.pool).await);
    assert!(
        difference.is_empty(),
        "the test database is not a GeoNature 2.17 (- missing, + too much); correct geonature/*.sql:\n{}",
        difference.join("\n")
    );
}

#[tokio::test]
async fn each_version_differs_from_2_17_by_what_its_successors_brought() {
    for (variant, expected) in [
        (Variant::V2_16, include_str!("../../geonature/catalogue/2.16.diff")),
        (Variant::V2_14, include_str!("../../geonature/catalogue/2.14.diff")),
        (Variant::V2_12, include_str!("../../geonature/catalogue/2.12.diff")),
        (Variant::NoOpSensitivity, ""),
    ] {
        let database = TestDatabase::variant(variant).await;
        let found = difference(&listing(), &catalogue(&database.pool).await);
        let expected: Vec<&str> = expected.lines().collect();
        assert_eq!(found, expected, "{variant:?}; found:\n{}\n", found.join("\n"));
    }
}
