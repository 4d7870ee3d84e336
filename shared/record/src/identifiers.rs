//! Identifiers that a record brings along: the producer's UUID and the number of an iNaturalist observation.

use uuid::Uuid;

/// iNaturalist's research-grade observations at GBIF (<https://www.gbif.org/dataset/50c9509d-22c7-4a22-a47d-8c48425ef4a7>).
pub const INATURALIST: Uuid = Uuid::from_u128(0x50c9509d_22c7_4a22_a47d_8c48425ef4a7);

/// A UUID in its hyphenated form of 36 characters.
pub fn hyphenated(text: &str) -> Option<Uuid> {
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

/// Hosts of the French information system on nature, whose permanent addresses end with the observation's UUID
/// (<https://inpn.mnhn.fr>, <https://naturefrance.fr>). Other addresses are no identity: a producer may give one address to
/// many records.
const NATIONAL_HOSTS: [&str; 2] = ["naturefrance.fr", "mnhn.fr"];

/// The UUID that the producer gave: an `occurrenceID` that is one, bare, as `urn:uuid:`, or at the end of a national permanent
/// address. The nil UUID names nothing. The SQL function `passereau.producer_uuid` has the same rule.
pub fn producer_uuid(occurrence_id: &str) -> Option<Uuid> {
    let bare =
        without_prefix(occurrence_id, "urn:uuid:").or_else(|| national_address(occurrence_id)).unwrap_or(occurrence_id);
    hyphenated(bare).filter(|uuid| !uuid.is_nil())
}

/// The last part of a path on a national host.
fn national_address(text: &str) -> Option<&str> {
    let address = without_prefix(text, "https://").or_else(|| without_prefix(text, "http://"))?;
    let (host, path) = address.split_once('/')?;
    let host = host.to_ascii_lowercase();
    let national = NATIONAL_HOSTS
        .iter()
        .any(|national| host.strip_suffix(national).is_some_and(|before| before.is_empty() || before.ends_with('.')));
    if !national || path.contains(['?', '#']) {
        return None;
    }
    path.rsplit('/').next()
}

fn without_prefix<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let start = text.get(..prefix.len())?;
    if start.eq_ignore_ascii_case(prefix) { text.get(prefix.len()..) } else { None }
}

/// The observation's number, which stands in `catalogNumber` of iNaturalist's own dataset and nowhere else for certain:
/// `occurrenceID` may lead to another host (iNaturalist, `lib/darwin_core/occurrence.rb`).
pub fn inaturalist_id(dataset_key: Uuid, catalog_number: &str) -> Option<i64> {
    let digits = catalog_number.as_bytes();
    let number = matches!(digits.first(), Some(b'1'..=b'9')) && digits.iter().all(u8::is_ascii_digit);
    if number && dataset_key == INATURALIST { catalog_number.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_uuid_is_the_producers() {
        let uuid = Uuid::from_u128(0xca7ac3c2_2a61_4a95_94e9_17eb1b9f6a4e);
        for text in [
            "ca7ac3c2-2a61-4a95-94e9-17eb1b9f6a4e",
            "CA7AC3C2-2A61-4A95-94E9-17EB1B9F6A4E",
            "urn:uuid:ca7ac3c2-2a61-4a95-94e9-17eb1b9f6a4e",
            "URN:UUID:ca7ac3c2-2a61-4a95-94e9-17eb1b9f6a4e",
            "https://openobs.mnhn.fr/occurrences/ca7ac3c2-2a61-4a95-94e9-17eb1b9f6a4e",
            "http://naturefrance.fr/ca7ac3c2-2a61-4a95-94e9-17eb1b9f6a4e",
        ] {
            assert_eq!(producer_uuid(text), Some(uuid), "{text}");
        }
        for text in [
            "",
            "ca7ac3c22a614a9594e917eb1b9f6a4e",
            "{ca7ac3c2-2a61-4a95-94e9-17eb1b9f6a4e}",
            "ca7ac3c2-2a61-4a95-94e9-17eb1b9f6a4e ",
            "https://x.org/ca7ac3c2-2a61-4a95-94e9-17eb1b9f6a4e",
            "https://notmnhn.fr/ca7ac3c2-2a61-4a95-94e9-17eb1b9f6a4e",
            "https://inpn.mnhn.fr/ca7ac3c2-2a61-4a95-94e9-17eb1b9f6a4e?x=1",
            "https://inpn.mnhn.fr/",
            "https://mnhn.fr",
            "00000000-0000-0000-0000-000000000000",
            "https://www.inaturalist.org/observations/45276113",
            "urn:uuid:",
            "éééééééééééééééééé",
        ] {
            assert_eq!(producer_uuid(text), None, "{text}");
        }
    }

    #[test]
    fn only_inaturalists_own_dataset_has_its_numbers() {
        assert_eq!(inaturalist_id(INATURALIST, "339412090"), Some(339_412_090));
        assert_eq!(inaturalist_id(Uuid::from_u128(1), "339412090"), None);
        for text in ["", "0", "012", "+5", "-5", "12a", " 12", "99999999999999999999"] {
            assert_eq!(inaturalist_id(INATURALIST, text), None, "{text}");
        }
    }
}
