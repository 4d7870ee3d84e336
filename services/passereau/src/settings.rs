//! `docs/settings-programs.md`: every setting that an environment variable holds, of all programs, from the definitions that `--help` shows.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Args, Command, CommandFactory};
use passereau_runner::ProcessConfig;

use crate::Cli;

const PATH: &str = "../../docs/settings-programs.md";

const HEAD: &str = "<!-- Generated from the programs' options: UPDATE_DOCS=1 cargo test -p passereau --lib -->
# Settings of the programs / Réglages des programmes

Every setting that an environment variable holds, as `--help` of the programs says it. An option goes before the variable. `passereau up` takes the settings of all workers,
and of the gateway where it serves one, from the environment; options that no variable holds are in `passereau COMMAND --help`. What of these is a secret, and how it comes from
a file, says [settings.md](settings.md#secrets-and-encryption), which also has the settings of a subscription and of the platform.

Tous les réglages portés par une variable d'environnement, dans les mots anglais de `--help`. Une option l'emporte sur la variable. `passereau up` prend les réglages de
tous les workers, et de la passerelle s'il la sert, dans l'environnement. Les secrets, et les réglages d'un abonnement et de la plateforme, sont dans [settings.md](settings.md).

| variable | option | default | programs | what it does |
| --- | --- | --- | --- | --- |
";

const TAIL: &str = "
## Known by others / Connues ailleurs

Variables that are no setting of Passereau's and that its programs follow all the same.
Des variables qui ne sont pas des réglages de Passereau, et que ses programmes suivent pourtant.

| variable | what it does |
| --- | --- |
| `AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_ALLOW_HTTP` | where a bucket is: its region (us-east-1 if not said), the address of a store that is not Amazon's, whether that may be asked without TLS |
| `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and what names a role of a machine or a pod | who opens the bucket, where `PASSEREAU_STORE_ACCESS_KEY_ID` and `PASSEREAU_STORE_SECRET_ACCESS_KEY` do not say it |
| `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` | the proxy that calls of GBIF and iNaturalist go through |
| `LC_ALL`, `LC_MESSAGES`, `LANG` | the language of sheets and citations, where `--lang` does not say it |
";

/// Who is no worker.
const GATEWAY: &str = "gateway";
const COMMAND: &str = "passereau";

/// The settings of each worker beside those of its process.
fn workers() -> Vec<(&'static str, Command)> {
    fn worker<C: Args>(name: &'static str) -> (&'static str, Command) {
        (name, C::augment_args(ProcessConfig::augment_args(Command::new(name))))
    }
    vec![
        worker::<passereau_requester::RequesterConfig>("requester"),
        worker::<passereau_poller::PollerConfig>("poller"),
        worker::<passereau_downloader::DownloaderConfig>("downloader"),
        worker::<passereau_loader::LoaderConfig>("loader"),
        worker::<passereau_inat_enricher::EnricherConfig>("inat-enricher"),
        worker::<passereau_upserter::UpserterConfig>("upserter"),
        worker::<passereau_exporter::ExporterConfig>("exporter"),
        worker::<passereau_scheduler::SchedulerConfig>("scheduler"),
    ]
}

fn gateway() -> Command {
    passereau_gateway::GatewayProcessConfig::augment_args(Command::new(GATEWAY))
}

/// One line of the table. Two programs share it when name and default are the same for both.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Setting {
    variable: String,
    option: String,
    default: String,
}

/// Who has a setting, and what the first of them says of it.
#[derive(Default)]
struct Told {
    programs: Vec<String>,
    verbs: Vec<String>,
    help: String,
}

#[derive(Default)]
struct Table(BTreeMap<Setting, Told>);

impl Table {
    fn of_all_programs() -> Self {
        let mut table = Self::default();
        for (name, command) in workers() {
            table.add(&command, |told| told.programs.push(name.to_owned()));
        }
        table.add(&gateway(), |told| told.programs.push(GATEWAY.to_owned()));
        table.add_verbs(&Cli::command(), "");
        table
    }

    fn add(&mut self, command: &Command, who: impl Fn(&mut Told)) {
        for argument in command.get_arguments() {
            let Some(variable) = argument.get_env() else { continue };
            let variable = variable.to_str().unwrap().to_owned();
            let option = argument.get_long().map(|long| format!("`--{long}`")).unwrap_or_default();
            let told = self.0.entry(Setting { variable, option, default: default(argument) }).or_default();
            if told.help.is_empty() {
                told.help = help(argument);
            }
            who(told);
        }
    }

    fn add_verbs(&mut self, command: &Command, verb: &str) {
        for sub in command.get_subcommands() {
            let verb = format!("{verb} {}", sub.get_name());
            self.add(sub, |told| told.verbs.push(verb.trim_start().to_owned()));
            self.add_verbs(sub, &verb);
        }
    }

    fn document(&self) -> String {
        let mut text = HEAD.to_owned();
        for (Setting { variable, option, default }, told) in &self.0 {
            let _ = writeln!(text, "| `{variable}` | {option} | {default} | {} | {} |", told.who(), told.help);
        }
        text.push_str(TAIL);
        text
    }
}

impl Told {
    /// The programs; all workers as one, and of the command's verbs those that are few.
    fn who(&self) -> String {
        let workers = workers().len();
        let mut who = self.programs.clone();
        if who.iter().filter(|name| *name != GATEWAY).count() == workers {
            who.drain(..workers);
            who.insert(0, "every worker".to_owned());
        }
        let verbs: Vec<&String> = self.verbs.iter().filter(|verb| *verb != "up" || self.programs.is_empty()).collect();
        match verbs.as_slice() {
            [] => {}
            [_, _, _, ..] => who.push(format!("`{COMMAND}`")),
            few => who.extend(few.iter().map(|verb| format!("`{COMMAND} {verb}`"))),
        }
        who.join(", ")
    }
}

fn default(argument: &Arg) -> String {
    // The one default that depends on the machine.
    if argument.get_env().is_some_and(|variable| variable == "PASSEREAU_SCRATCH_DIR") {
        return "the system's folder for temporary files".to_owned();
    }
    let values: Vec<&str> = argument.get_default_values().iter().map(|value| value.to_str().unwrap()).collect();
    // A release must not change the document.
    match values.join(",").replace(env!("CARGO_PKG_VERSION"), "VERSION") {
        given if !given.is_empty() => format!("`{given}`"),
        _ if argument.is_required_set() => "must be set".to_owned(),
        _ if argument.is_hide_env_values_set() => "none; a secret".to_owned(),
        _ => "none".to_owned(),
    }
}

/// The whole help as one line of a table.
fn help(argument: &Arg) -> String {
    let told = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut line = told.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    if !line.ends_with('.') {
        line.push('.');
    }
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !values.is_empty() {
        let _ = write!(line, " One of {}.", values.join(", "));
    }
    line
}

#[test]
fn the_document_is_what_the_programs_take() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH);
    let document = Table::of_all_programs().document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == document,
        "docs/settings-programs.md is not what the programs take: UPDATE_DOCS=1 cargo test -p passereau --lib"
    );
}

/// A program that is not in the lists above would have settings that no document names.
#[test]
fn every_program_is_asked_for_its_settings() {
    let mut asked: Vec<String> = workers().into_iter().map(|(name, _)| name.to_owned()).collect();
    asked.extend([GATEWAY.to_owned(), COMMAND.to_owned()]);
    asked.sort();
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut there: Vec<String> = std::fs::read_dir(services)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    there.sort();
    assert_eq!(asked, there);
}

#[test]
fn every_setting_says_what_it_does() {
    for (setting, told) in &Table::of_all_programs().0 {
        assert!(told.help.len() > 10, "{}: {}", setting.variable, told.help);
        assert!(!told.who().is_empty(), "{}", setting.variable);
    }
}
