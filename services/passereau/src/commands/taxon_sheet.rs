//! The CSV that goes to a taxonomist and comes back with answers.
//!
//! Coming back, columns are found by their headings: a person may have changed their order.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::{
    language::Lang,
    spreadsheet::{self, Spreadsheet, armed},
};

/// A name that found none in TAXREF: a row of `passereau.unmatched_taxa`.
#[derive(Debug)]
pub(super) struct Question {
    pub taxon_key: Option<String>,
    pub scientific_name: Option<String>,
    /// The observer's name, where GBIF is in doubt.
    pub verbatim_scientific_name: Option<String>,
    pub kingdom: Option<String>,
    pub taxon_rank: Option<String>,
    pub records: i64,
    pub proposals: Vec<Proposal>,
}

/// A name of TAXREF that may be the one.
#[derive(Debug, Deserialize)]
pub(super) struct Proposal {
    cd_nom: i32,
    name: String,
    regne: Option<String>,
    /// 1 for the same name but for its author, else how similar it is.
    how: f64,
}

/// What a taxonomist decided about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub taxon_key: Option<String>,
    pub name: Option<String>,
    /// None: records of this name never enter.
    pub cd_nom: Option<i32>,
    pub note: Option<String>,
}

const PROPOSALS: usize = 3;

/// A column, by its headings in French and in English.
struct Column {
    fr: &'static str,
    en: &'static str,
}

const KEY: Column = Column { fr: "clé GBIF", en: "GBIF key" };
const NAME: Column = Column { fr: "nom GBIF", en: "GBIF name" };
const CITED: Column = Column { fr: "nom cité (GBIF en doute)", en: "name as cited (GBIF in doubt)" };
const KINGDOM: Column = Column { fr: "règne", en: "kingdom" };
const RANK: Column = Column { fr: "rang", en: "rank" };
const RECORDS: Column = Column { fr: "données", en: "records" };
const PROPOSAL: Column = Column { fr: "proposition", en: "proposal" };
const ANSWER: Column = Column { fr: "réponse (cd_nom ou jamais)", en: "answer (cd_nom or never)" };
const NOTE: Column = Column { fr: "note", en: "note" };

impl Column {
    const fn heading(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::Fr => self.fr,
            Lang::En => self.en,
        }
    }

    fn find(&self, headings: &csv::StringRecord) -> anyhow::Result<usize> {
        headings
            .iter()
            .position(|heading| [self.fr, self.en].contains(&heading.trim()))
            .with_context(|| format!("the file has no column \"{}\" (or \"{}\")", self.fr, self.en))
    }
}

impl Proposal {
    /// For instance `2706 Cygnus olor (Gmelin, 1803) [Animalia, same name]`: an answer may be copied from it as it is.
    pub(super) fn in_words(&self, lang: Lang) -> String {
        let how = match (self.how >= 1.0, lang) {
            (true, Lang::Fr) => "même nom".to_owned(),
            (true, Lang::En) => "same name".to_owned(),
            (false, Lang::Fr) => format!("proche à {:.0} %", self.how * 100.0),
            (false, Lang::En) => format!("{:.0} % alike", self.how * 100.0),
        };
        let kingdom = self.regne.as_deref().map(|regne| format!("{regne}, ")).unwrap_or_default();
        format!("{} {} [{kingdom}{how}]", self.cd_nom, self.name)
    }
}

/// Writes the questions, with empty columns for the answers.
pub(super) fn write(questions: &[Question], lang: Lang, out: impl Write) -> io::Result<()> {
    let mut sheet = Spreadsheet::new(out)?;
    let told = [KEY, NAME, CITED, KINGDOM, RANK, RECORDS].map(|column| column.heading(lang).to_owned());
    let proposals = (1..=PROPOSALS).map(|place| format!("{} {place}", PROPOSAL.heading(lang)));
    let answers = [ANSWER, NOTE].map(|column| column.heading(lang).to_owned());
    sheet.row(told.into_iter().chain(proposals).chain(answers))?;
    for question in questions {
        let told = [
            &question.taxon_key,
            &question.scientific_name,
            &question.verbatim_scientific_name,
            &question.kingdom,
            &question.taxon_rank,
        ]
        .map(|value| value.clone().unwrap_or_default());
        let records = question.records.to_string();
        let proposals = (0..PROPOSALS)
            .map(|place| question.proposals.get(place).map(|near| near.in_words(lang)).unwrap_or_default());
        let row = told.into_iter().chain([records]).chain(proposals).chain([String::new(), String::new()]);
        sheet.row(row)?;
    }
    sheet.flush()
}

/// Reads the answers of a file; rows without one are left out. Every problem is told at once, with its row in the spreadsheet.
pub(super) fn read(file: &[u8]) -> anyhow::Result<Vec<Answer>> {
    let text = std::str::from_utf8(file).context(
        "the file is not UTF-8: save it from the spreadsheet as \"CSV UTF-8\", or accented letters are lost",
    )?;
    let mut sheet = spreadsheet::reader(text);
    let headings = sheet.headers().context("reading the headings")?.clone();
    let [key, name, cited, answer, note] = [KEY, NAME, CITED, ANSWER, NOTE].map(|column| column.find(&headings));
    let (key, name, cited, answer, note) = (key?, name?, cited?, answer?, note?);

    let mut answers: Vec<Answer> = Vec::new();
    let mut rows = BTreeMap::new();
    let mut problems = Vec::new();
    for (row, at) in sheet.records().zip(2_usize..) {
        let row = row.with_context(|| format!("reading row {at}"))?;
        let cell = |column: usize| row.get(column).map(armed).filter(|cell| !cell.is_empty());
        let Some(decided) = cell(answer) else { continue };
        match answered(cell(key), cell(name), cell(cited), &decided, cell(note)) {
            Err(problem) => problems.push(format!("row {at}: {problem}")),
            Ok(read) => match rows.insert((read.taxon_key.clone(), read.name.clone()), (at, read.clone())) {
                None => answers.push(read),
                Some((_, before)) if before == read => {}
                Some((before, _)) => problems.push(format!("row {at} answers otherwise what row {before} answers")),
            },
        }
    }
    ensure!(problems.is_empty(), "nothing was imported:\n  {}", problems.join("\n  "));
    Ok(answers)
}

/// One row. Where GBIF is in doubt the answer is for the observer's name under GBIF's key; else for the key, however the name
/// is written.
fn answered(
    key: Option<String>,
    name: Option<String>,
    cited: Option<String>,
    decided: &str,
    note: Option<String>,
) -> Result<Answer, String> {
    let name = if cited.is_none() && key.is_some() { None } else { cited.or(name) };
    let cd_nom = if ["jamais", "never"].contains(&decided.to_lowercase().as_str()) {
        None
    } else {
        let number = decided.split(' ').next().unwrap_or_default();
        Some(number.parse().map_err(|_| format!("\"{decided}\" is neither a cd_nom nor \"jamais\" or \"never\""))?)
    };
    checked(Answer { taxon_key: key, name, cd_nom, note })
}

/// What the table of answers demands, in words. White space is as names are compared: single, and none around.
pub(super) fn checked(answer: Answer) -> Result<Answer, String> {
    let clean = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let present = |text: Option<String>| text.map(clean).filter(|text| !text.is_empty());
    let Answer { taxon_key, name, cd_nom, note } = answer;
    match (Answer { taxon_key: present(taxon_key), name: present(name), cd_nom, note: present(note) }) {
        Answer { taxon_key: None, name: None, .. } => Err("an answer names a GBIF key or a name".to_owned()),
        Answer { taxon_key: Some(key), name: None, .. } if key == "0" => {
            Err("key 0 is GBIF's word for every name that it does not know: an answer needs the name too".to_owned())
        }
        Answer { cd_nom: None, note: None, .. } => Err("a \"never\" needs its reason in the note".to_owned()),
        answer => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn question(key: &str, name: &str, cited: Option<&str>) -> Question {
        Question {
            taxon_key: Some(key.to_owned()),
            scientific_name: Some(name.to_owned()),
            verbatim_scientific_name: cited.map(str::to_owned),
            kingdom: Some("Animalia".to_owned()),
            taxon_rank: Some("SPECIES".to_owned()),
            records: 12,
            proposals: vec![
                Proposal {
                    cd_nom: 1,
                    name: "Aus bus L., 1758".to_owned(),
                    regne: Some("Animalia".to_owned()),
                    how: 1.0,
                },
                Proposal { cd_nom: 2, name: "Aus \"cus\"; L.".to_owned(), regne: None, how: 0.567 },
            ],
        }
    }

    fn sheet(questions: &[Question], lang: Lang) -> String {
        let mut out = Vec::new();
        write(questions, lang, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn answer(key: Option<&str>, name: Option<&str>, cd_nom: Option<i32>, note: Option<&str>) -> Answer {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Answer { taxon_key: owned(key), name: owned(name), cd_nom, note: owned(note) }
    }

    #[test]
    fn a_taxonomist_reads_words() {
        let questions = [question("71", "Aus bus Smith, 1900", None)];
        assert_eq!(
            sheet(&questions, Lang::Fr),
            "\u{feff}clé GBIF;nom GBIF;nom cité (GBIF en doute);règne;rang;données;proposition 1;proposition 2;proposition 3;\
             réponse (cd_nom ou jamais);note\n\
             71;Aus bus Smith, 1900;;Animalia;SPECIES;12;1 Aus bus L., 1758 [Animalia, même nom];\
             \"2 Aus \"\"cus\"\"; L. [proche à 57 %]\";;;\n"
        );
        let english = sheet(&questions, Lang::En);
        assert!(english.contains("answer (cd_nom or never)") && english.contains("57 % alike"), "{english}");
    }

    /// The file as it comes back, with these answers and notes in its rows.
    fn filled(sheet: &str, answers: &[(&str, &str)]) -> String {
        let mut lines = sheet.lines();
        let mut text = lines.next().unwrap().to_owned();
        for (line, (answer, note)) in lines.zip(answers) {
            text.push_str(&format!("\r\n{}{answer};{note}", line.strip_suffix(';').unwrap()));
        }
        text
    }

    #[test]
    fn what_comes_back_is_read_whatever_the_language_and_the_separator() {
        let questions = [
            question("71", "Aus bus Smith, 1900", None),
            question("72", "Aus cus", None),
            question("73", "Aus L., 1758", Some("Aus ignotus")),
            question("0", "incertae sedis", Some("=1+1")),
            question("75", "Aus dus", None),
        ];
        let answers =
            [("800001", ""), ("", "later"), ("Jamais", "un hybride"), ("800002", ""), ("1 Aus bus L. [même nom]", "")];
        let expected = [
            answer(Some("71"), None, Some(800_001), None),
            answer(Some("73"), Some("Aus ignotus"), None, Some("un hybride")),
            answer(Some("0"), Some("=1+1"), Some(800_002), None),
            answer(Some("75"), None, Some(1), None),
        ];
        for lang in [Lang::Fr, Lang::En] {
            let text = filled(&sheet(&questions, lang), &answers);
            assert_eq!(read(text.as_bytes()).unwrap(), expected);
            assert_eq!(read(text.strip_prefix('\u{feff}').unwrap().as_bytes()).unwrap(), expected);
        }
        let commas =
            "note,answer (cd_nom or never),GBIF key,GBIF name,name as cited (GBIF in doubt)\n,5,71,\"Aus, 1900\",\n";
        assert_eq!(read(commas.as_bytes()).unwrap(), [answer(Some("71"), None, Some(5), None)]);
    }

    #[test]
    fn every_problem_is_told_with_its_row_and_nothing_is_read() {
        let questions = [
            question("71", "Aus bus", None),
            question("72", "Aus cus", None),
            question("0", "incertae sedis", None),
            question("71", "Aus bus", None),
        ];
        let text = filled(&sheet(&questions, Lang::En), &[("1", ""), ("never", ""), ("7", ""), ("2", "")]);
        let told = read(text.as_bytes()).unwrap_err().to_string();
        for problem in ["row 3: a \"never\" needs its reason", "row 4: key 0", "row 5 answers otherwise what row 2"] {
            assert!(told.contains(problem), "{told}");
        }
        let text = filled(&sheet(&questions[..1], Lang::En), &[("Aus bus", "")]);
        assert!(read(text.as_bytes()).unwrap_err().to_string().contains("neither a cd_nom"));
    }

    #[test]
    fn a_file_that_is_another_is_refused_in_words() {
        assert!(read(b"a;b\n1;2\n").unwrap_err().to_string().contains("no column \"cl\u{e9} GBIF\""));
        assert!(read(b"cl\xe9 GBIF;note\n").unwrap_err().to_string().contains("CSV UTF-8"));
        assert!(read(b"").unwrap_err().to_string().contains("no column"));
    }
}
