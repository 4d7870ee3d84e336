//! The GeoNature databases that a test can ask for: the versions in use, and one that its administrators have rebuilt.
//!
//! Each is made from the seeded 2.17 by SQL that takes back what the later versions brought (`geonature/variants/`), checked against
//! the public migrations of GeoNature, TaxHub, RefGeo and UsersHub-authentification (<https://github.com/PnX-SI>). What they lack or
//! have besides 2.17 is committed beside the catalogue of 2.17 and held by a test. Data are the same in all of them.

/// Which GeoNature.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, clap::ValueEnum)]
pub enum Variant {
    /// 2.12: no link from TAXREF to GBIF, no table of TAXREF's version, areas without `geom_4326`.
    #[value(name = "2.12")]
    V2_12,
    /// 2.14: no link from TAXREF to GBIF, no `synthese.id_import`, no additional data of datasets.
    #[value(name = "2.14")]
    V2_14,
    /// 2.16: names of organisms may repeat, changed areas are not crossed with the synthèse again.
    #[value(name = "2.16")]
    V2_16,
    /// 2.17, the newest.
    #[default]
    #[value(name = "2.17")]
    V2_17,
    /// A 2.17 whose sensitivity triggers do nothing, with the levels of sensitivity 2.1 to 2.8, owned by the role `geonatadmin`.
    #[value(name = "no-op-sensitivity")]
    NoOpSensitivity,
}

const TO_2_16: (&str, &str) = ("variants/2.16", include_str!("../geonature/variants/2.16.sql"));
const TO_2_14: (&str, &str) = ("variants/2.14", include_str!("../geonature/variants/2.14.sql"));
const TO_2_12: (&str, &str) = ("variants/2.12", include_str!("../geonature/variants/2.12.sql"));
const TO_NO_OP: (&str, &str) =
    ("variants/no_op_sensitivity", include_str!("../geonature/variants/no_op_sensitivity.sql"));

impl Variant {
    /// The files that make it from 2.17, in order.
    pub(crate) const fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::V2_17 => &[],
            Self::V2_16 => &[TO_2_16],
            Self::V2_14 => &[TO_2_16, TO_2_14],
            Self::V2_12 => &[TO_2_16, TO_2_14, TO_2_12],
            Self::NoOpSensitivity => &[TO_NO_OP],
        }
    }
}
