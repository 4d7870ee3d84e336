//! What a look at a download means for its harvest.

use passereau_gbif::{Download, DownloadStatus};

/// The verdict of one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The file is there: fetch it.
    Fetch,
    /// Look again.
    Wait,
    /// It took too long. If it is ours it is cancelled, and asked for once more; otherwise the harvest has failed, for this
    /// reason.
    TooLate(String),
    /// It ended without a file: the harvest has failed.
    Failed(String),
}

/// Judges one look, which began after the deadline if `is_late`.
pub fn judge(download: &Download, is_late: bool) -> Verdict {
    let key = &download.key;
    let ended = |how: &str| Verdict::Failed(format!("GBIF's download {key} {how}"));
    match &download.status {
        DownloadStatus::Succeeded => Verdict::Fetch,
        // Ours, maybe: whoever cancelled it at its deadline may have ended before it could note that.
        DownloadStatus::Cancelled if is_late => Verdict::TooLate(format!(
            "GBIF's download {key} was not ready at its deadline and is CANCELLED; submit the request again"
        )),
        DownloadStatus::Cancelled => {
            ended("was cancelled (CANCELLED) by its owner or an administrator; submit the request again")
        }
        DownloadStatus::Killed => {
            ended("was ended by GBIF's system (KILLED); submit the request again, smaller if it happens twice")
        }
        DownloadStatus::Failed => {
            ended("could not be made (FAILED); submit the request again, and after three times ask helpdesk@gbif.org")
        }
        DownloadStatus::FileErased => {
            ended("has no file any more (FILE_ERASED): files are kept for six months; ask for it with a query")
        }
        status if is_late => Verdict::TooLate(format!(
            "GBIF's download {key} was still {status} at its deadline; look at https://www.gbif.org/system-health, submit \
             the request again later or in smaller parts, or give it more time with PASSEREAU_POLL_DEADLINE_S"
        )),
        DownloadStatus::Preparing | DownloadStatus::Running | DownloadStatus::Suspended | DownloadStatus::Other(_) => {
            Verdict::Wait
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn look(status: &str, late: bool) -> Verdict {
        let download = json!({"key": "0012150-260108223611665", "status": status});
        let download = serde_json::from_value(download).expect("a download");
        judge(&download, late)
    }

    #[rstest]
    #[case("PREPARING")]
    #[case("RUNNING")]
    #[case("SUSPENDED")]
    #[case("A_WORD_OF_TOMORROW")]
    fn an_unfinished_download_is_waited_for_up_to_its_deadline(#[case] status: &str) {
        assert_eq!(look(status, false), Verdict::Wait);
        assert!(matches!(look(status, true), Verdict::TooLate(reason) if reason.contains(status)));
    }

    #[test]
    fn a_download_that_is_cancelled_at_its_deadline_may_have_been_by_ourselves() {
        assert!(matches!(look("CANCELLED", false), Verdict::Failed(reason) if reason.contains("CANCELLED")));
        assert!(matches!(look("CANCELLED", true), Verdict::TooLate(reason) if reason.contains("CANCELLED")));
    }

    #[rstest]
    #[case("KILLED")]
    #[case("FAILED")]
    #[case("FILE_ERASED")]
    fn every_other_end_is_a_failure_with_its_own_words(#[case] status: &str) {
        for late in [false, true] {
            assert!(matches!(look(status, late), Verdict::Failed(reason) if reason.contains(status)));
        }
    }

    #[test]
    fn a_success_is_never_too_late() {
        assert_eq!(look("SUCCEEDED", true), Verdict::Fetch);
    }
}
