//! The page of a flow: what it contains, for people, in French or English.
//!
//! Plain HTML without scripts and without anything from elsewhere: headings in order, tables with captions and headers, contrast of 7 to 1 and more, both
//! colour schemes of the system, links that say where they lead (<https://www.w3.org/TR/WCAG22/>; RGAA 4.1). It holds no token: its links
//! ask for it. Names of persons stay in the agreement.

mod html;
mod parts;
mod words;

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use passereau_flow::Flow;
use sha2::{Digest, Sha256};

use crate::{catalogue::Delivery, documents::Manifest, negotiate::Language};
use html::Html;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #ffffff; --line: #767676; --link: #003c8f; --late: #8a1000; }
@media (prefers-color-scheme: dark) { :root { --ink: #f2f2f2; --paper: #141414; --line: #8c8c8c; --link: #9fc5ff; --late: #ffb4a8; } }
body { color: var(--ink); background: var(--paper); font: 1rem/1.6 system-ui, sans-serif; max-width: 68rem; margin: 0 auto; padding: 1rem; }
a { color: var(--link); }
a:focus-visible { outline: 3px solid currentColor; outline-offset: 2px; }
table { border-collapse: collapse; margin: 1rem 0; }
caption { text-align: left; padding-bottom: .4rem; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
td.number { text-align: right; white-space: nowrap; }
dt { font-weight: bold; }
dd { margin: 0 0 .5rem 1.5rem; }
.late { color: var(--late); font-weight: bold; }
.wide { overflow-x: auto; }
blockquote { border-left: .3rem solid var(--line); margin-left: 0; padding-left: 1rem; }
code { overflow-wrap: anywhere; }
";

/// What a page may load, which is nothing; its own style is known by its SHA-256 (<https://www.w3.org/TR/CSP3/#match-element-to-source-list>).
pub(crate) static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// What a page shows.
#[derive(Debug)]
pub(crate) struct Shown<'s> {
    pub flow: &'s Flow,
    /// Those that can be fetched, the newest first.
    pub deliveries: &'s [Delivery],
    /// That of the newest.
    pub manifest: Option<&'s Manifest>,
    pub now: DateTime<Utc>,
}

/// The page.
pub(crate) fn render(shown: &Shown<'_>, language: Language) -> String {
    let mut page = Html::default();
    let (name, other) = (&shown.flow.name, language.pick(Language::English, Language::French));
    page.raw("<!DOCTYPE html>\n<html lang=\"").text(language.tag());
    page.raw("\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.raw("<meta name=\"robots\" content=\"noindex, nofollow\">\n<title>")
        .text(language.pick("Flux ", "Flow "))
        .text(name);
    page.raw("</title>\n<style>").raw(STYLE).raw("</style>\n</head>\n<body>\n<header>\n<h1>");
    page.text(language.pick("Flux ", "Flow ")).text(name).raw("</h1>\n<nav aria-label=\"");
    page.text(language.pick("Langue", "Language"))
        .raw("\"><p><a href=\"/flows/")
        .text(name)
        .raw("?lang=")
        .text(other.tag());
    page.raw("\" hreflang=\"").text(other.tag()).raw("\" lang=\"").text(other.tag()).raw("\">");
    page.text(other.pick("Cette page en français", "This page in English")).raw("</a></p></nav>\n</header>\n<main>\n");
    parts::content(&mut page, shown, language);
    parts::freshness(&mut page, shown, language);
    parts::files(&mut page, shown, language);
    parts::access(&mut page, language);
    parts::redistribution(&mut page, shown, language);
    parts::licences(&mut page, shown, language);
    parts::withheld(&mut page, shown, language);
    parts::fields(&mut page, shown, language);
    parts::versions(&mut page, shown, language);
    page.raw("</main>\n</body>\n</html>\n");
    page.finish()
}
