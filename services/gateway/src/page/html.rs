//! HTML that cannot be broken out of: what is not a constant of this program is escaped
//! (<https://html.spec.whatwg.org/multipage/named-characters.html>).

/// A document in the making.
#[derive(Debug, Default)]
pub(crate) struct Html(String);

impl Html {
    /// Markup, which is a constant.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text, between tags or between the quotation marks of an attribute.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(character),
                // Control characters have no place in HTML; those that turn the direction of text would let one line pose as another.
                character if character.is_control() => self.0.push(char::REPLACEMENT_CHARACTER),
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => self.0.push(char::REPLACEMENT_CHARACTER),
                character => self.0.push(character),
            }
        }
        self
    }

    /// Text in an element without attributes.
    pub(crate) fn element(&mut self, open: &'static str, text: &str, close: &'static str) -> &mut Self {
        self.raw(open).text(text).raw(close)
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out() {
        let mut html = Html::default();
        html.raw("<p title=\"").text("\" onclick='x' <b>&\0\u{202e}é").raw("\"></p>");
        assert_eq!(html.finish(), "<p title=\"&quot; onclick=&#39;x&#39; &lt;b&gt;&amp;\u{fffd}\u{fffd}é\"></p>");
    }
}
