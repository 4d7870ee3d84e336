//! Free text and vocabularies of the invented records: labels, remarks, behaviours, stages. Some labels hold quotation marks, which
//! is what they are for; some values are in no vocabulary of the SINP, which is what those are for.

use crate::{
    cases::Case,
    dice::Dice,
    identification::is_animal,
    record::{Record, Source},
};

mod purpose {
    pub const REMARKS: u64 = 301;
    pub const REMARKS_CHOICE: u64 = 302;
    pub const PROPERTIES: u64 = 303;
    pub const SEX: u64 = 304;
    pub const STAGE: u64 = 305;
    pub const BEHAVIOR: u64 = 306;
    pub const COUNT: u64 = 307;
    pub const CONDITION: u64 = 308;
    pub const HABITAT: u64 = 309;
    pub const VITALITY: u64 = 310;
    pub const CASTE: u64 = 311;
    pub const ESTABLISHMENT: u64 = 312;
    pub const DEGREE: u64 = 313;
    pub const QUANTITY: u64 = 314;
    pub const GENERALIZATION: u64 = 315;
}

const OBSERVATION_REMARKS: [&str; 8] = [
    "Sur le bord du sentier, en plein soleil.",
    "Vu deux individus; un seul photographié",
    "Près du ruisseau, au retour du col",
    "Identifié avec la clé de \"Delachaux\"",
    "Found under a log, ~20 mm long",
    "dans le jardin 🌿 sur la lavande",
    "à confirmer",
    "Belle population, environ 30 pieds répartis sur une dizaine de mètres carrés",
];

const LABELS: [&str; 10] = [
    "Étiquette : \"Col du Lautaret, leg. Dupont\"",
    "\"NSG X\" Mitte \"Y\"",
    "\"ancienne collection\"",
    "Boîte 12, rangée 3\"",
    "Taille 3 mm (1/8\")",
    "Don de la famille; sans date sur l'étiquette",
    "Déterminé d'après la coquille vide",
    "Piège lumineux 125 W, de 22 h à 2 h",
    "Pelouse sèche sur calcaire, exposition sud",
    "Échantillon en mauvais état: antenne gauche absente",
];

const PROPERTIES: [&str; 4] = [
    r#"{"evidenceOfPresence":"track"}"#,
    r#"{"evidenceOfPresence":"organism"}"#,
    r#"{"leaves":"green leaves"}"#,
    r#"{"evidenceOfPresence":"molt","vitality":"dead"}"#,
];

const HABITATS: [&str; 6] =
    ["prairie de fauche", "hêtraie-sapinière", "ripisylve", "pelouse alpine", "éboulis calcaire", "tourbière"];

/// Vocabulary concepts as downloads hold them since 2024, seldom the older capitals.
const SEXES: [&str; 10] =
    ["Male", "Female", "Male", "Female", "Male", "FEMALE", "Hermaphrodite", "Mixed", "Indeterminate", "Other"];

/// The last ones have no stage of the SINP.
const ANIMAL_STAGES: [&str; 16] = [
    "Adult",
    "Adult",
    "Adult",
    "Adult",
    "ADULT",
    "Imago",
    "Juvenile",
    "Immature",
    "Subadult",
    "Larva",
    "Nymph",
    "Pupa",
    "Caterpillar",
    "Tadpole",
    "Egg",
    "Embryo",
];

const PLANT_STAGES: [&str; 5] = ["Flowering", "Fruiting", "Vegetative", "Seedling", "Gametophyte"];

/// The last one is in no list.
const BEHAVIORS: [&str; 8] =
    ["foraging", "singing", "calling", "resting", "mating", "flying over", "migrating", "jumping around"];

const ANIMAL_CONDITIONS: [&str; 4] = ["breeding", "gravid", "nesting", "not breeding"];

const PLANT_CONDITIONS: [&str; 6] =
    ["flowering", "flowering", "fruiting", "in bud", "non-reproductive", "no evidence of flowering"];

const CASTES: [&str; 4] = ["worker", "queen", "drone", "soldier"];

/// `establishmentMeans` with `degreeOfEstablishment`, as far as publishers give it.
const ESTABLISHMENTS: [(&str, &str); 8] = [
    ("Native", ""),
    ("Native", "Native"),
    ("NativeReintroduced", ""),
    ("Introduced", "Invasive"),
    ("Introduced", "Established"),
    ("Introduced", "Casual"),
    ("Vagrant", ""),
    ("Uncertain", ""),
];

/// `degreeOfEstablishment` alone.
const DEGREES: [&str; 4] = ["Cultivated", "Captive", "Released", "Native"];

/// `organismQuantity` with its type; the last three are no count.
const QUANTITIES: [(&str, &str); 9] = [
    ("12.0", "individuals"),
    ("35.0", "stems"),
    ("4.0", "tufts"),
    ("2.0", "pairs"),
    ("3.0", "nests"),
    ("1.0", "colonies"),
    ("15.0", "% cover"),
    ("1532.0", "DNA sequence reads"),
    ("0.25", "biomass in kg"),
];

/// Texts of one record, borrowed from this module's lists.
#[derive(Clone, Copy, Debug)]
pub struct Texts {
    /// Whether `occurrenceRemarks` is filled, and with what.
    pub remarks: Option<&'static str>,
    /// JSON of `dynamicProperties`, as iNaturalist publishes it since 2025.
    pub properties: &'static str,
    /// `sex`: a vocabulary concept, seldom the older capitals.
    pub sex: &'static str,
    /// `lifeStage`.
    pub life_stage: &'static str,
    /// `behavior`.
    pub behavior: &'static str,
    /// `reproductiveCondition`.
    pub condition: &'static str,
    /// `habitat`.
    pub habitat: &'static str,
    /// `individualCount`; iNaturalist never gives one.
    pub count: Option<u64>,
    /// `vitality`.
    pub vitality: &'static str,
    /// `caste`, of ants, bees and wasps.
    pub caste: &'static str,
    /// `establishmentMeans`.
    pub establishment: &'static str,
    /// `degreeOfEstablishment`.
    pub degree: &'static str,
    /// `organismQuantity` and `organismQuantityType`; museums only.
    pub quantity: (&'static str, &'static str),
    /// `dataGeneralizations`.
    pub generalizations: &'static str,
}

impl Texts {
    /// The texts of `record`.
    pub fn new(record: &Record) -> Self {
        let dice: Dice = record.dice;
        let inaturalist = record.source == Source::Inaturalist;
        let taxon = record.names.taxon;
        let animal = taxon.is_some_and(is_animal);
        let social = taxon.is_some_and(|taxon| taxon.order == "Hymenoptera");
        let (establishment, degree) = if dice.chance(purpose::ESTABLISHMENT, 40) {
            dice.pick(purpose::ESTABLISHMENT + 100, &ESTABLISHMENTS)
        } else if dice.chance(purpose::DEGREE, 10) {
            ("", dice.pick(purpose::DEGREE + 100, &DEGREES))
        } else {
            ("", "")
        };
        Self {
            remarks: dice.chance(purpose::REMARKS, if inaturalist { 220 } else { 600 }).then(|| {
                if inaturalist {
                    dice.pick(purpose::REMARKS_CHOICE, &OBSERVATION_REMARKS)
                } else {
                    dice.pick(purpose::REMARKS_CHOICE, &LABELS)
                }
            }),
            properties: if inaturalist { seldom(dice, purpose::PROPERTIES, 60, &PROPERTIES) } else { "" },
            sex: if animal { seldom(dice, purpose::SEX, 150, &SEXES) } else { "" },
            life_stage: if animal {
                seldom(dice, purpose::STAGE, 300, &ANIMAL_STAGES)
            } else {
                seldom(dice, purpose::STAGE, 60, &PLANT_STAGES)
            },
            behavior: if animal { seldom(dice, purpose::BEHAVIOR, 30, &BEHAVIORS) } else { "" },
            condition: if animal {
                seldom(dice, purpose::CONDITION, 10, &ANIMAL_CONDITIONS)
            } else {
                seldom(dice, purpose::CONDITION, 200, &PLANT_CONDITIONS)
            },
            habitat: if inaturalist { "" } else { dice.pick(purpose::HABITAT, &HABITATS) },
            count: match record.case {
                Case::Absent | Case::CountZero => Some(0),
                _ if !inaturalist && dice.chance(purpose::COUNT, 700) => Some(1 + dice.below(purpose::COUNT, 12)),
                _ => None,
            },
            vitality: if inaturalist {
                seldom(dice, purpose::VITALITY, 50, &["alive", "alive", "alive", "dead"])
            } else {
                ""
            },
            caste: if social { seldom(dice, purpose::CASTE, 250, &CASTES) } else { "" },
            establishment,
            degree,
            quantity: if !inaturalist && dice.chance(purpose::QUANTITY, 40) {
                dice.pick(purpose::QUANTITY + 100, &QUANTITIES)
            } else {
                ("", "")
            },
            generalizations: if record.source == Source::Plants {
                seldom(dice, purpose::GENERALIZATION, 10, &["Coordonnées ramenées au centre de la commune"])
            } else {
                ""
            },
        }
    }
}

/// One of the values in `per_mille` of 1000 records, else nothing.
fn seldom<const N: usize>(dice: Dice, purpose: u64, per_mille: u64, values: &[&'static str; N]) -> &'static str {
    if dice.chance(purpose, per_mille) { dice.pick(purpose + 100, values) } else { "" }
}
