//! What a file server's answer to a range means. Pure.
//!
//! A range is asked for with `If-Range`: the server sends the range (206) while the file is the one we began with, and the whole file
//! (200) when it is not (RFC 9110, section 13.1.5). GBIF's downloads have changed under a running transfer, and long ones are cut
//! every gigabyte or so (<https://github.com/gbif/portal-feedback/issues/3086>), so both are expected, not exceptional.

use crate::parts::Part;

/// What we know of the file since its first byte came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its `ETag` or `Last-Modified`, if the server gave one that may be used for ranges.
    pub validator: Option<String>,
}

/// The answer, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// First byte, last byte, size of the file, from `Content-Range`.
    pub content_range: Option<(u64, u64, Option<u64>)>,
    /// Size of the body in bytes.
    pub content_length: Option<u64>,
    /// `ETag` or `Last-Modified`.
    pub validator: Option<String>,
}

/// What to do with the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The body is the part that was asked for, of this file.
    Part {
        /// Size of the whole file in bytes.
        size_bytes: u64,
        /// Bytes that the body must have.
        body_bytes: u64,
    },
    /// The body is the whole file: the server knows no ranges. Its size is not always announced.
    Whole {
        /// Size in bytes.
        size_bytes: Option<u64>,
    },
    /// It is not the file that we began with: start again from the first byte.
    Changed(String),
    /// The file has no bytes.
    Empty,
    /// The server breaks the rules of HTTP: nothing can be done with the body.
    Nonsense(String),
    /// Not an answer with bytes of the file; its status says why.
    Refused,
}

/// Judges the answer to the request for bytes `asked`, given what is known of the file.
#[must_use]
pub fn judge(asked: Part, known: Option<&Known>, reply: &Reply) -> Verdict {
    match reply.status {
        206 => judge_part(asked, known, reply),
        200 => judge_whole(asked, known, reply),
        416 if known.is_none() => Verdict::Empty,
        416 => Verdict::Changed("it has become shorter".to_owned()),
        _ => Verdict::Refused,
    }
}

fn judge_part(asked: Part, known: Option<&Known>, reply: &Reply) -> Verdict {
    let Some((first, last, Some(size_bytes))) = reply.content_range else {
        return Verdict::Nonsense("a part without its place in the file (Content-Range)".to_owned());
    };
    if let Some(changed) = known.and_then(|known| difference(known, Some(size_bytes), reply)) {
        return changed;
    }
    let expected_last = asked.last.min(size_bytes.saturating_sub(1));
    if (first, last) != (asked.first, expected_last) || last >= size_bytes {
        return Verdict::Nonsense(format!(
            "bytes {first}-{last} of {size_bytes} instead of {}-{expected_last}",
            asked.first
        ));
    }
    Verdict::Part { size_bytes, body_bytes: last - first + 1 }
}

fn judge_whole(asked: Part, known: Option<&Known>, reply: &Reply) -> Verdict {
    if reply.content_length == Some(0) {
        return Verdict::Empty;
    }
    match known {
        None => Verdict::Whole { size_bytes: reply.content_length },
        // A server without ranges, whose file we began to fetch in one piece.
        Some(known) if asked.first == 0 && asked.len_bytes() == known.size_bytes => {
            difference(known, reply.content_length, reply)
                .unwrap_or(Verdict::Whole { size_bytes: Some(known.size_bytes) })
        }
        Some(known) => difference(known, reply.content_length, reply)
            .unwrap_or_else(|| Verdict::Changed("the server sends it from its beginning".to_owned())),
    }
}

fn difference(known: &Known, size_bytes: Option<u64>, reply: &Reply) -> Option<Verdict> {
    if let Some(size) = size_bytes
        && size != known.size_bytes
    {
        return Some(Verdict::Changed(format!("it has {size} bytes and had {}", known.size_bytes)));
    }
    // A validator that comes or goes says nothing; one that differs says that it is another file.
    match (&known.validator, &reply.validator) {
        (Some(before), Some(now)) if before != now => Some(Verdict::Changed("its ETag or date is another".to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Part = Part { number: 1, first: 10, last: 19 };
    const FIRST: Part = Part { number: 0, first: 0, last: 9 };

    fn known() -> Known {
        Known { size_bytes: 25, validator: Some("\"a\"".to_owned()) }
    }

    fn part(range: (u64, u64, Option<u64>), validator: &str) -> Reply {
        Reply {
            status: 206,
            content_range: Some(range),
            content_length: Some(range.1 - range.0 + 1),
            validator: Some(validator.to_owned()),
        }
    }

    fn whole(size: u64, validator: &str) -> Reply {
        Reply { status: 200, content_range: None, content_length: Some(size), validator: Some(validator.to_owned()) }
    }

    #[test]
    fn the_part_that_was_asked_for_is_taken() {
        let verdict = judge(ASKED, Some(&known()), &part((10, 19, Some(25)), "\"a\""));
        assert_eq!(verdict, Verdict::Part { size_bytes: 25, body_bytes: 10 });
    }

    #[test]
    fn the_first_part_tells_the_size_and_may_be_the_only_one() {
        let verdict = judge(FIRST, None, &part((0, 9, Some(25)), "\"a\""));
        assert_eq!(verdict, Verdict::Part { size_bytes: 25, body_bytes: 10 });
        let verdict = judge(FIRST, None, &part((0, 4, Some(5)), "\"a\""));
        assert_eq!(verdict, Verdict::Part { size_bytes: 5, body_bytes: 5 });
    }

    #[test]
    fn another_file_means_starting_again() {
        for reply in [
            whole(25, "\"b\""),
            whole(30, "\"a\""),
            // If-Range ignored by the server:
            part((10, 19, Some(25)), "\"b\""),
            part((10, 19, Some(30)), "\"a\""),
            Reply { status: 416, content_range: None, content_length: None, validator: None },
        ] {
            assert!(matches!(judge(ASKED, Some(&known()), &reply), Verdict::Changed(_)), "{reply:?}");
        }
        // Without ranges, the second part cannot be had; the next round takes the whole.
        assert!(matches!(judge(ASKED, Some(&known()), &whole(25, "\"a\"")), Verdict::Changed(_)));
    }

    #[test]
    fn a_server_without_ranges_sends_the_whole_in_one_piece() {
        assert_eq!(judge(FIRST, None, &whole(25, "\"a\"")), Verdict::Whole { size_bytes: Some(25) });
        let everything = Part { number: 0, first: 0, last: 24 };
        assert_eq!(
            judge(everything, Some(&known()), &whole(25, "\"a\"")),
            Verdict::Whole { size_bytes: Some(25) },
            "a second try at the same piece"
        );
        assert!(matches!(judge(everything, Some(&known()), &whole(25, "\"b\"")), Verdict::Changed(_)));
    }

    #[test]
    fn answers_that_break_the_rules_are_not_stored() {
        for range in [(0, 9, Some(25)), (10, 18, Some(25)), (10, 30, Some(25)), (10, 19, None)] {
            let verdict = judge(ASKED, Some(&known()), &part(range, "\"a\""));
            assert!(matches!(verdict, Verdict::Nonsense(_)), "{range:?}: {verdict:?}");
        }
        let verdict = judge(FIRST, None, &part((0, 9, Some(0)), "\"a\""));
        assert!(matches!(verdict, Verdict::Nonsense(_)), "{verdict:?}");
    }

    #[test]
    fn an_empty_file_and_a_refusal_are_told_apart() {
        let status = |status| Reply { status, content_range: None, content_length: None, validator: None };
        assert_eq!(judge(FIRST, None, &status(416)), Verdict::Empty);
        assert_eq!(judge(FIRST, None, &whole(0, "\"a\"")), Verdict::Empty);
        assert_eq!(judge(ASKED, Some(&known()), &status(503)), Verdict::Refused);
        assert_eq!(judge(ASKED, Some(&known()), &status(404)), Verdict::Refused);
    }
}
