//! What a call must not show, and how it is taken out of a server's words.
//!
//! A front end may print what it was sent, on an error page or on a page that looks like a success, and the beginning of an answer stands in logs, reasons and
//! messages. It writes the secret as its page needs it: as it is, escaped for JSON or HTML, or percent-encoded. Each character is
//! recognised in each spelling, so that mixtures are found too.

use crate::excerpt::{LONGEST_BYTES, excerpt};
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};

/// The secrets of one call, in every form in which they are sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets(Vec<SecretString>);

impl Secrets {
    /// The password, and user and password as HTTP Basic writes them.
    pub(crate) fn of(user: &str, password: &SecretString) -> Self {
        let basic = BASE64_STANDARD.encode(format!("{user}:{}", password.expose_secret()));
        // Nothing would be left of a text from which every empty string is taken.
        let secrets = [password.clone(), basic.into()].into_iter().filter(|secret| !secret.expose_secret().is_empty());
        Self(secrets.collect())
    }

    /// The beginning of a body on one line, without the secrets. They are sought in the whole body: one that the excerpt's end would cut in two is found.
    pub(crate) fn excerpt(&self, body: &[u8]) -> String {
        if self.0.is_empty() {
            return excerpt(body);
        }
        // A byte more than an excerpt looks at, so that it tells that there is more.
        excerpt(self.strip(&String::from_utf8_lossy(body), LONGEST_BYTES + 1).as_bytes())
    }

    /// A text without the secrets, cut once `enough` bytes are there.
    pub(crate) fn strip(&self, text: &str, enough: usize) -> String {
        let mut rest = text;
        let mut stripped = String::new();
        while let Some(c) = rest.chars().next().filter(|_| stripped.len() < enough) {
            match self.0.iter().filter_map(|secret| spelled(rest, secret.expose_secret())).max() {
                Some(length) => {
                    stripped.push('…');
                    rest = &rest[length..];
                }
                None => {
                    stripped.push(c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        stripped
    }
}

/// How many bytes at the beginning of `text` spell `secret`, if they do. Nothing spells the empty one but nothing.
fn spelled(text: &str, secret: &str) -> Option<usize> {
    let Some(c) = secret.chars().next() else { return Some(0) };
    let rest = &secret[c.len_utf8()..];
    // A character and the beginning of its escape may be the same (`&`, `\`, `%`): whichever leads to the end.
    [literal(text, c), json(text, c), html(text, c), percent(text, c)]
        .into_iter()
        .flatten()
        .filter_map(|length| Some(length + spelled(&text[length..], rest)?))
        .max()
}

fn literal(text: &str, c: char) -> Option<usize> {
    text.starts_with(c).then_some(c.len_utf8())
}

/// RFC 8259, section 7.
fn json(text: &str, c: char) -> Option<usize> {
    let after = text.strip_prefix('\\')?;
    let short = match c {
        '"' | '\\' | '/' => Some(c),
        '\u{8}' => Some('b'),
        '\u{c}' => Some('f'),
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        _ => None,
    };
    if short.is_some_and(|short| after.starts_with(short)) {
        return Some(2);
    }
    let mut units = [0; 2];
    let escapes: String = c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    begins_with(text, &escapes)
}

/// Bytes of a character reference without its `&`: seven digits, `#` and `;`, and some zeros before them.
const LONGEST_REFERENCE: usize = 16;

/// Character references, named and numeric.
fn html(text: &str, c: char) -> Option<usize> {
    let reference = text.strip_prefix('&')?;
    let reference = &reference[..reference.bytes().take(LONGEST_REFERENCE).position(|byte| byte == b';')?];
    let named = match c {
        '&' => "amp",
        '<' => "lt",
        '>' => "gt",
        '"' => "quot",
        '\'' => "apos",
        _ => "",
    };
    let number = |digits: &str| match digits.strip_prefix(['x', 'X']) {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok(),
        None => digits.parse().ok(),
    };
    let is_it = match reference.strip_prefix('#') {
        Some(digits) => number(digits) == Some(u32::from(c)),
        None => !named.is_empty() && reference.eq_ignore_ascii_case(named),
    };
    is_it.then_some(reference.len() + 2)
}

/// RFC 3986, section 2.1; `+` for a space, as forms write it.
fn percent(text: &str, c: char) -> Option<usize> {
    if c == ' ' && text.starts_with('+') {
        return Some(1);
    }
    let mut bytes = [0; 4];
    let escapes: String = c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02x}")).collect();
    begins_with(text, &escapes)
}

/// Length of `escapes`, if `text` begins with them in capitals or not.
fn begins_with(text: &str, escapes: &str) -> Option<usize> {
    text.get(..escapes.len()).filter(|begin| begin.eq_ignore_ascii_case(escapes)).map(str::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_each_spelling_and_in_mixtures() {
        let secrets = Secrets::of("user", &SecretString::from(r#"a/é &"\😀"#));
        for spelling in [
            r#"a/é &"\😀"#,
            r#"a\/é &\"\\😀"#,
            r#"a\/\u00e9\u0020\u0026\u0022\u005C\uD83D\uDE00"#,
            r#"a/é &amp;&quot;\😀"#,
            "a&#x2F;&#233;&#32;&#038;&#34;&#x5c;&#128512;",
            "a%2F%C3%A9%20%26%22%5C%F0%9F%98%80",
            "a%2f%c3%a9+%26%22%5c%f0%9f%98%80",
            r#"a\/é+&amp;%22\\😀"#,
        ] {
            assert_eq!(secrets.strip(&format!("<{spelling}> a/"), 100), "<…> a/", "{spelling}");
        }
        let basic = BASE64_STANDARD.encode(r#"user:a/é &"\😀"#);
        assert!(basic.contains('='));
        for spelling in [basic.clone(), basic.replace('=', "%3D"), basic.replace('=', "&#x3D;")] {
            assert_eq!(secrets.strip(&format!("Basic {spelling}"), 100), "Basic …", "{spelling}");
        }
        // What only resembles it stays, and so does a text that ends in the middle of an escape.
        for text in ["a/é &'", "a%2", "a\\u00", "a&#x2F", "a%2Fé", "&amp;", "é😀"] {
            assert_eq!(secrets.strip(text, 100), text);
        }
    }

    #[test]
    fn a_secret_at_the_end_of_an_excerpt_is_not_cut_in_two() {
        let secrets = Secrets::of("user", &SecretString::from("opensesame"));
        for before in 290..=310 {
            let shown = secrets.excerpt(format!("{}opensesame", "x".repeat(before)).as_bytes());
            assert!(!shown.contains('o'), "{shown}");
        }
        let long = secrets.excerpt("x".repeat(LONGEST_BYTES * 2).as_bytes());
        assert_eq!(long, excerpt("x".repeat(LONGEST_BYTES * 2).as_bytes()));
        assert_eq!(Secrets::of("", &SecretString::from("")).excerpt(b"as it is"), "as it is");
    }
}
