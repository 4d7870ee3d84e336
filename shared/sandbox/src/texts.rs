//! Free text of the invented records: labels, remarks, behaviours. Some hold quotation marks, which is what they are for.

use crate::{
    dice::Dice,
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
}

impl Texts {
    /// The texts of `record`.
    pub fn new(record: &Record) -> Self {
        let dice: Dice = record.dice;
        let inaturalist = record.source == Source::Inaturalist;
        let animal = record.taxon.is_some_and(|taxon| taxon.kingdom == "Animalia");
        let seldom = |purpose: u64, per_mille: u64, value: &'static str| {
            if dice.chance(purpose, per_mille) { value } else { "" }
        };
        Self {
            remarks: dice.chance(purpose::REMARKS, if inaturalist { 220 } else { 600 }).then(|| {
                if inaturalist {
                    dice.pick(purpose::REMARKS_CHOICE, &OBSERVATION_REMARKS)
                } else {
                    dice.pick(purpose::REMARKS_CHOICE, &LABELS)
                }
            }),
            properties: if inaturalist && dice.chance(purpose::PROPERTIES, 60) {
                dice.pick(purpose::PROPERTIES, &PROPERTIES)
            } else {
                ""
            },
            sex: if animal && dice.chance(purpose::SEX, 150) {
                dice.pick(purpose::SEX, &["Male", "Female", "Male", "Female", "Male", "FEMALE", "Hermaphrodite"])
            } else {
                ""
            },
            life_stage: if animal && dice.chance(purpose::STAGE, 300) {
                dice.pick(purpose::STAGE, &["Adult", "Adult", "Adult", "Larva", "Juvenile", "Egg", "ADULT"])
            } else {
                ""
            },
            behavior: if animal { seldom(purpose::BEHAVIOR, 10, "foraging") } else { "" },
            condition: if animal { "" } else { seldom(purpose::CONDITION, 200, "flowering") },
            habitat: if inaturalist { "" } else { dice.pick(purpose::HABITAT, &HABITATS) },
            count: if record.absent {
                Some(0)
            } else if !inaturalist && dice.chance(purpose::COUNT, 700) {
                Some(1 + dice.below(purpose::COUNT, 12))
            } else {
                None
            },
        }
    }
}
