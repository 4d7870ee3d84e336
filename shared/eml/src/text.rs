//! Texts as people typed them, made readable.
//!
//! Many descriptions were typed into forms that expect HTML, and stand in EML and in the registry with its tags and entities
//! as characters. Only what is certainly markup goes: tags that descriptions use, entities that are a number or well known.

/// A text on one line, without markup and repeated spaces; `None` when nothing is left.
pub fn line(text: &str) -> Option<String> {
    let words: Vec<String> = plain(text).split_whitespace().map(str::to_owned).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// A text of several paragraphs, without markup: lines are trimmed, and at most one empty line separates them. `None` when
/// nothing is left.
pub fn paragraphs(text: &str) -> Option<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in plain(text).lines() {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        // An empty line only after one that is not.
        if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    let text = lines.join("\n");
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

fn plain(text: &str) -> String {
    let text = without_tags(&without_entities(text));
    // PostgreSQL stores no NUL, and the other control characters are of no use to anybody.
    text.chars().map(|character| if character.is_control() && character != '\n' { ' ' } else { character }).collect()
}

/// Longest entity that is looked for, without `&` and `;`.
const LONGEST_ENTITY: usize = 10;

fn without_entities(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let end = after.bytes().take(LONGEST_ENTITY + 1).position(|byte| byte == b';');
        let meant = end.and_then(|end| Some((entity(after.get(..end)?)?, after.get(end + 1..)?)));
        match meant {
            Some((character, behind)) => {
                plain.push(character);
                rest = behind;
            }
            None => {
                plain.push('&');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn entity(name: &str) -> Option<char> {
    let number = match name.strip_prefix('#') {
        Some(hexadecimal) if hexadecimal.starts_with(['x', 'X']) => u32::from_str_radix(hexadecimal.get(1..)?, 16).ok(),
        Some(decimal) => decimal.parse().ok(),
        None => None,
    };
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        "lsquo" => Some('‘'),
        "rsquo" => Some('’'),
        "ldquo" => Some('“'),
        "rdquo" => Some('”'),
        "ndash" => Some('–'),
        "mdash" => Some('—'),
        _ => number.and_then(char::from_u32),
    }
}

/// Tags that begin another line.
const BLOCKS: [&str; 14] = ["p", "br", "li", "ul", "ol", "div", "tr", "table", "h1", "h2", "h3", "h4", "h5", "h6"];

/// Tags that stand within a line.
const INLINE: [&str; 12] = ["a", "b", "i", "u", "em", "strong", "span", "sup", "sub", "font", "small", "td"];

fn without_tags(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        plain.push_str(before);
        // A tag holds no other one: "a < b" is no beginning of one.
        let tag = after.split_once(['>', '<']).filter(|(tag, _)| after.as_bytes().get(tag.len()) == Some(&b'>'));
        match tag.map(|(tag, behind)| (tag_name(tag), behind)) {
            Some((name, behind)) if BLOCKS.contains(&name.as_str()) => {
                plain.push('\n');
                rest = behind;
            }
            Some((name, behind)) if INLINE.contains(&name.as_str()) => rest = behind,
            _ => {
                plain.push('<');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// The name in `p`, `/p`, `br/` or `a href="…"`.
fn tag_name(tag: &str) -> String {
    let tag = tag.strip_prefix('/').unwrap_or(tag);
    let name = tag.split(|character: char| !character.is_ascii_alphanumeric()).next().unwrap_or_default();
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_that_was_typed_in_is_taken_away() {
        let text = "<p>An <i>Abies</i> of the &#34;Alps&#34; &amp; more</p>\n<P class=\"x\">Second<br/>line</P>";
        assert_eq!(paragraphs(text).as_deref(), Some("An Abies of the \"Alps\" & more\n\nSecond\nline"));
        assert_eq!(line("L&#39;herbier &lt;i&gt;ancien&lt;/i&gt;").as_deref(), Some("L'herbier ancien"));
    }

    #[test]
    fn what_is_no_markup_stays() {
        for text in
            ["depth < 50 m > 10 m", "A & B", "AT&T; &unknown; &#xD800;", "<Taraxacum>", "a <b", "x<", "&", "&#;"]
        {
            assert_eq!(line(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn control_characters_and_empty_lines_go() {
        assert_eq!(line(" a\u{0}b\tc\u{85} ").as_deref(), Some("a b c"));
        assert_eq!(paragraphs("\n\n a \n\n\n  b\r\nc \n ").as_deref(), Some("a\n\nb\nc"));
        assert_eq!((line(" \u{7} "), paragraphs("<p></p>")), (None, None));
    }
}
