//! Why a document cannot be used.

/// A document that does not describe a dataset. The archive or the registry that holds it is otherwise not at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmlError {
    /// More than any description needs.
    #[error("the document has more than {limit} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// GBIF writes UTF-8 only.
    #[error("the document is not UTF-8")]
    NotUtf8,
    /// Documents of GBIF have no document type; one could define entities, the usual way to attack a reader.
    #[error("the document has a document type (DOCTYPE), which no EML document needs")]
    DocumentType,
    /// An entity that XML does not define.
    #[error("the document refers to the entity &{name}; which it does not define")]
    Entity {
        /// Its name.
        name: String,
    },
    /// No XML, or XML that ends early.
    #[error("the document is no XML: {reason}")]
    NotXml {
        /// What the parser met.
        reason: String,
    },
    /// Another kind of document, for instance the page of a web server.
    #[error("the document is no EML, its root is {root:?}")]
    NotEml {
        /// Name of its root.
        root: String,
    },
    /// EML about something else than a dataset.
    #[error("the document describes no dataset")]
    NoDataset,
    /// A dataset without a title cannot be shown to anybody.
    #[error("the dataset has no title")]
    NoTitle,
}
