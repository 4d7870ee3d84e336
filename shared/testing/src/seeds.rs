//! Datasets, taxa and sensitivity rules for a GeoNature-shaped database.

use anyhow::{Context, Result};
use sqlx::PgPool;
use uuid::Uuid;

use crate::taxref;

/// One name of TAXREF and the GBIF key that leads to it. Unlike the sandbox's taxa it owns its texts, so that a test can make
/// it from a real archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeedTaxon {
    /// GBIF taxon key as text.
    pub gbif_key: String,
    /// Name with authorship.
    pub scientific_name: String,
    /// Name without authorship.
    pub canonical_name: String,
    /// Kingdom; empty when unknown, as are the four that follow.
    pub kingdom: String,
    /// Phylum.
    pub phylum: String,
    /// Class.
    pub class: String,
    /// Order.
    pub order: String,
    /// Family.
    pub family: String,
    /// Rank as GBIF writes it.
    pub rank: String,
    /// TAXREF code of this name.
    pub cd_nom: i32,
    /// TAXREF code of the accepted name.
    pub cd_ref: i32,
    /// Whether `taxref_liens` leads from the key to this name.
    pub linked: bool,
    /// French name; empty when there is none.
    pub vernacular_name: String,
}

impl From<&passereau_sandbox::taxa::Taxon> for SeedTaxon {
    fn from(taxon: &passereau_sandbox::taxa::Taxon) -> Self {
        Self {
            gbif_key: taxon.gbif_key.into(),
            scientific_name: taxon.scientific_name.into(),
            canonical_name: taxon.canonical_name.into(),
            kingdom: taxon.kingdom.into(),
            phylum: taxon.phylum.into(),
            class: taxon.class.into(),
            order: taxon.order.into(),
            family: taxon.family.into(),
            rank: taxon.rank.into(),
            cd_nom: taxon.cd_nom,
            cd_ref: taxon.cd_ref,
            linked: taxon.linked,
            vernacular_name: taxon.vernacular_name.into(),
        }
    }
}

/// Adds names to `taxonomie.taxref` with the ranks above them, and their GBIF links. Names that are there already are left
/// as they are, so that it can be called again with more.
///
/// # Errors
/// When PostgreSQL refuses a row.
pub async fn seed_taxa(pool: &PgPool, taxa: &[SeedTaxon]) -> Result<()> {
    let rows = taxref::rows(&taxref::known_above(pool).await?, taxa);
    let mut tx = pool.begin().await?;
    taxref::insert(&mut tx, &rows).await.context("seeding taxonomie.taxref")?;
    let linked: Vec<&SeedTaxon> = taxa.iter().filter(|taxon| taxon.linked).collect();
    sqlx::query(
        "INSERT INTO taxonomie.taxref_liens (ct_name, ct_type, ct_title, ct_url, cd_nom, ct_sp_id, url_sp)
         SELECT 'GBIF', 'Mondiale', 'Global Biodiversity Information Facility', 'https://www.gbif.org', cd_nom, key,
                'https://www.gbif.org/species/' || key
           FROM unnest($1::int[], $2::text[]) AS link (cd_nom, key)
         ON CONFLICT DO NOTHING",
    )
    .bind(linked.iter().map(|taxon| taxon.cd_nom).collect::<Vec<_>>())
    .bind(linked.iter().map(|taxon| taxon.gbif_key.clone()).collect::<Vec<_>>())
    .execute(&mut *tx)
    .await
    .context("seeding taxonomie.taxref_liens")?;
    sqlx::raw_sql(
        "REFRESH MATERIALIZED VIEW taxonomie.vm_taxref_tree;
         REFRESH MATERIALIZED VIEW taxonomie.vm_regne;
         REFRESH MATERIALIZED VIEW taxonomie.vm_group1_inpn;
         REFRESH MATERIALIZED VIEW taxonomie.vm_group2_inpn;
         REFRESH MATERIALIZED VIEW gn_sensitivity.t_sensitivity_rules_cd_ref;",
    )
    .execute(&mut *tx)
    .await?;
    Ok(tx.commit().await?)
}

/// Declares a dataset under its GBIF key, in the acquisition framework of the seeds, and returns its `id_dataset`. One that
/// is known already keeps its name.
///
/// # Errors
/// When PostgreSQL refuses the row.
pub async fn seed_dataset(pool: &PgPool, key: Uuid, name: &str) -> Result<i32> {
    // Names longer than the column are cut, as an administrator would.
    let name: String = name.chars().take(255).collect();
    sqlx::query(
        "INSERT INTO gn_meta.t_datasets
             (unique_dataset_id, id_acquisition_framework, dataset_name, dataset_shortname, dataset_desc, marine_domain,
              terrestrial_domain, id_nomenclature_data_origin)
         SELECT $1, min(id_acquisition_framework), $2, $2, $2, false, true,
                ref_nomenclatures.get_id_nomenclature('DS_PUBLIQUE', 'NSP')
           FROM gn_meta.t_acquisition_frameworks
         ON CONFLICT (unique_dataset_id) DO NOTHING",
    )
    .bind(key)
    .bind(&name)
    .execute(pool)
    .await
    .with_context(|| format!("seeding dataset {key}"))?;
    Ok(sqlx::query_scalar("SELECT id_dataset FROM gn_meta.t_datasets WHERE unique_dataset_id = $1")
        .bind(key)
        .fetch_one(pool)
        .await?)
}

/// Adds a rule: `cd_nom` is sensitive at `level` (code of `SENSIBILITE`) in the departments named by their codes, or
/// everywhere when there are none.
///
/// # Errors
/// When PostgreSQL refuses a row, or `level` is no code.
pub async fn seed_sensitivity(pool: &PgPool, cd_nom: i32, level: &str, departments: &[&str]) -> Result<()> {
    let departments: Vec<String> = departments.iter().map(|code| (*code).to_owned()).collect();
    sqlx::query(
        "WITH rule AS (
             INSERT INTO gn_sensitivity.t_sensitivity_rules
                 (cd_nom, nom_cite, id_nomenclature_sensitivity, sensitivity_duration, sensitivity_territory, source, active)
             SELECT cd_nom, nom_complet, ref_nomenclatures.get_id_nomenclature('SENSIBILITE', $2), 100,
                    CASE WHEN cardinality($3::text[]) = 0 THEN 'France' ELSE array_to_string($3, ', ') END, 'Passereau', true
               FROM taxonomie.taxref WHERE cd_nom = $1
             RETURNING id_sensitivity)
         INSERT INTO gn_sensitivity.cor_sensitivity_area (id_sensitivity, id_area)
         SELECT rule.id_sensitivity, area.id_area
           FROM rule JOIN ref_geo.l_areas area
             ON area.id_type = ref_geo.get_id_area_type('DEP') AND area.area_code = ANY ($3)",
    )
    .bind(cd_nom)
    .bind(level)
    .bind(departments)
    .execute(pool)
    .await
    .with_context(|| format!("seeding a rule of sensitivity for cd_nom {cd_nom}"))?;
    sqlx::raw_sql("REFRESH MATERIALIZED VIEW gn_sensitivity.t_sensitivity_rules_cd_ref").execute(pool).await?;
    Ok(())
}

/// Departments in which the rules of the sandbox's sensitive taxa apply: half of them, in two sets.
const WEST: &[&str] = &["03", "15", "42", "43", "63", "69"];
const EAST: &[&str] = &["01", "07", "26", "38", "73", "74"];

/// Everything the sandbox's archives speak of: its taxa, its declared datasets, and a rule for each sensitive taxon.
///
/// # Errors
/// As the functions it calls.
pub async fn seed_sandbox(pool: &PgPool) -> Result<()> {
    let taxa = passereau_sandbox::taxa::taxa();
    seed_taxa(pool, &taxa.iter().map(SeedTaxon::from).collect::<Vec<_>>()).await?;
    for dataset in passereau_sandbox::seeds::KNOWN_DATASETS {
        let key = Uuid::parse_str(dataset.key).with_context(|| format!("key of dataset {}", dataset.title))?;
        seed_dataset(pool, key, dataset.title).await?;
    }
    for (position, taxon) in taxa.iter().filter(|taxon| taxon.sensitive).enumerate() {
        let level = ["2", "1", "3", "4"][position % 4];
        let departments = if position % 2 == 0 { EAST } else { WEST };
        seed_sensitivity(pool, taxon.cd_nom, level, departments).await?;
    }
    Ok(())
}
