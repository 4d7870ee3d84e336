//! The rights of the two parts that have a role of their own where the platform wants it: the exporter, which reads GeoNature and writes our state,
//! and the gateway, which reads of our state what partners ask for.
//!
//! Terms. A *part* is one of the two. Its *role* is noted in `passereau.part_role`: our tables come into being after the installation and grow in number
//! with each version, and their owner grants them each time it migrates ([`grant_parts`]).
//!
//! Invariants. Nothing of GeoNature's is granted to them for writing. Rights are added, none is taken away.

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::{
    Catalogue, Feature, GeoNatureError, Right,
    catalogue::own_tables,
    rights::{
        Group,
        Object::{SchemaOf, Table},
        Statement, of_groups, quoted, statements,
    },
};

/// A part of the fleet with a role of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Makes the deliveries of flows.
    Exporter,
    /// Serves them.
    Gateway,
}

impl Part {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Exporter, Self::Gateway];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exporter => "exporter",
            Self::Gateway => "gateway",
        }
    }

    /// The option of `passereau install` that names its role.
    #[must_use]
    pub const fn option(self) -> &'static str {
        match self {
            Self::Exporter => "--exporter-role",
            Self::Gateway => "--gateway-role",
        }
    }

    const fn feature(self) -> Feature {
        match self {
            Self::Exporter => Feature::Exporter,
            Self::Gateway => Feature::Gateway,
        }
    }
}

impl std::str::FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|part| part.as_str() == text)
            .ok_or_else(|| format!("{text} is no part with a role of its own; those are exporter and gateway"))
    }
}

/// The table that notes which roles are whose.
pub(crate) const PART_ROLE: &str = "passereau.part_role";

const PARTS: &[Group] = &[
    Group {
        feature: Feature::Exporter,
        doing: "seeing the schemas that it reads of",
        privileges: &["USAGE"],
        on: &[
            SchemaOf("gn_synthese"),
            SchemaOf("gn_meta"),
            SchemaOf("gn_sensitivity"),
            SchemaOf("ref_geo"),
            SchemaOf("ref_habitats"),
            SchemaOf("ref_nomenclatures"),
            SchemaOf("taxonomie"),
            SchemaOf("passereau"),
            SchemaOf("pinv_gbif"),
        ],
    },
    Group {
        feature: Feature::Exporter,
        doing: "reading the observations, and the areas that they lie in",
        privileges: &["SELECT"],
        on: &[
            Table("gn_synthese.synthese"),
            Table("gn_synthese.cor_area_synthese"),
            Table("ref_geo.l_areas"),
            Table("ref_geo.bib_areas_types"),
        ],
    },
    Group {
        feature: Feature::Exporter,
        doing: "reading what the fields of a flow say beside them: sources, datasets, names and their statuses, habitats, vocabularies",
        privileges: &["SELECT"],
        on: &[
            Table("gn_synthese.t_sources"),
            Table("gn_meta.t_datasets"),
            Table("gn_meta.t_acquisition_frameworks"),
            Table("taxonomie.taxref"),
            Table("taxonomie.t_meta_taxref"),
            Table("taxonomie.v_bdc_status"),
            Table("ref_habitats.habref"),
            Table("ref_nomenclatures.t_nomenclatures"),
            Table("ref_nomenclatures.bib_nomenclatures_types"),
        ],
    },
    Group {
        feature: Feature::Exporter,
        doing: "telling in the manifest how new the sensitivity rules are",
        privileges: &["SELECT"],
        on: &[Table("gn_sensitivity.t_sensitivity_rules")],
    },
    Group {
        feature: Feature::Exporter,
        doing: "reading what may leave, what is agreed, and what harvests have brought",
        privileges: &["SELECT"],
        on: &[
            Table("passereau.sensitivity_level"),
            Table("passereau.diffusion_wish"),
            Table("passereau.blur_rule"),
            Table("passereau.licence"),
            Table("passereau.flow"),
            Table("passereau.written"),
            Table("passereau.download"),
            Table("pinv_gbif.dataset"),
        ],
    },
    Group {
        feature: Feature::Exporter,
        doing: "knowing which versions hold sensitive records at their precision, and until when they may be fetched",
        privileges: &["SELECT (flow)", "SELECT (version)", "SELECT (agreement)"],
        on: &[Table("passereau.flow_version")],
    },
    Group {
        feature: Feature::Exporter,
        doing: "knowing when a flow is due, and holding up the schedule of one that has ended",
        privileges: &["SELECT", "UPDATE (suspended_at)", "UPDATE (suspended_because)"],
        on: &[Table("passereau.schedule")],
    },
    Group {
        feature: Feature::Exporter,
        doing: "writing deliveries down",
        privileges: &["SELECT", "INSERT", "UPDATE"],
        on: &[Table("passereau.delivery")],
    },
    Group {
        feature: Feature::Exporter,
        doing: "writing their parts down, and forgetting them",
        privileges: &["SELECT", "INSERT", "DELETE"],
        on: &[Table("passereau.delivery_part")],
    },
    Group {
        feature: Feature::Exporter,
        doing: "messages: sending them, for every worker",
        privileges: &["SELECT", "INSERT", "UPDATE", "DELETE"],
        on: &[Table("passereau.outbox"), Table("passereau.sent")],
    },
    Group {
        feature: Feature::Exporter,
        doing: "messages: handling each once",
        privileges: &["SELECT", "INSERT"],
        on: &[Table("passereau.inbox")],
    },
    Group {
        feature: Feature::Exporter,
        doing: "messages: one delivery of a flow at a time",
        privileges: &["SELECT", "INSERT", "UPDATE"],
        on: &[Table("passereau.claim")],
    },
    Group {
        feature: Feature::Exporter,
        doing: "messages: keeping those that give up, of every worker",
        privileges: &["INSERT"],
        on: &[Table("passereau.dead_letter")],
    },
    Group {
        feature: Feature::Exporter,
        // Any process may be the one that finds a message in the dead queue, or that cannot send one.
        doing: "messages: failing the harvest of one that gave up, and asking whether a harvest stands still or has ended",
        privileges: &[
            "SELECT",
            "UPDATE (state)",
            "UPDATE (failed_state)",
            "UPDATE (reason)",
            "UPDATE (updated_at)",
            "UPDATE (finished_at)",
        ],
        on: &[Table("passereau.harvest")],
    },
    Group {
        feature: Feature::Exporter,
        doing: "seeing at the start whether the schemas are as new as the program, and whose role this is",
        privileges: &["SELECT"],
        on: &[Table("passereau.schema_migration"), Table("passereau.function_set"), Table(PART_ROLE)],
    },
    Group {
        feature: Feature::Gateway,
        doing: "seeing the schema that it reads of",
        privileges: &["USAGE"],
        on: &[SchemaOf("passereau")],
    },
    Group {
        feature: Feature::Gateway,
        doing: "finding the versions of a flow, and when the next one is due",
        privileges: &["SELECT"],
        on: &[Table("passereau.delivery"), Table("passereau.schedule")],
    },
    Group {
        feature: Feature::Gateway,
        // Not the key, which its pseudonyms are made with, nor the territory.
        doing: "telling what is agreed",
        privileges: &[
            "SELECT (name)",
            "SELECT (agreement)",
            "SELECT (version)",
            "SELECT (applied_at)",
            "SELECT (applied_by)",
            "SELECT (approved_version)",
            "SELECT (approved_by)",
            "SELECT (approved_at)",
            "SELECT (suspended_at)",
            "SELECT (suspended_because)",
        ],
        on: &[Table("passereau.flow")],
    },
    Group {
        feature: Feature::Gateway,
        doing: "knowing which versions hold sensitive records at their precision, and until when they may be fetched",
        privileges: &["SELECT (flow)", "SELECT (version)", "SELECT (agreement)"],
        on: &[Table("passereau.flow_version")],
    },
    Group {
        feature: Feature::Gateway,
        doing: "finding a token by its digest, and dating its use",
        privileges: &["SELECT", "UPDATE (last_used_at)"],
        on: &[Table("passereau.flow_token")],
    },
    Group {
        feature: Feature::Gateway,
        doing: "seeing at the start whether the schemas are as new as the program, and whose role this is",
        privileges: &["SELECT"],
        on: &[Table("passereau.schema_migration"), Table("passereau.function_set"), Table(PART_ROLE)],
    },
];

/// What `passereau flow plan`, which runs as the writer, reads beside what a harvest does: it tries the rows of a delivery.
const PLANNING: &[Group] = &[
    Group {
        feature: Feature::Exporter,
        doing: "flows: seeing the habitats, to plan a delivery with them",
        privileges: &["USAGE"],
        on: &[SchemaOf("ref_habitats")],
    },
    Group {
        feature: Feature::Exporter,
        doing: "flows: reading what only the fields of a flow say, to plan a delivery with them",
        privileges: &["SELECT"],
        on: &[Table("gn_meta.t_acquisition_frameworks"), Table("ref_habitats.habref"), Table("taxonomie.v_bdc_status")],
    },
];

/// Every right that a part needs on what this database has.
pub fn part_rights(catalogue: &Catalogue, part: Part) -> Vec<Right> {
    of_groups(PARTS, catalogue, part.feature())
}

/// The same, as few statements that an administrator can read.
pub(crate) fn grants_to_part(catalogue: &Catalogue, part: Part, role: &str) -> Vec<Statement> {
    grants_of(PARTS, catalogue, part, role)
}

/// What the writer needs to plan flows, on a platform that has an exporter.
pub(crate) fn grants_to_planner(catalogue: &Catalogue, role: &str) -> Vec<Statement> {
    grants_of(PLANNING, catalogue, Part::Exporter, role)
}

fn grants_of(groups: &[Group], catalogue: &Catalogue, part: Part, role: &str) -> Vec<Statement> {
    statements(groups, catalogue, part.feature(), |group, _| {
        Some((group.doing, format!("GRANT {}", group.privileges.join(", ")), format!("TO {}", quoted(role))))
    })
}

/// Notes in the name of our state's owner whose role this is. The schema is made where it is not there yet: the installation comes before the first
/// migration.
pub(crate) fn note(catalogue: &Catalogue, owner: &str, part: Part, role: &str) -> Statement {
    let schema = if catalogue.has_schema("passereau") { "" } else { "CREATE SCHEMA IF NOT EXISTS passereau;\n" };
    Statement {
        doing: match part {
            Part::Exporter => "the exporter has a role of its own; `passereau migrate` grants it our tables",
            Part::Gateway => "the gateway has a role of its own; `passereau migrate` grants it our tables",
        },
        sql: format!(
            "SET ROLE {owner};\n{schema}\
             CREATE TABLE IF NOT EXISTS {PART_ROLE} (part text, role name, PRIMARY KEY (part, role));\n\
             INSERT INTO {PART_ROLE} (part, role) VALUES ('{part}', {role}) ON CONFLICT DO NOTHING;\n\
             RESET ROLE;",
            owner = quoted(owner),
            part = part.as_str(),
            role = crate::install::literal(role),
        ),
    }
}

/// The roles that are noted and exist, in the order of the parts.
pub(crate) async fn noted(connection: &mut PgConnection) -> Result<Vec<(Part, String)>, sqlx::Error> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT p.part, p.role::text FROM passereau.part_role p JOIN pg_roles r ON r.rolname = p.role ORDER BY 1, 2",
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().filter_map(|(part, role)| Some((part.parse().ok()?, role))).collect())
}

/// Grants each part that has a role of its own what it needs on our tables; for their owner, after a migration. Gives back whom.
///
/// # Errors
/// [`GeoNatureError::Parts`].
pub async fn grant_parts(pool: &PgPool) -> Result<Vec<(Part, String)>, GeoNatureError> {
    let failed = |source| GeoNatureError::Parts { source };
    let mut tx = pool.begin().await.map_err(failed)?;
    // Of two processes that grant at once one would fail with "tuple concurrently updated".
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('passereau.functions'))")
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    let tables = own_tables(&mut tx).await.map_err(failed)?;
    if !tables.contains(PART_ROLE) {
        return Ok(Vec::new());
    }
    let ours = Catalogue { tables, ..Catalogue::default() };
    let roles = noted(&mut tx).await.map_err(failed)?;
    for (part, role) in &roles {
        for Statement { sql, .. } in grants_to_part(&ours, *part, role) {
            // Text of this module; the role's name is quoted.
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await.map_err(failed)?;
        }
    }
    tx.commit().await.map_err(failed)?;
    Ok(roles)
}
