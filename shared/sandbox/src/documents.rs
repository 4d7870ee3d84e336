//! The documents beside the tables: `meta.xml`, `metadata.xml`, `dataset/<uuid>.xml`, `citations.txt`, `rights.txt`.
//!
//! Shapes follow a download of 18 August 2026; wording about invented datasets is invented too.

use std::fmt::Write as _;

use crate::{
    layout::{Layout, MULTIMEDIA, OCCURRENCE, VERBATIM},
    seeds::{ALL_DATASETS, Dataset},
};

/// Records per dataset, in the order of [`ALL_DATASETS`].
pub type Counts = [u64; ALL_DATASETS.len()];

/// The descriptor: 231 fields in the core (230 columns and the constant `geodeticDatum`), 194 and 15 in the extensions.
pub fn meta_xml() -> String {
    let mut xml = String::from("<archive xmlns=\"http://rs.tdwg.org/dwc/text/\" metadata=\"metadata.xml\">\n");
    table(&mut xml, "core", "id", &OCCURRENCE);
    table(&mut xml, "extension", "coreid", &VERBATIM);
    table(&mut xml, "extension", "coreid", &MULTIMEDIA);
    xml.push_str("</archive>\n");
    xml
}

fn table(xml: &mut String, element: &str, id: &str, layout: &Layout) {
    // Writing into a String cannot fail; hence the ignored results below.
    let _ = write!(
        xml,
        "  <{element} encoding=\"UTF-8\" fieldsTerminatedBy=\"\\t\" linesTerminatedBy=\"\\n\" fieldsEnclosedBy=\"\" \
         ignoreHeaderLines=\"1\" rowType=\"{}\">\n    <files>\n      <location>{}</location>\n    </files>\n    \
         <{id} index=\"0\" />\n",
        layout.row_type, layout.location
    );
    if element == "core" {
        xml.push_str("    <field default=\"WGS84\" term=\"http://rs.tdwg.org/dwc/terms/geodeticDatum\"/>\n");
    }
    for (index, column) in layout.columns.iter().enumerate() {
        // Only the interpreted core says how multi-valued columns are delimited.
        let delimited = match column.delimited_by {
            Some(delimiter) => format!(" delimitedBy=\"{delimiter}\""),
            None => String::new(),
        };
        let _ = writeln!(xml, "    <field index=\"{index}\"{delimited} term=\"{}\"/>", column.term);
    }
    let _ = writeln!(xml, "  </{element}>");
}

const EML_HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
<eml:eml xmlns:eml=\"https://eml.ecoinformatics.org/eml-2.2.0\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"\n         \
xsi:schemaLocation=\"https://eml.ecoinformatics.org/eml-2.2.0 https://rs.gbif.org/schema/eml-gbif-profile/1.3/eml.xsd\"\n";

/// The EML about the download: its key in the title, a random `packageId`, no DOI.
pub fn metadata_xml(key: &str, package_id: &str, counts: &Counts) -> String {
    let mut lines = String::new();
    for (dataset, count) in ALL_DATASETS.iter().zip(counts).filter(|(_, count)| **count > 0) {
        let _ = writeln!(lines, "{count} records from {}", dataset.title);
    }
    let contact = "<individualName>\n                <surName>GBIF Download Service</surName>\n            \
                   </individualName>\n            <electronicMailAddress>support@gbif.org</electronicMailAddress>";
    format!(
        "{EML_HEAD}packageId=\"{package_id}\"  system=\"http://gbif.org\" scope=\"system\"\nxml:lang=\"en\">
    <dataset>
        <title>GBIF Occurrence Download {key}</title>
        <creator>
            {contact}
        </creator>
        <metadataProvider>
            {contact}
        </metadataProvider>
        <pubDate>
                2026-08-18
        </pubDate>
        <language>ENGLISH</language>
        <abstract>
            A dataset containing all occurrences available in GBIF matching the query:
{{
  \"and\" : [
    \"Country is one of (France)\",
    \"Geometry POLYGON((2.1 44.2,7.1 44.2,7.1 46.8,2.1 46.8,2.1 44.2))\"
  ]
}}
The dataset includes records from the following constituent datasets. The full metadata for each constituent is also included in this archive:
{lines}
        </abstract>
        <contact>
            {contact}
        </contact>

    </dataset>

    <additionalMetadata>
        <metadata>
            <gbif>
                <dateStamp>2026-08-18T14:31:07Z</dateStamp>
                <citation identifier=\"{key}\">GBIF Occurrence Download {key}</citation>
                <physical>
                    <objectName>Darwin Core Archive</objectName>
                    <characterEncoding>UTF-8</characterEncoding>
                    <dataFormat>
                        <externallyDefinedFormat>
                            <formatName>Darwin Core Archive</formatName>
                        </externallyDefinedFormat>
                    </dataFormat>
                    <distribution>
                        <online>
                            <url function=\"download\">https://api.gbif.org/v1/occurrence/download/request/{key}.zip</url>
                        </online>
                    </distribution>
                </physical>
            </gbif>
        </metadata>
    </additionalMetadata>
    </eml:eml>
"
    )
}

/// How a dataset asks to be cited.
pub fn citation(dataset: &Dataset) -> String {
    format!(
        "{} (2026). {}. Occurrence dataset https://doi.org/{} accessed via GBIF.org on 2026-08-18.",
        dataset.publisher, dataset.title, dataset.doi
    )
}

/// The EML of a source dataset.
pub fn dataset_xml(dataset: &Dataset) -> String {
    let Dataset { key, title, doi, license_url, publisher, .. } = dataset;
    let (name, identifier) = match *license_url {
        url if url.contains("publicdomain") => ("Creative Commons Zero v1.0 Universal", "CC0-1.0"),
        url if url.contains("by-nc") => {
            ("Creative Commons Attribution Non Commercial 4.0 International", "CC-BY-NC-4.0")
        }
        _ => ("Creative Commons Attribution 4.0 International", "CC-BY-4.0"),
    };
    let citation = citation(dataset);
    format!(
        "{EML_HEAD}packageId=\"{key}\"  system=\"http://gbif.org\" scope=\"system\"\nxml:lang=\"en\">
    <dataset>
        <alternateIdentifier>{doi}</alternateIdentifier>
        <title>{title}</title>
        <creator>
            <organizationName>{publisher}</organizationName>
        </creator>
        <metadataProvider>
            <organizationName>{publisher}</organizationName>
        </metadataProvider>
        <pubDate>
                2026-08-10
        </pubDate>
        <language>ENGLISH</language>
        <abstract>
            <para>Records invented for tests and demonstrations of data exchange; none of them was ever observed.</para>
        </abstract>
        <intellectualRights>
            <para>This work is licensed under a <ulink url=\"{license_url}\"><citetitle>{name}</citetitle></ulink>.</para>
        </intellectualRights>
        <licensed>
            <licenseName>{name}</licenseName>
            <url>https://spdx.org/licenses/{identifier}.html</url>
            <identifier>{identifier}</identifier>
        </licensed>
        <contact>
            <organizationName>{publisher}</organizationName>
            <electronicMailAddress>contact@example.org</electronicMailAddress>
        </contact>
    </dataset>

    <additionalMetadata>
        <metadata>
            <gbif>
                <dateStamp>2026-08-18T14:31:07Z</dateStamp>
                <citation>{citation}</citation>
            </gbif>
        </metadata>
    </additionalMetadata>
    </eml:eml>
"
    )
}

/// `citations.txt`, without a final line feed, as GBIF leaves it.
pub fn citations_txt(counts: &Counts) -> String {
    let mut text = String::from(
        "When using this dataset please use the following citation and pay attention to the rights documented in rights.txt:",
    );
    for (dataset, _) in ALL_DATASETS.iter().zip(counts).filter(|(_, count)| **count > 0) {
        let _ = write!(text, "\n{}", citation(dataset));
    }
    text
}

/// `rights.txt`, without a final line feed.
pub fn rights_txt(counts: &Counts) -> String {
    let blocks: Vec<String> = ALL_DATASETS
        .iter()
        .zip(counts)
        .filter(|(_, count)| **count > 0)
        .map(|(dataset, _)| format!("Dataset: {} \nRights as supplied: {}", dataset.title, dataset.license_url))
        .collect();
    blocks.join("\n\n")
}
