//! Constants that the generated archives and a seeded GeoNature database share.
//!
//! Datasets and their keys are **invented** for this project; only iNaturalist's key and that of the French national platform as a
//! publisher are real. Whoever seeds a database makes one `t_datasets` row for each of [`KNOWN_DATASETS`] and none for
//! [`UNKNOWN_DATASET`], so that every generated archive brings a few records whose dataset nobody has declared.

/// One source dataset of the generated archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// `datasetKey` of GBIF, lower case.
    pub key: &'static str,
    /// Title, as in the dataset's EML and in `t_datasets.dataset_name`.
    pub title: &'static str,
    /// Bare DOI, as in the first `alternateIdentifier` of the EML.
    pub doi: &'static str,
    /// Licence URL as GBIF's registry writes it.
    pub license_url: &'static str,
    /// `institutionCode` of its records.
    pub institution: &'static str,
    /// `collectionCode` of its records.
    pub collection: &'static str,
    /// Who to cite, without year and title.
    pub publisher: &'static str,
}

/// Key of "iNaturalist Research-grade Observations" at GBIF (<https://www.gbif.org/dataset/50c9509d-22c7-4a22-a47d-8c48425ef4a7>).
pub const INATURALIST_DATASET_KEY: &str = "50c9509d-22c7-4a22-a47d-8c48425ef4a7";

/// iNaturalist's research-grade observations: 60 % of the generated records.
pub const INATURALIST: Dataset = Dataset {
    key: INATURALIST_DATASET_KEY,
    title: "iNaturalist Research-grade Observations",
    doi: "10.15468/ab3s5x",
    license_url: "http://creativecommons.org/licenses/by-nc/4.0/legalcode",
    institution: "iNaturalist",
    collection: "Observations",
    publisher: "iNaturalist contributors, iNaturalist",
};

/// An invented museum's insects and molluscs.
pub const MUSEUM_ANIMALS: Dataset = Dataset {
    key: "7d1f4c52-6a0b-4e5e-9c1d-2b8a5f3e9a01",
    title: "Collections zoologiques du Muséum de la Vallée",
    doi: "10.15468/mv7zoo",
    license_url: "http://creativecommons.org/licenses/by/4.0/legalcode",
    institution: "MVAL",
    collection: "ZOO",
    publisher: "Muséum de la Vallée",
};

/// The herbarium of another invented institution.
pub const MUSEUM_PLANTS: Dataset = Dataset {
    key: "a3c90e17-58d4-4f6b-8a72-64e1d0b7c502",
    title: "Herbier du Jardin alpin des Écrins",
    doi: "10.15468/ja5her",
    license_url: "http://creativecommons.org/publicdomain/zero/1.0/legalcode",
    institution: "JAE",
    collection: "HERB",
    publisher: "Jardin alpin des Écrins",
};

/// An invented dataset that no platform has declared: its records must become rejects, not rows.
pub const UNKNOWN_DATASET: Dataset = Dataset {
    key: "e58b1d9a-0f37-4c26-b5e4-91c7a2d6f803",
    title: "Inventaire orphelin des haies",
    doi: "10.15468/orph03",
    license_url: "http://creativecommons.org/licenses/by/4.0/legalcode",
    institution: "ORPH",
    collection: "HAIES",
    publisher: "Collectif des haies",
};

/// Key of the French national platform (INPN) as a publisher at GBIF
/// (<https://www.gbif.org/publisher/1928bdf0-f5d2-11dc-8c12-b8a03c50a862>).
pub const NATIONAL_PLATFORM_KEY: &str = "1928bdf0-f5d2-11dc-8c12-b8a03c50a862";

/// An invented dataset of the national platform, whose data the platforms of the SINP exchange by other ways. A seeded database
/// knows it, so that nothing but its publisher keeps its records out.
pub const NATIONAL: Dataset = Dataset {
    key: "c6f2b48d-1e90-4a7d-b3f8-5d27a9e06c14",
    title: "Données du SINP diffusées par la plateforme nationale",
    doi: "10.15468/sinp04",
    license_url: "http://creativecommons.org/licenses/by/4.0/legalcode",
    institution: "INPN",
    collection: "SINP",
    publisher: "Plateforme nationale du SINP",
};

/// The datasets that a seeded database knows.
pub const KNOWN_DATASETS: [Dataset; 4] = [INATURALIST, MUSEUM_ANIMALS, MUSEUM_PLANTS, NATIONAL];

/// Every dataset that a generated archive can name.
pub const ALL_DATASETS: [Dataset; 5] = [INATURALIST, MUSEUM_ANIMALS, MUSEUM_PLANTS, UNKNOWN_DATASET, NATIONAL];

/// A `taxonKey` that exists in no seeded `taxref_liens`: the generator uses it for records identified only to "incertae sedis".
pub const UNKNOWN_TAXON_KEY: &str = "99999999";

/// Western and eastern bound of every generated point of the region, in degrees of longitude (WGS84).
pub const LONGITUDE_RANGE: (f64, f64) = (2.1, 7.1);

/// Southern and northern bound of every generated point of the region, in degrees of latitude (WGS84).
pub const LATITUDE_RANGE: (f64, f64) = (44.2, 46.8);
