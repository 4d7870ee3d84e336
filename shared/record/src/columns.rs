//! Which term lands in which column, as what: the one table that every part of the loader reads.
//!
//! Invariant: the order of [`OCCURRENCE_COLUMNS`] is the order in which values are hashed. Changing it, or the set, changes
//! every content hash, so that the next harvest sees every record as changed: append only, and only on purpose.
//!
//! Sources: the terms are those of <https://dwc.tdwg.org/terms/>, <https://www.dublincore.org/specifications/dublin-core/dcmi-terms/>
//! and `gbif/dwc-api` (`GbifTerm.java`).

use passereau_dwca::{Field, OCCURRENCE, Table};

/// Where a term's name is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// Darwin Core.
    DarwinCore,
    /// Dublin Core metadata terms.
    DublinCore,
    /// GBIF's own terms.
    Gbif,
}

impl Vocabulary {
    fn namespace(self) -> &'static str {
        match self {
            Self::DarwinCore => "http://rs.tdwg.org/dwc/terms/",
            Self::DublinCore => "http://purl.org/dc/terms/",
            Self::Gbif => "http://rs.gbif.org/terms/1.0/",
        }
    }
}

/// How a value is read and stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `text`: as published, once the quoting of small downloads is undone.
    Text,
    /// `text`, and the source of the two derived dates.
    EventDate,
    /// `text`, and the source of the iNaturalist identifier.
    CatalogNumber,
    /// `text`, and the source of the producer's UUID.
    OccurrenceId,
    /// `text` that holds an enum's name in capitals; a layout without any is refused.
    BasisOfRecord,
    /// `uuid`; a layout without any is refused.
    DatasetKey,
    /// `integer`.
    Integer,
    /// `double precision`, finite.
    Double,
    /// `timestamp`, UTC.
    Timestamp,
}

/// One landed column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name in `pinv_gbif.occurrence` or `pinv_gbif.multimedia`.
    pub name: &'static str,
    /// Vocabulary of its term.
    pub vocabulary: Vocabulary,
    /// The term's name without its namespace.
    pub term: &'static str,
    /// How it is read.
    pub kind: Kind,
}

impl Column {
    /// The field of this column in a table, if the table has it.
    pub fn find<'t>(&self, table: &'t Table) -> Option<&'t Field> {
        table
            .fields
            .iter()
            .find(|field| field.term.strip_prefix(self.vocabulary.namespace()).is_some_and(|name| name == self.term))
    }

    /// The column's name as SQL wants it: two of the procedure's names are reserved words.
    pub fn sql_name(&self) -> String {
        format!("\"{}\"", self.name)
    }
}

const fn dwc(name: &'static str, term: &'static str, kind: Kind) -> Column {
    Column { name, vocabulary: Vocabulary::DarwinCore, term, kind }
}

const fn dc(name: &'static str, term: &'static str, kind: Kind) -> Column {
    Column { name, vocabulary: Vocabulary::DublinCore, term, kind }
}

const fn gbif(name: &'static str, term: &'static str, kind: Kind) -> Column {
    Column { name, vocabulary: Vocabulary::Gbif, term, kind }
}

/// The columns of an occurrence that stand for themselves: all but the id, the derived ones and `last_interpreted`.
pub const OCCURRENCE_COLUMNS: [Column; 49] = [
    dc("modified", "modified", Kind::Timestamp),
    dc("references", "references", Kind::Text),
    dwc("basis_of_record", "basisOfRecord", Kind::BasisOfRecord),
    dwc("occurrence_id", "occurrenceID", Kind::OccurrenceId),
    dwc("recorded_by", "recordedBy", Kind::Text),
    dwc("individual_count", "individualCount", Kind::Integer),
    dwc("sex", "sex", Kind::Text),
    dwc("life_stage", "lifeStage", Kind::Text),
    dwc("reproductive_condition", "reproductiveCondition", Kind::Text),
    dwc("caste", "caste", Kind::Text),
    dwc("behavior", "behavior", Kind::Text),
    dwc("vitality", "vitality", Kind::Text),
    dwc("occurrence_status", "occurrenceStatus", Kind::Text),
    dwc("occurrence_remarks", "occurrenceRemarks", Kind::Text),
    dwc("event_date", "eventDate", Kind::EventDate),
    dwc("verbatim_locality", "verbatimLocality", Kind::Text),
    dwc("decimal_latitude", "decimalLatitude", Kind::Double),
    dwc("decimal_longitude", "decimalLongitude", Kind::Double),
    dwc("coordinate_uncertainty_in_meters", "coordinateUncertaintyInMeters", Kind::Double),
    dwc("identified_by", "identifiedBy", Kind::Text),
    dwc("scientific_name", "scientificName", Kind::Text),
    gbif("dataset_key", "datasetKey", Kind::DatasetKey),
    gbif("issue", "issue", Kind::Text),
    gbif("taxon_key", "taxonKey", Kind::Text),
    gbif("verbatim_scientific_name", "verbatimScientificName", Kind::Text),
    dwc("catalog_number", "catalogNumber", Kind::CatalogNumber),
    dc("license", "license", Kind::Text),
    dc("rights_holder", "rightsHolder", Kind::Text),
    dwc("information_withheld", "informationWithheld", Kind::Text),
    dwc("data_generalizations", "dataGeneralizations", Kind::Text),
    dwc("kingdom", "kingdom", Kind::Text),
    dwc("class", "class", Kind::Text),
    dwc("order", "order", Kind::Text),
    gbif("accepted_taxon_key", "acceptedTaxonKey", Kind::Text),
    gbif("species_key", "speciesKey", Kind::Text),
    gbif("accepted_scientific_name", "acceptedScientificName", Kind::Text),
    dwc("taxon_rank", "taxonRank", Kind::Text),
    dwc("establishment_means", "establishmentMeans", Kind::Text),
    dwc("degree_of_establishment", "degreeOfEstablishment", Kind::Text),
    dwc("organism_quantity", "organismQuantity", Kind::Text),
    dwc("organism_quantity_type", "organismQuantityType", Kind::Text),
    dwc("date_identified", "dateIdentified", Kind::Text),
    dwc("event_time", "eventTime", Kind::Text),
    dwc("institution_code", "institutionCode", Kind::Text),
    dwc("collection_code", "collectionCode", Kind::Text),
    dwc("coordinate_precision", "coordinatePrecision", Kind::Double),
    dwc("identification_verification_status", "identificationVerificationStatus", Kind::Text),
    dwc("dataset_name", "datasetName", Kind::Text),
    // Tells that the media of a record have come or gone: the multimedia table is no part of its content.
    gbif("media_type", "mediaType", Kind::Text),
];

/// When GBIF last read the record again: `timestamptz`, outside the content hash, because it changes without the content.
pub const LAST_INTERPRETED: Column = gbif("last_interpreted", "lastInterpreted", Kind::Timestamp);

/// Columns that the loader derives, in the order in which they follow [`OCCURRENCE_COLUMNS`].
pub const DERIVED_COLUMNS: [&str; 4] = ["date_start", "date_end", "inaturalist_id", "producer_uuid"];

/// GBIF's number of the record. Archives of 2013 do not have the term: their core's id column is the number all the same.
pub const GBIF_ID: Column = gbif("gbif_id", "gbifID", Kind::Text);

/// Columns that archives of 2013 give under another term (observed): the dataset's key stands in `datasetID`, GBIF's taxon
/// in `taxonID`. Their `occurrenceID` is GBIF's own number, so the producer's identifier is not there at all.
const FIRST_GENERATION: [(&str, Option<Column>); 3] = [
    ("dataset_key", Some(dwc("dataset_key", "datasetID", Kind::DatasetKey))),
    ("taxon_key", Some(dwc("taxon_key", "taxonID", Kind::Text))),
    ("occurrence_id", None),
];

/// The columns of a multimedia row that are landed.
pub const MULTIMEDIA_COLUMNS: [Column; 8] = [
    dc("type", "type", Kind::Text),
    dc("format", "format", Kind::Text),
    dc("identifier", "identifier", Kind::Text),
    dc("references", "references", Kind::Text),
    dc("license", "license", Kind::Text),
    dc("creator", "creator", Kind::Text),
    dc("title", "title", Kind::Text),
    dc("rights_holder", "rightsHolder", Kind::Text),
];

/// Finds each column in a table, those of the first generation under their own terms.
pub fn resolve<'t>(columns: &[Column], table: &'t Table) -> Vec<Option<&'t Field>> {
    let first_generation = table.row_type == OCCURRENCE && GBIF_ID.find(table).is_none();
    let find = |column: &Column| match FIRST_GENERATION.iter().find(|(name, _)| *name == column.name) {
        Some((_, renamed)) if first_generation => renamed.and_then(|renamed| renamed.find(table)),
        _ => column.find(table),
    };
    columns.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_column_stands_twice() {
        let mut names: Vec<&str> = OCCURRENCE_COLUMNS.iter().map(|column| column.name).collect();
        names.extend(DERIVED_COLUMNS);
        names.extend([LAST_INTERPRETED.name, GBIF_ID.name]);
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
