//! A plan as lines for a terminal.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    super::language::Lang,
    summary::{Column, Summary},
    words::{fate, say},
};

/// The plan, one section after the other; sections without content are left out.
pub(super) fn render(summary: &Summary, lang: Lang) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let counts = &summary.counts;
    for (label, count) in [
        (say(lang, "chargées", "landed"), counts.landed),
        (say(lang, "nouvelles", "new"), counts.new),
        (say(lang, "modifiées", "changed"), counts.changed),
        (say(lang, "inchangées", "unchanged"), counts.unchanged),
        (say(lang, "conservées", "kept"), counts.kept),
        (say(lang, "rejetées", "rejected"), counts.rejected),
        (say(lang, "disparues", "vanished"), summary.vanished.records),
    ] {
        writeln!(text, "{label:<12} {count:>9}")?;
    }
    reasons(&mut text, say(lang, "conservées, par motif", "kept, by reason"), &summary.kept)?;
    reasons(&mut text, say(lang, "rejetées, par motif", "rejected, by reason"), &summary.rejected)?;
    columns(&mut text, say(lang, "colonnes à écrire", "columns to write"), &summary.fields)?;
    columns(
        &mut text,
        say(lang, "modifiées dans GeoNature, conservées", "edited in GeoNature, kept"),
        &summary.edited,
    )?;
    columns(&mut text, say(lang, "écrites sur des lignes validées", "written on validated rows"), &summary.validated)?;
    if !summary.vanished.rows.is_empty() {
        writeln!(text, "\n{}", say(lang, "lignes des données disparues", "rows of vanished records"))?;
        for (reason, count) in &summary.vanished.rows {
            writeln!(text, "{count:>9}  {}", fate(lang, reason))?;
        }
        for dataset in &summary.vanished.datasets {
            let brake = if dataset.brakes { say(lang, "   !  à approuver", "   !  to be approved") } else { "" };
            let key = dataset.dataset_key.as_deref().unwrap_or("-");
            writeln!(text, "{:>9}  / {} {key}{brake}", dataset.records, dataset.of_records)?;
        }
    }
    if !summary.datasets.is_empty() {
        writeln!(text, "\n{}", say(lang, "jeux de données à créer", "datasets to make"))?;
        for dataset in &summary.datasets {
            let key = dataset.dataset_key.as_deref().unwrap_or("-");
            writeln!(text, "{:>9}  {key}  {}", dataset.records, dataset.title.as_deref().unwrap_or_default())?;
        }
    }
    Ok(text)
}

fn reasons(text: &mut String, title: &str, reasons: &BTreeMap<String, i64>) -> std::fmt::Result {
    if reasons.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n{title}")?;
    reasons.iter().try_for_each(|(reason, count)| writeln!(text, "{count:>9}  {reason}"))
}

fn columns(text: &mut String, title: &str, columns: &BTreeMap<String, Column>) -> std::fmt::Result {
    if columns.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n{title}")?;
    for (name, column) in columns {
        writeln!(text, "{:>9}  {name}", column.records)?;
        for sample in &column.samples {
            let value = |value: &Option<String>| value.as_deref().map_or("∅".to_owned(), short);
            writeln!(text, "{:>24}  {} → {}", sample.gbif_id, value(&sample.here), value(&sample.gbif))?;
        }
    }
    Ok(())
}

/// One line of a terminal, at most.
fn short(value: &str) -> String {
    let line: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plan_is_told_section_by_section_and_empty_ones_are_left_out() {
        let summary = Summary::read(&json!({
            "counts": {"landed": 3, "new": 1, "changed": 1, "unchanged": 1, "kept": 0, "rejected": 0},
            "fields": {"observers": {"records": 1, "samples": [{"gbif_id": 7, "here": null, "gbif": "A\nB"}]}},
            "vanished": {"records": 60, "rows": {"delete": 60},
                         "datasets": [{"dataset_key": "d", "records": 60, "of_records": 100, "brakes": true}]}
        }))
        .expect("a summary");
        let text = render(&summary, Lang::En).expect("text");
        assert!(text.contains("new                  1\n"), "{text}");
        assert!(text.contains("7  ∅ → A B\n"), "{text}");
        assert!(text.contains("60  / 100 d   !  to be approved"), "{text}");
        assert!(!text.contains("datasets to make") && !text.contains("kept, by reason"), "{text}");
        assert!(render(&summary, Lang::Fr).expect("text").contains("archivées et supprimées"));
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        assert_eq!(short(&"é".repeat(100)), format!("{}…", "é".repeat(60)));
    }
}
