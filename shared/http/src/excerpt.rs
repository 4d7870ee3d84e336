//! The beginning of an answer's text, fit to be shown in an error or a log.

/// Longest excerpt, in characters.
const LONGEST: usize = 300;

/// Bytes of a body that an excerpt looks at.
pub(crate) const LONGEST_BYTES: usize = LONGEST * 4;

/// One line of at most 300 characters: control characters and runs of spaces become one space, bytes that are no UTF-8 are
/// replaced. An answer is never logged whole: it may be an error page of megabytes.
pub fn excerpt(body: &[u8]) -> String {
    let head = &body[..body.len().min(LONGEST_BYTES)];
    let text = String::from_utf8_lossy(head);
    let mut line = String::new();
    let mut shown = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        for c in (!line.is_empty()).then_some(' ').into_iter().chain(word.chars()) {
            if shown == LONGEST {
                line.push('…');
                return line;
            }
            line.push(c);
            shown += 1;
        }
    }
    if head.len() < body.len() {
        line.push('…');
    }
    line
}

/// Whether an answer is a web page: by its declared type, or by how it begins. A proxy's error page or a login page of
/// a network is the usual reason why an API "answers nonsense".
pub fn is_html(content_type: Option<&str>, body: &[u8]) -> bool {
    if content_type.is_some_and(|kind| kind.to_ascii_lowercase().contains("html")) {
        return true;
    }
    let head = String::from_utf8_lossy(&body[..body.len().min(64)]).trim_start().to_ascii_lowercase();
    head.starts_with("<!doctype html") || head.starts_with("<html")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(
            excerpt(b"A download limitation\n is\texceeded:\r\n\x07now"),
            "A download limitation is exceeded: now"
        );
        let long = excerpt("é".repeat(1000).as_bytes());
        assert_eq!(long.chars().count(), LONGEST + 1);
        assert!(long.ends_with('…'));
        assert_eq!(excerpt(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn a_web_page_is_recognised_with_or_without_its_type() {
        assert!(is_html(Some("text/HTML; charset=utf-8"), b"{}"));
        assert!(is_html(Some("application/json"), b"\n <!DOCTYPE html><html>"));
        assert!(is_html(None, b"<html lang=en>"));
        assert!(!is_html(Some("application/json"), b"{\"a\":\"<html>\"}"));
    }
}
