//! The rule for the `User-Agent` header.
//!
//! GBIF asks every client for a name, a version and an e-mail address or a site, and refuses a download request without
//! the header (GBIF technical documentation, "API Usage Guidelines"). iNaturalist asks the same of its API's users.
//! A client that cannot be reached is blocked instead of being written to, so the rule is checked before anything is sent.

use url::Url;

/// Why a `User-Agent` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserAgentProblem {
    /// Nothing but spaces.
    #[error("the User-Agent is empty; set PASSEREAU_USER_AGENT to `name/version (contact@your.platform)`")]
    Empty,
    /// A line end, a control character or a letter outside ASCII would make the header invalid.
    #[error("the User-Agent holds {0:?}; only printable ASCII is allowed in the header")]
    BadCharacter(char),
    /// Neither an e-mail address nor an address of a site.
    #[error(
        "no contact in the User-Agent {0:?}; add an e-mail address or a site, such as `passereau/0.1 (contact@your.platform)`"
    )]
    NoContact(String),
}

/// Checks that the header can be sent and holds a contact: an e-mail address or an `http(s)` address.
pub fn check(user_agent: &str) -> Result<(), UserAgentProblem> {
    if user_agent.trim().is_empty() {
        return Err(UserAgentProblem::Empty);
    }
    if let Some(bad) = user_agent.chars().find(|c| !(' '..='~').contains(c)) {
        return Err(UserAgentProblem::BadCharacter(bad));
    }
    let words = user_agent.split(|c: char| c.is_whitespace() || "()<>,;\"'[]{}".contains(c));
    if words.map(|word| word.strip_prefix('+').unwrap_or(word)).any(is_contact) {
        Ok(())
    } else {
        Err(UserAgentProblem::NoContact(user_agent.to_owned()))
    }
}

fn is_contact(word: &str) -> bool {
    is_email(word.strip_prefix("mailto:").unwrap_or(word)) || is_site(word)
}

fn is_email(word: &str) -> bool {
    let Some((local, domain)) = word.split_once('@') else {
        return false;
    };
    !local.is_empty() && !domain.contains('@') && is_domain(domain)
}

fn is_site(word: &str) -> bool {
    (word.starts_with("http://") || word.starts_with("https://"))
        && Url::parse(word).is_ok_and(|url| url.host_str().is_some_and(is_domain))
}

/// At least two labels: `localhost` reaches nobody.
fn is_domain(text: &str) -> bool {
    let labels: Vec<&str> = text.split('.').collect();
    let is_label = |label: &&str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    labels.len() >= 2 && labels.iter().all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("passereau/0.1 (contact@example.org)")]
    #[case("passereau/0.1 (+https://platform.example.org/contact)")]
    #[case("passereau/0.1 mailto:a.b@sinp.example.fr")]
    fn a_contact_is_found(#[case] user_agent: &str) {
        assert_eq!(check(user_agent), Ok(()));
    }

    #[rstest]
    #[case("passereau/0.1")]
    #[case("passereau/0.1 (me@localhost)")]
    #[case("passereau/0.1 (https://localhost/)")]
    #[case("passereau/0.1 (@example.org)")]
    #[case("passereau/0.1 (www.example.org)")]
    fn without_a_contact_it_is_refused(#[case] user_agent: &str) {
        assert_eq!(check(user_agent), Err(UserAgentProblem::NoContact(user_agent.to_owned())));
    }

    #[test]
    fn what_cannot_be_a_header_is_refused() {
        assert_eq!(check(" "), Err(UserAgentProblem::Empty));
        assert_eq!(check("a@b.fr\r\nX: y"), Err(UserAgentProblem::BadCharacter('\r')));
        assert_eq!(check("été a@b.fr"), Err(UserAgentProblem::BadCharacter('é')));
    }
}
