//! What each of GBIF's answers to a request becomes.

use chrono::{DateTime, Utc};
use passereau_gbif::client::Created;
use passereau_gbif::search_keys::BACKBONE;
use passereau_gbif::{Download, DownloadKey, DownloadStatus, GbifError};
use passereau_http::chain;
use passereau_runner::Stop;
use std::time::Duration;

/// GBIF full, or the account: downloads take minutes at least, so looking sooner is of no use.
pub(crate) const FULL_WAIT: Duration = Duration::from_secs(60);

/// A 429 without `Retry-After`: GBIF counts in minutes.
const SLOW_DOWN_WAIT: Duration = Duration::from_secs(120);

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// There is a download.
    Take(DownloadKey),
    /// Give the place back and come again: nothing was made.
    Wait {
        /// When.
        after: Duration,
        /// What is being waited for.
        because: String,
    },
    /// Try again, keeping the place; GBIF may have made the download.
    Retry {
        /// What happened.
        error: String,
        /// Not before, if GBIF said or a rule of its own asks for it.
        after: Option<Duration>,
    },
    /// It can never succeed.
    Refuse(String),
}

/// Decides about one answer.
pub fn decide(created: Created) -> Decision {
    let refuse = |what: &str, text: String, advice: &str| Decision::Refuse(format!("{what}: {text}; {advice}"));
    match created {
        Created::Key(key) => Decision::Take(key),
        Created::TooManySimultaneous(text) => Decision::Wait {
            after: FULL_WAIT,
            because: format!("GBIF has no place for another download (420): {text}"),
        },
        Created::SlowDown { retry_after } => Decision::Retry {
            error: "GBIF asks to slow down (429)".to_owned(),
            after: Some(retry_after.unwrap_or(SLOW_DOWN_WAIT)),
        },
        Created::Unavailable { status, retry_after, excerpt } => {
            Decision::Retry { error: format!("GBIF is not available ({status}): {excerpt}"), after: retry_after }
        }
        // Something was made: the next attempt looks for it.
        Created::Unexpected { status: status @ 200..=299, excerpt } => {
            Decision::Retry { error: format!("GBIF answered {status} without a download key: {excerpt}"), after: None }
        }
        Created::BadRequest(text) => refuse("GBIF refuses the request (400)", text, "change it and submit it again"),
        Created::TooLarge(text) => {
            refuse("GBIF refuses the request as too large (413)", text, "split or simplify it and submit it again")
        }
        Created::Unauthorized(text) => refuse(
            "GBIF refuses the account (401)",
            text,
            "check PASSEREAU_GBIF_USER and PASSEREAU_GBIF_PASSWORD, then replay the dead letter",
        ),
        Created::Unexpected { status, excerpt } => refuse(
            &format!("GBIF answered {status}, which was not expected"),
            excerpt,
            "check PASSEREAU_GBIF_URL and whether the account or the address is blocked",
        ),
    }
}

/// What a failed call becomes.
pub fn stop(error: &GbifError) -> Stop {
    if !error.is_transient() {
        return Stop::reject(chain(error));
    }
    let after = match error {
        GbifError::SlowDown { retry_after, .. } => Some(retry_after.unwrap_or(SLOW_DOWN_WAIT)),
        _ => error.retry_after(),
    };
    Stop::retry_after(chain(error), after)
}

/// What a download that somebody names can be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Its file can be fetched.
    Ready,
    /// It is still being made.
    Unfinished,
}

/// Whether a download that a request names can be harvested; otherwise why not.
pub fn usable(download: &Download) -> Result<Existing, String> {
    let key = &download.key;
    let format = download.request["format"].as_str().unwrap_or("DWCA");
    if format != "DWCA" {
        return Err(format!("download {key} is a {format}; only a DWCA can be harvested"));
    }
    let checklist = download.request["checklistKey"].as_str().unwrap_or(BACKBONE);
    if !checklist.eq_ignore_ascii_case(BACKBONE) {
        return Err(format!("download {key} was made with checklist {checklist}; taxa are matched through {BACKBONE}"));
    }
    match &download.status {
        DownloadStatus::Succeeded => Ok(Existing::Ready),
        status if !status.is_terminal() => Ok(Existing::Unfinished),
        status => Err(format!("download {key} ended as {status} and has no file; ask for it with a query instead")),
    }
}

/// Whether a download of the account's may be the one that was asked for and whose answer was lost.
pub fn may_be_ours(download: &Download, since: DateTime<Utc>) -> bool {
    let is_alive = download.status == DownloadStatus::Succeeded || !download.status.is_terminal();
    is_alive && download.created.is_some_and(|created| created >= since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn download(changes: serde_json::Value) -> Download {
        let mut document = json!({
            "key": "0012150-260108223611665", "status": "SUCCEEDED", "created": "2026-01-15T15:05:53.007+00:00",
            "request": {"format": "DWCA", "predicate": {}}
        });
        for (name, value) in changes.as_object().expect("an object") {
            document[name] = value.clone();
        }
        serde_json::from_value(document).expect("a download")
    }

    #[test]
    fn nothing_made_gives_the_place_back_and_the_unknown_keeps_it() {
        assert!(matches!(decide(Created::TooManySimultaneous("full".into())), Decision::Wait { .. }));
        let unavailable = Created::Unavailable { status: 503, retry_after: None, excerpt: "down".into() };
        assert!(matches!(decide(unavailable), Decision::Retry { after: None, .. }));
        let keyless = Created::Unexpected { status: 201, excerpt: "?".into() };
        assert!(matches!(decide(keyless), Decision::Retry { .. }));
    }

    #[rstest]
    #[case(Some(Duration::from_secs(77)), 77)]
    #[case(None, 120)]
    fn slowing_down_waits_as_asked(#[case] retry_after: Option<Duration>, #[case] seconds: u64) {
        let decision = decide(Created::SlowDown { retry_after });
        assert!(
            matches!(decision, Decision::Retry { after: Some(after), .. } if after == Duration::from_secs(seconds))
        );
    }

    #[rstest]
    #[case(Created::BadRequest("Invalid WKT".into()), "Invalid WKT")]
    #[case(Created::Unauthorized("no".into()), "PASSEREAU_GBIF_PASSWORD")]
    #[case(Created::TooLarge("101,001".into()), "101,001")]
    #[case(Created::Unexpected { status: 403, excerpt: "blocked".into() }, "403")]
    fn what_cannot_succeed_says_what_to_do(#[case] created: Created, #[case] words: &str) {
        assert!(matches!(decide(created), Decision::Refuse(reason) if reason.contains(words)));
    }

    #[test]
    fn a_named_download_is_a_dwca_of_the_backbone_that_has_or_will_have_a_file() {
        assert_eq!(usable(&download(json!({}))), Ok(Existing::Ready));
        assert_eq!(usable(&download(json!({"status": "RUNNING"}))), Ok(Existing::Unfinished));
        for changes in [
            json!({"status": "FILE_ERASED"}),
            json!({"request": {"format": "SIMPLE_CSV"}}),
            json!({"request": {"format": "DWCA", "checklistKey": "7ddf754f-d193-4cc9-b351-99906754a03b"}}),
        ] {
            assert!(usable(&download(changes.clone())).is_err(), "{changes}");
        }
    }

    #[test]
    fn only_a_download_of_since_then_with_a_future_may_be_ours() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a date");
        let (before, after) = (at("2026-01-15T15:00:00Z"), at("2026-01-15T15:10:00Z"));
        assert!(may_be_ours(&download(json!({"status": "PREPARING"})), before));
        assert!(!may_be_ours(&download(json!({"status": "PREPARING"})), after));
        assert!(!may_be_ours(&download(json!({"status": "FAILED"})), before));
        assert!(!may_be_ours(&download(json!({"created": null})), before));
    }
}
