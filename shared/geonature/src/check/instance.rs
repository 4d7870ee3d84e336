//! Findings about the GeoNature itself: version, columns, source, indexes, TAXREF, triggers.

use super::{
    finding::{Finding, refused},
    survey::Survey,
};
use crate::{SOURCE_URL, install};

/// Columns of `gn_synthese.synthese` that are written or read.
pub(super) const COLUMNS: [&str; 49] = [
    "additional_data",
    "cd_nom",
    "comment_description",
    "count_max",
    "count_min",
    "date_max",
    "date_min",
    "determiner",
    "digital_proof",
    "entity_source_pk_value",
    "id_dataset",
    "id_nomenclature_behaviour",
    "id_nomenclature_bio_condition",
    "id_nomenclature_bio_status",
    "id_nomenclature_biogeo_status",
    "id_nomenclature_blurring",
    "id_nomenclature_determination_method",
    "id_nomenclature_diffusion_level",
    "id_nomenclature_exist_proof",
    "id_nomenclature_geo_object_nature",
    "id_nomenclature_grp_typ",
    "id_nomenclature_info_geo_type",
    "id_nomenclature_life_stage",
    "id_nomenclature_naturalness",
    "id_nomenclature_obj_count",
    "id_nomenclature_obs_technique",
    "id_nomenclature_observation_status",
    "id_nomenclature_sensitivity",
    "id_nomenclature_sex",
    "id_nomenclature_source_status",
    "id_nomenclature_type_count",
    "id_nomenclature_valid_status",
    "id_source",
    "id_synthese",
    "last_action",
    "meta_create_date",
    "meta_update_date",
    "meta_v_taxref",
    "nom_cite",
    "non_digital_proof",
    "observers",
    "place_name",
    "precision",
    "reference_biblio",
    "the_geom_4326",
    "the_geom_local",
    "the_geom_point",
    "unique_id_sinp",
    "validator",
];

/// GeoNature's triggers on the synthèse, and what is missing while one does not fire.
const TRIGGERS: [(&str, &str); 6] = [
    ("tri_insert_calculate_sensitivity", "new observations get no sensitivity"),
    (
        "tri_insert_cor_area_synthese",
        "new observations are in no commune, grid or department: users with such a limit do not see them",
    ),
    (
        "tri_log_delete_synthese",
        "deleted observations are not logged: programs that follow gn_synthese.t_log_synthese keep them",
    ),
    ("tri_meta_dates_change_synthese", "observations keep the date of their first writing"),
    ("tri_update_calculate_sensitivity", "observations that change keep their old sensitivity"),
    ("tri_update_cor_area_synthese", "observations that move stay in their old areas"),
];

pub(super) fn findings(survey: &Survey) -> Vec<Finding> {
    let mut findings = vec![
        Finding::ok("version", format!("GeoNature {} or later", survey.catalogue.version)),
        srid(survey),
        columns(survey),
    ];
    findings.extend(source(survey));
    findings.extend([links(survey), taxref(survey)]);
    findings.extend(default_taxref(survey));
    findings.push(sensitivity_index(survey));
    findings.extend(triggers(survey));
    findings
}

fn srid(survey: &Survey) -> Finding {
    match &survey.srid {
        Ok(srid) => Finding::ok("srid", format!("the local system of coordinates is EPSG:{srid}")),
        // Find_SRID sees no table that the role may not read, and says that there is none.
        Err(refusal) => Finding::error(
            "srid",
            format!("Find_SRID does not find the system of coordinates of the_geom_local: {refusal}"),
            "positions cannot be projected: no harvest can be written",
            install_for(survey, ""),
        ),
    }
}

/// The command that grants the role what it needs, ready to run in a shell.
pub(super) fn install_for(survey: &Survey, option: &str) -> String {
    format!("passereau install --role {}{option}", in_shell(&survey.role.name))
}

/// A role's name as a shell takes it.
pub(super) fn in_shell(role: &str) -> String {
    let plain = role.chars().all(|c| c.is_ascii_alphanumeric() || "_-.…".contains(c));
    if plain { role.to_owned() } else { format!("'{}'", role.replace('\'', r"'\''")) }
}

fn columns(survey: &Survey) -> Finding {
    let missing: Vec<&str> =
        COLUMNS.into_iter().filter(|column| !survey.catalogue.synthese_columns.contains(*column)).collect();
    if missing.is_empty() {
        return Finding::ok("columns", "gn_synthese.synthese has every column that is written");
    }
    Finding::error(
        "columns",
        format!("gn_synthese.synthese has no column {}", missing.join(", ")),
        "they are written: harvests fail at the first record",
        "\\d gn_synthese.synthese  -- then give renamed columns their GeoNature name back",
    )
}

fn source(survey: &Survey) -> Vec<Finding> {
    let source = match &survey.source {
        Ok(Some(source)) => source,
        Ok(None) => {
            return vec![Finding::error(
                "source",
                "gn_synthese.t_sources has no source named GBIF",
                "every observation needs its source: no harvest can be written",
                "passereau install",
            )];
        }
        Err(refusal) => return vec![refused("source", "the source GBIF", refusal)],
    };
    let mut findings = vec![match source.url.as_deref() {
        Some(SOURCE_URL) => Finding::ok("source", format!("source GBIF is {}, links lead to {SOURCE_URL}", source.id)),
        url => Finding::warning(
            "source",
            format!("source GBIF is {}, its url_source is {}", source.id, url.unwrap_or("empty")),
            "GeoNature links each observation to url_source/gbifID: these links do not lead to GBIF",
            install::correct_url(),
        ),
    }];
    findings.push(match survey.catalogue.upsert_index(Some(source.id)) {
        Some(index) => Finding::ok("upsert_index", format!("unique index {} serves the upsert", index.name)),
        None => Finding::error(
            "upsert_index",
            format!(
                "gn_synthese.synthese has no valid unique index on (id_source, entity_source_pk_value) for source {}",
                source.id
            ),
            "without it one record could enter twice: no harvest is written",
            "passereau install",
        ),
    });
    findings
}

fn links(survey: &Survey) -> Finding {
    if !survey.catalogue.has("taxonomie.taxref_liens") {
        return Finding::error(
            "links",
            "taxonomie.taxref_liens is missing, which GeoNature 2.16 (TaxHub 2.2) has brought",
            "it leads from GBIF's taxon keys to TAXREF: no harvest can be planned",
            "-- upgrade GeoNature to 2.16 or later, then load TAXREF 18: geonature taxref import-v18",
        );
    }
    match &survey.links {
        Err(refusal) => refused("links", "TAXREF's links to GBIF", refusal),
        Ok(0) => Finding::error(
            "links",
            "taxonomie.taxref_liens holds no link with ct_name = 'GBIF'",
            "it leads from GBIF's taxon keys to TAXREF: names are matched by their spelling only",
            "-- they are in TAXREF's archive, and TaxHub loads them with TAXREF 18 (geonature taxref import-v18); on their own, in psql:\n\
             \\copy taxonomie.taxref_liens (ct_name, ct_type, ct_authors, ct_title, ct_url, cd_nom, ct_sp_id, url_sp) \
             FROM 'TAXREF_LIENS.txt' (FORMAT csv, DELIMITER E'\\t', HEADER)",
        ),
        Ok(links) if !survey.catalogue.has_links_index => Finding::warning(
            "links_index",
            format!("{links} links from TAXREF to GBIF, without an index on (ct_name, ct_sp_id)"),
            "each planning reads all of them",
            format!(
                "CREATE INDEX CONCURRENTLY {} ON taxonomie.taxref_liens (ct_name, ct_sp_id);",
                install::LINKS_INDEX
            ),
        ),
        Ok(links) => Finding::ok("links", format!("{links} links from TAXREF to GBIF, indexed by GBIF's key")),
    }
}

fn taxref(survey: &Survey) -> Finding {
    match &survey.taxref {
        Ok(Some(version)) => Finding::ok("taxref", format!("TAXREF {version}")),
        Ok(None) => Finding::warning(
            "taxref",
            "taxonomie.t_meta_taxref does not say which version of TAXREF is loaded",
            "meta_v_taxref stays empty, and records that wait for a name do not notice a new TAXREF",
            "INSERT INTO taxonomie.t_meta_taxref (referencial_name, version) VALUES ('taxref', <version>);",
        ),
        Err(refusal) => refused("taxref", "the version of TAXREF", refusal),
    }
}

/// The default stays at the version of the first installation; a number in its text is compared.
fn default_taxref(survey: &Survey) -> Option<Finding> {
    let version = (*survey.taxref.as_ref().ok()?)?;
    let default = survey.probe.written.as_ref()?.default_taxref.as_ref()?;
    let number: String = default.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    (number != version.to_string()).then(|| {
        Finding::note(
            "default_taxref",
            format!("the default of meta_v_taxref is {default}, and TAXREF {version} is loaded"),
            "harvests write the loaded version; other writers get the default",
        )
        .or_run(format!(
            "UPDATE gn_commons.t_parameters SET parameter_value = 'Taxref V{version}.0' WHERE parameter_name = 'taxref_version';"
        ))
    })
}

fn sensitivity_index(survey: &Survey) -> Finding {
    if !survey.catalogue.has("gn_sensitivity.t_sensitivity_rules_cd_ref") {
        return Finding::note(
            "sensitivity_index",
            "gn_sensitivity.t_sensitivity_rules_cd_ref is missing",
            "GeoNature's own function of sensitivity cannot work",
        );
    }
    if survey.catalogue.has_sensitivity_index {
        return Finding::ok("sensitivity_index", "the sensitivity rules are indexed by taxon");
    }
    Finding::warning(
        "sensitivity_index",
        "gn_sensitivity.t_sensitivity_rules_cd_ref has no index on cd_ref",
        "GeoNature reads all rules for each new observation, which takes most of the time of a harvest",
        format!(
            "CREATE INDEX CONCURRENTLY {} ON gn_sensitivity.t_sensitivity_rules_cd_ref (cd_ref);\n\
             ANALYZE gn_sensitivity.t_sensitivity_rules_cd_ref;",
            install::SENSITIVITY_INDEX
        ),
    )
}

fn triggers(survey: &Survey) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, effect) in TRIGGERS {
        // 2.12 has brought the log of deletions.
        if name == "tri_log_delete_synthese" && !survey.catalogue.has("gn_synthese.t_log_synthese") {
            continue;
        }
        match survey.catalogue.triggers.iter().find(|trigger| trigger.name == name) {
            Some(trigger) if trigger.enabled => {}
            Some(_) => findings.push(Finding::warning(
                "triggers",
                format!("trigger {name} of gn_synthese.synthese is disabled"),
                effect,
                format!("ALTER TABLE gn_synthese.synthese ENABLE TRIGGER {name};"),
            )),
            None => findings.push(Finding::warning(
                "triggers",
                format!("gn_synthese.synthese has no trigger {name}"),
                effect,
                "-- where the platform has not renamed it on purpose: geonature db autoupgrade",
            )),
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok("triggers", "GeoNature's triggers on the synthèse are enabled"));
    }
    findings
}
