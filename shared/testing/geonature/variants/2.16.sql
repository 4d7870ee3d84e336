-- From 2.17 down to 2.16 (TaxHub 2.2, RefGeo 1.5, UsersHub-authentification 3.1).

-- 2.17.0: a changed area is crossed with the whole Synthèse again.
DROP TRIGGER tri_update_cor_area_synthese ON ref_geo.l_areas;
DROP FUNCTION gn_synthese.fct_trig_l_areas_update_cor_area_synthese_on_each_statement();

-- 2.17.1: id_import is a foreign key.
ALTER TABLE gn_synthese.synthese DROP CONSTRAINT fk_gn_synthese_id_import;

-- UsersHub-authentification 3.2: names of organisms and identifiers of people are unique.
ALTER TABLE utilisateurs.bib_organismes DROP CONSTRAINT uq_bib_organismes_nom_organisme;
ALTER TABLE utilisateurs.t_roles DROP CONSTRAINT uq_t_roles_uuid_role;
DROP INDEX utilisateurs.uq_t_roles_identifiant;

-- The revision of 2.17's last migration would be a lie; nobody but Alembic reads this table.
DELETE FROM public.alembic_version;
