//! How a failed command tells why, and what of strangers' words reaches a terminal.

/// An error and its causes, one on each line. A cause whose words stand above already is left out: PostgreSQL's answer is its own cause, and several
/// errors quote it.
#[must_use]
pub fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for words in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = words;
        } else if !text.contains(&words) {
            text.push_str("\n    because: ");
            text.push_str(&words);
        }
    }
    text
}

/// What a stranger wrote must not move the cursor of a terminal, nor pass for a line of ours: control characters are replaced, and further lines stand
/// below the first.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\n              "),
            c if c.is_control() => shown.push('\u{fffd}'),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn each_cause_is_told_once() {
        let refusal = || anyhow!("permission denied").context("error returned from database: permission denied");
        assert_eq!(told(&refusal()), "error returned from database: permission denied");
        let quoting = refusal().context("it may not (error returned from database: permission denied)");
        assert_eq!(told(&quoting), "it may not (error returned from database: permission denied)");
        let other = refusal().context("granting was refused");
        assert_eq!(told(&other), "granting was refused\n    because: error returned from database: permission denied");
    }

    #[test]
    fn a_strangers_words_cannot_pass_for_ours() {
        assert_eq!(plain("a\u{1b}[2J\u{9b}m\r\u{7}é"), "a\u{fffd}[2J\u{fffd}m\u{fffd}\u{fffd}é");
        assert_eq!(plain("x\nstate         completed"), "x\n              state         completed");
    }
}
