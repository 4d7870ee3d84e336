//! What an agreement means to the gate.

use chrono_tz::Tz;
use passereau_gate::{Field, REQUIRED, Selection};

use crate::Agreement;

impl Agreement {
    /// The columns, in the order of a file. Those that a partner must have are there whatever the agreement says.
    #[must_use]
    pub fn fields(&self) -> Vec<&'static Field> {
        let named = |list: &[String], field: &Field| list.iter().any(|name| name == field.name);
        Field::all()
            .iter()
            .filter(|field| {
                let asked = field.is_basic || named(&self.fields.add, field);
                REQUIRED.contains(&field.name) || (asked && !named(&self.fields.remove, field))
            })
            .collect()
    }

    /// What it selects of the synthèse, as this version of its flow.
    #[must_use]
    pub fn selection(&self, version: i32) -> Selection {
        let uuids = |list: &[uuid::Uuid]| list.iter().map(ToString::to_string).collect();
        Selection {
            flow: self.name.clone(),
            version,
            sensitive: self.sensitive,
            has_territory: self.territory.has_shape(),
            licences: self.licences.allowed.clone(),
            own_licence: self.licences.own.clone(),
            regne: self.taxa.regne.clone(),
            group1_inpn: self.taxa.group1_inpn.clone(),
            group2_inpn: self.taxa.group2_inpn.clone(),
            group3_inpn: self.taxa.group3_inpn.clone(),
            ordre: self.taxa.ordre.clone(),
            famille: self.taxa.famille.clone(),
            cd_ref: self.taxa.cd_ref.iter().map(ToString::to_string).collect(),
            sources: self.sources.include.clone(),
            sources_excluded: self.sources.exclude.clone(),
            datasets: uuids(&self.datasets.include),
            datasets_excluded: uuids(&self.datasets.exclude),
        }
    }

    /// Its time zone; that of an agreement that was checked is known.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.time_zone.parse().unwrap_or(chrono_tz::Europe::Paris)
    }
}

impl crate::Territory {
    /// Whether it is more than words.
    #[must_use]
    pub fn has_shape(&self) -> bool {
        self.file.is_some() || !self.areas.is_empty()
    }
}
