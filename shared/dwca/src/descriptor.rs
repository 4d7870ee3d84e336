//! `meta.xml`: which tables an archive has and which term stands in which column.
//!
//! The dialect is fixed: UTF-8, fields ended by a tab, lines by `\n`, no quoting, at most one header line. Attributes hold
//! backslash sequences as literal text (`\t` is a backslash and a `t`). Anything else is refused by name, so that no
//! table is ever read in a way its maker did not mean. Source: <https://dwc.tdwg.org/text/>.

use std::collections::BTreeSet;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use crate::ArchiveError;

/// More columns than this is no table: GBIF's widest had 259.
const MAX_COLUMNS: usize = 10_000;

/// One term of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The term's URI.
    pub term: String,
    /// Its column, counted from 0; a field without one has its default in every row.
    pub index: Option<usize>,
    /// The value of rows whose column is empty, or of all rows when there is no column.
    pub default: Option<String>,
    /// What separates several values in one field.
    pub delimited_by: Option<String>,
}

impl Field {
    /// The term without its namespace, as header lines write it.
    pub fn simple_name(&self) -> &str {
        self.term.rsplit(['/', '#', ':']).next().unwrap_or(&self.term)
    }
}

/// One table: a core or an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Where its text stands in the zip.
    pub location: String,
    /// URI of what a row is. `verbatim.txt` has the same as the core: tables are told apart by location **and** row type.
    pub row_type: String,
    /// Column that identifies the core record: GBIF's own number of the occurrence.
    pub id_column: usize,
    /// Header lines to pass over: 0 or 1.
    pub header_lines: u64,
    /// The terms, in the descriptor's order.
    pub fields: Vec<Field>,
}

impl Table {
    /// Number of fields that each row must have.
    pub fn width(&self) -> usize {
        self.fields.iter().filter_map(|field| field.index).chain([self.id_column]).max().unwrap_or(0) + 1
    }

    /// The field of a term, given by its URI.
    pub fn field(&self, term: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.term == term)
    }
}

/// All tables of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The table that all others extend.
    pub core: Table,
    /// The others, in the descriptor's order.
    pub extensions: Vec<Table>,
}

impl Descriptor {
    /// Reads the text of a `meta.xml`.
    pub fn parse(xml: &str) -> Result<Self, ArchiveError> {
        let mut reader = Reader::from_str(xml);
        let mut core = None;
        let mut extensions = Vec::new();
        let mut open: Option<Draft> = None;
        let mut in_location = false;
        loop {
            let event = reader.read_event().map_err(|error| bad(format!("no XML: {error}")))?;
            match event {
                Event::Start(element) | Event::Empty(element) if is_table(&element) => {
                    if open.is_some() {
                        return Err(bad("a table inside a table".to_owned()));
                    }
                    open = Some(Draft::start(&element)?);
                }
                Event::Start(element) if element.local_name().as_ref() == "location" => {
                    in_location = true;
                    if let Some(draft) = &mut open {
                        draft.locations.push(String::new());
                    }
                }
                Event::Start(element) | Event::Empty(element) => {
                    if let Some(draft) = &mut open {
                        draft.element(&element)?;
                    }
                }
                Event::Text(text) if in_location => {
                    if let Some(location) = open.as_mut().and_then(|draft| draft.locations.last_mut()) {
                        location.push_str(text.xml10_content().trim());
                    }
                }
                // What a reference or a section stands for would be missing from the name.
                Event::GeneralRef(_) | Event::CData(_) if in_location => {
                    return Err(bad("a location that is written with references".to_owned()));
                }
                Event::End(element) => match element.local_name().as_ref() {
                    "location" => in_location = false,
                    "core" if core.is_some() => return Err(bad("two cores".to_owned())),
                    "core" => core = Some(finish(&mut open)?),
                    "extension" => extensions.push(finish(&mut open)?),
                    _ => {}
                },
                Event::Eof if open.is_some() => return Err(bad("it ends inside a table".to_owned())),
                Event::Eof => break,
                _ => {}
            }
        }
        let core = core.ok_or_else(|| bad("it has no core".to_owned()))?;
        let mut locations: Vec<&str> =
            extensions.iter().chain([&core]).map(|table: &Table| table.location.as_str()).collect();
        locations.sort_unstable();
        if let Some([location, _]) = locations.windows(2).find(|pair| pair.first() == pair.last()) {
            return Err(bad(format!("two tables stand in {location}")));
        }
        Ok(Self { core, extensions })
    }

    /// The extension of this row type at this location.
    pub fn extension(&self, row_type: &str, location: &str) -> Option<&Table> {
        self.extensions.iter().find(|table| table.row_type == row_type && table.location == location)
    }
}

fn is_table(element: &BytesStart<'_>) -> bool {
    let name = element.local_name();
    matches!(name.as_ref(), "core" | "extension")
}

fn bad(reason: String) -> ArchiveError {
    ArchiveError::Descriptor { reason }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, ArchiveError> {
    let found = element.try_get_attribute(name).map_err(|error| bad(format!("no XML: {error}")))?;
    found
        .map(|value| value.normalized_value(XmlVersion::Implicit1_0).map(std::borrow::Cow::into_owned))
        .transpose()
        .map_err(|error| bad(format!("attribute {name}: {error}")))
}

fn column(element: &BytesStart<'_>) -> Result<Option<usize>, ArchiveError> {
    let Some(text) = attribute(element, "index")? else { return Ok(None) };
    match text.parse::<usize>() {
        Ok(index) if index < MAX_COLUMNS => Ok(Some(index)),
        _ => Err(bad(format!("index {text:?} is no column"))),
    }
}

/// A table while its element is open.
struct Draft {
    row_type: String,
    header_lines: u64,
    locations: Vec<String>,
    id_column: Option<usize>,
    fields: Vec<Field>,
    terms: BTreeSet<String>,
    columns: BTreeSet<usize>,
}

impl Draft {
    fn start(element: &BytesStart<'_>) -> Result<Self, ArchiveError> {
        let row_type = attribute(element, "rowType")?.ok_or_else(|| bad("a table without rowType".to_owned()))?;
        // Absent attributes mean commas and quotes by the text guide: GBIF always writes these.
        for (name, wanted) in [("fieldsTerminatedBy", "\\t"), ("linesTerminatedBy", "\\n"), ("fieldsEnclosedBy", "")] {
            let found = attribute(element, name)?;
            if found.as_deref() != Some(wanted) {
                return Err(bad(format!("{row_type} has {name} {found:?}, only {wanted:?} is read")));
            }
        }
        let encoding = attribute(element, "encoding")?.unwrap_or_default();
        if !encoding.eq_ignore_ascii_case("utf-8") {
            return Err(bad(format!("{row_type} has encoding {encoding:?}, only \"UTF-8\" is read")));
        }
        let header_lines = match attribute(element, "ignoreHeaderLines")?.as_deref() {
            None | Some("0") => 0,
            Some("1") => 1,
            Some(other) => {
                return Err(bad(format!("{row_type} has ignoreHeaderLines {other:?}, only 0 and 1 are read")));
            }
        };
        Ok(Self {
            row_type,
            header_lines,
            locations: Vec::new(),
            id_column: None,
            fields: Vec::new(),
            terms: BTreeSet::new(),
            columns: BTreeSet::new(),
        })
    }

    fn element(&mut self, element: &BytesStart<'_>) -> Result<(), ArchiveError> {
        match element.local_name().as_ref() {
            "id" | "coreid" => {
                self.id_column = column(element)?;
            }
            "field" => {
                let term = attribute(element, "term")?.ok_or_else(|| bad("a field without term".to_owned()))?;
                let field = Field {
                    index: column(element)?,
                    default: attribute(element, "default")?,
                    delimited_by: attribute(element, "delimitedBy")?,
                    term,
                };
                if field.index.is_none() && field.default.is_none() {
                    return Err(bad(format!("field {} has neither index nor default", field.term)));
                }
                if self.fields.len() >= MAX_COLUMNS {
                    return Err(bad(format!("{} has more than {MAX_COLUMNS} fields", self.row_type)));
                }
                // Sets, so that many fields cost no more than their number.
                let is_new_term = self.terms.insert(field.term.clone());
                let is_new_column = field.index.is_none_or(|index| self.columns.insert(index));
                if !(is_new_term && is_new_column) {
                    let clash = |other: &&Field| {
                        other.term == field.term || (field.index.is_some() && other.index == field.index)
                    };
                    let other = self.fields.iter().find(clash).map_or("another", |other| &other.term);
                    return Err(bad(format!("fields {other} and {} share a term or a column", field.term)));
                }
                self.fields.push(field);
            }
            _ => {}
        }
        Ok(())
    }
}

fn finish(open: &mut Option<Draft>) -> Result<Table, ArchiveError> {
    let draft = open.take().ok_or_else(|| bad("a table ends that never began".to_owned()))?;
    let location = match draft.locations.as_slice() {
        [location] if !location.is_empty() => location.clone(),
        [] | [_] => return Err(bad(format!("the table of {} has no location", draft.row_type))),
        _ => return Err(ArchiveError::SeveralFiles { locations: draft.locations }),
    };
    let id_column = draft.id_column.ok_or_else(|| bad(format!("the table in {location} has no id column")))?;
    Ok(Table { location, row_type: draft.row_type, id_column, header_lines: draft.header_lines, fields: draft.fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"encoding="UTF-8" fieldsTerminatedBy="\t" linesTerminatedBy="\n" fieldsEnclosedBy="" ignoreHeaderLines="1" rowType="x/Occurrence""#;

    fn parse(core: &str) -> Result<Descriptor, ArchiveError> {
        Descriptor::parse(&format!(r#"<archive xmlns="http://rs.tdwg.org/dwc/text/">{core}</archive>"#))
    }

    fn refused(core: &str) -> String {
        parse(core).map_or_else(|error| error.to_string(), |read| format!("read as {read:?}"))
    }

    #[test]
    fn a_table_is_read_with_defaults_and_delimiters() -> Result<(), ArchiveError> {
        let read = parse(&format!(
            r#"<core {TABLE}><files><location>o.txt</location></files><id index="0"/>
               <field default="WGS84" term="t/geodeticDatum"/><field index="0" term="t/gbifID"/>
               <field index="2" delimitedBy=";" default="x &amp; y" term="t#issue"/></core>"#
        ))?;
        let core = read.core;
        assert_eq!((core.location.as_str(), core.width(), core.header_lines, core.id_column), ("o.txt", 3, 1, 0));
        let issue = core.field("t#issue").ok_or(ArchiveError::NoDescriptor)?;
        assert_eq!(issue.simple_name(), "issue");
        assert_eq!((issue.default.as_deref(), issue.delimited_by.as_deref()), (Some("x & y"), Some(";")));
        assert_eq!(core.field("t/geodeticDatum").and_then(|field| field.index), None);
        Ok(())
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        let one = "<files><location>o.txt</location></files>";
        let two = "<files><location>a.txt</location><location>b.txt</location></files>";
        assert!(refused(&format!(r#"<core {TABLE}>{two}<id index="0"/></core>"#)).contains("a.txt"));
        assert!(refused(&format!("<core {TABLE}>{one}</core>")).contains("no id column"));
        assert!(refused(&format!(r#"<core {TABLE}><id index="0"/></core>"#)).contains("no location"));
        assert!(refused("").contains("no core"));
        assert!(refused("</core>").contains("no XML"));
        for (from, to, named) in [
            ("UTF-8", "ISO-8859-1", "encoding"),
            ("\\t", ",", "fieldsTerminatedBy"),
            ("\\n", "\\r\\n", "linesTerminatedBy"),
            ("fieldsEnclosedBy=\"\"", "fieldsEnclosedBy='\"'", "fieldsEnclosedBy"),
            ("ignoreHeaderLines=\"1\"", "ignoreHeaderLines=\"2\"", "ignoreHeaderLines"),
        ] {
            let table = TABLE.replace(from, to);
            assert!(refused(&format!(r#"<core {table}>{one}<id index="0"/></core>"#)).contains(named), "{named}");
        }
        let written = r#"<files><location>o&#46;txt</location></files><id index="0"/>"#;
        assert!(refused(&format!("<core {TABLE}>{written}</core>")).contains("references"));
        // A descriptor of some megabytes could name hundreds of thousands, which everything behind it would carry.
        let fields: String = (0..=MAX_COLUMNS).map(|n| format!(r#"<field default="" term="{n}"/>"#)).collect();
        assert!(refused(&format!(r#"<core {TABLE}>{one}<id index="0"/>{fields}</core>"#)).contains("more than 10000"));
        let twice = r#"<id index="0"/><field index="1" term="a"/><field index="1" term="b"/>"#;
        assert!(refused(&format!("<core {TABLE}>{one}{twice}</core>")).contains("share"));
    }
}
