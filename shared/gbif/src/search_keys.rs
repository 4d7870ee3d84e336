//! The keys a predicate may search by.
//!
//! Source: gbif/gbif-api, `OccurrenceSearchParameter`, August 2026 (version 2.4.15). GBIF refuses a request with another
//! key, after we have waited for its answer; so the list is ours. When GBIF adds a key, it is added here.

/// What the values of a key look like, as far as we check them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text; taxon keys are of this kind too.
    Text,
    /// A whole number, or a range `a,b` of them.
    Integer,
    /// A decimal number, or a range `a,b` of them.
    Decimal,
    /// `true` or `false`, in any case.
    Boolean,
    /// A UUID.
    Uuid,
    /// A date, a year, a month, or an interval of those.
    Date,
    /// The code of a country: two or three letters.
    Country,
    /// One of GBIF's own words, such as `HUMAN_OBSERVATION`; the words are not checked.
    Enumeration,
}

/// One search key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchKey {
    /// The name used in predicates.
    pub name: &'static str,
    /// What its values look like.
    pub kind: Kind,
    /// The name of its type at GBIF.
    pub gbif_type: &'static str,
}

/// The checklist whose taxon keys this project reads: the GBIF backbone, a dataset of GBIF's.
pub const BACKBONE: &str = "d7dddbf4-2cf0-4f39-9b2a-bb099caae36c";

/// Keys whose meaning depends on a checklist (gbif/occurrence, `OccurrenceEsFieldMapperTest`, the taxonomic set; the
/// verbatim name is left out, it is the publisher's).
const TAXONOMIC: [&str; 14] = [
    "SCIENTIFIC_NAME",
    "TAXON_KEY",
    "ACCEPTED_TAXON_KEY",
    "KINGDOM_KEY",
    "PHYLUM_KEY",
    "CLASS_KEY",
    "ORDER_KEY",
    "FAMILY_KEY",
    "GENUS_KEY",
    "SUBGENUS_KEY",
    "SPECIES_KEY",
    "TAXONOMIC_STATUS",
    "TAXONOMIC_ISSUE",
    "IUCN_RED_LIST_CATEGORY",
];

impl SearchKey {
    /// The key of this name, if GBIF knows it.
    pub fn find(name: &str) -> Option<&'static SearchKey> {
        SEARCH_KEYS.iter().find(|key| key.name == name)
    }

    /// Whether the predicate must say which checklist its values belong to.
    pub fn is_taxonomic(&self) -> bool {
        TAXONOMIC.contains(&self.name)
    }

    /// Whether `lessThan` and its kin work: numbers, dates and geological time.
    pub fn is_ordered(&self) -> bool {
        matches!(self.kind, Kind::Integer | Kind::Decimal | Kind::Date) || self.name == "GEOLOGICAL_TIME"
    }

    /// Whether it is a place, which has predicates of its own (`within`, `geoDistance`).
    pub fn is_place(&self) -> bool {
        matches!(self.name, "GEOMETRY" | "GEO_DISTANCE")
    }
}

/// All 142 keys, in GBIF's order.
#[rustfmt::skip]
pub const SEARCH_KEYS: [SearchKey; 142] = [
    SearchKey { name: "DATASET_KEY", kind: Kind::Uuid, gbif_type: "UUID" },
    SearchKey { name: "CHECKLIST_KEY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "YEAR", kind: Kind::Integer, gbif_type: "Integer" },
    SearchKey { name: "MONTH", kind: Kind::Integer, gbif_type: "Integer" },
    SearchKey { name: "DAY", kind: Kind::Integer, gbif_type: "Integer" },
    SearchKey { name: "START_DAY_OF_YEAR", kind: Kind::Integer, gbif_type: "Integer" },
    SearchKey { name: "END_DAY_OF_YEAR", kind: Kind::Integer, gbif_type: "Integer" },
    SearchKey { name: "EVENT_DATE", kind: Kind::Date, gbif_type: "IsoDateInterval" },
    SearchKey { name: "EVENT_DATE_GTE", kind: Kind::Date, gbif_type: "Date" },
    SearchKey { name: "EVENT_ID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "PARENT_EVENT_ID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "SAMPLING_PROTOCOL", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "PREVIOUS_IDENTIFICATIONS", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "LAST_INTERPRETED", kind: Kind::Date, gbif_type: "Date" },
    SearchKey { name: "MODIFIED", kind: Kind::Date, gbif_type: "Date" },
    SearchKey { name: "DECIMAL_LATITUDE", kind: Kind::Decimal, gbif_type: "Double" },
    SearchKey { name: "DECIMAL_LONGITUDE", kind: Kind::Decimal, gbif_type: "Double" },
    SearchKey { name: "COORDINATE_UNCERTAINTY_IN_METERS", kind: Kind::Decimal, gbif_type: "Double" },
    SearchKey { name: "COUNTRY", kind: Kind::Country, gbif_type: "Country" },
    SearchKey { name: "GBIF_REGION", kind: Kind::Enumeration, gbif_type: "GbifRegion" },
    SearchKey { name: "CONTINENT", kind: Kind::Enumeration, gbif_type: "Continent" },
    SearchKey { name: "PUBLISHING_COUNTRY", kind: Kind::Country, gbif_type: "Country" },
    SearchKey { name: "PUBLISHED_BY_GBIF_REGION", kind: Kind::Enumeration, gbif_type: "GbifRegion" },
    SearchKey { name: "ELEVATION", kind: Kind::Decimal, gbif_type: "Double" },
    SearchKey { name: "DEPTH", kind: Kind::Decimal, gbif_type: "Double" },
    SearchKey { name: "INSTITUTION_CODE", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "COLLECTION_CODE", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "CATALOG_NUMBER", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "RECORDED_BY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "IDENTIFIED_BY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "RECORD_NUMBER", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "BASIS_OF_RECORD", kind: Kind::Enumeration, gbif_type: "BasisOfRecord" },
    SearchKey { name: "SEX", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "IS_SEQUENCED", kind: Kind::Boolean, gbif_type: "Boolean" },
    SearchKey { name: "TAXON_KEY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "ACCEPTED_TAXON_KEY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "KINGDOM_KEY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "PHYLUM_KEY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "CLASS_KEY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "ORDER_KEY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "FAMILY_KEY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "GENUS_KEY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "SUBGENUS_KEY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "SPECIES_KEY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "SCIENTIFIC_NAME", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "VERBATIM_SCIENTIFIC_NAME", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "TAXON_ID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "TAXON_CONCEPT_ID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "TAXONOMIC_STATUS", kind: Kind::Enumeration, gbif_type: "TaxonomicStatus" },
    SearchKey { name: "HAS_COORDINATE", kind: Kind::Boolean, gbif_type: "Boolean" },
    SearchKey { name: "GEOMETRY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "GEO_DISTANCE", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "DISTANCE_FROM_CENTROID_IN_METERS", kind: Kind::Decimal, gbif_type: "Double" },
    SearchKey { name: "HAS_GEOSPATIAL_ISSUE", kind: Kind::Boolean, gbif_type: "Boolean" },
    SearchKey { name: "ISSUE", kind: Kind::Enumeration, gbif_type: "OccurrenceIssue" },
    SearchKey { name: "TAXONOMIC_ISSUE", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "TYPE_STATUS", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "MEDIA_TYPE", kind: Kind::Enumeration, gbif_type: "MediaType" },
    SearchKey { name: "OCCURRENCE_ID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "ESTABLISHMENT_MEANS", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "DEGREE_OF_ESTABLISHMENT", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "PATHWAY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "REPATRIATED", kind: Kind::Boolean, gbif_type: "Boolean" },
    SearchKey { name: "ORGANISM_ID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "STATE_PROVINCE", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "WATER_BODY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "LOCALITY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "PROTOCOL", kind: Kind::Enumeration, gbif_type: "EndpointType" },
    SearchKey { name: "LICENSE", kind: Kind::Enumeration, gbif_type: "License" },
    SearchKey { name: "PUBLISHING_ORG", kind: Kind::Uuid, gbif_type: "UUID" },
    SearchKey { name: "NETWORK_KEY", kind: Kind::Uuid, gbif_type: "UUID" },
    SearchKey { name: "DATASET_CATEGORY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "INSTALLATION_KEY", kind: Kind::Uuid, gbif_type: "UUID" },
    SearchKey { name: "HOSTING_ORGANIZATION_KEY", kind: Kind::Uuid, gbif_type: "UUID" },
    SearchKey { name: "CRAWL_ID", kind: Kind::Integer, gbif_type: "Integer" },
    SearchKey { name: "PROJECT_ID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "PROGRAMME", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "ORGANISM_QUANTITY", kind: Kind::Decimal, gbif_type: "Double" },
    SearchKey { name: "ORGANISM_QUANTITY_TYPE", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "SAMPLE_SIZE_UNIT", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "SAMPLE_SIZE_VALUE", kind: Kind::Decimal, gbif_type: "Double" },
    SearchKey { name: "RELATIVE_ORGANISM_QUANTITY", kind: Kind::Decimal, gbif_type: "Double" },
    SearchKey { name: "COLLECTION_KEY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "INSTITUTION_KEY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "RECORDED_BY_ID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "IDENTIFIED_BY_ID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "OCCURRENCE_STATUS", kind: Kind::Enumeration, gbif_type: "OccurrenceStatus" },
    SearchKey { name: "GADM_GID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "GADM_LEVEL_0_GID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "GADM_LEVEL_1_GID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "GADM_LEVEL_2_GID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "GADM_LEVEL_3_GID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "LIFE_STAGE", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "IS_IN_CLUSTER", kind: Kind::Boolean, gbif_type: "Boolean" },
    SearchKey { name: "DWCA_EXTENSION", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "IUCN_RED_LIST_CATEGORY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "DATASET_ID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "DATASET_NAME", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "OTHER_CATALOG_NUMBERS", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "PREPARATIONS", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "ISLAND", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "ISLAND_GROUP", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "GEOREFERENCED_BY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "HIGHER_GEOGRAPHY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "FIELD_NUMBER", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "EARLIEST_EON_OR_LOWEST_EONOTHEM", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "LATEST_EON_OR_HIGHEST_EONOTHEM", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "EARLIEST_ERA_OR_LOWEST_ERATHEM", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "LATEST_ERA_OR_HIGHEST_ERATHEM", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "EARLIEST_PERIOD_OR_LOWEST_SYSTEM", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "LATEST_PERIOD_OR_HIGHEST_SYSTEM", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "EARLIEST_EPOCH_OR_LOWEST_SERIES", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "LATEST_EPOCH_OR_HIGHEST_SERIES", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "EARLIEST_AGE_OR_LOWEST_STAGE", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "LATEST_AGE_OR_HIGHEST_STAGE", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "LOWEST_BIOSTRATIGRAPHIC_ZONE", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "HIGHEST_BIOSTRATIGRAPHIC_ZONE", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "GROUP", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "FORMATION", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "MEMBER", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "BED", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "ASSOCIATED_SEQUENCES", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "GBIF_ID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "GEOLOGICAL_TIME", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "LITHOSTRATIGRAPHY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "BIOSTRATIGRAPHY", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "DNA_SEQUENCE_ID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "NUCLEOTIDE_SEQUENCE_NUCLEOTIDE_SEQUENCE_ID", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "NUCLEOTIDE_SEQUENCE_TARGET_GENE", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "NUCLEOTIDE_SEQUENCE_SEQUENCE", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "NUCLEOTIDE_SEQUENCE_SEQUENCE_LENGTH", kind: Kind::Integer, gbif_type: "Integer" },
    SearchKey { name: "NUCLEOTIDE_SEQUENCE_GC_CONTENT", kind: Kind::Decimal, gbif_type: "Double" },
    SearchKey { name: "NUCLEOTIDE_SEQUENCE_NON_IUPAC_FRACTION", kind: Kind::Decimal, gbif_type: "Double" },
    SearchKey { name: "NUCLEOTIDE_SEQUENCE_NON_ACGTN_FRACTION", kind: Kind::Decimal, gbif_type: "Double" },
    SearchKey { name: "NUCLEOTIDE_SEQUENCE_N_FRACTION", kind: Kind::Decimal, gbif_type: "Double" },
    SearchKey { name: "NUCLEOTIDE_SEQUENCE_N_RUNS_CAPPED", kind: Kind::Integer, gbif_type: "Integer" },
    SearchKey { name: "NUCLEOTIDE_SEQUENCE_NATURAL_LANGUAGE_DETECTED", kind: Kind::Boolean, gbif_type: "Boolean" },
    SearchKey { name: "NUCLEOTIDE_SEQUENCE_ENDS_TRIMMED", kind: Kind::Boolean, gbif_type: "Boolean" },
    SearchKey { name: "NUCLEOTIDE_SEQUENCE_GAPS_OR_WHITESPACE_REMOVED", kind: Kind::Boolean, gbif_type: "Boolean" },
    SearchKey { name: "NUCLEOTIDE_SEQUENCE_INVALID", kind: Kind::Boolean, gbif_type: "Boolean" },
    SearchKey { name: "MEASUREMENT_TYPE", kind: Kind::Text, gbif_type: "String" },
    SearchKey { name: "MEASUREMENT_TYPE_ID", kind: Kind::Text, gbif_type: "String" },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_recorded_one() {
        let Some(path) = passereau_recorded::recorded("gbif/api/search-parameters-2026-08.json") else { return };
        let text = std::fs::read_to_string(path).expect("a text");
        let recorded: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let recorded: Vec<(&str, &str)> = recorded["parameters"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|entry| (entry["key"].as_str().expect("a key"), entry["type"].as_str().expect("a type")))
            .collect();
        let ours: Vec<(&str, &str)> = SEARCH_KEYS.iter().map(|key| (key.name, key.gbif_type)).collect();
        assert_eq!(ours, recorded);
    }

    #[test]
    fn every_taxonomic_key_is_a_search_key() {
        for name in TAXONOMIC {
            assert!(SearchKey::find(name).is_some_and(SearchKey::is_taxonomic), "{name}");
        }
        assert!(!SearchKey::find("VERBATIM_SCIENTIFIC_NAME").is_some_and(SearchKey::is_taxonomic));
        assert!(SearchKey::find("taxon_key").is_none());
    }
}
