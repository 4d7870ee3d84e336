//! Fetching in parts from a file server that misbehaves.

use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use passereau_downloader::FetchError;
use passereau_downloader::archive::{check, publish};
use passereau_downloader::fetch::{Fetch, Fetched, Until};
use passereau_downloader::joined::Joined;
use passereau_downloader::ledger::{Ledger, Progress};
use passereau_downloader::parts::Cutting;
use passereau_downloader::room::Room;
use passereau_dwca::Limits;
use passereau_http::{HttpClient, HttpConfig, HttpError};
use passereau_runner::Stop;
use passereau_store::{ObjectKey, Store, StoreConfig};
use passereau_testing::wait_until;
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::file_host::{Fault, FileHost};

const PART_BYTES: u64 = 1_000;

/// What was saved last.
#[derive(Debug, Default)]
struct Memory(Mutex<Option<Progress>>);

impl Ledger for Memory {
    async fn save(&self, progress: &Progress) -> Result<(), Stop> {
        *self.0.lock().unwrap() = Some(progress.clone());
        Ok(())
    }
}

struct Bench {
    _folder: TempDir,
    store: Store,
    http: HttpClient,
    room: Room,
    ledger: Memory,
    harvest_id: Uuid,
    host: FileHost,
    announced_bytes: Option<u64>,
}

pub fn store(folder: &TempDir) -> StoreConfig {
    let url = url::Url::from_directory_path(folder.path().join("store")).unwrap();
    StoreConfig::new(url, folder.path().join("scratch"))
}

pub fn http() -> HttpConfig {
    let mut config = HttpConfig::for_sandbox("passereau-test/0 (test@example.org)");
    config.http_stall_timeout = Duration::from_secs(30);
    config
}

/// Bytes without a pattern that a misplaced part could hide behind.
fn noise(size: usize) -> Vec<u8> {
    (0..size as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u8).collect()
}

fn in_time() -> Until {
    Until { shutdown: CancellationToken::new(), deadline: Instant::now() + Duration::from_secs(60) }
}

impl Bench {
    async fn new(body: Vec<u8>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&store(&folder)).unwrap();
        Self {
            room: Room::of(&store, 0),
            store,
            http: HttpClient::new(&http()).unwrap(),
            ledger: Memory::default(),
            harvest_id: Uuid::new_v4(),
            host: FileHost::start(body).await,
            announced_bytes: None,
            _folder: folder,
        }
    }

    fn fetch(&self) -> Fetch<'_, Memory> {
        Fetch {
            http: &self.http,
            store: &self.store,
            room: &self.room,
            ledger: &self.ledger,
            harvest_id: self.harvest_id,
            announced_bytes: self.announced_bytes,
            part_bytes: PART_BYTES,
            metrics: None,
        }
    }

    /// A run as after a restart of the process: with what the ledger holds and nothing else.
    async fn run(&self, until: &Until) -> Result<Fetched, FetchError> {
        let kept = self.ledger.0.lock().unwrap().clone();
        let mut progress = kept.unwrap_or_else(|| Progress::new(PART_BYTES));
        self.fetch().run(&self.host.url(), &mut progress, until).await
    }

    async fn joined(&self, cutting: Cutting) -> Vec<u8> {
        let mut file = self.whole(cutting, &in_time());
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map(|_| bytes)
        });
        read.await.unwrap().unwrap()
    }

    fn whole(&self, cutting: Cutting, until: &Until) -> Joined {
        Joined::new(&self.store, self.harvest_id, cutting, until, "reading")
    }

    fn restarts(&self) -> u32 {
        self.ledger.0.lock().unwrap().as_ref().map_or(0, |progress| progress.restarts)
    }
}

#[tokio::test]
async fn a_file_comes_in_parts_that_are_tied_to_its_etag() {
    let body = noise(2_500);
    let bench = Bench::new(body.clone()).await;
    let Fetched::Whole(cutting) = bench.run(&in_time()).await.unwrap() else { panic!("not whole") };
    assert_eq!(cutting, Cutting { size_bytes: 2_500, part_bytes: PART_BYTES });
    assert_eq!(bench.host.ranges(), ["bytes=0-999", "bytes=1000-1999", "bytes=2000-2499"]);
    let asked = bench.host.asked();
    assert_eq!(asked[0].if_range, None);
    assert!(asked[1..].iter().all(|asked| asked.if_range.as_deref() == Some("\"a\"")));
    assert_eq!(bench.joined(cutting).await, body);
}

#[tokio::test]
async fn a_broken_connection_costs_one_part() {
    let body = noise(3_500);
    let bench = Bench::new(body.clone()).await;
    bench.host.set(|script| script.faults.extend([Fault::Replace(body.clone(), "\"a\""), Fault::Cut(400)]));
    let error = bench.run(&in_time()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(bench.store.list("").await.unwrap().len(), 1, "half a part is no object");
    let Fetched::Whole(cutting) = bench.run(&in_time()).await.unwrap() else { panic!("not whole") };
    let asked = bench.host.ranges();
    assert_eq!(asked, ["bytes=0-999", "bytes=1000-1999", "bytes=1000-1999", "bytes=2000-2999", "bytes=3000-3499"]);
    assert_eq!(bench.joined(cutting).await, body);
    assert_eq!(bench.restarts(), 0);
}

#[tokio::test]
async fn a_disk_that_fills_up_stops_a_fetch_and_room_lets_it_go_on() {
    let body = noise(3_500);
    let mut bench = Bench::new(body.clone()).await;
    let free = Arc::new(AtomicU64::new(7_099));
    let measured = Arc::clone(&free);
    bench.room = Room::measured(100, move || Ok(Some(measured.load(Ordering::Relaxed))));
    // Nobody announced a size: the file server's first answer tells it, and nothing of it is kept.
    let error = bench.run(&in_time()).await.unwrap_err();
    let full = |error: &FetchError, needed| matches!(error, FetchError::NoRoom { needed_bytes, reserve_bytes: 100, .. } if *needed_bytes == needed);
    assert!(full(&error, 7_000), "{error}");
    assert_eq!(bench.store.list("").await.unwrap(), []);
    free.store(7_100, Ordering::Relaxed);
    bench.host.set(|script| script.faults.extend([Fault::Replace(body.clone(), "\"a\""), Fault::Cut(400)]));
    bench.run(&in_time()).await.unwrap_err();
    // One part of 1,000 bytes is there. Others fill the disk meanwhile: no further byte is asked for.
    free.store(6_099, Ordering::Relaxed);
    let asked = bench.host.ranges().len();
    let error = bench.run(&in_time()).await.unwrap_err();
    assert!(full(&error, 6_000), "{error}");
    assert_eq!(bench.host.ranges().len(), asked);
    free.store(6_100, Ordering::Relaxed);
    let Fetched::Whole(cutting) = bench.run(&in_time()).await.unwrap() else { panic!("not whole") };
    assert_eq!(bench.joined(cutting).await, body);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_left() {
    let mut bench = Bench::new(noise(1_500)).await;
    // Nothing more comes, so it need not be waited for long; the head of the answer must have come by then.
    bench.http = HttpClient::new(&HttpConfig { http_stall_timeout: Duration::from_secs(3), ..http() }).unwrap();
    bench.host.set(|script| script.faults.push_back(Fault::Stall(10)));
    let error = bench.run(&in_time()).await.unwrap_err();
    assert!(matches!(error, FetchError::Http(HttpError::Stalled { received_bytes: 10, .. })), "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn another_file_starts_again_and_parts_never_mix() {
    let (old, new) = (noise(2_500), vec![7; 2_500]);
    let bench = Bench::new(old).await;
    bench.host.set(|script| script.faults.extend([Fault::Cut(1_000), Fault::Cut(400)]));
    bench.run(&in_time()).await.unwrap_err();
    bench.host.set(|script| {
        script.faults.clear();
        script.body.clone_from(&new);
        script.etag = "\"b\"";
    });
    let Fetched::Whole(cutting) = bench.run(&in_time()).await.unwrap() else { panic!("not whole") };
    assert_eq!(bench.joined(cutting).await, new);
    assert_eq!(bench.restarts(), 1);
}

#[tokio::test]
async fn a_file_that_never_rests_is_given_up() {
    let bench = Bench::new(noise(2_500)).await;
    let etags = ["\"0\"", "\"1\"", "\"2\"", "\"3\"", "\"4\"", "\"5\"", "\"6\""];
    let changes = (0..40).map(|n| Fault::Replace(noise(2_500), etags[n % etags.len()]));
    bench.host.set(|script| script.faults.extend(changes));
    let error = bench.run(&in_time()).await.unwrap_err();
    assert!(matches!(error, FetchError::Unsteady { .. }), "{error}");
    assert!(!error.is_transient());
    // Once it rests, the message may be replayed, as the error says.
    bench.host.set(|script| script.faults.clear());
    assert!(matches!(bench.run(&in_time()).await.unwrap(), Fetched::Whole(_)));
}

#[tokio::test]
async fn a_server_without_ranges_or_lengths_is_served_in_one_piece() {
    for announces_length in [true, false] {
        let body = noise(2_500);
        let bench = Bench::new(body.clone()).await;
        bench.host.set(|script| {
            script.ranges = false;
            script.announces_length = announces_length;
            script.faults.push_back(Fault::Cut(100));
        });
        bench.run(&in_time()).await.unwrap_err();
        let Fetched::Whole(cutting) = bench.run(&in_time()).await.unwrap() else { panic!("not whole") };
        assert_eq!((cutting.size_bytes, cutting.parts()), (2_500, 1));
        assert_eq!(bench.joined(cutting).await, body);
        assert_eq!(bench.restarts(), 0);
    }
}

#[tokio::test]
async fn a_body_without_a_length_is_cut_off_where_the_announced_size_or_the_room_ends() {
    let mut bench = Bench::new(noise(2_500)).await;
    bench.room = Room::measured(100, || Ok(Some(2 * 1_200 + 100)));
    let endless = |script: &mut crate::file_host::Script| {
        script.ranges = false;
        script.announces_length = false;
        // More than there is room for, and never an end.
        script.faults.push_back(Fault::Stall(1_201));
    };
    bench.host.set(endless);
    let error = bench.run(&in_time()).await.unwrap_err();
    assert!(matches!(error, FetchError::NoRoom { needed_bytes: 2_402, .. }), "{error}");
    // What GBIF announced is less than that.
    bench.announced_bytes = Some(1_000);
    bench.host.set(endless);
    let error = bench.run(&in_time()).await.unwrap_err();
    assert!(matches!(&error, FetchError::Corrupt { reason } if reason.contains("1000")), "{error}");
    assert_eq!(bench.store.list("").await.unwrap(), []);
    // With room for all of it, it is taken.
    bench.announced_bytes = None;
    bench.room = Room::measured(100, || Ok(Some(2 * 2_500 + 100)));
    assert!(matches!(bench.run(&in_time()).await.unwrap(), Fetched::Whole(_)));
}

#[tokio::test]
async fn a_size_that_gbif_did_not_announce_is_corrupt_before_it_is_fetched() {
    let mut bench = Bench::new(noise(2_500)).await;
    bench.announced_bytes = Some(2_501);
    let error = bench.run(&in_time()).await.unwrap_err();
    assert!(matches!(&error, FetchError::Corrupt { reason } if reason.contains("2501")), "{error}");
    assert_eq!(bench.store.list("").await.unwrap(), []);
    let empty = Bench::new(Vec::new()).await;
    empty.host.set(|script| script.ranges = false);
    assert!(matches!(empty.run(&in_time()).await.unwrap_err(), FetchError::Corrupt { .. }));
}

#[tokio::test]
async fn a_busy_server_says_when_to_come_back() {
    let bench = Bench::new(noise(10)).await;
    bench.host.set(|script| script.faults.push_back(Fault::Status(503, &[("retry-after", "77")])));
    let error = bench.run(&in_time()).await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(77)));
}

#[tokio::test]
async fn the_deadline_ends_between_parts_and_a_shutdown_within_one() {
    let bench = Bench::new(noise(2_500)).await;
    let past = Until { shutdown: CancellationToken::new(), deadline: Instant::now() };
    assert_eq!(bench.run(&past).await.unwrap(), Fetched::Paused);
    assert_eq!(bench.host.asked(), []);

    bench.host.set(|script| script.faults.extend([Fault::Replace(noise(2_500), "\"a\""), Fault::Stall(10)]));
    let until = in_time();
    let stop = async {
        wait_until("the second part", Duration::from_secs(30), async || (bench.host.asked().len() == 2).then_some(()))
            .await;
        until.shutdown.cancel();
    };
    let (ended, ()) = tokio::join!(bench.run(&until), stop);
    assert_eq!(ended.unwrap(), Fetched::Paused);
    assert_eq!(bench.store.list("").await.unwrap().len(), 1);
    let Fetched::Whole(cutting) = bench.run(&in_time()).await.unwrap() else { panic!("not whole") };
    assert_eq!(bench.joined(cutting).await, noise(2_500));
}

/// A zip with one entry, large enough for several parts.
pub fn archive() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("occurrence.txt", stored).unwrap();
    zip.write_all(&noise(3_000)).unwrap();
    zip.finish().unwrap().into_inner()
}

#[tokio::test]
async fn only_a_whole_zip_passes_and_damage_is_worth_another_fetch() {
    let good = archive();
    let mut damaged = good.clone();
    damaged[500] ^= 1;
    let cut = good[..good.len() - 10].to_vec();
    let html = b"<html><body>Backend fetch failed</body></html>".to_vec();
    for (body, whole) in [(good, true), (damaged, false), (cut, false), (html, false)] {
        let bench = Bench::new(body).await;
        let Fetched::Whole(cutting) = bench.run(&in_time()).await.unwrap() else { panic!("not whole") };
        match check(bench.whole(cutting, &in_time()), &Limits::default()).await {
            Ok(verified) => assert!(whole && verified.entries == 1),
            Err(error) => assert!(!whole && matches!(error, FetchError::Corrupt { .. }), "{error}"),
        }
    }
}

#[tokio::test]
async fn an_archive_that_leads_outside_is_refused_for_good() {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("../../etc/passwd", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(b"x").unwrap();
    let bench = Bench::new(zip.finish().unwrap().into_inner()).await;
    let Fetched::Whole(cutting) = bench.run(&in_time()).await.unwrap() else { panic!("not whole") };
    let error = check(bench.whole(cutting, &in_time()), &Limits::default()).await.unwrap_err();
    assert!(matches!(error, FetchError::Unusable(_)) && !error.is_transient(), "{error}");
}

#[tokio::test]
async fn the_parts_are_read_as_one_file_from_any_place() {
    let body = noise(2_500);
    let bench = Bench::new(body.clone()).await;
    let Fetched::Whole(cutting) = bench.run(&in_time()).await.unwrap() else { panic!("not whole") };
    let mut file = bench.whole(cutting, &in_time());
    let read = tokio::task::spawn_blocking(move || {
        let mut pieces = Vec::new();
        for place in [SeekFrom::End(-10), SeekFrom::Start(995), SeekFrom::Current(-5), SeekFrom::Start(9_000)] {
            let mut piece = Vec::new();
            file.seek(place).unwrap();
            (&mut file).take(10).read_to_end(&mut piece).unwrap();
            pieces.push(piece);
        }
        assert!(file.seek(SeekFrom::End(-2_501)).is_err());
        pieces
    });
    assert_eq!(read.await.unwrap(), [&body[2_490..], &body[995..1_005], &body[1_000..1_010], &[]]);
    let key = ObjectKey::parse("archives/a.zip").unwrap();
    let stored = publish(&bench.store, &key, bench.whole(cutting, &in_time())).await.unwrap();
    assert_eq!(stored, bench.store.digest(&key).await.unwrap());
    assert_eq!(stored.size_bytes, 2_500);
}

/// Not taken for damage, and not left running behind the back of the delivery.
#[tokio::test]
async fn checking_and_publishing_end_when_the_delivery_has_to() {
    let bench = Bench::new(archive()).await;
    let Fetched::Whole(cutting) = bench.run(&in_time()).await.unwrap() else { panic!("not whole") };
    let until = in_time();
    until.shutdown.cancel();
    let error = check(bench.whole(cutting, &until), &Limits::default()).await.unwrap_err();
    assert!(matches!(error, FetchError::TimeUp { .. }) && error.is_transient(), "{error}");
    let key = ObjectKey::parse("archives/a.zip").unwrap();
    let error = publish(&bench.store, &key, bench.whole(cutting, &until)).await.unwrap_err();
    assert!(matches!(error, FetchError::TimeUp { .. }), "{error}");
    assert_eq!(bench.store.head(&key).await.unwrap(), None);
}

#[tokio::test]
async fn a_part_that_was_lost_after_the_check_undoes_it() {
    let bench = Bench::new(noise(2_500)).await;
    bench.run(&in_time()).await.unwrap();
    let mut progress = bench.ledger.0.lock().unwrap().clone().unwrap();
    bench.fetch().verified(&mut progress).await.unwrap();
    assert!(bench.fetch().whole(&progress).await.unwrap().is_some());
    let (lost, _) = bench.store.list("").await.unwrap().remove(1);
    bench.store.delete(&lost).await.unwrap();
    assert_eq!(bench.fetch().whole(&progress).await.unwrap(), None);
    bench.run(&in_time()).await.unwrap();
    assert!(!bench.ledger.0.lock().unwrap().as_ref().unwrap().verified);
}
