//! Findings about a platform that ran the published procedure by hand.

use serde::Serialize;
use sqlx::PgConnection;

use super::{
    finding::{Finding, refused},
    instance::install_for,
    survey::Survey,
};

/// A view that somebody has built on a table that was put aside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct LeftBehind {
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: String,
    /// What makes it anew over our tables.
    pub statement: String,
}

/// What was adopted, in rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Adoption {
    /// Whether the procedure's tables were taken over.
    pub tables: bool,
    /// Records, media and answers of iNaturalist that were taken over, and answers that could not be used.
    pub records: i64,
    /// Media.
    pub media: i64,
    /// Answers of iNaturalist.
    pub answers: i64,
    /// Rows of `cor_uuid_inaturalist` without an observation or a UUID, or that contradict each other.
    pub unusable_answers: i64,
    /// Values of the procedure's records that their columns could not hold.
    pub unreadable: i64,
    /// Rows of source GBIF in the synthèse that no harvest has met yet.
    pub unmet: i64,
    /// Rows written by hand that are ours now.
    pub adopted: i64,
    /// Of these, rows whose UUID or key the next harvest changes.
    pub due: i64,
    /// Rows that could not be adopted.
    pub refused: i64,
    /// Views that show the tables of before.
    pub left_behind: Vec<LeftBehind>,
}

impl Adoption {
    /// Whether UUIDs are still to be given, with what hangs on them.
    pub(super) fn moves(&self) -> bool {
        self.tables || self.due > 0
    }
}

pub(super) async fn adoption(connection: &mut PgConnection) -> Result<Adoption, sqlx::Error> {
    let (tables, records, media, answers, unusable_answers, unreadable) = sqlx::query_as(
        "SELECT adopted_at IS NOT NULL, records, media, answers, unusable_answers, unreadable FROM passereau.adoption",
    )
    .fetch_one(&mut *connection)
    .await?;
    let (unmet, adopted, due, refused) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM gn_synthese.synthese s JOIN gn_synthese.t_sources t USING (id_source)
                  WHERE t.name_source = 'GBIF'
                    AND NOT EXISTS (SELECT FROM passereau.written w WHERE w.id_synthese = s.id_synthese)),
                (SELECT count(*) FROM passereau.written WHERE by_hand),
                (SELECT count(*) FROM passereau.written WHERE identity_due),
                (SELECT count(*) FROM pinv_gbif.not_adopted)",
    )
    .fetch_one(&mut *connection)
    .await?;
    let left_behind = sqlx::query_as("SELECT name, owner, statement FROM passereau.views_left_behind()")
        .fetch_all(connection)
        .await?;
    Ok(Adoption {
        tables,
        records,
        media,
        answers,
        unusable_answers,
        unreadable,
        unmet,
        adopted,
        due,
        refused,
        left_behind,
    })
}

pub(super) fn findings(survey: &Survey) -> Vec<Finding> {
    let in_the_way = &survey.catalogue.by_hand.in_the_way;
    if !in_the_way.is_empty() {
        return vec![Finding::error(
            "by_hand",
            format!("schema pinv_gbif holds tables of the procedure run by hand: {}", in_the_way.join(", ")),
            "ours have the same names: the installation puts them aside, then `passereau migrate` takes their rows over",
            format!("-- as the database's administrator:\n{}", install_for(survey, "")),
        )];
    }
    match survey.ours.as_ref().map(|ours| &ours.adoption) {
        Ok(Ok(adoption)) => adopted(adoption).into_iter().chain(still_there(survey)).collect(),
        Ok(Err(refusal)) => vec![refused("adoption", "what was adopted of the procedure run by hand", refusal)],
        // The finding about our schemas says so.
        Err(_) => Vec::new(),
    }
}

/// The tables that were put aside hold people's names, which no erasure reaches.
fn still_there(survey: &Survey) -> Option<Finding> {
    let tables: Vec<String> = survey.catalogue.by_hand.aside.iter().map(|table| format!("pinv_gbif.{table}")).collect();
    (!tables.is_empty()).then(|| {
        Finding::note(
            "adoption",
            format!("the procedure's tables of before are still there: {}", tables.join(", ")),
            "nothing reads them any more, and `passereau privacy erase` does not reach the names of people in them",
        )
        .or_run(format!("-- as their owner, once the first harvest was looked at:\nDROP TABLE {};", tables.join(", ")))
    })
}

fn adopted(adoption: &Adoption) -> Vec<Finding> {
    let Adoption { records, media, answers, unusable_answers, unreadable, unmet, adopted, due, refused, .. } = adoption;
    let mut findings = Vec::new();
    if adoption.tables {
        findings.push(Finding::ok(
            "adoption",
            format!(
                "the procedure's tables were adopted: {records} records ({unreadable} values that are no date, number or key \
                 were left out), {media} media, {answers} UUIDs of iNaturalist ({unusable_answers} rows without a usable one)"
            ),
        ));
    }
    if *adopted > 0 || *unmet > 0 {
        let found = format!(
            "of the rows of source GBIF written by hand, {adopted} are adopted ({due} wait for the next harvest to get their \
             permanent UUID) and {unmet} are in no harvest yet"
        );
        let why = "a row is adopted by the first harvest that holds its record; until then it stays as it is";
        findings.push(match (adoption.tables, unmet + due) {
            (_, 0) => Finding::ok("adoption", found),
            (true, _) => Finding::note("adoption", found, why).or_run("passereau harvest reconvert manual"),
            (false, _) => Finding::note("adoption", found, why),
        });
    }
    if *refused > 0 {
        findings.push(Finding::warning(
            "adoption",
            format!("{refused} rows of the synthèse could not be adopted, and stay as they are"),
            "another row has their UUID already, or several stand for one observation of iNaturalist: a person has to choose",
            "SELECT * FROM pinv_gbif.not_adopted ORDER BY reason, id_synthese;",
        ));
    }
    for view in &adoption.left_behind {
        findings.push(Finding::warning(
            "adoption",
            format!(
                "{} (of {}) was built on the procedure's tables of before, and shows no new record",
                view.name, view.owner
            ),
            "it follows the tables that were put aside",
            format!("-- as {}; what depends on it has to be made anew as well:\n{}", view.owner, view.statement),
        ));
    }
    findings
}
