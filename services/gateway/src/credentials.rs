//! The token that a request presents, wherever it stands.
//!
//! RFC 6750, 2.1: `Authorization: Bearer …`. RFC 7617: Basic, with the token as password under any user name, because that is what a GIS can be
//! told. RFC 6750, 2.3: `?token=…`, which gets into histories and is for programs that can do nothing else.

use axum::http::{HeaderMap, header};
use base64::{Engine, prelude::BASE64_STANDARD};
use passereau_secret::SecretString;

/// A request presents more than one token (RFC 6750, 2: that is an invalid request).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Several;

/// The token of a request, if it has one. What cannot be read as a token is one that opens nothing.
pub(crate) fn presented(headers: &HeaderMap, query: &str) -> Result<Option<SecretString>, Several> {
    let of_headers = headers.get_all(header::AUTHORIZATION).iter().map(|line| of_header(line.to_str().unwrap_or("")));
    let of_query = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "token");
    let mut all = of_headers.chain(of_query.map(|(_, value)| value.into_owned().into()));
    let first = all.next();
    if all.next().is_some() { Err(Several) } else { Ok(first) }
}

fn of_header(line: &str) -> SecretString {
    let (scheme, rest) = line.trim().split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return rest.into();
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let pair = BASE64_STANDARD.decode(rest).ok().and_then(|pair| String::from_utf8(pair).ok()).unwrap_or_default();
        return pair.split_once(':').map_or("", |(_, password)| password).into();
    }
    "".into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use passereau_secret::ExposeSecret;

    use super::*;

    fn token(lines: &[&str], query: &str) -> Result<Option<String>, Several> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::AUTHORIZATION, line.parse().unwrap());
        }
        presented(&headers, query).map(|token| token.map(|token| token.expose_secret().to_owned()))
    }

    #[test]
    fn a_token_stands_in_one_of_three_places() {
        let basic = format!("Basic {}", BASE64_STANDARD.encode("whoever:psr_1:2"));
        for (lines, query, expected) in [
            (&["Bearer psr_1"][..], "", Some("psr_1")),
            (&["bearer   psr_1 "], "lang=en", Some("psr_1")),
            (&[basic.as_str()], "", Some("psr_1:2")),
            (&[], "lang=fr&token=psr_%31", Some("psr_1")),
            (&[], "", None),
            (&[], "tokens=x", None),
            (&["Basic %%%"], "", Some("")),
            (&["Digest x"], "", Some("")),
            (&["Bearer"], "", Some("")),
            (&[], "token=", Some("")),
        ] {
            assert_eq!(token(lines, query), Ok(expected.map(ToOwned::to_owned)), "{lines:?} {query}");
        }
    }

    #[test]
    fn two_tokens_are_none() {
        assert_eq!(token(&["Bearer a"], "token=a"), Err(Several));
        assert_eq!(token(&["Bearer a", "Bearer a"], ""), Err(Several));
        assert_eq!(token(&[], "token=a&token=b"), Err(Several));
    }
}
