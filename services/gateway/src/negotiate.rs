//! What a client accepts: codings and languages, with their weights (RFC 9110, 12.4.2).

use axum::http::{HeaderMap, HeaderName, header};

/// How the bytes of a file travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// As they are.
    Identity,
    /// As the file that lies beside them, RFC 1952.
    Gzip,
}

/// A language of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    French,
    English,
}

impl Language {
    /// Its tag, BCP 47.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::French => "fr",
            Self::English => "en",
        }
    }

    /// That of two texts which is in this language.
    pub(crate) const fn pick<T: Copy>(self, french: T, english: T) -> T {
        match self {
            Self::French => french,
            Self::English => english,
        }
    }
}

/// The items of a list header with their weights in thousandths. What cannot be read is left out.
fn weighted(headers: &HeaderMap, name: &HeaderName) -> Vec<(String, u16)> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter_map(item).collect()
}

fn item(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let mut weight = 1000;
    for parameter in parts {
        if let Some(value) = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")) {
            weight = thousandths(value)?;
        }
    }
    Some((name, weight))
}

/// A weight: 0 to 1 with at most three digits after the point.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    if digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part: u16 = format!("{digits:0<3}").parse().ok()?;
    match whole {
        "0" => Some(part),
        "1" if part == 0 => Some(1000),
        _ => None,
    }
}

/// How a file is to travel (RFC 9110, 12.5.3); none: in no way that the client takes. The coding that lies there is preferred where the
/// client has no preference.
pub(crate) fn coding(headers: &HeaderMap, has_gzip: bool) -> Option<Coding> {
    let accepted = weighted(headers, &header::ACCEPT_ENCODING);
    let weight =
        |names: &[&str]| accepted.iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, weight)| *weight);
    let any = weight(&["*"]);
    let gzip = if has_gzip { weight(&["gzip", "x-gzip"]).or(any).unwrap_or(0) } else { 0 };
    let identity = weight(&["identity"]);
    if gzip > 0 && identity.is_none_or(|identity| identity <= gzip) {
        return Some(Coding::Gzip);
    }
    // Acceptable unless it is excluded, by its name or together with all that has none.
    (identity.or(any) != Some(0)).then_some(Coding::Identity)
}

/// The language of a page: that of the address, else the one that the client likes best, else French.
pub(crate) fn language(headers: &HeaderMap, query: &str) -> Language {
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match (name.as_ref(), value.as_ref()) {
            ("lang", "fr") => return Language::French,
            ("lang", "en") => return Language::English,
            _ => {}
        }
    }
    let liked = weighted(headers, &header::ACCEPT_LANGUAGE);
    let weight = |tag: &str| {
        let named = |name: &str| name == tag || name.strip_prefix(tag).is_some_and(|rest| rest.starts_with('-'));
        liked.iter().filter(|(name, _)| named(name)).map(|(_, weight)| *weight).max().unwrap_or(0)
    };
    if weight("en") > weight("fr") { Language::English } else { Language::French }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn a_coding_is_sent_only_to_whom_takes_it() {
        use Coding::{Gzip, Identity};
        for (accepted, with_gzip, without) in [
            ("gzip", Some(Gzip), Some(Identity)),
            ("", Some(Identity), Some(Identity)),
            ("br, gzip;q=0.8", Some(Gzip), Some(Identity)),
            ("X-GZIP", Some(Gzip), Some(Identity)),
            ("gzip;q=0", Some(Identity), Some(Identity)),
            ("gzip;q=0.000", Some(Identity), Some(Identity)),
            ("*", Some(Gzip), Some(Identity)),
            ("identity;q=1, *;q=0", Some(Identity), Some(Identity)),
            ("gzip;q=0.5, identity", Some(Identity), Some(Identity)),
            ("gzip, identity;q=0", Some(Gzip), None),
            ("gzip, *;q=0", Some(Gzip), None),
            ("br, identity;q=0", None, None),
            ("gzip;q=2", Some(Identity), Some(Identity)),
            ("gzip;q=0.5x", Some(Identity), Some(Identity)),
        ] {
            let headers = headers(header::ACCEPT_ENCODING, accepted);
            assert_eq!(coding(&headers, true), with_gzip, "{accepted}");
            assert_eq!(coding(&headers, false), without, "{accepted}");
        }
        assert_eq!(coding(&HeaderMap::new(), true), Some(Identity));
    }

    #[test]
    fn a_page_speaks_the_language_that_is_liked_best() {
        use Language::{English, French};
        for (accepted, query, expected) in [
            ("", "", French),
            ("en", "", English),
            ("en-GB,en;q=0.9,fr;q=0.8", "", English),
            ("fr-CA, en;q=0.9", "", French),
            ("de", "", French),
            ("eng", "", French),
            ("fr", "lang=en", English),
            ("en", "token=x&lang=fr", French),
            ("en", "lang=de", English),
        ] {
            assert_eq!(language(&headers(header::ACCEPT_LANGUAGE, accepted), query), expected, "{accepted} {query}");
        }
    }
}
