//! The header line against the descriptor.
//!
//! Both have been wrong in production (<https://github.com/gbif/portal-feedback/issues/6433>,
//! <https://github.com/gbif/occurrence/issues/158>); columns are trusted only where they agree.

use crate::{ArchiveError, Table};

/// Checks the names and the number of a table's header against its descriptor.
pub(crate) fn check(table: &Table, header: &str) -> Result<(), ArchiveError> {
    let mut expected: Vec<Option<&str>> = vec![None; table.width()];
    for field in &table.fields {
        if let Some(slot) = field.index.and_then(|index| expected.get_mut(index)) {
            *slot = Some(field.simple_name());
        }
    }
    // Requested verbatim extensions write names of their own (lower case, back-quotes, `latitude` for geo:lat; observed,
    // August 2026): only their number can be compared.
    let relaxed = table.location.starts_with("verbatim/");
    let found: Vec<&str> = header.split('\t').collect();
    for at in 0..expected.len().max(found.len()) {
        let agree = match (expected.get(at), found.get(at)) {
            (Some(Some(_)), Some(_)) if relaxed => true,
            (Some(Some(name)), Some(found)) => name == found,
            // The id column needs no field of its own.
            (Some(None), Some(_)) => true,
            _ => false,
        };
        if !agree {
            return Err(ArchiveError::Header {
                entry: table.location.clone(),
                column: at + 1,
                expected: expected.get(at).copied().flatten().unwrap_or_default().to_owned(),
                found: found.get(at).copied().unwrap_or_default().chars().take(100).collect(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Field;

    fn table(location: &str) -> Table {
        let field = |(index, term): (usize, &str)| Field {
            term: term.to_owned(),
            index: Some(index),
            default: None,
            delimited_by: None,
        };
        Table {
            location: location.to_owned(),
            row_type: crate::OCCURRENCE.to_owned(),
            id_column: 0,
            header_lines: 1,
            fields: [(1, "t/Order"), (2, "t/format")].map(field).to_vec(),
        }
    }

    #[test]
    fn names_and_width_must_agree() {
        assert!(check(&table("o.txt"), "gbifID\tOrder\tformat").is_ok());
        let refused = |header: &str| check(&table("o.txt"), header).map_err(|error| error.to_string());
        for (header, column) in [
            ("gbifID\tformat\tOrder", "column 2"),
            ("gbifID\torder\tformat", "column 2"),
            ("gbifID\tOrder", "column 3"),
            ("gbifID\tOrder\tformat\textra", "column 4"),
        ] {
            assert!(refused(header).is_err_and(|error| error.contains(column)), "{header}");
        }
    }

    #[test]
    fn verbatim_extensions_write_names_their_own_way() {
        assert!(check(&table("verbatim/x.txt"), "gbifid\t`order`\tformat_").is_ok());
        assert!(check(&table("verbatim/x.txt"), "gbifid\t`order`").is_err());
    }
}
