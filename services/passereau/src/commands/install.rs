//! `passereau install`.

use clap::Args;
use passereau_database::DatabaseConfig;
use passereau_geonature::{SOURCE_URL, Wanted, detect, install, script};

use super::show;

/// Prepares GeoNature's database: the source "GBIF", the unique index that the upsert needs, two indexes that make it fast, the
/// row by which media are attached to observations, and rights for the workers' role. Everything is additive and can be repeated.
#[derive(Args, Debug)]
pub struct Install {
    /// Print the SQL for the database's administrator instead of running it. Any role may ask for it.
    #[arg(long)]
    print_sql: bool,
    /// Role that the workers connect as; without it no rights are granted.
    #[arg(long)]
    role: Option<String>,
    /// Role that owns the schemas passereau and pinv_gbif and writes nothing of GeoNature's: `passereau migrate` and every worker but the upserter connect
    /// as it, and the role of --role, which becomes a member of it, is the upserter's. Without it one role does both.
    #[arg(long, requires = "role", value_name = "ROLE")]
    state_role: Option<String>,
    /// Role that may read the schemas passereau and pinv_gbif and nothing else, for people and their reports; Grafana needs less (deploy/grafana/grants.sql).
    #[arg(long, requires = "role", value_name = "ROLE")]
    reader: Option<String>,
    /// Role of the exporter, which reads what flows deliver and writes nothing of GeoNature's. Where the schemas are there it can be named alone.
    #[arg(long, value_name = "ROLE")]
    exporter_role: Option<String>,
    /// Role of the gateway, which reads of the state what partners ask for and dates their tokens. Where the schemas are there it can be named alone.
    #[arg(long, value_name = "ROLE")]
    gateway_role: Option<String>,
    /// Also grant what subscriptions with metadata = create need: new rows in gn_meta.t_datasets, gn_meta.cor_dataset_actor and
    /// utilisateurs.bib_organismes.
    #[arg(long, requires = "role")]
    with_metadata: bool,
    /// Also grant what subscriptions with media = true need: rows of gn_commons.t_medias, whose history a trigger writes; and an
    /// index on gn_commons.t_medias.
    #[arg(long, requires = "role")]
    with_media: bool,
    /// Also grant what subscriptions with vanished = delete need: reading gn_synthese.t_reports, deleting in gn_commons.t_medias and
    /// gn_commons.t_validations.
    #[arg(long, requires = "role")]
    with_removal: bool,
    /// Also grant what a platform needs that ran the published procedure by hand: media and validations move along with the UUID of
    /// their observation. Granted without asking where the procedure's tables are found.
    #[arg(long, requires = "role")]
    with_adoption: bool,
    /// Name of the procedure's source in gn_synthese.t_sources, where it is not GBIF: it gets this name, and the address of GBIF.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    #[command(flatten)]
    database: DatabaseConfig,
}

impl Install {
    /// Runs or prints the script.
    ///
    /// # Errors
    /// The database is no GeoNature, or refuses a statement.
    pub async fn run(self) -> anyhow::Result<()> {
        let pool = passereau_database::connect(&self.database)?;
        let wanted = Wanted {
            role: self.role,
            state_role: self.state_role,
            reader: self.reader,
            exporter_role: self.exporter_role,
            gateway_role: self.gateway_role,
            metadata: self.with_metadata,
            media: self.with_media,
            removal: self.with_removal,
            adoption: self.with_adoption,
            source: self.source,
        };
        let grants_nothing = !wanted.grants();
        if self.print_sql {
            return show(&script(&detect(&pool).await?, &wanted));
        }
        let ready = install(&pool, &wanted).await?;
        ready.ready()?;
        show(&format!("source GBIF is {}; the synthèse is ready for harvests\n", ready.source()?))?;
        if grants_nothing {
            show("no rights were granted: name the workers' role with --role (docs/security.md shows all roles)\n")?;
        }
        if let Some(source) = ready.source
            && source.url.as_deref() != Some(SOURCE_URL)
        {
            show(&format!(
                "its url_source is {}, not {SOURCE_URL}, and was left as it is: `passereau check` says more\n",
                source.url.as_deref().unwrap_or("empty")
            ))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        install: Install,
    }

    #[test]
    fn rights_are_asked_for_with_the_role_that_gets_them() {
        let parse = |words: &str| {
            Cli::try_parse_from(format!("install --database-url postgres://x/y {words}").split_whitespace()).is_ok()
        };
        for wanted in [
            "--state-role state",
            "--reader reader",
            "--with-metadata",
            "--with-media",
            "--with-removal",
            "--with-adoption",
        ] {
            assert!(!parse(wanted), "{wanted} alone would grant nothing");
            assert!(parse(&format!("--role passereau {wanted}")), "{wanted}");
        }
        for alone in ["", "--exporter-role exporter", "--gateway-role gateway"] {
            assert!(parse(alone), "{alone}");
        }
    }
}
