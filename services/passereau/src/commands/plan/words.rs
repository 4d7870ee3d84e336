//! The words of a plan in both languages.

use super::super::language::Lang;

/// One of two texts.
pub(super) const fn say(lang: Lang, fr: &'static str, en: &'static str) -> &'static str {
    match lang {
        Lang::Fr => fr,
        Lang::En => en,
    }
}

/// What becomes of the row of a vanished record.
pub(super) fn fate(lang: Lang, reason: &str) -> &str {
    match reason {
        "keep" => say(lang, "laissées telles quelles", "left as they are"),
        "mark" => say(lang, "marquées (vanished_at)", "marked (vanished_at)"),
        "delete" => say(lang, "archivées et supprimées", "archived and deleted"),
        "incomplete" => say(lang, "laissées : archive incomplète", "left alone: the archive is not complete"),
        "predicate_changed" => say(lang, "laissées : la requête a changé", "left alone: the predicate has changed"),
        other => other,
    }
}
