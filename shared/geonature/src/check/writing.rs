//! Findings about writing: rights, what the probe met, sensitivity, and rows that nobody sees.

use super::{
    attempt::Refusal,
    finding::{Finding, refused},
    ours::Ours,
    probe::{Probe, Written},
    survey::Survey,
};
use crate::{Feature, rights::quoted};

pub(super) fn findings(survey: &Survey) -> Vec<Finding> {
    let mut findings = rights(survey);
    findings.extend(search_path(survey));
    findings.extend(probes(survey));
    if let Some(written) = &survey.probe.written {
        findings.extend(areas(written));
        findings.extend(sensitivity(written, survey.ours.as_ref().ok()));
    }
    if let Ok(ours) = &survey.ours
        && let Err(refusal) = &ours.sensitivity_function
    {
        findings.push(Finding::error(
            "sensitivity_when_null",
            refusal.message.clone(),
            "harvests fail as soon as a row has no sensitivity",
            CHOOSE,
        ));
    }
    findings.extend(invisible(survey));
    findings
}

const CHOOSE: &str = "-- GeoNature's own function, from its rules:\n\
                      UPDATE pinv_gbif.setting SET value = 'compute' WHERE name = 'sensitivity_when_null';\n\
                      -- or the platform's own function (date, cd_ref, local geometry, criteria):\n\
                      UPDATE pinv_gbif.setting SET value = 'schema.function' WHERE name = 'sensitivity_when_null';\n\
                      -- or no harvest is written:\n\
                      UPDATE pinv_gbif.setting SET value = 'stop' WHERE name = 'sensitivity_when_null';";

fn rights(survey: &Survey) -> Vec<Finding> {
    let role = &survey.role.name;
    if survey.role.superuser {
        return vec![Finding::note(
            "rights",
            format!("{role} is a superuser, whom PostgreSQL refuses nothing"),
            "the rights of the workers were not examined: check again with the URL that the workers have",
        )];
    }
    let missing = survey.rights.iter().filter(|right| !right.held).map(|right| &right.right);
    let mut findings: Vec<Finding> = missing
        .map(|right| {
            let consequence = match right.feature {
                Feature::Harvest => "harvests fail without it",
                Feature::Metadata => "subscriptions that make datasets fail without it",
                Feature::Media => "subscriptions that write media fail without it",
                Feature::Adoption => "harvests that give an observation its permanent UUID fail without it",
                Feature::Removal => "subscriptions that delete what has vanished fail without it",
                Feature::Exporter | Feature::Gateway => "flows fail without it",
            };
            Finding::error(
                "rights",
                format!("role {role} has no {} on {} {}", right.privilege, right.kind, right.name),
                format!("{}: {consequence}", right.doing),
                right.grant(role),
            )
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::ok("rights", format!("role {role} has the {} rights it needs", survey.rights.len())));
    }
    findings
}

fn search_path(survey: &Survey) -> Option<Finding> {
    (!survey.role.finds_postgis).then(|| {
        Finding::error(
            "search_path",
            format!("PostGIS is not in the search_path of role {}", survey.role.name),
            "GeoNature's triggers name functions of PostGIS without their schema: each insertion fails",
            format!("ALTER ROLE {} SET search_path = \"$user\", public;", quoted(&survey.role.name)),
        )
    })
}

fn probes(survey: &Survey) -> Vec<Finding> {
    let ours = survey.ours.as_ref().ok();
    let others = [ours.and_then(|ours| ours.metadata_probe.as_ref()), ours.and_then(|ours| ours.media_probe.as_ref())];
    let mut findings = Vec::new();
    for probe in [Some(&survey.probe)].into_iter().chain(others).flatten() {
        findings.extend(refusals(survey, probe));
    }
    if findings.is_empty() && survey.probe.written.is_some() {
        findings.push(Finding::ok(
            "probe",
            format!("role {} can insert, change and delete an observation (rolled back)", survey.role.name),
        ));
    } else if findings.is_empty() {
        findings.push(Finding::warning(
            "probe",
            "no observation could be tried: gn_synthese.t_sources is empty",
            "whether triggers and rights let harvests write is not known",
            "passereau install",
        ));
    }
    findings
}

/// A refusal that a missing right explains stands behind that right's own finding.
fn refusals(survey: &Survey, probe: &Probe) -> Vec<Finding> {
    let explained = survey.rights.iter().any(|right| !right.held) && !survey.role.superuser;
    let refused =
        probe.steps.iter().filter_map(|step| step.outcome.as_ref().err().map(|refusal| (step.doing, refusal)));
    refused
        .map(|(doing, refusal)| {
            let found = format!("role {} is refused {doing}: {refusal}", survey.role.name);
            if refusal.is_a_right() && explained {
                return Finding::note("probe", found, "it lacks a right: see above, then check again");
            }
            Finding::error("probe", found, "a harvest does the same, and fails", cure(survey, refusal))
        })
        .collect()
}

fn cure(survey: &Survey, refusal: &Refusal) -> String {
    if !refusal.is_a_right() {
        return "-- PostgreSQL's words say what to mend".to_owned();
    }
    let role = quoted(&survey.role.name);
    let functions = &survey.role.forbidden_functions;
    if functions.is_empty() {
        return format!("-- as the owner of what PostgreSQL names: GRANT … TO {role};");
    }
    let grants = functions.iter().map(|function| format!("GRANT EXECUTE ON FUNCTION {function} TO {role};"));
    grants.collect::<Vec<_>>().join("\n")
}

fn areas(written: &Written) -> Option<Finding> {
    (written.in_an_area && written.areas == 0).then(|| {
        Finding::warning(
            "areas",
            "an observation inside an enabled area was attached to none",
            "GeoNature shows observations by commune, grid and department through gn_synthese.cor_area_synthese",
            "-- look at the function of the trigger:\n\
             \\sf gn_synthese.fct_trig_insert_in_cor_area_synthese_on_each_statement",
        )
    })
}

fn sensitivity(written: &Written, ours: Option<&Ours>) -> Vec<Finding> {
    let empty = match (&written.inserted, &written.updated) {
        (None, _) => Some("inserting an observation"),
        (Some(_), Some(None)) => Some("changing an observation"),
        _ => None,
    };
    let Some(doing) = empty else {
        return vec![computed_level(written)];
    };
    let found = format!("{doing} leaves its sensitivity empty: the triggers do nothing here");
    let hidden = "GeoNature hides such rows from users who see blurred data, and flows withhold them";
    let finding = match ours.map(|ours| ours.sensitivity_when_null.as_deref()) {
        None => Finding::error(
            "sensitivity",
            found,
            format!("{hidden}; setting sensitivity_when_null must say what to do"),
            format!("passereau migrate\n{CHOOSE}"),
        ),
        Some(None) => Finding::error(
            "sensitivity",
            format!("{found}; setting sensitivity_when_null is not chosen"),
            format!("{hidden}: no harvest is written until the platform has chosen"),
            CHOOSE,
        ),
        Some(Some("stop")) => Finding::error(
            "sensitivity",
            format!("{found}; setting sensitivity_when_null is stop"),
            "no harvest is written, as the platform has chosen",
            CHOOSE,
        ),
        Some(Some("compute")) if written.computed == Some(None) => Finding::error(
            "sensitivity",
            format!("{found}, and so does gn_sensitivity.get_id_nomenclature_sensitivity, which compute calls"),
            format!("{hidden}: no harvest is written"),
            CHOOSE,
        ),
        Some(Some(choice)) => Finding::ok(
            "sensitivity",
            format!("the triggers leave the sensitivity empty; sensitivity_when_null is {choice}"),
        ),
    };
    vec![finding]
}

fn computed_level(written: &Written) -> Finding {
    let level = written.inserted.as_deref().unwrap_or_default();
    if written.sensitive && level == "0" {
        return Finding::warning(
            "sensitivity",
            "an observation of a sensitive taxon, at a place and on a day of its rule, got level 0",
            "sensitive observations enter as if they were not: the triggers do not apply the rules of GeoNature",
            "\\sf gn_synthese.fct_tri_calculate_sensitivity_on_each_statement\n\
             \\sf gn_sensitivity.get_id_nomenclature_sensitivity",
        );
    }
    if level != "0" {
        let of = if written.sensitive { " for a sensitive taxon" } else { "" };
        return Finding::ok("sensitivity", format!("the triggers compute the sensitivity (level {level}{of})"));
    }
    Finding::note(
        "sensitivity",
        "the triggers give level 0; no rule of sensitivity could be tried",
        "whether they apply rules is not known: there are none, or all have further criteria",
    )
}

fn invisible(survey: &Survey) -> Vec<Finding> {
    let rows = match &survey.invisible {
        Ok(rows) => rows,
        Err(refusal) => return vec![refused("invisible", "observations that nobody sees", refusal)],
    };
    let list = |column: &str| {
        format!(
            "SELECT id_synthese, entity_source_pk_value, nom_cite FROM gn_synthese.synthese\n \
             WHERE {column} IS NULL AND id_source = (SELECT id_source FROM gn_synthese.t_sources WHERE name_source = 'GBIF');"
        )
    };
    let never = "GeoNature stores them and shows them to nobody; no harvest of Passereau writes such rows";
    let kinds = [
        (rows.taxon, "cd_nom", never, list("cd_nom")),
        (rows.dataset, "id_dataset", never, list("id_dataset")),
        (
            rows.sensitivity,
            "id_nomenclature_sensitivity",
            "GeoNature hides them from users who see blurred data",
            "-- computes what is empty or sensitive in the whole synthèse:\nSELECT gn_synthese.update_sensitivity();"
                .to_owned(),
        ),
    ];
    kinds
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, column, why, run)| {
            Finding::warning("invisible", format!("{count} observations of source GBIF have no {column}"), why, run)
        })
        .collect()
}
