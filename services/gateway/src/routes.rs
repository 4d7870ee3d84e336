//! The table of routes: what is served, what is documented and what is measured are these.
//!
//! A path is matched as it was sent, without decoding: names, versions and extensions need no escapes, so `%2f`, `%00` or `..` are no route. Nothing of
//! a path ever reaches the store.

use Operation::{File, Latest, LatestManifest, Manifest, OpenApi, Page, Versions};

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The page of a flow.
    Page,
    /// A file of the newest version.
    Latest,
    /// The manifest of the newest version.
    LatestManifest,
    /// The list of versions.
    Versions,
    /// A file of a version.
    File,
    /// The manifest of a version.
    Manifest,
    /// The description of all this.
    OpenApi,
}

/// A route. It answers GET and HEAD.
#[derive(Debug)]
pub(crate) struct Route {
    pub operation: Operation,
    /// Its path, as OpenAPI writes it; also its name in metrics and logs.
    pub path: &'static str,
    /// OpenAPI's `operationId`.
    pub id: &'static str,
    pub summary: &'static str,
    /// Whether a token must open it.
    pub needs_token: bool,
    /// The media type of its answer; files have that of their format.
    pub media_type: Option<&'static str>,
}

/// All routes; of two that match, the first counts.
pub(crate) static ROUTES: [Route; 7] = [
    route(
        Page,
        "/flows/{flow}",
        "page",
        "What the flow contains, for people; in French or English.",
        Some("text/html; charset=utf-8"),
    ),
    route(Latest, "/flows/{flow}/latest.{extension}", "latest", "A file of the newest version.", None),
    route(
        LatestManifest,
        "/flows/{flow}/manifest.json",
        "latestManifest",
        "The manifest of the newest version.",
        Some(JSON),
    ),
    route(
        Versions,
        "/flows/{flow}/versions",
        "versions",
        "The versions that can be fetched, the newest first.",
        Some(JSON),
    ),
    route(Manifest, "/flows/{flow}/{version}/manifest.json", "manifest", "The manifest of a version.", Some(JSON)),
    route(File, "/flows/{flow}/{version}/{file}", "file", "A file of a version. Its bytes never change.", None),
    Route { needs_token: false, ..route(OpenApi, "/openapi.json", "openapi", "This document.", Some(JSON)) },
];

const JSON: &str = "application/json";

const fn route(
    operation: Operation,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    media_type: Option<&'static str>,
) -> Route {
    Route { operation, path, id, summary, needs_token: true, media_type }
}

impl Route {
    /// The names in its path.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(parameter).map(|(_, name)| name)
    }
}

/// A segment `before{name}`.
fn parameter(segment: &'static str) -> Option<(&'static str, &'static str)> {
    segment.strip_suffix('}')?.split_once('{')
}

/// What the names in a path stand for; empty where it has no such name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Captured<'p> {
    pub flow: &'p str,
    pub version: &'p str,
    pub extension: &'p str,
    pub file: &'p str,
}

/// The route of a path.
pub(crate) fn find(path: &str) -> Option<(&'static Route, Captured<'_>)> {
    ROUTES.iter().find_map(|route| captured(route.path, path).map(|captured| (route, captured)))
}

/// The flow that a path speaks of, whether there is such a route or not.
pub(crate) fn flow_of(path: &str) -> Option<&str> {
    let below = path.strip_prefix("/flows/")?;
    Some(below.split_once('/').map_or(below, |(flow, _)| flow))
}

fn captured<'p>(template: &'static str, path: &'p str) -> Option<Captured<'p>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut captured = Captured::default();
    loop {
        let (wanted, given) = match (wanted.next(), given.next()) {
            (None, None) => return Some(captured),
            (Some(wanted), Some(given)) => (wanted, given),
            _ => return None,
        };
        let Some((before, name)) = parameter(wanted) else {
            if wanted != given {
                return None;
            }
            continue;
        };
        let value = given.strip_prefix(before).filter(|value| is_plain(value))?;
        match name {
            "flow" => captured.flow = value,
            "version" => captured.version = value,
            "extension" => captured.extension = value,
            _ => captured.file = value,
        }
    }
}

/// Names, versions and extensions are made of these.
fn is_plain(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !text.is_empty() && !text.starts_with('.') && text.len() <= 128 && text.bytes().all(is_plain)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_its_route() {
        for (path, operation, expected) in [
            ("/flows/atlas", Page, Captured { flow: "atlas", ..Captured::default() }),
            (
                "/flows/atlas/latest.statuts.csv",
                Latest,
                Captured { flow: "atlas", extension: "statuts.csv", ..Captured::default() },
            ),
            ("/flows/atlas/manifest.json", LatestManifest, Captured { flow: "atlas", ..Captured::default() }),
            ("/flows/atlas/versions", Versions, Captured { flow: "atlas", ..Captured::default() }),
            (
                "/flows/atlas/2026/manifest.json",
                Manifest,
                Captured { flow: "atlas", version: "2026", ..Captured::default() },
            ),
            (
                "/flows/atlas/2026/atlas.csv",
                File,
                Captured { flow: "atlas", version: "2026", file: "atlas.csv", ..Captured::default() },
            ),
            ("/openapi.json", OpenApi, Captured::default()),
        ] {
            let (route, captured) = find(path).unwrap();
            assert_eq!((route.operation, captured), (operation, expected), "{path}");
        }
    }

    #[test]
    fn anything_else_has_none() {
        for path in [
            "",
            "/",
            "/flows",
            "/flows/",
            "/flows/atlas/",
            "/flows//atlas",
            "/flows/atlas/latest.",
            "/flows/atlas/latest",
            "/flows/atlas/..",
            "/flows/../atlas",
            "/flows/atlas/2026/..",
            "/flows/atlas/2026/.hidden",
            "/flows/atlas/2026/a%2fb",
            "/flows/atlas/latest.%2e%2e",
            "/flows/atlas/2026/a%00",
            "/flows/atlas/2026/atlas.csv/",
            "/flows/atlas/../../openapi.json",
            "/flows/é",
            "/openapi.json/",
            "/flows/a\\b",
            "/flows/atlas;x",
        ] {
            assert!(find(path).is_none(), "{path}");
        }
        let long = format!("/flows/{}", "a".repeat(200));
        assert!(find(&long).is_none());
        assert_eq!(flow_of("/flows/atlas/../x"), Some("atlas"));
        assert_eq!(flow_of("/flows/"), Some(""));
        assert_eq!(flow_of("/flow"), None);
    }
}
