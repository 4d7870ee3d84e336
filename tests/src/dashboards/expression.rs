//! Expressions of PromQL, as far as their text has to be taken apart: Grafana's variables filled in, comparisons made harmless, names found.

/// An expression with Grafana's variables filled in: every choice, and a window that holds at least two scrapes.
#[must_use]
pub fn filled(expr: &str, variables: &[&str], window: &str) -> String {
    let mut filled = expr.replace("$__rate_interval", window);
    for variable in variables {
        filled = filled.replace(&format!("${variable}"), ".+");
    }
    filled
}

/// What the expression of an alert measures: its sides of `and`, `or` and `unless`, each with its comparisons answered by 0 and 1 instead of by
/// silence. `absent(…)` measures what is in the parentheses.
#[must_use]
pub fn measures(expr: &str) -> Vec<String> {
    sides(expr).into_iter().map(|side| compared(&side)).collect()
}

/// The names of the metrics of an expression that begin with `prefix`.
#[must_use]
pub fn names<'a>(expr: &'a str, prefix: &str) -> Vec<&'a str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    expr.split(|c: char| !is_part(c)).filter(|word| word.starts_with(prefix)).collect()
}

/// What an expression, or the name of a series, asks of the labels of metrics that begin with `prefix`: metric, label, and each value that is given in
/// full. Values that only a pattern tells are left out.
#[must_use]
pub fn asked_labels<'a>(expr: &'a str, prefix: &str) -> Vec<(&'a str, &'a str, Vec<&'a str>)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let mut found = Vec::new();
    for (at, ..) in depths(expr).into_iter().filter(|(_, c, depth)| *c == '{' && depth.is_some()) {
        let before = &expr[..at];
        let metric = &before[before.rfind(|c| !is_part(c)).map_or(0, |end| end + 1)..];
        if !metric.starts_with(prefix) {
            continue;
        }
        let mut rest = &expr[at + 1..];
        // `label op "value"`, as often as there are quotes before the brace is closed.
        while let Some((label, after)) = rest.split_once('"').filter(|(label, _)| !label.contains('}')) {
            let Some((value, after)) = after.split_once('"') else { break };
            let in_full = |value: &&str| !value.is_empty() && !value.contains(['.', '*', '+', '$', '(', ')']);
            let label = label.trim_matches(|c| !is_part(c));
            found.push((metric, label, value.split('|').filter(in_full).collect()));
            rest = after;
        }
    }
    found
}

/// The text outside of strings, parentheses, braces and brackets is at depth 0; each character with its depth, or `None` within a string.
fn depths(expr: &str) -> Vec<(usize, char, Option<usize>)> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut found = Vec::new();
    for (at, c) in expr.char_indices() {
        if in_string {
            found.push((at, c, None));
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '"' => in_string = true,
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        found.push((at, c, (c != '"').then_some(depth)));
    }
    found
}

/// The sides of `and`, `or` and `unless` outside of parentheses.
fn sides(expr: &str) -> Vec<String> {
    let outside: Vec<bool> = {
        let mut outside = vec![false; expr.len()];
        for (at, _, depth) in depths(expr) {
            outside[at] = depth == Some(0);
        }
        outside
    };
    let mut sides = vec![String::new()];
    let mut at = 0;
    for word in expr.split_inclusive(char::is_whitespace) {
        let is_operator = outside[at] && matches!(word.trim_end(), "and" | "or" | "unless");
        at += word.len();
        match sides.last_mut() {
            Some(side) if !is_operator => side.push_str(word),
            _ => sides.push(String::new()),
        }
    }
    sides.iter().map(|side| without_matching(side.trim()).to_owned()).collect()
}

/// A side without the `on (…)` of the operator before it.
fn without_matching(side: &str) -> &str {
    match side.strip_prefix("on (") {
        Some(rest) => rest.split_once(')').map_or(side, |(_, side)| side.trim_start()),
        None => side,
    }
}

/// A side whose comparisons give 0 and 1.
fn compared(side: &str) -> String {
    if let Some(inner) = side.strip_prefix("absent(").and_then(|rest| rest.strip_suffix(')')) {
        return inner.to_owned();
    }
    let mut text = String::new();
    let characters = depths(side);
    let mut braces = 0_usize;
    for (index, (_, c, depth)) in characters.iter().enumerate() {
        text.push(*c);
        if depth.is_none() {
            continue;
        }
        match c {
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            _ => {}
        }
        let begins = matches!(c, '<' | '>' | '=' | '!') && braces == 0;
        let goes_on = characters.get(index + 1).is_some_and(|(_, next, _)| *next == '=');
        if begins && !goes_on {
            text.push_str(" bool");
        }
    }
    text
}
