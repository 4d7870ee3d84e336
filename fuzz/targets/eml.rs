//! Documents that describe datasets. Input: the document.
#![no_main]

use libfuzzer_sys::fuzz_target;
use passereau_eml::{Eml, MAX_BYTES, line, paragraphs};

fn is_line(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.chars().any(char::is_control)
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && !text.contains("\n\n\n") && !text.chars().any(|c| c.is_control() && c != '\n')
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(line(text).is_none_or(|line| is_line(&line)));
        assert!(paragraphs(text).is_none_or(|text| is_text(&text)));
    }
    let Ok(eml) = Eml::parse(data) else { return };
    assert!(data.len() <= MAX_BYTES);
    assert!(is_line(&eml.title));
    for text in [&eml.doi, &eml.citation].into_iter().flatten() {
        assert!(is_line(text), "{text:?}");
    }
    for text in [&eml.description, &eml.license].into_iter().flatten() {
        assert!(is_text(text), "{text:?}");
    }
    assert!(eml.doi.as_deref().is_none_or(|doi| doi.starts_with("10.") && !doi.contains(' ')));
    let parties = || eml.contacts.iter().chain(&eml.creators).chain(&eml.metadata_providers);
    for party in parties() {
        let words: Vec<&String> = party.organization.iter().chain(&party.person).collect();
        assert!(!words.is_empty() && words.into_iter().all(|word| is_line(word)));
    }
    assert!(eml.persons().is_none_or(|persons| is_line(&persons)));
    // Nothing grows: a document cannot fill the memory or the database with less than it sends.
    let kept = eml.title.len() + eml.description.map_or(0, |text| text.len());
    assert!(kept <= data.len() * 2, "{kept} bytes of {}", data.len());
});
