//! The fields that a flow may have, in the order of the columns of a file.
//!
//! Names are those of GeoNature's export (`gn_synthese.v_synthese_for_export`, GeoNature 2.17,
//! <https://github.com/PnX-SI/GeoNature>, docs/data_model), and of SINP OccTax v2. Nomenclatures leave as labels, in both. The SQL speaks of `s` (the synthèse),
//! `t` (TAXREF), `src` (the source), `lv` (the sensitivity level), `g` (what the gate found) and, where a record leaves as an area, of `a` (that
//! area), `words` (labels of the standard) and `flow`.

use crate::field::{Field, Join, Kind};

const D: Join = Join { sql: "LEFT JOIN gn_meta.t_datasets d ON d.id_dataset = s.id_dataset" };
const AF: Join = Join {
    sql: "LEFT JOIN gn_meta.t_acquisition_frameworks af ON af.id_acquisition_framework = d.id_acquisition_framework",
};
const HAB: Join = Join { sql: "LEFT JOIN ref_habitats.habref hab ON hab.cd_hab = s.cd_hab" };
const GD: Join = Join {
    sql: "LEFT JOIN pinv_gbif.dataset gd ON src.name_source = 'GBIF' AND gd.dataset_key::text = s.additional_data ->> 'datasetKey'",
};
const PLACES: Join = Join {
    // Of the rows of a page at once: a look for each row costs more than all other fields together.
    sql: "LEFT JOIN (SELECT pc.id_synthese, string_agg(pa.area_name, ', ' ORDER BY pa.area_code) AS communes FROM page JOIN gn_synthese.cor_area_synthese pc ON pc.id_synthese = page.id_synthese JOIN ref_geo.l_areas pa ON pa.id_area = pc.id_area JOIN ref_geo.bib_areas_types pt ON pt.id_type = pa.id_type AND pt.type_code = 'COM' GROUP BY pc.id_synthese) places ON places.id_synthese = s.id_synthese",
};
const N_OBSERVATION_STATUS: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_observation_status ON n_observation_status.id_nomenclature = s.id_nomenclature_observation_status",
};
const N_OBJ_COUNT: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_obj_count ON n_obj_count.id_nomenclature = s.id_nomenclature_obj_count",
};
const N_TYPE_COUNT: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_type_count ON n_type_count.id_nomenclature = s.id_nomenclature_type_count",
};
const N_VALID_STATUS: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_valid_status ON n_valid_status.id_nomenclature = s.id_nomenclature_valid_status",
};
const N_GEO_OBJECT_NATURE: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_geo_object_nature ON n_geo_object_nature.id_nomenclature = s.id_nomenclature_geo_object_nature",
};
const N_INFO_GEO_TYPE: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_info_geo_type ON n_info_geo_type.id_nomenclature = s.id_nomenclature_info_geo_type",
};
const N_GRP_TYP: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_grp_typ ON n_grp_typ.id_nomenclature = s.id_nomenclature_grp_typ",
};
const N_OBS_TECHNIQUE: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_obs_technique ON n_obs_technique.id_nomenclature = s.id_nomenclature_obs_technique",
};
const N_BIO_STATUS: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_bio_status ON n_bio_status.id_nomenclature = s.id_nomenclature_bio_status",
};
const N_BIO_CONDITION: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_bio_condition ON n_bio_condition.id_nomenclature = s.id_nomenclature_bio_condition",
};
const N_BIOGEO_STATUS: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_biogeo_status ON n_biogeo_status.id_nomenclature = s.id_nomenclature_biogeo_status",
};
const N_NATURALNESS: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_naturalness ON n_naturalness.id_nomenclature = s.id_nomenclature_naturalness",
};
const N_BEHAVIOUR: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_behaviour ON n_behaviour.id_nomenclature = s.id_nomenclature_behaviour",
};
const N_LIFE_STAGE: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_life_stage ON n_life_stage.id_nomenclature = s.id_nomenclature_life_stage",
};
const N_SEX: Join =
    Join { sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_sex ON n_sex.id_nomenclature = s.id_nomenclature_sex" };
const N_EXIST_PROOF: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_exist_proof ON n_exist_proof.id_nomenclature = s.id_nomenclature_exist_proof",
};
const N_DIFFUSION_LEVEL: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_diffusion_level ON n_diffusion_level.id_nomenclature = s.id_nomenclature_diffusion_level",
};
const N_BLURRING: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_blurring ON n_blurring.id_nomenclature = s.id_nomenclature_blurring",
};
const N_SOURCE_STATUS: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_source_status ON n_source_status.id_nomenclature = s.id_nomenclature_source_status",
};
const N_DETERMINATION_METHOD: Join = Join {
    sql: "LEFT JOIN ref_nomenclatures.t_nomenclatures n_determination_method ON n_determination_method.id_nomenclature = s.id_nomenclature_determination_method",
};

/// All fields.
pub(crate) const FIELDS: &[Field] = &[
    Field::new("id_synthese", Kind::Integer, "s.id_synthese", "Identifiant de la donnée dans la synthèse de la plateforme", "Identifier of the record in the platform's synthèse").never_kept(),
    Field::new("uuid_perm_sinp", Kind::Text, "s.unique_id_sinp", "Identifiant permanent SINP ; pour une donnée floutée, un identifiant stable propre à ce flux", "Permanent SINP identifier; for a blurred record, a stable identifier of this flow alone").occtax("idSINPOccTax").generalised("passereau.pseudonym((SELECT key FROM flow), s.unique_id_sinp, s.id_synthese)").never_kept().basic(),
    Field::new("uuid_perm_grp_sinp", Kind::Text, "s.unique_id_sinp_grp", "Identifiant du regroupement (relevé, passage)", "Identifier of the group (survey, visit)").occtax("idSINPRegroupement").never_kept(),
    Field::new("id_origine", Kind::Text, "s.entity_source_pk_value", "Identifiant de la donnée dans sa source", "Identifier of the record in its source").occtax("idOrigine").never_kept(),
    Field::new("nom_source", Kind::Text, "src.name_source", "Source d'où vient la donnée ; pour une donnée floutée, GBIF ou rien", "Source that the record comes from; for a blurred record, GBIF or nothing").generalised("CASE WHEN src.name_source = 'GBIF' THEN src.name_source END").basic(),
    Field::new("jdd_nom", Kind::Text, "d.dataset_name", "Nom du jeu de données", "Name of the dataset").with(&[D]).basic(),
    Field::new("jdd_uuid", Kind::Text, "d.unique_dataset_id", "Identifiant du jeu de données", "Identifier of the dataset").occtax("idSINPJdd").with(&[D]).basic(),
    Field::new("jdd_id", Kind::Integer, "s.id_dataset", "Identifiant du jeu de données dans la plateforme", "Identifier of the dataset in the platform"),
    Field::new("ca_nom", Kind::Text, "af.acquisition_framework_name", "Nom du cadre d'acquisition", "Name of the acquisition framework").with(&[D, AF]),
    Field::new("ca_uuid", Kind::Text, "af.unique_acquisition_framework_id", "Identifiant du cadre d'acquisition", "Identifier of the acquisition framework").with(&[D, AF]),
    Field::new("ca_id", Kind::Integer, "af.id_acquisition_framework", "Identifiant du cadre d'acquisition dans la plateforme", "Identifier of the acquisition framework in the platform").with(&[D, AF]),
    Field::new("cd_nom", Kind::Integer, "s.cd_nom", "Code TAXREF du nom cité", "TAXREF code of the name as observed").occtax("cdNom").basic(),
    Field::new("cd_ref", Kind::Integer, "t.cd_ref", "Code TAXREF du nom valide", "TAXREF code of the accepted name").occtax("cdRef").basic(),
    Field::new("version_taxref", Kind::Text, "s.meta_v_taxref", "Version de TAXREF", "Version of TAXREF").occtax("versionTAXREF").generalised("passereau.gate_taxref(s.meta_v_taxref)"),
    Field::new("nom_cite", Kind::Text, "s.nom_cite", "Nom cité par l'observateur ; pour une donnée floutée, le nom de TAXREF", "Name as the observer cited it; for a blurred record, TAXREF's").occtax("nomCite").generalised("t.lb_nom").basic(),
    Field::new("nom_valide", Kind::Text, "t.nom_valide", "Nom valide du taxon", "Accepted name of the taxon").basic(),
    Field::new("nom_vernaculaire", Kind::Text, "t.nom_vern", "Nom vernaculaire du taxon", "Common name of the taxon").basic(),
    Field::new("regne", Kind::Text, "t.regne", "Règne", "Kingdom").basic(),
    Field::new("group1_inpn", Kind::Text, "t.group1_inpn", "Groupe 1 INPN", "First group of INPN").basic(),
    Field::new("group2_inpn", Kind::Text, "t.group2_inpn", "Groupe 2 INPN", "Second group of INPN").basic(),
    Field::new("group3_inpn", Kind::Text, "t.group3_inpn", "Groupe 3 INPN", "Third group of INPN"),
    Field::new("classe", Kind::Text, "t.classe", "Classe", "Class").basic(),
    Field::new("ordre", Kind::Text, "t.ordre", "Ordre", "Order").basic(),
    Field::new("famille", Kind::Text, "t.famille", "Famille", "Family").basic(),
    Field::new("rang_taxo", Kind::Text, "t.id_rang", "Rang taxonomique (code TAXREF)", "Taxonomic rank (TAXREF's code)"),
    Field::new("statut_observation", Kind::Text, "n_observation_status.label_default", "Statut de l'observation : présent, non observé", "Whether the taxon was present or not observed").occtax("statutObservation").with(&[N_OBSERVATION_STATUS]).of("STATUT_OBS").basic(),
    Field::new("date_debut", Kind::Date, "s.date_min::date", "Premier jour de l'observation", "First day of the observation").occtax("dateDebut").basic(),
    Field::new("date_fin", Kind::Date, "s.date_max::date", "Dernier jour de l'observation", "Last day of the observation").occtax("dateFin").basic(),
    Field::new("heure_debut", Kind::Time, "NULLIF(s.date_min::time, '00:00:00')", "Heure du début ; vide à minuit juste, qui veut dire inconnue", "Hour of the beginning; empty at midnight sharp, which means unknown").occtax("heureDebut").basic(),
    Field::new("heure_fin", Kind::Time, "NULLIF(s.date_max::time, '00:00:00')", "Heure de la fin ; vide à minuit juste, qui veut dire inconnue", "Hour of the end; empty at midnight sharp, which means unknown").occtax("heureFin").basic(),
    Field::new("nombre_min", Kind::Integer, "s.count_min", "Nombre minimal", "Least count").occtax("denombrementMin").basic(),
    Field::new("nombre_max", Kind::Integer, "s.count_max", "Nombre maximal", "Greatest count").occtax("denombrementMax").basic(),
    Field::new("objet_denombrement", Kind::Text, "n_obj_count.label_default", "Ce qui est dénombré", "What is counted").occtax("objetDenombrement").with(&[N_OBJ_COUNT]).of("OBJ_DENBR"),
    Field::new("type_denombrement", Kind::Text, "n_type_count.label_default", "Méthode du dénombrement", "How it was counted").occtax("typeDenombrement").with(&[N_TYPE_COUNT]).of("TYP_DENBR"),
    Field::new("alti_min", Kind::Integer, "s.altitude_min", "Altitude minimale, en mètres", "Least altitude, in metres").occtax("altitudeMin"),
    Field::new("alti_max", Kind::Integer, "s.altitude_max", "Altitude maximale, en mètres", "Greatest altitude, in metres").occtax("altitudeMax"),
    Field::new("prof_min", Kind::Integer, "s.depth_min", "Profondeur minimale, en mètres", "Least depth, in metres").occtax("profondeurMin"),
    Field::new("prof_max", Kind::Integer, "s.depth_max", "Profondeur maximale, en mètres", "Greatest depth, in metres").occtax("profondeurMax"),
    Field::new("observateurs", Kind::Text, "s.observers", "Observateurs ; pour une donnée floutée, vide si le texte dit autre chose que des noms", "Observers; for a blurred record, empty if the text says anything but names").occtax("observateur").generalised("passereau.gate_names(s.observers)").basic(),
    Field::new("determinateur", Kind::Text, "s.determiner", "Déterminateur ; pour une donnée floutée, vide si le texte dit autre chose que des noms", "Who identified it; for a blurred record, empty if the text says anything but names").occtax("determinateur").generalised("passereau.gate_names(s.determiner)").basic(),
    Field::new("validateur", Kind::Text, "s.validator", "Validateur ; pour une donnée floutée, vide si le texte dit autre chose que des noms", "Who validated it; for a blurred record, empty if the text says anything but names").occtax("validateur").generalised("passereau.gate_names(s.validator)"),
    Field::new("niveau_validation", Kind::Text, "n_valid_status.label_default", "Niveau de validation", "Validation level").occtax("niveauValidationValRegOuNat").with(&[N_VALID_STATUS]).of("STATUT_VALID").basic(),
    Field::new("date_validation", Kind::DateTime, "to_char(s.meta_validation_date, 'YYYY-MM-DD\"T\"HH24:MI:SS')", "Date de la validation", "Date of the validation"),
    Field::new("comment_validation", Kind::Text, "s.validation_comment", "Commentaire de la validation", "Comment of the validation"),
    Field::new("communes", Kind::Text, "places.communes", "Communes de la donnée ; pour une donnée floutée à la commune, cette commune", "Communes of the record; for a record blurred to its commune, that commune").generalised("a.area_name").never_kept().with(&[PLACES]).basic(),
    Field::new("rattachement_type", Kind::Text, "NULL::text", "Type de zone à laquelle la donnée est floutée ; vide si elle est précise", "Type of the area that the record is blurred to; empty if it is exact").occtax("typeLocalisation").generalised("g.area_type").never_kept().basic(),
    Field::new("rattachement_code", Kind::Text, "NULL::text", "Code de cette zone", "Code of that area").occtax("codeLocalisation").generalised("a.area_code").never_kept().basic(),
    Field::new("rattachement_nom", Kind::Text, "NULL::text", "Nom de cette zone", "Name of that area").occtax("nomLocalisation").generalised("a.area_name").never_kept(),
    Field::new("x_centroid_4326", Kind::Real, "round(ST_X(ST_Centroid(s.the_geom_4326))::numeric, 6)", "Longitude du centre de la géométrie, WGS 84", "Longitude of the centre of the geometry, WGS 84").generalised("a.x").never_kept().basic(),
    Field::new("y_centroid_4326", Kind::Real, "round(ST_Y(ST_Centroid(s.the_geom_4326))::numeric, 6)", "Latitude du centre de la géométrie, WGS 84", "Latitude of the centre of the geometry, WGS 84").generalised("a.y").never_kept().basic(),
    Field::new("precision_geographique", Kind::Integer, "s.precision", "Précision de la géométrie, en mètres", "Precision of the geometry, in metres").occtax("precisionGeometrie").basic(),
    Field::new("nature_objet_geo", Kind::Text, "n_geo_object_nature.label_default", "Nature de l'objet géographique : stationnel, inventoriel", "Whether the record is on the whole geometry or somewhere in it").occtax("natureObjetGeo").generalised("(SELECT label_default FROM words WHERE type = 'NAT_OBJ_GEO')").never_kept().with(&[N_GEO_OBJECT_NATURE]).of("NAT_OBJ_GEO"),
    Field::new("type_info_geo", Kind::Text, "n_info_geo_type.label_default", "Type d'information géographique : géoréférencement, rattachement", "Georeferenced, or attached to an area").generalised("(SELECT label_default FROM words WHERE type = 'TYP_INF_GEO')").never_kept().with(&[N_INFO_GEO_TYPE]).of("TYP_INF_GEO"),
    Field::new("nom_lieu", Kind::Text, "s.place_name", "Nom du lieu", "Name of the place").occtax("nomLieu"),
    Field::new("cd_habref", Kind::Integer, "s.cd_hab", "Code HABREF de l'habitat", "HABREF code of the habitat"),
    Field::new("cd_habitat", Kind::Text, "hab.lb_code", "Code de l'habitat dans sa typologie", "Code of the habitat in its typology").with(&[HAB]),
    Field::new("nom_habitat", Kind::Text, "hab.lb_hab_fr", "Nom de l'habitat", "Name of the habitat").with(&[HAB]),
    Field::new("type_regroupement", Kind::Text, "n_grp_typ.label_default", "Type du regroupement", "Type of the group").occtax("typeRegroupement").with(&[N_GRP_TYP]).of("TYP_GRP"),
    Field::new("methode_regroupement", Kind::Text, "s.grp_method", "Méthode du regroupement", "Method of the group").occtax("methodeRegroupement"),
    Field::new("technique_observation", Kind::Text, "n_obs_technique.label_default", "Technique d'observation", "Technique of the observation").occtax("obsTechnique").with(&[N_OBS_TECHNIQUE]).of("METH_OBS").basic(),
    Field::new("biologique_statut", Kind::Text, "n_bio_status.label_default", "Statut biologique", "Biological status").occtax("occStatutBiologique").with(&[N_BIO_STATUS]).of("STATUT_BIO"),
    Field::new("etat_biologique", Kind::Text, "n_bio_condition.label_default", "État biologique", "Biological condition").occtax("occEtatBiologique").with(&[N_BIO_CONDITION]).of("ETA_BIO"),
    Field::new("biogeographique_statut", Kind::Text, "n_biogeo_status.label_default", "Statut biogéographique", "Biogeographic status").occtax("occStatutBioGeographique").with(&[N_BIOGEO_STATUS]).of("STAT_BIOGEO"),
    Field::new("naturalite", Kind::Text, "n_naturalness.label_default", "Naturalité", "Naturalness").occtax("occNaturalite").with(&[N_NATURALNESS]).of("NATURALITE"),
    Field::new("comportement", Kind::Text, "n_behaviour.label_default", "Comportement", "Behaviour").occtax("occComportement").with(&[N_BEHAVIOUR]).of("OCC_COMPORTEMENT"),
    Field::new("stade_vie", Kind::Text, "n_life_stage.label_default", "Stade de vie", "Life stage").occtax("occStadeDeVie").with(&[N_LIFE_STAGE]).of("STADE_VIE").basic(),
    Field::new("sexe", Kind::Text, "n_sex.label_default", "Sexe", "Sex").occtax("occSexe").with(&[N_SEX]).of("SEXE").basic(),
    Field::new("preuve_existante", Kind::Text, "n_exist_proof.label_default", "Existence d'une preuve", "Whether there is a proof").occtax("preuveExistante").with(&[N_EXIST_PROOF]).of("PREUVE_EXIST"),
    Field::new("preuve_numerique_url", Kind::Text, "s.digital_proof", "Adresse de la preuve numérique", "Address of the digital proof").occtax("uRLPreuveNumerique").never_kept(),
    Field::new("preuve_non_numerique", Kind::Text, "s.non_digital_proof", "Preuve non numérique", "Proof that is not digital").occtax("preuveNonNumerique"),
    Field::new("comment_releve", Kind::Text, "s.comment_context", "Commentaire du relevé", "Comment of the survey").occtax("commentaire"),
    Field::new("comment_occurrence", Kind::Text, "s.comment_description", "Commentaire de la donnée", "Comment of the record").occtax("obsDescription"),
    Field::new("niveau_sensibilite", Kind::Text, "lv.label", "Niveau de sensibilité, tel que la plateforme le nomme", "Sensitivity level, as the platform names it").occtax("sensiNiveau").of("SENSIBILITE").generalised("lv.label").basic(),
    Field::new("niveau_precision_diffusion", Kind::Text, "n_diffusion_level.label_default", "Précision de diffusion souhaitée par le producteur", "Precision of diffusion that the producer wishes").occtax("diffusionNiveauPrecision").with(&[N_DIFFUSION_LEVEL]).of("NIV_PRECIS"),
    Field::new("clause_rediffusion", Kind::Text, "CASE WHEN lv.precision <> 'exact' THEN 'Donnée sensible transmise à sa précision sur autorisation : ne pas rediffuser au-delà du niveau « ' || lv.label || ' ».' ELSE 'Rediffusion possible à la précision transmise.' END", "Ce qui est permis en rediffusion", "What may be redistributed").generalised("CASE WHEN lv.precision = 'exact' THEN 'Précision limitée par le producteur : ne pas rediffuser plus précisément que la zone de rattachement (' || g.area_type || ').' ELSE 'Ne pas rediffuser plus précisément que la zone de rattachement (' || g.area_type || ') : ' || lv.label END").basic(),
    Field::new("floutage_dee", Kind::Text, "n_blurring.label_default", "La donnée est-elle floutée : Oui, Non", "Whether the record is blurred").occtax("dEEFloutage").generalised("COALESCE((SELECT label_default FROM words WHERE type = 'DEE_FLOU'), 'Oui')").never_kept().with(&[N_BLURRING]).of("DEE_FLOU").basic(),
    Field::new("statut_source", Kind::Text, "n_source_status.label_default", "Statut de la source : terrain, collection, littérature", "Status of the source: field, collection, literature").occtax("statutSource").with(&[N_SOURCE_STATUS]).of("STATUT_SOURCE"),
    Field::new("reference_biblio", Kind::Text, "s.reference_biblio", "Référence bibliographique", "Reference of the literature").occtax("referenceBiblio"),
    Field::new("methode_determination", Kind::Text, "n_determination_method.label_default", "Méthode de détermination", "How it was identified").with(&[N_DETERMINATION_METHOD]).of("METH_DETERMIN"),
    Field::new("licence", Kind::Text, "g.licence", "Licence de la donnée (identifiant SPDX)", "Licence of the record (SPDX identifier)").generalised("g.licence").basic(),
    Field::new("rights_holder", Kind::Text, "s.additional_data ->> 'rightsHolder'", "Titulaire des droits", "Rights holder").generalised("passereau.gate_names(s.additional_data ->> 'rightsHolder')").basic(),
    Field::new("citation", Kind::Text, "gd.citation", "Citation du jeu de données ; pour une donnée floutée, GBIF ou rien", "Citation of the dataset; for a blurred record, GBIF or nothing").generalised("CASE WHEN src.name_source = 'GBIF' THEN 'GBIF.org. https://www.gbif.org' END").with(&[GD]).basic(),
    Field::new("date_creation", Kind::DateTime, "to_char(s.meta_create_date, 'YYYY-MM-DD\"T\"HH24:MI:SS')", "Date d'entrée dans la synthèse", "Date of entry into the synthèse"),
    Field::new("date_modification", Kind::DateTime, "to_char(s.meta_update_date, 'YYYY-MM-DD\"T\"HH24:MI:SS')", "Date de la dernière modification", "Date of the last change").occtax("dEEDateDerniereModification"),
    Field::new("derniere_action", Kind::Text, "s.last_action", "Dernière action : I, U", "Last action: I, U"),
    Field::new("champs_additionnels", Kind::Json, "s.additional_data", "Champs additionnels de la source", "Additional fields of the source").never_kept(),
];
