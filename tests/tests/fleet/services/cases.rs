//! The table: who misbehaves, how, and what a data manager notices of it.
//!
//! Calls of GBIF's download state come in this order: the requester's, then the poller's looks. A script begins with as many
//! [`Scripted::Pass`] as there are calls before the one that goes wrong.

use std::{fmt, iter::repeat_n, time::Duration};

use passereau_sandbox::{Route, Scripted};
use serde_json::json;

/// Scripts by route.
pub type Play = Vec<(Route, Vec<Scripted>)>;

/// The routes whose calls a row may count.
pub const ROUTES: [Route; 9] = [
    Route::CreateDownload,
    Route::DownloadStatus,
    Route::CancelDownload,
    Route::UserDownloads,
    Route::DownloadFile,
    Route::FileBody,
    Route::Dataset,
    Route::DatasetDocument,
    Route::Observations,
];

/// Who misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Gbif,
    FileServer,
    Registry,
    Inaturalist,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gbif => "GBIF",
            Self::FileServer => "GBIF's file server",
            Self::Registry => "GBIF's registry",
            Self::Inaturalist => "iNaturalist",
        })
    }
}

/// How the harvest ends.
#[derive(Clone, Copy, Debug)]
pub enum Ends {
    /// Completed: counts, synthèse and rejects are those of a run without the fault.
    AsUsual,
    /// Completed, but records of iNaturalist wait as `uuid_pending`; the next harvest brings exactly them.
    Waiting,
    /// Completed without knowing who publishes the datasets: records of a publisher that the platform refuses enter where it has declared
    /// their dataset (docs/metadata.md); the next harvest knows, and refuses them.
    PublishersUnknown,
    /// Failed with these words and nothing written; the same request completes once the service is well.
    Failed(&'static [&'static str]),
}

/// How much later than without the fault, in seconds that were made to pass.
#[derive(Clone, Copy, Debug)]
pub enum Later {
    /// No later.
    Not,
    /// The service has said how long, or a fixed rule does.
    By(u64),
    /// The delay between two attempts, which varies by a fifth.
    About(u64),
}

impl Later {
    /// Whether the expected time is one of those that a measured one may have been.
    pub fn holds(self, least: Duration, most: Duration) -> bool {
        let (wanted, give) = match self {
            Self::Not => (0, 2),
            Self::By(wanted) => (wanted, 3),
            Self::About(wanted) => (wanted, wanted / 4 + 1),
        };
        least <= Duration::from_secs(wanted + give) && most >= Duration::from_secs(wanted.saturating_sub(give))
    }
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Who misbehaves.
    pub who: Who,
    /// How.
    pub does: &'static str,
    /// What the sandbox plays.
    pub play: fn() -> Play,
    /// The archive at the server has only its first bytes, whatever is asked.
    pub archive_cut_to: Option<usize>,
    /// Least time that passes at each wait, in seconds: days pass in leaps, the wait of the usual run (10 s) included.
    pub leap_s: u64,
    /// How the harvest ends.
    pub ends: Ends,
    /// Calls that were made.
    pub calls: &'static [(Route, u64)],
    /// How much later it ends.
    pub later: Later,
    /// Whether the fleet waits in real time, until it calls a server silent.
    pub is_silent: bool,
}

/// What a row is unless it says otherwise.
const USUAL: Case = Case {
    who: Who::Gbif,
    does: "",
    play: Vec::new,
    archive_cut_to: None,
    leap_s: 0,
    ends: Ends::AsUsual,
    calls: &[],
    later: Later::Not,
    is_silent: false,
};

const fn gbif(does: &'static str, play: fn() -> Play) -> Case {
    Case { does, play, ..USUAL }
}

const fn file_server(does: &'static str, play: fn() -> Play) -> Case {
    Case { who: Who::FileServer, does, play, ..USUAL }
}

const fn registry(does: &'static str, play: fn() -> Play) -> Case {
    Case { who: Who::Registry, does, play, ..USUAL }
}

const fn inaturalist(does: &'static str, play: fn() -> Play) -> Case {
    Case { who: Who::Inaturalist, does, play, ..USUAL }
}

impl Case {
    const fn ends(self, ends: Ends) -> Self {
        Self { ends, ..self }
    }

    const fn calls(self, calls: &'static [(Route, u64)]) -> Self {
        Self { calls, ..self }
    }

    const fn later(self, later: Later) -> Self {
        Self { later, ..self }
    }

    const fn leap_s(self, leap_s: u64) -> Self {
        Self { leap_s, ..self }
    }

    const fn silent(self) -> Self {
        Self { is_silent: true, ..self }
    }

    const fn archive_cut_to(self, bytes: usize) -> Self {
        Self { archive_cut_to: Some(bytes), ..self }
    }
}

/// An answer whose `Retry-After` is a date so many seconds after it.
fn until(status: u16, after_s: u32) -> Scripted {
    Scripted::RetryAt { status, after_s }
}

fn after(status: u16, seconds: u64) -> Scripted {
    Scripted::html(status).with_header("retry-after", &seconds.to_string())
}

/// The same, so many times.
fn times(count: usize, scripted: Scripted) -> Vec<Scripted> {
    repeat_n(scripted, count).collect()
}

fn once(route: Route, scripted: Scripted) -> Play {
    vec![(route, vec![scripted])]
}

/// What the poller's looks are told, after the requester's own.
fn looks(told: impl IntoIterator<Item = Scripted>) -> Play {
    vec![(Route::DownloadStatus, [Scripted::Pass].into_iter().chain(told).collect())]
}

fn status(word: &str) -> Scripted {
    Scripted::say("/status", word)
}

fn json_cut() -> Scripted {
    Scripted::answer(200, "{\"total_results\": 1, \"key\": \"00").with_header("content-type", "application/json")
}

/// Slower than anybody waits: each pause is longer than [`STALL_S`](super::STALL_S).
fn drip() -> Scripted {
    Scripted::Drip { chunk_bytes: 64, pause_ms: super::STALL_S * 1_200 }
}

fn etag() -> Scripted {
    Scripted::Header { name: "etag".to_owned(), value: "\"another\"".to_owned() }
}

fn other_predicate() -> Scripted {
    Scripted::say("/request/predicate", json!({"type": "equals", "key": "COUNTRY", "value": "FR"}))
}

use Ends::{Failed, PublishersUnknown, Waiting};
use Later::{About, By};
use Route::{
    CancelDownload, CreateDownload, Dataset, DownloadFile, DownloadStatus, FileBody, Observations, UserDownloads,
};

/// The table.
pub const CASES: &[Case] = &[
    // Asked for a download.
    gbif("answers 429 with `Retry-After: 77` when asked for a download", || {
        once(CreateDownload, Scripted::gbif_slow_down(Some(77)))
    })
    .calls(&[(CreateDownload, 2), (UserDownloads, 1)])
    .later(By(77)),
    gbif("answers 429 with a date 90 s ahead when asked for a download", || once(CreateDownload, until(429, 90)))
        .calls(&[(CreateDownload, 2), (UserDownloads, 1)])
        .later(By(90)),
    gbif("answers 429 without `Retry-After` when asked for a download", || {
        once(CreateDownload, Scripted::gbif_slow_down(None))
    })
    .calls(&[(CreateDownload, 2), (UserDownloads, 1)])
    .later(By(120)),
    gbif("answers 420, three times: the account has its downloads already", || {
        vec![(CreateDownload, times(3, Scripted::answer(420, "A download limitation is exceeded")))]
    })
    .calls(&[(CreateDownload, 4), (UserDownloads, 0)])
    .later(By(180)),
    gbif("answers 500, then 502, then 503 in HTML when asked for a download", || {
        vec![(CreateDownload, [500, 502, 503].map(Scripted::html).into())]
    })
    .calls(&[(CreateDownload, 4), (UserDownloads, 3)])
    .later(About(35)),
    gbif("answers 503 with a date 90 s ahead when asked for a download", || once(CreateDownload, until(503, 90)))
        .calls(&[(CreateDownload, 2)])
        .later(By(90)),
    gbif("closes the connection when asked for a download", || once(CreateDownload, Scripted::Reset))
        .calls(&[(CreateDownload, 2), (UserDownloads, 1)])
        .later(About(5)),
    gbif("makes the download and closes the connection before the answer", || {
        once(CreateDownload, Scripted::LoseAnswer)
    })
    .calls(&[(CreateDownload, 1), (UserDownloads, 1)])
    .later(About(5)),
    gbif("makes the download and never sends its key", || once(CreateDownload, Scripted::Stall { after_bytes: 0 }))
        .silent()
        .calls(&[(CreateDownload, 1), (UserDownloads, 1)])
        .later(About(5)),
    gbif("makes the download, loses the answer, and fails twice when asked for the account's downloads", || {
        vec![(CreateDownload, vec![Scripted::LoseAnswer]), (UserDownloads, vec![Scripted::html(502), json_cut()])]
    })
    .calls(&[(CreateDownload, 1), (UserDownloads, 3)])
    .later(About(35)),
    gbif("is down for three hours: 25 answers of 503", || vec![(CreateDownload, times(25, Scripted::html(503)))])
        .ends(Failed(&["download.request", "GBIF is not available (503)"]))
        .calls(&[(CreateDownload, 25)])
        .later(About(10_825)),
    gbif("refuses the request (400)", || {
        once(CreateDownload, Scripted::answer(400, "A provided WKT geometry is not valid"))
    })
    .ends(Failed(&["(400)", "WKT", "submit it again"]))
    .calls(&[(CreateDownload, 1)]),
    gbif("gives a download of another request", || once(DownloadStatus, other_predicate()))
        .calls(&[(CreateDownload, 2)]),
    gbif("gives a download of another request, however it is asked", || {
        vec![(DownloadStatus, times(3, other_predicate()))]
    })
    .ends(Failed(&["other words", "wait for two days"]))
    .calls(&[(CreateDownload, 3)]),
    gbif("gives a key that it does not know yet (404)", || {
        vec![(DownloadStatus, times(2, Scripted::answer(404, "Download was not found")))]
    })
    .calls(&[(CreateDownload, 1)])
    .later(About(15)),
    gbif("cuts the JSON of the download's state", || once(DownloadStatus, json_cut())).later(About(5)),
    // The state of the download.
    gbif("answers 429 with `Retry-After: 77` when asked for the state", || looks([Scripted::gbif_slow_down(Some(77))]))
        .later(By(82)),
    gbif("answers 429 with a date 90 s ahead when asked for the state", || looks([until(429, 90)])).later(By(95)),
    gbif("answers 429 without `Retry-After` when asked for the state", || looks([Scripted::gbif_slow_down(None)]))
        .later(By(15)),
    gbif("answers 420 three times when the requester asks for the state", || {
        vec![(DownloadStatus, times(3, Scripted::answer(420, "A limitation is exceeded")))]
    })
    .later(By(360)),
    gbif("answers 500, then 502, then 503 in HTML when asked for the state", || {
        looks([500, 502, 503].map(Scripted::html))
    })
    .later(By(71)),
    gbif("closes the connection when asked for the state", || looks([Scripted::Reset])).later(By(15)),
    gbif("closes the connection in the middle of the state", || looks([Scripted::Truncate { after_bytes: 40 }])),
    gbif("sends the state more slowly than anybody waits", || looks([drip()])).silent(),
    gbif("sends the state cut, with its right length", || looks([json_cut()])).later(About(5)),
    gbif("is away for a day while the download is made", || looks(times(8, Scripted::html(503))))
        .leap_s(3 * 3600)
        .later(By(27 * 3600 - 10)),
    gbif("says RUNNING, then PREPARING, then RUNNING again", || looks(["RUNNING", "PREPARING", "RUNNING"].map(status)))
        .calls(&[(CreateDownload, 1)])
        .later(By(37)),
    gbif("says SUSPENDED for two days, then goes on", || looks(times(8, status("SUSPENDED"))))
        .leap_s(6 * 3600)
        .calls(&[(CreateDownload, 1), (CancelDownload, 0)])
        .later(By(48 * 3600 - 10)),
    gbif("says SUSPENDED for more than three days, and goes on when asked once more", || {
        looks(times(5, status("SUSPENDED")))
    })
    .leap_s(18 * 3600)
    .calls(&[(CreateDownload, 2), (CancelDownload, 1)])
    .later(By(90 * 3600 - 10)),
    gbif("says SUSPENDED for more than three days, twice", || looks(times(11, status("SUSPENDED"))))
        .leap_s(18 * 3600)
        .ends(Failed(&["still SUSPENDED", "asked for 2 times", "PASSEREAU_POLL_DEADLINE_S"]))
        .calls(&[(CreateDownload, 2), (CancelDownload, 2)])
        .later(By(144 * 3600 - 10)),
    gbif("says KILLED", || looks([status("KILLED")])).ends(Failed(&["KILLED", "submit the request again"])),
    gbif("says FAILED", || looks([status("FAILED")])).ends(Failed(&["FAILED", "helpdesk@gbif.org"])),
    gbif("says CANCELLED", || looks([status("CANCELLED")])).ends(Failed(&["CANCELLED", "submit the request again"])),
    gbif("says FILE_ERASED", || looks([status("FILE_ERASED")])).ends(Failed(&["FILE_ERASED", "six months"])),
    gbif("says a word that is not known yet", || looks([status("HIBERNATING")])),
    // Where the file is.
    gbif("says SUCCEEDED, and has no file yet (404)", || {
        vec![(DownloadFile, times(2, Scripted::answer(404, "not ready yet")))]
    })
    .calls(&[(DownloadFile, 3)])
    .later(By(60)),
    gbif("says SUCCEEDED, and has no file for a day", || {
        vec![(DownloadFile, times(5, Scripted::answer(404, "not ready yet")))]
    })
    .leap_s(6 * 3600)
    .ends(Failed(&["no file", "24 hours", "submit the request again"]))
    .later(By(30 * 3600 - 10)),
    gbif("has erased the file (410)", || once(DownloadFile, Scripted::answer(410, "has been erased")))
        .ends(Failed(&["erased", "six months", "submit the request again"]))
        .calls(&[(DownloadFile, 1)]),
    gbif("answers 429 with `Retry-After: 77` when asked for the file", || {
        once(DownloadFile, Scripted::gbif_slow_down(Some(77)))
    })
    .later(By(77)),
    gbif("answers 420 when asked for the file", || once(DownloadFile, Scripted::answer(420, "exceeded")))
        .later(About(5)),
    gbif("answers 502, then 503 in HTML, then nothing when asked for the file", || {
        vec![(DownloadFile, vec![Scripted::html(502), Scripted::html(503), Scripted::Reset])]
    })
    .later(About(35)),
    gbif("redirects to no address", || once(DownloadFile, Scripted::answer(302, "")))
        .ends(Failed(&["redirects", "says not where to"])),
    // The file.
    file_server("answers 429 with `Retry-After: 77`", || once(FileBody, Scripted::gbif_slow_down(Some(77))))
        .later(By(77)),
    file_server("answers 429 with a date 90 s ahead", || once(FileBody, until(429, 90))).later(By(90)),
    file_server("answers 429 without `Retry-After`", || once(FileBody, Scripted::html(429))).later(About(5)),
    file_server("answers 500, then 502, then 503 in HTML", || {
        vec![(FileBody, [500, 502, 503].map(Scripted::html).into())]
    })
    .later(About(35)),
    file_server("closes the connection before a byte", || once(FileBody, Scripted::Reset)).later(About(5)),
    file_server("closes the connection in the second part: one part is fetched again", || {
        vec![(FileBody, vec![Scripted::Pass, Scripted::Truncate { after_bytes: 500 }])]
    })
    .calls(&[(FileBody, 3)])
    .later(By(1)),
    file_server("sends fewer bytes than it announces", || once(FileBody, Scripted::Truncate { after_bytes: 30_000 }))
        .calls(&[(FileBody, 3)])
        .later(About(5)),
    file_server("falls silent in the middle", || once(FileBody, Scripted::Stall { after_bytes: 30_000 }))
        .silent()
        .calls(&[(FileBody, 3)])
        .later(About(5)),
    file_server("sends more slowly than the read timeout", || once(FileBody, drip()))
        .silent()
        .calls(&[(FileBody, 3)])
        .later(About(5)),
    file_server("sends slowly, but within the read timeout", || {
        once(FileBody, Scripted::Drip { chunk_bytes: 4096, pause_ms: 20 })
    })
    .calls(&[(FileBody, 2)]),
    file_server("sends a wrong byte: the archive is fetched again", || {
        once(FileBody, Scripted::Garble { at_byte: 9_000 })
    })
    .calls(&[(FileBody, 4)])
    .later(About(5)),
    file_server("sends a wrong byte each time", || {
        vec![(FileBody, vec![Scripted::Garble { at_byte: 9_000 }, Scripted::Pass, Scripted::Garble { at_byte: 9_000 }])]
    })
    .ends(Failed(&["corrupt, fetched twice", "changed predicate"]))
    .calls(&[(FileBody, 4)])
    .later(About(5)),
    file_server("has a truncated zip, whose length is announced right", Vec::new)
        .archive_cut_to(70_000)
        .ends(Failed(&["corrupt, fetched twice", "changed predicate"]))
        .calls(&[(FileBody, 4)])
        .later(About(5)),
    file_server("has a file of another length than GBIF announced", || {
        looks([Scripted::Pass, Scripted::say("/size", 70_000)])
    })
    .ends(Failed(&["corrupt, fetched twice", "GBIF announced 70000"]))
    .calls(&[(FileBody, 2)])
    .later(About(5)),
    file_server("has a file whose length GBIF does not know", || looks([Scripted::Pass, Scripted::say("/size", 0)]))
        .calls(&[(FileBody, 2)]),
    file_server("sends a web page instead of the file (200)", || vec![(FileBody, times(2, Scripted::html(200)))])
        .ends(Failed(&["corrupt, fetched twice"]))
        .calls(&[(FileBody, 2)])
        .later(About(5)),
    file_server("changes the ETag between two parts", || vec![(FileBody, vec![Scripted::Pass, etag()])])
        .calls(&[(FileBody, 4)]),
    file_server("changes the file between two parts and sends the whole of it", || {
        vec![(FileBody, vec![Scripted::Pass, Scripted::deaf("range")])]
    })
    .calls(&[(FileBody, 4)]),
    file_server("changes the ETag between two parts, again and again", || {
        vec![(FileBody, repeat_n([Scripted::Pass, etag()], 6).flatten().collect())]
    })
    .ends(Failed(&["changed 5 times", "replay"]))
    .calls(&[(FileBody, 12)]),
    file_server("knows no parts", || once(FileBody, Scripted::deaf("range"))).calls(&[(FileBody, 1)]),
    file_server("says that the file is not there (404), then has it", || {
        once(FileBody, Scripted::answer(404, "Not Found"))
    })
    .later(By(30)),
    file_server("has erased the file (410)", || once(FileBody, Scripted::answer(410, "Gone")))
        .ends(Failed(&["erased", "six months"])),
    // Datasets and publishers.
    registry("answers 503 for ever", || vec![(Dataset, times(8, Scripted::html(503)))])
        .ends(PublishersUnknown)
        .calls(&[(Dataset, 8)])
        .later(About(635)),
    // UUIDs of observations.
    inaturalist("ignores `per_page`: the page is cut at 30", || once(Observations, Scripted::deaf("per_page")))
        .calls(&[(Observations, 2)])
        .later(About(5)),
    inaturalist("ignores `per_page` for ever", || vec![(Observations, times(8, Scripted::deaf("per_page")))])
        .ends(Waiting)
        .calls(&[(Observations, 8)])
        .later(About(635)),
    inaturalist("ignores `id`: the newest of the whole site", || once(Observations, Scripted::deaf("id")))
        .ends(Waiting)
        .calls(&[(Observations, 1)]),
    inaturalist("knows none of the observations", || {
        once(Observations, Scripted::say("", json!({"total_results": 0, "page": 1, "per_page": 200, "results": []})))
    })
    .ends(Waiting)
    .calls(&[(Observations, 1)]),
    inaturalist("answers with an observation that was not asked for, instead of one that was", || {
        once(Observations, Scripted::say("/results/0/id", 1))
    })
    .ends(Waiting)
    .calls(&[(Observations, 1)]),
    inaturalist("answers in another order", || {
        once(Observations, Scripted::Reverse { pointer: "/results".to_owned() })
    })
    .calls(&[(Observations, 1)]),
    inaturalist("answers 429 without `Retry-After`", || once(Observations, Scripted::html(429)))
        .calls(&[(Observations, 2)])
        .later(By(60)),
    inaturalist("answers 429 with `Retry-After: 90`", || once(Observations, after(429, 90)))
        .calls(&[(Observations, 2)])
        .later(By(90)),
    inaturalist("answers 503 with a date 90 s ahead", || once(Observations, until(503, 90)))
        .calls(&[(Observations, 2)])
        .later(By(90)),
    inaturalist("answers 500, then 502, then 503 in HTML", || {
        vec![(Observations, [500, 502, 503].map(Scripted::html).into())]
    })
    .calls(&[(Observations, 4)])
    .later(About(35)),
    inaturalist("is down: 503 for ever", || vec![(Observations, times(8, Scripted::html(503)))])
        .ends(Waiting)
        .calls(&[(Observations, 8)])
        .later(About(635)),
    inaturalist("cuts its JSON", || once(Observations, json_cut())).calls(&[(Observations, 2)]).later(About(5)),
    inaturalist("closes the connection", || once(Observations, Scripted::Reset))
        .calls(&[(Observations, 2)])
        .later(About(5)),
    inaturalist("closes the connection in the middle", || once(Observations, Scripted::Truncate { after_bytes: 500 }))
        .calls(&[(Observations, 2)])
        .later(About(5)),
    inaturalist("answers more slowly than anybody waits", || once(Observations, drip()))
        .silent()
        .calls(&[(Observations, 2)])
        .later(About(5)),
    inaturalist("sends a web page instead of JSON (200)", || once(Observations, Scripted::html(200)))
        .calls(&[(Observations, 2)])
        .later(About(5)),
    inaturalist("refuses the question (422)", || {
        once(Observations, Scripted::answer(422, r#"{"status": 422, "errors": [{"message": "invalid fields"}]}"#))
    })
    .ends(Failed(&["422", "PASSEREAU_INATURALIST_URL", "replay"]))
    .calls(&[(Observations, 1)]),
    inaturalist("turns the address away (403)", || once(Observations, Scripted::html(403)))
        .ends(Waiting)
        .calls(&[(Observations, 1)]),
];
