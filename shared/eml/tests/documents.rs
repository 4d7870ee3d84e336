//! Every EML document of the fixtures, documents of each form by hand, and documents built to be refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use passereau_eml::{Eml, EmlError, MAX_BYTES, Party};
use passereau_recorded::recorded;
use proptest::prelude::*;
use zip::ZipArchive;

/// The documents `dataset/*.xml` of every recorded archive, by their names.
fn documents() -> Option<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for folder in ["eml", "archives", "derived"] {
        for archive in recorded(&format!("gbif/{folder}"))?.read_dir().unwrap() {
            add_documents(&archive.unwrap().path(), &mut found);
        }
    }
    Some(found)
}

fn add_documents(archive: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    let mut zip = ZipArchive::new(File::open(archive).unwrap()).unwrap();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).unwrap();
        let name = entry.name().unwrap().into_owned();
        if name.starts_with("dataset/") && name.ends_with(".xml") {
            let mut document = Vec::new();
            entry.read_to_end(&mut document).unwrap();
            found.insert(format!("{} {name}", archive.file_name().unwrap().display()), document);
        }
    }
}

fn of(documents: &BTreeMap<String, Vec<u8>>, key: &str) -> Eml {
    let (_, document) = documents.iter().find(|(name, _)| name.contains(key)).unwrap();
    Eml::parse(document).unwrap()
}

#[test]
fn every_recorded_document_is_read_and_has_a_title() {
    let Some(documents) = documents() else { return };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, document) in &documents {
        let eml = Eml::parse(document).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!eml.title.is_empty() && !eml.title.contains('\n'), "{name}");
        let texts = [&eml.doi, &eml.description, &eml.license, &eml.citation, &eml.persons()];
        for text in texts.into_iter().flatten().chain([&eml.title]) {
            assert_eq!(text.trim(), text, "{name}");
            assert!(
                !text.is_empty() && !["&#", "<p>", "<br", "\n\n\n", "\0"].iter().any(|waste| text.contains(waste)),
                "{name}: {text}"
            );
        }
        for (what, there) in [
            ("doi", eml.doi.is_some()),
            ("description", eml.description.is_some()),
            ("license", eml.license.as_ref().is_some_and(|license| license.starts_with("http"))),
            ("citation", eml.citation.is_some()),
            ("contact", eml.contact_organization().is_some()),
            ("provider", eml.provider_organization().is_some()),
            ("persons", eml.persons().is_some()),
        ] {
            *counts.entry(what).or_default() += usize::from(there);
        }
    }
    assert_eq!(documents.len(), 847);
    let expected = [
        ("citation", 847),
        ("contact", 725),
        ("description", 820),
        ("doi", 798),
        ("license", 799),
        ("persons", 758),
        ("provider", 723),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
}

#[test]
fn documents_of_both_versions_tell_the_same_things() {
    let Some(documents) = documents() else { return };
    let new = of(&documents, "descriptors-2026-08");
    assert_eq!(new.title, "iNaturalist Research-grade Observations");
    assert_eq!(new.doi.as_deref(), Some("10.15468/ab3s5x"));
    assert_eq!(new.license.as_deref(), Some("http://creativecommons.org/licenses/by-nc/4.0/legalcode"));
    assert!(new.citation.unwrap().contains("accessed via GBIF.org on 2026-08-18"));
    assert!(new.description.unwrap().starts_with("Observations from iNaturalist.org, an online social network"));

    // 2.1.1 of 2013: no DOI, no address of a licence, a person of an organisation in each role.
    let old = of(&documents, "dwca-2013-07-headerless-gbif-results.zip dataset/84dbaec2-f762-11e1-a439-00145eb45e9a");
    assert_eq!((old.title.as_str(), old.doi.as_ref()), ("The Fish Collection", None));
    assert_eq!(
        old.license.as_deref(),
        Some("GBIF Data Sharing Agreement is applied. GBIF Data Use Agreement is applied.")
    );
    assert_eq!(old.contact_organization(), Some("Danish Biodiversity Information Facility (DanBIF)"));
    assert_eq!(old.persons().as_deref(), Some("Isabel Calabuig (Danish Biodiversity Information Facility (DanBIF))"));

    // Empty elements are as good as none.
    let bare = of(&documents, "86b50d88-f762-11e1-a439-00145eb45e9a");
    assert_eq!((bare.title.as_str(), bare.description.as_ref(), bare.license.as_ref()), ("MAL", None, None));
    assert_eq!((bare.contact_organization(), bare.persons()), (None, None));
}

fn eml(dataset: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<eml:eml xmlns:eml=\"https://eml.ecoinformatics.org/eml-2.2.0\">\
         <dataset>{dataset}</dataset></eml:eml>"
    )
}

fn read(dataset: &str) -> Eml {
    Eml::parse(eml(dataset).as_bytes()).unwrap()
}

#[test]
fn an_abstract_is_plain_text_or_paragraphs() {
    let with = |text: &str| read(&format!("<title>T</title><abstract>{text}</abstract>")).description;
    assert_eq!(with("\n   Words in\n  the element itself  ").as_deref(), Some("Words in\nthe element itself"));
    assert_eq!(
        with("<para>One.</para>\n<para> Two &amp; <emphasis>a half</emphasis>.</para>").as_deref(),
        Some("One.\n\nTwo & a half.")
    );
    assert_eq!(with("<section><title>Why</title><para>Because.</para></section>").as_deref(), Some("Why\n\nBecause."));
    assert_eq!(with("<![CDATA[<p>Raw</p>]]>&lt;p&gt;L&amp;#39;eau&lt;/p&gt;").as_deref(), Some("Raw\n\nL'eau"));
    assert_eq!(with("<para></para>"), None);
}

#[test]
fn several_contacts_are_each_told_once_and_the_first_organisation_counts() {
    let eml = read(
        "<title>T</title><creator><individualName><givenName>Ada</givenName><surName>Byron</surName></individualName></creator>\
         <metadataProvider><organizationName> The  Provider </organizationName></metadataProvider>\
         <contact><individualName><surName>Nobody</surName></individualName></contact>\
         <contact><organizationName>First</organizationName></contact>\
         <contact><individualName><givenName>Ada</givenName><surName>Byron</surName></individualName></contact>\
         <contact><organizationName>Second</organizationName></contact><contact/>",
    );
    assert_eq!((eml.contact_organization(), eml.provider_organization()), (Some("First"), Some("The Provider")));
    assert_eq!(eml.persons().as_deref(), Some("Nobody; Ada Byron"));
    assert_eq!(eml.contacts.len(), 4);
    assert_eq!(eml.contacts[1], Party { organization: Some("First".to_owned()), person: None });

    // Where nobody is named for a role, whoever made the dataset stands for it.
    let eml = read("<title>T</title><creator><organizationName>Maker</organizationName></creator>");
    assert_eq!((eml.contact_organization(), eml.provider_organization()), (Some("Maker"), Some("Maker")));
}

#[test]
fn a_title_of_any_length_is_kept_whole_and_the_first_that_says_something_counts() {
    let long = "é".repeat(300);
    assert_eq!(read(&format!("<title> </title><title>{long}</title>")).title, long);
    assert_eq!(read("<title>Flore\n  d&#39;Auvergne</title>").title, "Flore d'Auvergne");
    let with_mark = format!("\u{feff}{}", eml("<title>Marked</title>"));
    assert_eq!(Eml::parse(with_mark.as_bytes()).unwrap().title, "Marked");
}

#[test]
fn what_is_no_description_is_refused_by_name() {
    let refused = |text: &str| Eml::parse(text.as_bytes()).unwrap_err();
    assert_eq!(refused(&eml("")), EmlError::NoTitle);
    assert_eq!(refused(&eml("<title/>")), EmlError::NoTitle);
    assert_eq!(refused("<eml/>"), EmlError::NoDataset);
    assert_eq!(refused("<html><body>Sorry</body></html>"), EmlError::NotEml { root: "html".to_owned() });
    for text in
        ["", "  ", "no markup", "<eml>", "<eml><dataset></eml>", "<eml a=1>", "<eml>&</eml>", "<eml>&#0;</eml>", "<eml"]
    {
        assert!(matches!(refused(text), EmlError::NotXml { .. }), "{text}: {:?}", refused(text));
    }
    assert_eq!(Eml::parse(b"<eml>\xff</eml>"), Err(EmlError::NotUtf8));
}

#[test]
fn documents_that_were_built_to_hurt_are_refused() {
    let refused = |text: &str| Eml::parse(text.as_bytes()).unwrap_err();
    // A billion laughs, and a file of this machine.
    let laughs = "<!DOCTYPE eml [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">]><eml><dataset><title>&b;</title></dataset></eml>";
    assert_eq!(refused(laughs), EmlError::DocumentType);
    let file =
        "<!DOCTYPE eml [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><eml><dataset><title>&f;</title></dataset></eml>";
    assert_eq!(refused(file), EmlError::DocumentType);
    assert_eq!(refused(&eml("<title>&laughs;</title>")), EmlError::Entity { name: "laughs".to_owned() });
    // Deep, wide, large.
    let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    assert!(matches!(refused(&deep), EmlError::TooLarge { what: "elements inside each other", .. }));
    let wide = eml(&"<a/>".repeat(200_000));
    assert!(matches!(refused(&wide), EmlError::TooLarge { what: "elements", .. }));
    assert!(matches!(refused(&" ".repeat(MAX_BYTES + 1)), EmlError::TooLarge { what: "bytes", .. }));
}

/// Changes some bytes of a document, and cuts it.
fn mutated(mut document: Vec<u8>, changes: &[(usize, u8)], cut: usize) -> Vec<u8> {
    for (at, byte) in changes {
        let length = document.len();
        document[at % length] = *byte;
    }
    document.truncate(cut % (document.len() + 1));
    document
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        Eml::parse(&bytes).ok();
        Eml::parse(eml(&String::from_utf8_lossy(&bytes)).as_bytes()).ok();
    }

    #[test]
    fn no_text_makes_the_cleaning_panic(text in "[<>/&#;xpbr0-9a é\u{0}\n]{0,60}|\\PC{0,60}") {
        for clean in [passereau_eml::line(&text), passereau_eml::paragraphs(&text)].into_iter().flatten() {
            prop_assert!(!clean.contains('\0') && clean.trim() == clean);
        }
    }
}

#[test]
fn no_change_of_a_recorded_document_makes_the_reader_panic() {
    let Some(documents) = documents() else { return };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let changes = (
        0..documents.len(),
        proptest::collection::vec(
            (any::<usize>(), prop_oneof![any::<u8>(), proptest::sample::select(b"<>&;/\"'![]".to_vec())]),
            1..20,
        ),
        any::<usize>(),
    );
    let all: Vec<&Vec<u8>> = documents.values().collect();
    runner
        .run(&changes, |(which, changes, cut)| {
            // Half of them whole: a cut one fails at its end.
            let cut = if cut % 2 == 0 { all[which].len() } else { cut };
            Eml::parse(&mutated(all[which].clone(), &changes, cut)).ok();
            Ok(())
        })
        .unwrap();
}
