//! Findings about what the platform has decided: settings, vocabulary, what subscriptions want.

use super::{
    finding::{Finding, refused},
    instance::install_for,
    ours::{Ours, Unresolved},
    survey::Survey,
};
use crate::install::{MEDIA_INDEX, literal};

pub(super) fn findings(survey: &Survey) -> Vec<Finding> {
    let ours = match &survey.ours {
        Ok(ours) => ours,
        Err(reason) => {
            return vec![Finding::error(
                "schemas",
                reason.as_str(),
                "settings, vocabulary and subscriptions stand in schemas passereau and pinv_gbif: they are not examined",
                "passereau migrate",
            )];
        }
    };
    [vec![Finding::ok("schemas", "schemas passereau and pinv_gbif are up to date")], vocabulary(ours), territory(ours)]
        .into_iter()
        .flatten()
        .chain(settings(ours))
        .chain(metadata(ours))
        .chain(media(survey, ours))
        .collect()
}

fn settings(ours: &Ours) -> Option<Finding> {
    let refusal = ours.settings.as_ref().err()?;
    Some(Finding::error(
        "settings",
        refusal.message.clone(),
        "every harvest fails until it is corrected",
        "UPDATE pinv_gbif.setting SET value = '…' WHERE name = '…';",
    ))
}

fn vocabulary(ours: &Ours) -> Vec<Finding> {
    let unresolved = match &ours.vocabulary {
        Ok(unresolved) => unresolved,
        Err(refusal) => return vec![refused("vocabulary", "the vocabulary", refusal)],
    };
    if unresolved.is_empty() {
        return vec![Finding::ok("vocabulary", "every code of pinv_gbif.cor_vocabulary is an active nomenclature")];
    }
    let finding = |code: &Unresolved| {
        let Unresolved { nomenclature_type: of, nomenclature_code: value, problem, rules } = code;
        let led_by = if *rules == 0 {
            "conversions name it".to_owned()
        } else {
            format!("{rules} rules of pinv_gbif.cor_vocabulary lead there")
        };
        Finding::warning(
            "vocabulary",
            format!("nomenclature {of} {value} is {problem}: {led_by}"),
            "the records get this platform's default instead",
            cure(code),
        )
    };
    unresolved.iter().map(finding).collect()
}

fn cure(code: &Unresolved) -> String {
    let (of, value) = (literal(&code.nomenclature_type), literal(&code.nomenclature_code));
    let offer = if code.problem == "inactive" {
        format!(
            "-- as GeoNature's administrator, to offer it again:\n\
             UPDATE ref_nomenclatures.t_nomenclatures SET active = true\n \
             WHERE cd_nomenclature = {value} AND id_type = ref_nomenclatures.get_id_nomenclature_type({of});"
        )
    } else {
        "-- bring GeoNature's nomenclatures up to date: geonature db autoupgrade".to_owned()
    };
    if code.rules == 0 {
        return offer;
    }
    format!(
        "{offer}\n-- or, where the platform does without it, to say that the default is meant:\n\
         UPDATE pinv_gbif.cor_vocabulary SET nomenclature_code = NULL\n \
         WHERE nomenclature_type = {of} AND nomenclature_code = {value};"
    )
}

fn territory(ours: &Ours) -> Vec<Finding> {
    const CHANGE: &str = "-- codes: SELECT type_code FROM ref_geo.bib_areas_types;\n\
                          UPDATE pinv_gbif.setting SET value = 'DEP' WHERE name = 'territory_area_types';";
    let types = match &ours.territory {
        Ok(types) => types,
        Err(refusal) => return vec![refused("territory", "the areas of the territory", refusal)],
    };
    if types.is_empty() {
        return vec![Finding::note(
            "territory",
            "setting territory_area_types is empty",
            "records enter wherever they are; none is rejected as outside_territory",
        )];
    }
    let areas: i64 = types.iter().map(|of| of.areas).sum();
    let codes: Vec<&str> = types.iter().map(|of| of.code.as_str()).collect();
    if areas == 0 {
        return vec![Finding::error(
            "territory",
            format!("setting territory_area_types is {}: ref_geo.l_areas has no enabled area of it", codes.join(", ")),
            "the platform's territory is unknown: records enter wherever they are",
            CHANGE,
        )];
    }
    let mut findings = vec![Finding::ok("territory", format!("the territory is {areas} areas ({})", codes.join(", ")))];
    for of in types.iter().filter(|of| of.areas == 0) {
        findings.push(Finding::warning(
            "territory",
            format!("setting territory_area_types names {}, of which there is no enabled area", of.code),
            "the territory is smaller than the setting says: records there are rejected as outside_territory",
            CHANGE,
        ));
    }
    findings
}

fn metadata(ours: &Ours) -> Option<Finding> {
    let framework = ours.framework.as_ref()?;
    let who = ours.creating.join(", ");
    let change = "-- SELECT unique_acquisition_framework_id, acquisition_framework_name FROM gn_meta.t_acquisition_frameworks;\n\
                  UPDATE pinv_gbif.setting SET value = '<unique_acquisition_framework_id>' WHERE name = 'acquisition_framework';";
    let why = format!("harvests of the subscriptions that make datasets ({who}) are refused");
    Some(match (&framework.setting, &framework.known) {
        (None, _) => Finding::error("framework", "setting acquisition_framework is empty", why, change),
        (Some(_), Err(refusal)) => refused("framework", "the acquisition framework", refusal),
        (Some(key), Ok(false)) => Finding::error(
            "framework",
            format!("setting acquisition_framework is {key}, which gn_meta.t_acquisition_frameworks does not know"),
            why,
            change,
        ),
        (Some(key), Ok(true)) => Finding::ok("framework", format!("new datasets go into acquisition framework {key}")),
    })
}

fn media(survey: &Survey, ours: &Ours) -> Vec<Finding> {
    let who = ours.with_media.join(", ");
    let mut findings = Vec::new();
    match &ours.has_location {
        None => findings.push(Finding::note("media", "no subscription writes media", "media are not examined")),
        Some(Err(refusal)) => findings.push(refused("media", "the tables that media are attached to", refusal)),
        Some(Ok(true)) => findings.push(Finding::ok("media", "media can be attached to observations")),
        Some(Ok(false)) => findings.push(Finding::error(
            "media",
            "gn_commons.bib_tables_location has no row for gn_synthese.synthese",
            format!("no media can be attached to an observation: harvests of {who} fail"),
            install_for(survey, " --with-media"),
        )),
    }
    if !ours.with_media.is_empty() && !survey.catalogue.has_media_index {
        findings.push(Finding::warning(
            "media_index",
            "gn_commons.t_medias has no index on uuid_attached_row",
            "GeoNature reads the whole table to show the media of one observation",
            format!("CREATE INDEX CONCURRENTLY {} ON gn_commons.t_medias (uuid_attached_row);", MEDIA_INDEX),
        ));
    }
    findings
}
