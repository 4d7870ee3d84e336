//! A document as a tree of elements, within limits.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use crate::EmlError;

/// Elements of one document. The largest seen has some 3,000.
const MAX_ELEMENTS: usize = 100_000;

/// Elements inside each other. EML as GBIF writes it has eight; walks over the tree are recursive.
const MAX_DEPTH: usize = 64;

/// One element: its name without prefix, the attribute `url`, and what stands in it.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub name: String,
    pub url: Option<String>,
    content: Vec<Content>,
}

#[derive(Debug)]
enum Content {
    Text(String),
    Element(Element),
}

impl Element {
    /// The elements of this name directly inside.
    pub fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements().filter(move |element| element.name == name)
    }

    /// The first of them.
    pub fn child<'a>(&'a self, name: &'a str) -> Option<&'a Element> {
        self.children(name).next()
    }

    /// The first element that these names lead to.
    pub fn path(&self, names: &[&str]) -> Option<&Element> {
        match names {
            [] => Some(self),
            [name, rest @ ..] => self.elements().filter(|child| child.name == *name).find_map(|child| child.path(rest)),
        }
    }

    /// The first element of this name at any depth.
    pub fn descendant(&self, name: &str) -> Option<&Element> {
        self.elements().find_map(|child| if child.name == name { Some(child) } else { child.descendant(name) })
    }

    /// All text inside. An empty line follows what EML sets apart as a block, so that paragraphs stay apart.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.add_text(&mut text);
        text
    }

    fn elements(&self) -> impl Iterator<Item = &Element> {
        self.content.iter().filter_map(|content| match content {
            Content::Element(element) => Some(element),
            Content::Text(_) => None,
        })
    }

    fn add_text(&self, text: &mut String) {
        for content in &self.content {
            match content {
                Content::Text(words) => text.push_str(words),
                Content::Element(element) => element.add_text(text),
            }
        }
        if matches!(self.name.as_str(), "para" | "title" | "listitem" | "section" | "literalLayout" | "markdown") {
            text.push_str("\n\n");
        }
    }
}

/// Reads a document whole; gives its root.
pub(crate) fn parse(text: &str) -> Result<Element, EmlError> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    // The first is the document itself.
    let mut open = vec![Element::default()];
    let mut elements = 0;
    loop {
        match reader.read_event().map_err(not_xml)? {
            Event::Start(start) => {
                elements += 1;
                if elements > MAX_ELEMENTS {
                    return Err(EmlError::TooLarge { what: "elements", limit: MAX_ELEMENTS });
                }
                if open.len() > MAX_DEPTH {
                    return Err(EmlError::TooLarge { what: "elements inside each other", limit: MAX_DEPTH });
                }
                open.push(element(&start)?);
            }
            Event::End(_) => {
                // The reader has checked that it ends what is open.
                if let Some(ended) = open.pop()
                    && let Some(parent) = open.last_mut()
                {
                    parent.content.push(Content::Element(ended));
                }
            }
            Event::Text(words) => add_text(&mut open, &words.xml10_content()),
            Event::CData(words) => add_text(&mut open, &words.xml10_content()),
            Event::GeneralRef(reference) => add_text(&mut open, &resolved(&reference)?),
            Event::DocType(_) => return Err(EmlError::DocumentType),
            // An empty element comes as its start and its end.
            Event::Empty(_) | Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    if open.len() != 1 {
        return Err(EmlError::NotXml { reason: "it ends before its elements do".to_owned() });
    }
    let root = open.pop().and_then(|document| {
        document.content.into_iter().find_map(|content| match content {
            Content::Element(element) => Some(element),
            Content::Text(_) => None,
        })
    });
    root.ok_or_else(|| EmlError::NotXml { reason: "it has no element".to_owned() })
}

/// Words that a reference has cut go together again.
fn add_text(open: &mut [Element], words: &str) {
    let Some(parent) = open.last_mut() else { return };
    match parent.content.last_mut() {
        Some(Content::Text(text)) => text.push_str(words),
        _ => parent.content.push(Content::Text(words.to_owned())),
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, EmlError> {
    let url = start.try_get_attribute("url").map_err(not_xml)?;
    let url = url.map(|url| url.normalized_value(XmlVersion::Implicit1_0).map(|value| value.into_owned()));
    Ok(Element {
        name: start.local_name().as_ref().to_owned(),
        url: url.transpose().map_err(not_xml)?,
        content: Vec::new(),
    })
}

/// A character by its number, or one of the five entities that XML defines itself. There are no others without a document
/// type, and therefore none that could grow.
fn resolved(reference: &BytesRef<'_>) -> Result<String, EmlError> {
    if let Some(character) = reference.resolve_char_ref().map_err(not_xml)? {
        return Ok(character.to_string());
    }
    let name: &str = reference;
    resolve_xml_entity(name)
        .map(str::to_owned)
        .ok_or_else(|| EmlError::Entity { name: name.chars().take(50).collect() })
}

fn not_xml(error: impl std::fmt::Display) -> EmlError {
    EmlError::NotXml { reason: error.to_string() }
}
