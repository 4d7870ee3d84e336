//! Numbers, times and codes in words, in both languages.

use chrono::{DateTime, TimeDelta, Utc};
use passereau_gate::Kind;

use crate::negotiate::Language;

/// A whole number with its thousands apart.
pub(crate) fn number(number: i64, language: Language) -> String {
    let separator = language.pick('\u{202f}', ',');
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

/// A size in the unit that suits it, in powers of 1000 as file managers and browsers show them.
pub(crate) fn size(bytes: u64, language: Language) -> String {
    let units = language.pick(["octets", "ko", "Mo", "Go", "To"], ["bytes", "kB", "MB", "GB", "TB"]);
    let (mut tenths, mut unit) = (u128::from(bytes) * 10, 0);
    while tenths >= 10_000 && unit + 1 < units.len() {
        tenths = tenths.div_ceil(1000);
        unit += 1;
    }
    let (whole, tenth) = (tenths / 10, tenths % 10);
    match tenth {
        0 => format!("{whole}\u{a0}{}", units[unit]),
        _ => format!("{whole}{}{tenth}\u{a0}{}", language.pick(',', '.'), units[unit]),
    }
}

/// For people.
pub(crate) fn moment(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// How long ago, in its largest unit.
pub(crate) fn age(age: TimeDelta, language: Language) -> String {
    let (minutes, hours, days) = (age.num_minutes(), age.num_hours(), age.num_days());
    let (count, one, many) = match (days, hours, minutes) {
        (2.., _, _) => (days, language.pick("jour", "day"), language.pick("jours", "days")),
        (_, 2.., _) => (hours, language.pick("heure", "hour"), language.pick("heures", "hours")),
        _ => (minutes.max(0), language.pick("minute", "minute"), language.pick("minutes", "minutes")),
    };
    counted(count, one, many, language)
}

/// A number with the word for what is counted. Nothing is singular in French and plural in English.
fn counted(count: i64, one: &str, many: &str, language: Language) -> String {
    let is_singular = language.pick(count < 2, count == 1);
    format!("{} {}", number(count, language), if is_singular { one } else { many })
}

/// An ISO 8601 period such as `P1M`, in words where it has one part.
pub(crate) fn period(text: &str, language: Language) -> String {
    let inner = text.strip_prefix("PT").map_or(text.strip_prefix('P'), |hours| hours.ends_with('H').then_some(hours));
    let parts = inner.and_then(|inner| inner.split_at_checked(inner.len().saturating_sub(1)));
    let Some((Ok(count), unit)) = parts.map(|(count, unit)| (count.parse::<i64>(), unit)) else {
        return text.to_owned();
    };
    let (one, many) = match unit {
        "H" => (language.pick("heure", "hour"), language.pick("heures", "hours")),
        "D" => (language.pick("jour", "day"), language.pick("jours", "days")),
        "W" => (language.pick("semaine", "week"), language.pick("semaines", "weeks")),
        "M" => (language.pick("mois", "month"), language.pick("mois", "months")),
        "Y" => (language.pick("an", "year"), language.pick("ans", "years")),
        _ => return text.to_owned(),
    };
    counted(count, one, many, language)
}

/// How the values of a column are written.
pub(crate) fn values(kind: Kind, language: Language) -> &'static str {
    match kind {
        Kind::Text => language.pick("texte", "text"),
        Kind::Integer => language.pick("nombre entier", "whole number"),
        Kind::Real => language.pick("nombre décimal", "decimal number"),
        Kind::Date => language.pick("date, comme 2026-11-29", "date, such as 2026-11-29"),
        Kind::Time => language.pick("heure, comme 10:00:00", "time of day, such as 10:00:00"),
        Kind::DateTime => {
            language.pick("date et heure, comme 2026-11-29T10:00:00", "date and time, such as 2026-11-29T10:00:00")
        }
        Kind::Json => language.pick("document JSON", "JSON document"),
    }
}

/// Why a record is withheld; a code that has no words stands for itself.
pub(crate) fn reason(code: &str, language: Language) -> &str {
    match code {
        "level_unknown" => {
            language.pick("niveau de sensibilité absent ou inconnu", "sensitivity level missing or unknown")
        }
        "no_diffusion" => {
            language.pick("niveau de sensibilité sans aucune diffusion", "sensitivity level that allows no diffusion")
        }
        "sensitive_excluded" => {
            language.pick("donnée sensible, exclue par l'accord", "sensitive record, excluded by the agreement")
        }
        "no_area" => language.pick("aucune zone où flouter", "no area to blur to"),
        "wish_none" => language.pick("le producteur refuse la diffusion", "the producer wishes no diffusion"),
        "wish_unknown" => language.pick("souhait du producteur inconnu", "unknown wish of the producer"),
        "licence_unknown" => language.pick("licence absente ou inconnue", "licence missing or unknown"),
        "licence_not_allowed" => {
            language.pick("licence que l'accord n'admet pas", "licence that the agreement does not allow")
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::negotiate::Language::{English, French};

    #[test]
    fn numbers_sizes_and_times_are_in_the_language_of_the_page() {
        assert_eq!(number(1_234_567, English), "1,234,567");
        assert_eq!(number(1_234_567, French), "1\u{202f}234\u{202f}567");
        assert_eq!(number(-12, English), "-12");
        assert_eq!(size(999, French), "999\u{a0}octets");
        assert_eq!(size(1_500, French), "1,5\u{a0}ko");
        assert_eq!(size(2_000_000, English), "2\u{a0}MB");
        assert_eq!(size(u64::MAX, English), "18446744.1\u{a0}TB");
        assert_eq!(age(TimeDelta::minutes(119), English), "119 minutes");
        assert_eq!(age(TimeDelta::hours(47), French), "47 heures");
        assert_eq!(age(TimeDelta::days(3), French), "3 jours");
        assert_eq!(age(TimeDelta::seconds(-5), English), "0 minutes");
        assert_eq!(age(TimeDelta::seconds(-5), French), "0 minute");
        assert_eq!(age(TimeDelta::seconds(61), English), "1 minute");
    }

    #[test]
    fn a_period_has_words() {
        assert_eq!(period("P1D", French), "1 jour");
        assert_eq!(period("P1D", English), "1 day");
        assert_eq!(period("P3M", English), "3 months");
        assert_eq!(period("PT12H", English), "12 hours");
        for text in ["P1DT6H", "nonsense", "", "P", "PT", "Pé"] {
            assert_eq!(period(text, English), text);
        }
    }
}
