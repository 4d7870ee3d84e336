-- The statements of the published procedure, as they are printed
-- (http://sinp-wiki.cbn-alpin.fr/procedures/recuperation_et_integracion_de_donnees_depuis_le_gbif).
CREATE SCHEMA pinv_gbif;

CREATE TABLE pinv_gbif.tmp_gbif_data (
gbif_id bigint primary key,
modified timestamp,
"references" varchar(255),
basis_of_record varchar(255),
occurrence_id varchar(255),
recorded_by varchar(255),
individual_count varchar(255),
sex varchar(255),
life_stage varchar(255),
reproductive_condition varchar(255),
caste varchar(255),
behavior varchar(255),
vitality varchar(255),
occurrence_status varchar(255),
occurrence_remarks text,
event_date timestamp,
verbatim_locality varchar(255),
decimal_latitude numeric,
decimal_longitude numeric,
coordinate_uncertainty_meters varchar(255),
identified_by varchar(255),
scientific_name varchar(255),
dataset_key uuid,
issue text,
taxonKey int,
verbatim_scientific_name varchar(255)
);

CREATE TABLE pinv_gbif.cor_multimedia (
gbif_id bigint,
media_url text
);
