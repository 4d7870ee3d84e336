//! A plan as one HTML page that needs nothing else: no script, no font, no file beside it.

use std::{
    collections::BTreeMap,
    fmt::{Result, Write},
};

use passereau_harvest::Harvest;

use super::{
    super::language::Lang,
    summary::{Column, Summary},
    words::{fate, say},
};

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1c2b24}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #cfd8d3}\
table{border-collapse:collapse;width:100%}th,td{padding:.25rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid #e4eae7}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
.warn{background:#fff3d6;padding:.6rem 1rem;border-left:4px solid #d98b00}.muted{color:#66756d}\
.counts{display:flex;flex-wrap:wrap;gap:1rem;list-style:none;padding:0}.counts li{background:#eef4f1;padding:.6rem 1rem;border-radius:.4rem}\
.counts b{display:block;font-size:1.4rem}del{color:#9a2f2f;text-decoration:none}ins{color:#1f6b3a;text-decoration:none}\
code{font-size:.9em;overflow-wrap:anywhere}@media print{body{margin:0}}";

/// The page.
pub(super) fn render(harvest: &Harvest, summary: &Summary, lang: Lang) -> std::result::Result<String, std::fmt::Error> {
    let mut page = String::new();
    let title = say(lang, "Plan de moisson", "Plan of a harvest");
    write!(
        page,
        "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title} – {}</title><style>{STYLE}</style></head><body>\n<h1>{title} : {}</h1>\n<p class=\"muted\">{} <code>{}</code>",
        say(lang, "fr", "en"),
        escaped(&harvest.subscription),
        escaped(&harvest.subscription),
        say(lang, "moisson", "harvest"),
        harvest.id,
    )?;
    if let Some(at) = harvest.planned_at {
        write!(page, ", {} {}", say(lang, "planifiée le", "planned"), at.format("%Y-%m-%d %H:%M UTC"))?;
    }
    for (label, value) in [("GBIF", &harvest.download_key), ("DOI", &harvest.doi)] {
        if let Some(value) = value {
            write!(page, ", {label} {}", escaped(value))?;
        }
    }
    page.push_str("</p>\n");
    if harvest.state == passereau_harvest::State::AwaitingApproval {
        let reason = harvest.reason.as_deref().unwrap_or_default();
        writeln!(
            page,
            "<p class=\"warn\">{} : {}<br><code>passereau harvest approve {}</code></p>",
            say(lang, "En attente d'approbation", "Waits for approval"),
            escaped(reason),
            harvest.id
        )?;
    }
    counts(&mut page, summary, lang)?;
    let records = say(lang, "données", "records");
    let reason = say(lang, "motif", "reason");
    by_reason(&mut page, say(lang, "Conservées, par motif", "Kept, by reason"), [reason, records], &summary.kept)?;
    by_reason(
        &mut page,
        say(lang, "Rejetées, par motif", "Rejected, by reason"),
        [reason, records],
        &summary.rejected,
    )?;
    for (title, columns) in [
        (say(lang, "Colonnes à écrire", "Columns to write"), &summary.fields),
        (say(lang, "Modifiées dans GeoNature, conservées", "Edited in GeoNature, kept"), &summary.edited),
        (say(lang, "Écrites sur des lignes validées", "Written on validated rows"), &summary.validated),
    ] {
        by_column(&mut page, title, lang, columns)?;
    }
    new_records(&mut page, summary, lang)?;
    vanished(&mut page, summary, lang)?;
    datasets(&mut page, summary, lang)?;
    page.push_str("</body></html>\n");
    Ok(page)
}

fn counts(page: &mut String, summary: &Summary, lang: Lang) -> Result {
    page.push_str("<ul class=\"counts\">");
    for (label, count) in [
        (say(lang, "chargées", "landed"), summary.counts.landed),
        (say(lang, "nouvelles", "new"), summary.counts.new),
        (say(lang, "modifiées", "changed"), summary.counts.changed),
        (say(lang, "inchangées", "unchanged"), summary.counts.unchanged),
        (say(lang, "conservées", "kept"), summary.counts.kept),
        (say(lang, "rejetées", "rejected"), summary.counts.rejected),
        (say(lang, "disparues", "vanished"), summary.vanished.records),
    ] {
        write!(page, "<li><b>{count}</b>{label}</li>")?;
    }
    writeln!(page, "</ul>")
}

/// A table with a heading, or nothing when there are no rows.
fn table(page: &mut String, title: &str, headings: &[&str], rows: &[String]) -> Result {
    if rows.is_empty() {
        return Ok(());
    }
    let headings: String = headings.iter().map(|heading| format!("<th>{heading}</th>")).collect();
    writeln!(
        page,
        "<h2>{title}</h2>\n<table><thead><tr>{headings}</tr></thead><tbody>\n{}</tbody></table>",
        rows.concat()
    )
}

fn by_reason(page: &mut String, title: &str, headings: [&str; 2], reasons: &BTreeMap<String, i64>) -> Result {
    let row = |(reason, count): (&String, &i64)| {
        format!("<tr><td>{}</td><td class=\"n\">{count}</td></tr>\n", escaped(reason))
    };
    table(page, title, &headings, &reasons.iter().map(row).collect::<Vec<_>>())
}

fn by_column(page: &mut String, title: &str, lang: Lang, columns: &BTreeMap<String, Column>) -> Result {
    let mut rows = Vec::new();
    for (name, column) in columns {
        let mut first = Some(format!("<b>{}</b>", escaped(name)));
        let mut count = Some(column.records.to_string());
        for sample in &column.samples {
            let value = |value: &Option<String>| value.as_deref().map_or_else(|| "∅".to_owned(), escaped);
            rows.push(format!(
                "<tr><td>{}</td><td class=\"n\">{}</td><td>{}</td><td><del>{}</del></td><td><ins>{}</ins></td></tr>\n",
                first.take().unwrap_or_default(),
                count.take().unwrap_or_default(),
                at_gbif(sample.gbif_id),
                value(&sample.here),
                value(&sample.gbif),
            ));
        }
    }
    let headings = [
        say(lang, "colonne", "column"),
        say(lang, "données", "records"),
        say(lang, "exemples", "samples"),
        say(lang, "dans la synthèse", "in the synthèse"),
        say(lang, "selon le GBIF", "at GBIF"),
    ];
    table(page, title, &headings, &rows)
}

fn new_records(page: &mut String, summary: &Summary, lang: Lang) -> Result {
    let rows: Vec<String> = summary
        .new
        .iter()
        .map(|record| {
            let text = |value: &Option<String>| value.as_deref().map(escaped).unwrap_or_default();
            format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                at_gbif(record.gbif_id),
                text(&record.nom_cite),
                text(&record.date)
            )
        })
        .collect();
    let headings = ["gbifID", say(lang, "nom cité", "name cited"), "date"];
    table(page, say(lang, "Nouvelles, exemples", "New, samples"), &headings, &rows)
}

fn vanished(page: &mut String, summary: &Summary, lang: Lang) -> Result {
    let vanished = &summary.vanished;
    let fates: Vec<String> = vanished
        .rows
        .iter()
        .map(|(reason, count)| {
            format!("<tr><td>{}</td><td class=\"n\">{count}</td></tr>\n", escaped(fate(lang, reason)))
        })
        .collect();
    let rows = say(lang, "lignes", "rows");
    let title = format!("{} (vanished = {})", say(lang, "Disparues", "Vanished"), escaped(&vanished.setting));
    table(page, &title, &[say(lang, "devenir", "fate"), rows], &fates)?;
    if vanished.validated > 0 {
        writeln!(
            page,
            "<p class=\"warn\">{} : {}</p>",
            say(lang, "dont validées ou signalées par une personne", "of which a person has validated or reported on"),
            vanished.validated
        )?;
    }
    let datasets: Vec<String> = vanished
        .datasets
        .iter()
        .map(|dataset| {
            format!(
                "<tr><td><code>{}</code></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>\n",
                dataset.dataset_key.as_deref().map(escaped).unwrap_or_default(),
                dataset.records,
                dataset.of_records,
                if dataset.brakes { say(lang, "à approuver", "to be approved") } else { "" }
            )
        })
        .collect();
    let headings = [say(lang, "jeu de données", "dataset"), rows, say(lang, "sur", "of"), ""];
    table(page, say(lang, "Disparues, par jeu", "Vanished, by dataset"), &headings, &datasets)?;
    let samples: Vec<String> = vanished
        .samples
        .iter()
        .map(|record| {
            format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                at_gbif(record.gbif_id),
                record.nom_cite.as_deref().map(escaped).unwrap_or_default(),
                record.date.as_deref().map(escaped).unwrap_or_default(),
                escaped(fate(lang, &record.reason))
            )
        })
        .collect();
    let headings = ["gbifID", say(lang, "nom cité", "name cited"), "date", say(lang, "devenir", "fate")];
    table(page, say(lang, "Disparues, exemples", "Vanished, samples"), &headings, &samples)
}

fn datasets(page: &mut String, summary: &Summary, lang: Lang) -> Result {
    let rows: Vec<String> = summary
        .datasets
        .iter()
        .map(|dataset| {
            format!(
                "<tr><td><code>{}</code></td><td>{}</td><td class=\"n\">{}</td></tr>\n",
                dataset.dataset_key.as_deref().map(escaped).unwrap_or_default(),
                dataset.title.as_deref().map(escaped).unwrap_or_default(),
                dataset.records
            )
        })
        .collect();
    let headings = [say(lang, "clé", "key"), say(lang, "titre", "title"), say(lang, "données", "records")];
    table(page, say(lang, "Jeux de données à créer", "Datasets to make"), &headings, &rows)
}

/// A record, with a link for whoever wants to look.
fn at_gbif(gbif_id: i64) -> String {
    format!("<a href=\"https://www.gbif.org/occurrence/{gbif_id}\">{gbif_id}</a>")
}

/// Text in HTML: values come from anywhere.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_text_whatever_it_holds() {
        let summary = Summary::read(&json!({
            "fields": {"observers": {"records": 1, "samples": [
                {"gbif_id": 7, "here": "<script>alert(1)</script>", "gbif": "a & \"b\""}]}}
        }))
        .expect("a summary");
        let mut page = String::new();
        by_column(&mut page, "t", Lang::En, &summary.fields).expect("page");
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("a &amp; &quot;b&quot;"),
            "{page}"
        );
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn what_is_empty_has_no_table() {
        let mut page = String::new();
        for write in [new_records, vanished, datasets] {
            write(&mut page, &Summary::default(), Lang::Fr).expect("page");
        }
        assert_eq!(page, "");
    }
}
