//! The language in which people are answered.

use clap::{Args, ValueEnum};

/// What a verb takes that writes for people.
#[derive(Args, Clone, Copy, Debug)]
pub struct Language {
    /// Language of what is written; else that of the session (LANG).
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

/// A language that people are answered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// French.
    Fr,
    /// English.
    En,
}

impl Language {
    /// The language asked for, else that of the session: the first of the three variables that is set decides, as everywhere on
    /// a POSIX system.
    pub(super) fn or_session(self) -> Lang {
        let set = |variable| std::env::var(variable).ok().filter(|value| !value.is_empty());
        let session = || ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set).unwrap_or_default();
        self.lang.unwrap_or_else(|| Lang::of(&session()))
    }
}

impl Lang {
    /// The language of a locale such as `fr_FR.UTF-8`; English for all that is not French.
    fn of(locale: &str) -> Self {
        if locale.to_ascii_lowercase().starts_with("fr") { Self::Fr } else { Self::En }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_french_session_reads_french() {
        for (locale, lang) in
            [("fr_FR.UTF-8", Lang::Fr), ("FR", Lang::Fr), ("en_GB", Lang::En), ("C.UTF-8", Lang::En), ("", Lang::En)]
        {
            assert_eq!(Lang::of(locale), lang, "{locale}");
        }
    }

    #[test]
    fn the_language_asked_for_comes_before_that_of_the_session() {
        for lang in [Lang::Fr, Lang::En] {
            assert_eq!(Language { lang: Some(lang) }.or_session(), lang);
        }
    }
}
