//! The table as a page: what operators and data managers can read of it.

use std::{env, fmt::Write as _, fs};

use super::{
    cases::{CASES, Case, Ends, Later},
    document,
};

const MARK: &str = "<!-- Below: the table, written by a test with UPDATE_DOCS=1. -->\n";

/// The committed page shows the table as it is tested. `UPDATE_DOCS=1` writes what stands below the mark.
pub fn assert_written() {
    let path = document();
    let committed = fs::read_to_string(&path).unwrap();
    let (prose, shown) = committed.split_once(MARK).expect("the mark");
    let table = table();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{prose}{MARK}{table}")).unwrap();
        return;
    }
    assert_eq!(shown, table, "{} is stale: run with UPDATE_DOCS=1 and review", path.display());
}

fn table() -> String {
    let mut text =
        "\n| who | does what | the harvest | calls | later by |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for Case { who, does, ends, calls, later, .. } in CASES {
        let calls: Vec<String> = calls.iter().map(|(route, count)| format!("{count} × `{}`", name(*route))).collect();
        writeln!(text, "| {who} | {does} | {} | {} | {} |", outcome(*ends), calls.join(", "), delay(*later)).unwrap();
    }
    text
}

fn name(route: passereau_sandbox::Route) -> String {
    serde_json::to_value(route).unwrap().as_str().unwrap().to_owned()
}

fn outcome(ends: Ends) -> String {
    match ends {
        Ends::AsUsual => "completes, as usual".to_owned(),
        Ends::Waiting => "completes; records of iNaturalist wait".to_owned(),
        Ends::PublishersUnknown => "completes; records of refused publishers enter".to_owned(),
        Ends::Failed(words) => format!("**fails**: “{}”", words.join(" … ")),
    }
}

fn delay(later: Later) -> String {
    let (about, seconds) = match later {
        Later::Not => return String::new(),
        Later::By(seconds) => ("", seconds),
        Later::About(seconds) => ("about ", seconds),
    };
    match seconds {
        0..=179 => format!("{about}{seconds} s"),
        180..=7_199 => format!("{about}{} min", (seconds + 30) / 60),
        _ => format!("{about}{} h", (seconds + 1_800) / 3_600),
    }
}
