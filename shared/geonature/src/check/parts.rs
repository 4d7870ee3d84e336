//! The roles of the exporter and the gateway: what each lacks, and what one may that it should not.

use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use super::{
    attempt::attempt,
    finding::Finding,
    survey::{HeldRight, held},
};
use crate::{
    GeoNatureError, Part,
    catalogue::catalogue,
    part_rights,
    parts::{PART_ROLE, noted},
};

/// A role of one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartRole {
    /// Whose it is.
    pub part: Part,
    /// Its name.
    pub role: String,
    /// Whether PostgreSQL refuses it nothing.
    pub superuser: bool,
    /// Whether it may write observations, in its own name or by a role it belongs to.
    pub writes: bool,
    /// The rights that its part needs.
    pub rights: Vec<HeldRight>,
}

/// The facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartSurvey {
    /// Whether the role that asks is that of a part and of nothing else: harvests are then none of its business.
    pub is_part: bool,
    /// Why our schemas cannot be used as they are.
    pub not_migrated: Option<String>,
    /// The roles.
    pub roles: Vec<PartRole>,
}

/// Surveys the roles that are noted; or, where the role that asks is said to be that of a part, this one alone.
///
/// # Errors
/// As [`super::survey()`].
pub async fn survey_parts(pool: &PgPool, said: Option<Part>) -> Result<PartSurvey, GeoNatureError> {
    let lost = |source| GeoNatureError::Read { doing: "surveying the roles of exporter and gateway", source };
    let not_migrated = passereau_database::check_migrated(pool).await.err().map(|error| error.to_string());
    let mut tx = pool.begin().await.map_err(lost)?;
    let catalogue = catalogue(&mut tx).await?;
    let (asking, works): (String, bool) = sqlx::query_as(
        "SELECT current_user::text, COALESCE((SELECT pg_has_role(current_user, nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'passereau'), true)",
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(lost)?;
    let mut roles = match said {
        Some(part) => vec![(part, asking.clone())],
        // Who may not read the table is asked for nothing: its own rights tell.
        None if catalogue.has(PART_ROLE) => {
            attempt(&mut tx, async |c| noted(c).await).await.map_err(lost)?.unwrap_or_default()
        }
        None => Vec::new(),
    };
    let is_part = said.is_some() || (!works && roles.iter().any(|(_, role)| *role == asking));
    if is_part {
        roles.retain(|(_, role)| *role == asking);
    }
    let mut surveyed = Vec::new();
    for (part, role) in roles {
        let (superuser, writes) = may(&mut tx, &role).await.map_err(lost)?;
        let rights = held(&mut tx, &role, part_rights(&catalogue, part)).await.map_err(lost)?;
        surveyed.push(PartRole { part, role, superuser, writes, rights });
    }
    tx.rollback().await.map_err(lost)?;
    Ok(PartSurvey { is_part, not_migrated, roles: surveyed })
}

/// Whether it is a superuser, and whether it may write observations.
async fn may(connection: &mut PgConnection, role: &str) -> Result<(bool, bool), sqlx::Error> {
    sqlx::query_as(
        "SELECT r.rolsuper, has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE')
           FROM pg_roles r, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE r.rolname = $1 AND n.nspname = 'gn_synthese' AND c.relname = 'synthese'",
    )
    .bind(role)
    .fetch_one(connection)
    .await
}

/// What the facts mean.
pub fn part_findings(survey: &PartSurvey) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Who checks harvests as well is told so by their findings.
    if let Some(reason) = survey.not_migrated.as_ref().filter(|_| survey.is_part) {
        findings.push(Finding::error(
            "schemas",
            reason.clone(),
            "flows are neither made nor served until then",
            "passereau migrate  # as the owner of the schemas",
        ));
    }
    findings.extend(survey.roles.iter().flat_map(of_role));
    findings
}

fn of_role(found: &PartRole) -> Vec<Finding> {
    let PartRole { part, role, .. } = found;
    let name = part.as_str();
    if found.superuser {
        return vec![Finding::warning(
            "part_role",
            format!("the {name} connects as {role}, a superuser, whom PostgreSQL refuses nothing"),
            format!("a {name} that is taken over may do everything in every database of this server"),
            install(*part, "…"),
        )];
    }
    let missing: Vec<String> = found
        .rights
        .iter()
        .filter(|right| !right.held)
        .map(|HeldRight { right, .. }| format!("{} on {} {}", right.privilege, right.kind, right.name))
        .collect();
    let mut findings = vec![if missing.is_empty() {
        Finding::ok("part_role", format!("role {role} has the {} rights that the {name} needs", found.rights.len()))
    } else {
        Finding::error(
            "part_role",
            format!("role {role} is the {name}'s and lacks {}", missing.join(", ")),
            match part {
                Part::Exporter => "deliveries of flows fail without them",
                Part::Gateway => "partners cannot fetch their flows without them",
            },
            install(*part, role),
        )
    }];
    if found.writes {
        findings.push(
            Finding::note(
                "part_role",
                format!("role {role} is the {name}'s and may write observations"),
                format!("the {name} never does: a role of its own keeps what takes it over from doing so"),
            )
            .or_run(install(*part, "…")),
        );
    }
    findings
}

fn install(part: Part, role: &str) -> String {
    format!(
        "passereau install {} {}  # as the database's administrator",
        part.option(),
        super::instance::in_shell(role)
    )
}
