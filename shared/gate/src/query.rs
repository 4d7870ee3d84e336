//! The statements: rows that leave exactly, rows that leave as an area, and what does not leave.
//!
//! They are made of static text. Everything that an agreement says is one JSON document, which [`Query::begin`] sets for the
//! transaction and `passereau.selected` reads.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::{Field, REQUIRED, Selection, field::Join};

/// Every row of the synthèse …
const BASE: &str = "
FROM gn_synthese.synthese s";

/// … that has a taxon and a source, with what decides about it.
const JUDGED: &str = "
JOIN taxonomie.taxref t ON t.cd_nom = s.cd_nom
JOIN gn_synthese.t_sources src ON src.id_source = s.id_source
LEFT JOIN passereau.gate_level() lv ON lv.id_nomenclature = s.id_nomenclature_sensitivity
LEFT JOIN passereau.gate_wish() w ON w.id_nomenclature = s.id_nomenclature_diffusion_level
LEFT JOIN passereau.licence li ON li.spelling = passereau.licence_spelling(s.additional_data ->> 'license')
CROSS JOIN LATERAL (
    SELECT passereau.gate_precision((SELECT passereau.selection() ->> 'sensitive'), lv.precision, s.id_nomenclature_diffusion_level, w.precision) AS precision,
           passereau.gate_area_type(lv.precision, lv.area_type, w.area_type) AS area_type,
           COALESCE(li.licence, CASE WHEN src.name_source <> 'GBIF' AND NULLIF(btrim(s.additional_data ->> 'license'), '') IS NULL
                                     THEN (SELECT passereau.selection() ->> 'own_licence') END) AS licence) g";

/// PostgreSQL takes a comparison with an expression for one row in 200, and two of them for none: it would then join thousands of areas with tens
/// of thousands of rows one by one. It takes what stands in `COALESCE` for half of the rows.
const LICENSED: &str = "COALESCE(g.licence = ANY ((SELECT passereau.selected('licences'))::text[]), false)";
const EXACT: &str = "COALESCE(g.precision = 'exact', false)";
const BLURRED: &str = "COALESCE(g.precision = 'area', false)";

/// What was decided about the rows of `{rows}`, under the names that the fields know, and what they need besides.
const DECIDED: &str = "
JOIN gn_synthese.synthese s ON s.id_synthese = {rows}.id_synthese
JOIN taxonomie.taxref t ON t.cd_nom = s.cd_nom
JOIN gn_synthese.t_sources src ON src.id_source = s.id_source
CROSS JOIN LATERAL (SELECT {rows}.level AS label, {rows}.level_precision AS precision) lv
CROSS JOIN LATERAL (SELECT {rows}.area_type, {rows}.licence) g";

/// The same, where it is decided.
const DECISION: &str = "s.id_synthese, lv.label AS level, lv.precision AS level_precision, g.area_type, g.licence";

/// The one area of its type that a row lies in. A second one would say that it is near their border: a line or a surface takes the one that
/// holds most of it, anything else on a border the one with the lower code. Areas that are disabled, or that the row does not meet
/// whatever `cor_area_synthese` still says, are none. (`OFFSET 0`: a look in the index of all areas costs ten times as much.)
const PLACE: &str = "
JOIN ref_geo.bib_areas_types ty ON ty.type_code = g.area_type
CROSS JOIN LATERAL (
    SELECT found.id_area
    FROM (SELECT held.id_area, held.area_code, held.geom, count(*) OVER () AS areas
          FROM (SELECT pa.id_area, pa.area_code, pa.geom
                FROM gn_synthese.cor_area_synthese pc JOIN ref_geo.l_areas pa ON pa.id_area = pc.id_area
                WHERE pc.id_synthese = s.id_synthese AND pa.id_type = ty.id_type AND pa.enable OFFSET 0) held
          WHERE ST_Intersects(s.the_geom_local, held.geom)) found
    ORDER BY CASE WHEN found.areas > 1 AND ST_Dimension(s.the_geom_local) > 0 AND ST_IsValid(s.the_geom_local) AND ST_IsValid(found.geom) THEN
                 CASE ST_Dimension(s.the_geom_local) WHEN 1 THEN ST_Length(ST_Intersection(s.the_geom_local, found.geom))
                                                     WHEN 2 THEN ST_Area(ST_Intersection(s.the_geom_local, found.geom)) END
             END DESC NULLS LAST, found.area_code, found.id_area
    LIMIT 1) place";

/// The flow's own row, and words of the standard in this platform's language. A flow without its row, whose row is of another version than the
/// selection, or has a territory that the selection does not know of, is not open: nothing leaves. An area lies in the territory when it does but for a metre, since
/// borders of two sources differ by less.
const FLOW: &str = "
flow AS MATERIALIZED (
    SELECT f.territory, ST_Buffer(f.territory, 1) AS around, f.key,
           COALESCE(f.version = (passereau.selection() ->> 'version')::integer
                    AND (f.territory IS NOT NULL) = (passereau.selection() ->> 'has_territory')::boolean, false) AS is_open
    FROM passereau.flow f WHERE f.name = (SELECT passereau.selection() ->> 'flow')),
words AS MATERIALIZED (
    SELECT y.mnemonique AS type, n.label_default FROM ref_nomenclatures.t_nomenclatures n
    JOIN ref_nomenclatures.bib_nomenclatures_types y ON y.id_type = n.id_type
    WHERE (y.mnemonique, n.cd_nomenclature) IN (('NAT_OBJ_GEO', 'In'), ('TYP_INF_GEO', '2'), ('DEE_FLOU', 'OUI')))";

const OPEN: &str = "(SELECT is_open FROM flow)";

/// Names of TAXREF that the selection asks for, with everything below those of `cd_ref`.
const TAXA: &str = ",
taxa AS MATERIALIZED (
    WITH RECURSIVE below AS (
        SELECT x.cd_ref FROM taxonomie.taxref x WHERE x.cd_ref::text = ANY ((SELECT passereau.selected('cd_ref'))::text[])
        UNION
        SELECT x.cd_ref FROM below JOIN taxonomie.taxref x ON x.cd_sup = below.cd_ref)
    SELECT x.cd_nom FROM taxonomie.taxref x
    WHERE x.regne = ANY ((SELECT passereau.selected('regne'))::text[])
       OR x.group1_inpn = ANY ((SELECT passereau.selected('group1_inpn'))::text[])
       OR x.group2_inpn = ANY ((SELECT passereau.selected('group2_inpn'))::text[])
       OR x.group3_inpn = ANY ((SELECT passereau.selected('group3_inpn'))::text[])
       OR x.ordre = ANY ((SELECT passereau.selected('ordre'))::text[])
       OR x.famille = ANY ((SELECT passereau.selected('famille'))::text[])
       OR x.cd_ref IN (SELECT below.cd_ref FROM below))";

/// The areas in use, with what a blurred row says of its place. A file holds an area with its border simplified to a part of its size (50 m for a
/// mesh of 10 km): a department's has thousands of vertices, in each row. That is done here, once for each area: a look-up after the sort would
/// do it for each row, since PostgreSQL memoizes nothing whose values it cannot foresee. The sort carries the result, at half of its size in a part.
const AREA: &str =
    "l.area_code, l.area_name, round(ST_X(c.centre)::numeric, 6) AS x, round(ST_Y(c.centre)::numeric, 6) AS y,
    ST_AsBinary(ST_Transform(ST_SimplifyPreserveTopology(l.geom, sqrt(ST_Area(l.geom)) / 200), 4326)) AS wkb
    FROM ref_geo.l_areas l CROSS JOIN LATERAL (SELECT ST_Centroid(ST_Transform(l.geom, 4326)) AS centre) c";

const WITHIN: &str = " AND ST_CoveredBy(l.geom, (SELECT around FROM flow))";

/// What lies in an area of the territory meets the territory's box: an index finds it.
const NEAR: &str = " AND s.the_geom_local && (SELECT around FROM flow)";

const INTERSECTS: &str = "ST_Intersects(s.the_geom_local, (SELECT territory FROM flow))";

/// Columns that precede the fields in every row: id_synthese (none for blurred rows), the row's public id, its geometry as
/// hexadecimal WKB, the level's label, the type of the area (none for exact rows), the licence, the harvest that wrote it (of blurred
/// rows of GBIF [`SOME_HARVEST`]: a harvest may be that of one site, and a later one follows a change of the record's place).
pub const CONTROL_COLUMNS: usize = 7;

/// What stands for the harvest of a blurred row that GBIF brought: one of them, which is not said.
pub const SOME_HARVEST: Uuid = Uuid::nil();

/// The harvest behind a row that GBIF brought.
const HARVEST: Join = Join {
    sql: "LEFT JOIN passereau.written wr ON wr.gbif_id = CASE WHEN src.name_source = 'GBIF' AND s.entity_source_pk_value ~ '^[0-9]{1,18}$' THEN s.entity_source_pk_value::bigint END",
};

/// The statements of one selection with its fields.
#[derive(Clone, Debug)]
pub struct Query {
    selection: Selection,
    fields: Vec<&'static Field>,
}

/// How many records become what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, sqlx::FromRow)]
pub struct Tally {
    /// The level, as the platform names it; none when it has none.
    pub level: Option<String>,
    /// `exact`, `area` or `withheld`.
    pub outcome: String,
    /// The type of area, of outcome `area`.
    pub area_type: Option<String>,
    /// Why, of outcome `withheld`: `level_unknown`, `no_diffusion`, `sensitive_excluded`, `no_area`, `wish_none`, `wish_unknown`, `licence_unknown`,
    /// `licence_not_allowed`; in a plan for the platform's own eyes also `area_outside`.
    pub reason: Option<String>,
    /// The licence, where it is known.
    pub licence: Option<String>,
    /// How many.
    pub records: i64,
}

impl Query {
    /// Of a selection, with fields in the order of the columns.
    #[must_use]
    pub fn new(selection: Selection, fields: Vec<&'static Field>) -> Self {
        Self { selection, fields }
    }

    /// The fields, in the order of the columns.
    #[must_use]
    pub fn fields(&self) -> &[&'static Field] {
        &self.fields
    }

    /// Tells a transaction what is selected. Everything below reads it. Its statements are not compiled: with so many columns that takes longer
    /// than what it saves.
    ///
    /// # Errors
    /// Those of PostgreSQL.
    pub async fn begin(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let selection = serde_json::to_string(&self.selection).map_err(|error| sqlx::Error::Encode(error.into()))?;
        sqlx::query("SELECT set_config('passereau.selection', $1, true), set_config('jit', 'off', true)")
            .bind(selection)
            .execute(connection)
            .await?;
        Ok(())
    }

    /// Whether the version that the selection follows is in force, as the transaction sees it. Where it is not, its statements give no row: that must not
    /// be taken for a flow without rows.
    ///
    /// # Errors
    /// Those of PostgreSQL.
    pub async fn is_in_force(&self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM passereau.flow WHERE name = $1 AND version = $2)")
            .bind(&self.selection.flow)
            .bind(self.selection.version)
            .fetch_one(connection)
            .await
    }

    fn taxa(&self) -> &'static str {
        if self.selection.has_taxa() { TAXA } else { "" }
    }

    /// What is asked beside place, precision and licence.
    fn asked(&self) -> String {
        let mut sql = String::new();
        let selection = &self.selection;
        if selection.has_taxa() {
            sql += " AND s.cd_nom IN (SELECT taxa.cd_nom FROM taxa)";
        }
        for (list, condition) in [
            (&selection.sources, " AND src.name_source = ANY ((SELECT passereau.selected('sources'))::text[])"),
            (
                &selection.sources_excluded,
                " AND src.name_source <> ALL ((SELECT passereau.selected('sources_excluded'))::text[])",
            ),
            (
                &selection.datasets,
                " AND s.id_dataset IN (SELECT x.id_dataset FROM gn_meta.t_datasets x WHERE x.unique_dataset_id::text = ANY ((SELECT passereau.selected('datasets'))::text[]))",
            ),
            (
                &selection.datasets_excluded,
                " AND s.id_dataset <> ALL (ARRAY(SELECT x.id_dataset FROM gn_meta.t_datasets x WHERE x.unique_dataset_id::text = ANY ((SELECT passereau.selected('datasets_excluded'))::text[])))",
            ),
        ] {
            if !list.is_empty() {
                sql += condition;
            }
        }
        sql
    }

    fn if_territory(&self, sql: &'static str) -> &'static str {
        if self.selection.has_territory { sql } else { "" }
    }

    /// What the exact values of fields need; of those for which this holds.
    fn joins(&self, needed: impl Fn(&Field) -> bool, more: &[Join]) -> String {
        let mut joins: Vec<Join> = Vec::new();
        for join in self.fields.iter().filter(|field| needed(field)).flat_map(|field| field.joins).chain(more) {
            if !joins.contains(join) {
                joins.push(*join);
            }
        }
        joins.iter().map(|join| format!("\n{}", join.sql)).collect()
    }

    /// `COPY` of at most `limit` rows that leave exactly and follow `after` (id_synthese), in the order of their id.
    ///
    /// The page is found first, with as little as decides about it: what fields need is joined for its rows alone.
    #[must_use]
    pub fn exact_rows(&self, after: i32, limit: u32) -> AssertSqlSafe<String> {
        let mut columns = String::from(
            "s.id_synthese, s.unique_id_sinp, encode(ST_AsBinary(s.the_geom_4326), 'hex'), lv.label, NULL, g.licence, wr.harvest_id",
        );
        for field in &self.fields {
            let _ = write!(columns, ", {}", field.exact);
        }
        let territory = if self.selection.has_territory { format!(" AND {INTERSECTS}") } else { String::new() };
        AssertSqlSafe(format!(
            "COPY (WITH {FLOW}{taxa},
             page AS MATERIALIZED (
                 SELECT {DECISION}{BASE}{JUDGED}
                 WHERE s.id_synthese > {after} AND {OPEN} AND {EXACT} AND {LICENSED}{asked}{territory}
                 ORDER BY s.id_synthese LIMIT {limit})
             SELECT {columns} FROM page{decided}{joins} ORDER BY page.id_synthese) TO STDOUT",
            decided = DECIDED.replace("{rows}", "page"),
            taxa = self.taxa(),
            joins = self.joins(|_| true, &[HARVEST]),
            asked = self.asked(),
        ))
    }

    /// Where each row with precision `area` lies, and those of the areas that lie in the territory: two further parts of a `WITH`.
    fn placed(&self, licensed: &str, area: &str) -> String {
        format!(
            ",
placed AS MATERIALIZED (SELECT {DECISION}, place.id_area{BASE}{JUDGED}{PLACE} WHERE {OPEN} AND {BLURRED}{licensed}{asked}{near}),
areas AS MATERIALIZED (SELECT l.id_area, {area} WHERE l.id_area IN (SELECT placed.id_area FROM placed){within})",
            asked = self.asked(),
            near = self.if_territory(NEAR),
            within = self.if_territory(WITHIN),
        )
    }

    /// `COPY` of all rows that leave as an area, in the order of the names that this flow gives them.
    #[must_use]
    pub fn blurred_rows(&self) -> AssertSqlSafe<String> {
        const NAME: &str = "passereau.pseudonym((SELECT key FROM flow), s.unique_id_sinp, s.id_synthese)";
        let (mut columns, mut values) = (String::new(), String::new());
        for (position, field) in self.fields.iter().enumerate() {
            let (name, exact, generalised) = (field.name, field.exact, field.generalised);
            let kept = if field.is_never_kept { generalised } else { exact };
            // The rule of a column that a partner must have cannot be lost.
            let _ = if REQUIRED.contains(&name) {
                write!(columns, ", ({generalised})::text AS f{position}")
            } else {
                write!(
                    columns,
                    ", CASE rules.treatments ->> '{name}' WHEN 'keep' THEN ({kept})::text WHEN 'generalise' THEN ({generalised})::text END AS f{position}"
                )
            };
            let _ = write!(values, ", r.f{position}");
        }
        AssertSqlSafe(format!(
            "COPY (WITH {FLOW}{taxa}{placed}
             SELECT NULL, r.gate_name, encode(r.gate_wkb, 'hex'), r.gate_level, r.gate_type, r.gate_licence, r.gate_harvest{values}
             FROM (SELECT {NAME} AS gate_name, a.wkb AS gate_wkb, placed.level AS gate_level, placed.area_type AS gate_type, placed.licence AS gate_licence,
                          CASE WHEN src.name_source = 'GBIF' THEN '{SOME_HARVEST}' END AS gate_harvest{columns}
                   FROM placed JOIN areas a ON a.id_area = placed.id_area
                   LEFT JOIN passereau.gate_rules() rules ON rules.area_type = placed.area_type{decided}{joins}
                   ORDER BY gate_name) r
             ORDER BY r.gate_name) TO STDOUT",
            taxa = self.taxa(),
            placed = self.placed(&format!(" AND {LICENSED}"), AREA),
            decided = DECIDED.replace("{rows}", "placed"),
            joins = self.joins(|field| !field.is_never_kept, &[]),
        ))
    }

    /// What becomes of every record that the selection asks for. In a territory that says nothing of records whose place may not be
    /// told: they are counted only where no place is asked for.
    ///
    /// # Errors
    /// Those of PostgreSQL.
    pub async fn tally(&self, connection: &mut PgConnection) -> Result<Vec<Tally>, sqlx::Error> {
        sqlx::query_as(self.tally_sql()).fetch_all(connection).await
    }

    /// The same with every record that meets the territory, for the platform's own eyes: no delivery tells of it. A record whose area reaches
    /// beyond the territory stays for reason `area_outside`.
    ///
    /// # Errors
    /// Those of PostgreSQL.
    pub async fn tally_of_all(&self, connection: &mut PgConnection) -> Result<Vec<Tally>, sqlx::Error> {
        let sql = if self.selection.has_territory {
            const IN_PART: &str =
                "(a.id_area IS NOT NULL OR ST_Intersects(s.the_geom_local, (SELECT territory FROM flow)))";
            self.tally_where(INTERSECTS, IN_PART, INTERSECTS)
        } else {
            self.tally_sql()
        };
        sqlx::query_as(sql).fetch_all(connection).await
    }

    /// The statement of [`Query::tally`], for `EXPLAIN`.
    #[must_use]
    pub fn tally_sql(&self) -> AssertSqlSafe<String> {
        if self.selection.has_territory {
            self.tally_where(INTERSECTS, "a.id_area IS NOT NULL", "false")
        } else {
            self.tally_where("true", "true", "true")
        }
    }

    /// Which records are counted: of those that may leave exactly, as an area, and not at all.
    fn tally_where(&self, exact: &str, area: &str, none: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(format!(
            "WITH {FLOW}{taxa}{placed},
             met AS (
                 SELECT lv.label AS level, g.precision AS outcome, CASE WHEN g.precision = 'area' THEN g.area_type END AS area_type, g.licence,
                        CASE g.precision WHEN 'none' THEN passereau.gate_reason(lv.precision, w.precision)
                                         WHEN 'area' THEN CASE WHEN placed.id_area IS NULL THEN 'no_area' WHEN a.id_area IS NULL THEN 'area_outside' END END AS reason{BASE}{JUDGED}
                 LEFT JOIN placed ON placed.id_synthese = s.id_synthese
                 LEFT JOIN areas a ON a.id_area = placed.id_area
                 WHERE {OPEN}{asked}{near} AND CASE g.precision WHEN 'exact' THEN {exact} WHEN 'area' THEN {area} ELSE {none} END),
             judged AS (
                 SELECT m.level, m.outcome, m.area_type, m.licence,
                        COALESCE(m.reason, CASE WHEN m.licence IS NULL THEN 'licence_unknown'
                                                WHEN NOT m.licence = ANY ((SELECT passereau.selected('licences'))::text[]) THEN 'licence_not_allowed' END) AS reason
                 FROM met m)
             SELECT level, CASE WHEN reason IS NULL THEN outcome ELSE 'withheld' END AS outcome, CASE WHEN reason IS NULL THEN area_type END AS area_type,
                    reason, licence, count(*) AS records
             FROM judged GROUP BY 1, 2, 3, 4, 5 ORDER BY 2, 1, 3, 4, 5",
            taxa = self.taxa(),
            placed = self.placed("", "l.id_area AS id FROM ref_geo.l_areas l"),
            asked = self.asked(),
            near = self.if_territory(NEAR),
        ))
    }
}
