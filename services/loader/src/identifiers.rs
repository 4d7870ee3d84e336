//! Identifiers that a record brings along: the producer's UUID and the number of an iNaturalist observation.

use uuid::Uuid;

/// iNaturalist's research-grade observations at GBIF (<https://www.gbif.org/dataset/50c9509d-22c7-4a22-a47d-8c48425ef4a7>).
pub const INATURALIST: Uuid = Uuid::from_u128(0x50c9509d_22c7_4a22_a47d_8c48425ef4a7);

/// A UUID in its hyphenated form of 36 characters.
pub fn hyphenated(text: &str) -> Option<Uuid> {
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

/// The UUID that the producer gave: an `occurrenceID` that is one, bare or as `urn:uuid:`. The nil UUID names nothing.
pub fn producer_uuid(occurrence_id: &str) -> Option<Uuid> {
    let bare = match occurrence_id.get(..9) {
        Some(prefix) if prefix.eq_ignore_ascii_case("urn:uuid:") => occurrence_id.get(9..)?,
        _ => occurrence_id,
    };
    hyphenated(bare).filter(|uuid| !uuid.is_nil())
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
        ] {
            assert_eq!(producer_uuid(text), Some(uuid), "{text}");
        }
        for text in [
            "",
            "ca7ac3c22a614a9594e917eb1b9f6a4e",
            "{ca7ac3c2-2a61-4a95-94e9-17eb1b9f6a4e}",
            "ca7ac3c2-2a61-4a95-94e9-17eb1b9f6a4e ",
            "https://x.org/ca7ac3c2-2a61-4a95-94e9-17eb1b9f6a4e",
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
