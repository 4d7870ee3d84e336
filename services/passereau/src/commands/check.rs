//! `passereau check`.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use passereau_database::DatabaseConfig;
use passereau_geonature::{
    GeoNatureError, Part,
    check::{Finding, Severity, findings, not_surveyed, part_findings, survey, survey_parts, worst},
};
use serde::Serialize;
use sqlx::PgPool;

use super::show;

/// Examines GeoNature's database, as the role of the URL: what stands in the way of a harvest, why it matters, what to run.
///
/// An observation is inserted, changed and deleted in one transaction that is rolled back, so that rights and triggers are seen at
/// work. Exits with 0 when there is nothing but notes, 1 with warnings, 2 with errors or when the database cannot be asked. RabbitMQ
/// is not examined. The roles of the exporter and the gateway, where they have their own, are examined too; run as one of them, only that one is.
#[derive(Args, Debug)]
pub struct Check {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Examine the role of the URL as that of the exporter or of the gateway, whether the installation has named it so or not.
    #[arg(long, value_name = "exporter|gateway")]
    part: Option<Part>,
    #[command(flatten)]
    database: DatabaseConfig,
}

impl Check {
    /// Prints the findings.
    pub async fn run(self) -> ExitCode {
        // Not an error of `main`, whose exit code would say "warnings".
        let severity = self.report().await.unwrap_or_else(|error| {
            eprintln!("Error: {error:?}");
            Severity::Error
        });
        ExitCode::from(exit_code(severity))
    }

    async fn report(&self) -> anyhow::Result<Severity> {
        let findings = self.examine().await?;
        let worst = worst(&findings);
        let report = if self.json { as_json(worst, &findings)? } else { as_text(&findings) };
        show(&(report + "\n"))?;
        Ok(worst)
    }

    async fn examine(&self) -> anyhow::Result<Vec<Finding>> {
        let pool = passereau_database::connect(&self.database)?;
        match examined(&pool, self.part).await {
            Ok(findings) => Ok(findings),
            Err(error) => match not_surveyed(&error) {
                Some(finding) => Ok(vec![finding]),
                None => Err(error.into()),
            },
        }
    }
}

async fn examined(pool: &PgPool, part: Option<Part>) -> Result<Vec<Finding>, GeoNatureError> {
    let parts = survey_parts(pool, part).await?;
    let mut findings = if parts.is_part { Vec::new() } else { findings(&survey(pool).await?) };
    findings.extend(part_findings(&parts));
    Ok(findings)
}

fn exit_code(severity: Severity) -> u8 {
    match severity {
        Severity::Ok | Severity::Note => 0,
        Severity::Warning => 1,
        Severity::Error => 2,
    }
}

fn as_json(worst: Severity, findings: &[Finding]) -> anyhow::Result<String> {
    #[derive(Serialize)]
    struct Report<'a> {
        worst: Severity,
        findings: &'a [Finding],
    }
    serde_json::to_string_pretty(&Report { worst, findings }).context("writing the findings as JSON")
}

fn as_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        text.push_str(&format!("{:<8} {}\n", word(finding.severity), finding.found));
        if let Some(why) = &finding.why {
            text.push_str(&format!("         {why}\n"));
        }
        for line in finding.run.iter().flat_map(|run| run.lines()) {
            text.push_str(&format!("             {line}\n"));
        }
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    text.push_str(&format!("{} errors, {} warnings", count(Severity::Error), count(Severity::Warning)));
    text
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "ok",
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, Severity, as_json, as_text, exit_code};

    fn finding() -> Finding {
        Finding {
            severity: Severity::Warning,
            found: "no index".into(),
            why: Some("it is slow".into()),
            run: Some("CREATE INDEX …;\nANALYZE …;".into()),
            about: "links_index",
        }
    }

    #[test]
    fn a_finding_is_printed_with_severity_what_why_and_what_to_run_in_that_order() {
        let expected = "warning  no index\n         it is slow\n             CREATE INDEX …;\n             ANALYZE …;\n\
                        0 errors, 1 warnings";
        assert_eq!(as_text(&[finding()]), expected);
        let json = as_json(Severity::Warning, &[finding()]).expect("JSON");
        let places: Vec<_> = ["worst", "severity", "found", "why", "run", "about"]
            .iter()
            .map(|key| json.find(&format!("\"{key}\"")).expect("key"))
            .collect();
        assert!(places.is_sorted(), "{json}");
    }

    #[test]
    fn only_warnings_and_errors_have_an_exit_code() {
        let codes = [Severity::Ok, Severity::Note, Severity::Warning, Severity::Error].map(exit_code);
        assert_eq!(codes, [0, 0, 1, 2]);
    }
}
