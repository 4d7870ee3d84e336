//! Files: validators, conditions, ranges, codings, versions.

use sha2::{Digest, Sha256};

use crate::support::{Bench, V1, V2, ask, bearer};

const CSV: &[u8] = b"id;nom\n1;Merle noir\n2;Milan royal\n";
const GZ: &[u8] = b"\x1f\x8b these bytes stand for a compressed file";
const GPKG: &[u8] = b"SQLite format 3\0 and pages";
const PUBLISHED: &str = "Sat, 28 Nov 2026 02:00:30 GMT";

fn etag(bytes: &[u8]) -> String {
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digest}\"")
}

async fn bench() -> (Bench, String) {
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    bench.deliver("atlas", V1, &[("csv", CSV), ("csv.gz", GZ), ("gpkg", GPKG), ("statuts.csv", b"cd_ref\n")]).await;
    (bench, token)
}

#[tokio::test]
async fn a_file_comes_with_its_validators_and_name() {
    let (bench, token) = bench().await;
    for (path, name) in [
        ("/flows/atlas/latest.csv".to_owned(), "atlas.csv"),
        (format!("/flows/atlas/{V1}/atlas.csv"), "atlas-20261128T020000Z.csv"),
    ] {
        let answer = bench.fetch(&token, &path, &[]).await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, CSV), "{path}");
        assert_eq!(answer.header("etag"), etag(CSV));
        assert_eq!(answer.header("last-modified"), PUBLISHED);
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert_eq!(answer.header("content-length"), CSV.len().to_string());
        assert!(answer.header("content-type").starts_with("text/csv; charset=utf-8"));
        assert_eq!(answer.header("content-disposition"), format!("attachment; filename=\"{name}\""));
        assert_eq!(answer.header("content-location"), format!("/flows/atlas/{V1}/atlas.csv"));
        assert_eq!(answer.header("vary"), "Accept-Encoding");
    }
    let answer = bench.fetch(&token, "/flows/atlas/latest.gpkg", &[]).await;
    assert_eq!((answer.header("content-type"), answer.header("vary")), ("application/geopackage+sqlite3", ""));
    assert_eq!(bench.fetch(&token, "/flows/atlas/latest.statuts.csv", &[]).await.text(), "cd_ref\n");
    let answer = bench.fetch(&token, "/flows/atlas/latest.csv.gz", &[]).await;
    assert_eq!(
        (answer.header("content-type"), answer.header("content-encoding"), answer.body.as_slice()),
        ("application/gzip", "", GZ)
    );
    assert_eq!(bench.fetch(&token, "/flows/atlas/latest.json", &[]).await.status, 404);
}

#[tokio::test]
async fn head_says_what_get_would_without_a_body() {
    let (bench, token) = bench().await;
    let bearer = bearer(&token);
    for (path, headers) in [
        ("/flows/atlas/latest.csv", vec![]),
        ("/flows/atlas/latest.csv", vec![("Accept-Encoding", "gzip")]),
        ("/flows/atlas/latest.gpkg", vec![]),
        ("/flows/atlas/versions", vec![]),
        ("/flows/atlas/manifest.json", vec![]),
        ("/flows/none/versions", vec![]),
        ("/openapi.json", vec![]),
    ] {
        let headers = [vec![("Authorization", bearer.as_str())], headers].concat();
        let got = ask(bench.address, "GET", path, &headers).await;
        let head = ask(bench.address, "HEAD", path, &headers).await;
        assert_eq!(head.timeless().1, got.timeless().1, "{path}");
        assert_eq!((head.status, head.body.len()), (got.status, 0), "{path}");
        assert_eq!(head.header("content-length"), got.body.len().to_string(), "{path}");
    }
    let answer =
        ask(bench.address, "HEAD", "/flows/atlas/latest.gpkg", &[("Authorization", &bearer), ("Range", "bytes=0-3")])
            .await;
    assert_eq!(
        (answer.status, answer.header("content-length")),
        (200, GPKG.len().to_string().as_str()),
        "ranges are for GET"
    );
}

#[tokio::test]
async fn who_has_the_bytes_is_sent_none() {
    let (bench, token) = bench().await;
    let tag = etag(CSV);
    for headers in [
        vec![("If-None-Match", tag.clone())],
        vec![("If-None-Match", format!("\"old\", W/{tag}"))],
        vec![("If-None-Match", "*".to_owned())],
        vec![("If-Modified-Since", PUBLISHED.to_owned())],
        vec![("If-None-Match", tag.clone()), ("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT".to_owned())],
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = bench.fetch(&token, "/flows/atlas/latest.csv", &headers).await;
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{headers:?}");
        assert_eq!((answer.header("etag"), answer.header("vary")), (tag.as_str(), "Accept-Encoding"));
        assert_eq!(answer.header("cache-control"), "private, no-cache");
    }
    let answer = bench.fetch(&token, "/flows/atlas/latest.csv", &[("If-None-Match", &etag(GZ))]).await;
    assert_eq!(answer.status, 200, "the compressed bytes are others");
    let answer = bench.fetch(&token, "/flows/atlas/latest.csv", &[("If-Match", "\"old\"")]).await;
    assert_eq!(answer.status, 412);
}

#[tokio::test]
async fn one_range_is_sent() {
    let (bench, token) = bench().await;
    let size = CSV.len();
    for (range, expected) in
        [("bytes=3-5", 3..6), ("bytes=7-", 7..size), ("bytes=-4", size - 4..size), ("bytes=0-9999", 0..size)]
    {
        let answer = bench.fetch(&token, "/flows/atlas/latest.csv", &[("Range", range)]).await;
        assert_eq!((answer.status, answer.body.as_slice()), (206, &CSV[expected.clone()]), "{range}");
        let told = format!("bytes {}-{}/{size}", expected.start, expected.end - 1);
        assert_eq!(
            (answer.header("content-range"), answer.header("content-length")),
            (told.as_str(), expected.len().to_string().as_str())
        );
    }
    let answer = bench.fetch(&token, "/flows/atlas/latest.csv", &[("Range", "bytes=0-1,4-5")]).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, CSV), "several are the whole");
    let answer = bench.fetch(&token, "/flows/atlas/latest.csv", &[("Range", "bytes=9999-")]).await;
    assert_eq!((answer.status, answer.header("content-range")), (416, format!("bytes */{size}").as_str()));
    let answer = bench.fetch(&token, "/flows/atlas/versions", &[("Range", "bytes=0-0")]).await;
    assert_eq!((answer.status, answer.text().as_str()), (206, "{"), "documents have ranges, too");
}

#[tokio::test]
async fn a_range_never_continues_another_version() {
    let (bench, token) = bench().await;
    let first = bench.fetch(&token, "/flows/atlas/latest.csv", &[("Range", "bytes=0-9")]).await;
    let newer: Vec<u8> = CSV.to_ascii_uppercase();
    bench.deliver("atlas", V2, &[("csv", &newer)]).await;
    let tag = first.header("etag").to_owned();
    let answer = bench.fetch(&token, "/flows/atlas/latest.csv", &[("Range", "bytes=10-"), ("If-Range", &tag)]).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, newer.as_slice()), "the whole of the new one");
    let path = first.header("content-location");
    let answer = bench.fetch(&token, path, &[("Range", "bytes=10-"), ("If-Range", &tag)]).await;
    assert_eq!((answer.status, answer.body.as_slice()), (206, &CSV[10..]), "the old one goes on at its own address");
    let answer = bench.fetch(&token, "/flows/atlas/latest.csv", &[("Range", "bytes=10-"), ("If-Match", &tag)]).await;
    assert_eq!(answer.status, 412);
}

/// A date tells versions apart, but not a file from the compressed one beside it.
#[tokio::test]
async fn a_date_continues_only_what_has_one_form() {
    let (bench, token) = bench().await;
    let range = [("Range", "bytes=4-"), ("If-Range", PUBLISHED)];
    let answer = bench.fetch(&token, "/flows/atlas/latest.gpkg", &range).await;
    assert_eq!((answer.status, answer.body.as_slice()), (206, &GPKG[4..]));
    assert_eq!(bench.fetch(&token, "/flows/atlas/latest.csv", &range).await.status, 200);
    let earlier = [("Range", "bytes=4-"), ("If-Range", "Sat, 28 Nov 2026 02:00:29 GMT")];
    assert_eq!(bench.fetch(&token, "/flows/atlas/latest.gpkg", &earlier).await.status, 200);
}

#[tokio::test]
async fn gzip_is_sent_to_whom_takes_it() {
    let (bench, token) = bench().await;
    for (accepted, is_gzip) in [
        ("gzip", true),
        ("br;q=1.0, gzip;q=0.5, *;q=0.1", true),
        ("gzip;q=0", false),
        ("identity", false),
        ("gzip;q=0.2, identity;q=0.8", false),
        ("", false),
    ] {
        let accept = ("Accept-Encoding", accepted);
        let answer = bench.fetch(&token, "/flows/atlas/latest.csv", &[accept]).await;
        let (coding, bytes) = if is_gzip { ("gzip", GZ) } else { ("", CSV) };
        let got = (answer.status, answer.header("content-encoding"), answer.body.as_slice());
        assert_eq!(got, (200, coding, bytes), "{accepted}");
        assert_eq!((answer.header("etag"), answer.header("vary")), (etag(bytes).as_str(), "Accept-Encoding"));
        assert!(answer.header("content-type").starts_with("text/csv"));
        // A range is one of the very bytes that the tag names.
        let range = ("Range", "bytes=5-");
        let own = etag(bytes);
        let part = bench.fetch(&token, "/flows/atlas/latest.csv", &[accept, range, ("If-Range", &own)]).await;
        let got = (part.status, part.header("content-encoding"), part.body.as_slice());
        assert_eq!(got, (206, coding, &bytes[5..]), "{accepted}");
        let others = etag(if is_gzip { CSV } else { GZ });
        let whole = bench.fetch(&token, "/flows/atlas/latest.csv", &[accept, range, ("If-Range", &others)]).await;
        assert_eq!((whole.status, whole.body.as_slice()), (200, bytes), "{accepted}");
    }
}

#[tokio::test]
async fn who_refuses_what_there_is_is_told_so() {
    let (bench, token) = bench().await;
    let answer = bench.fetch(&token, "/flows/atlas/latest.gpkg", &[("Accept-Encoding", "gzip, identity;q=0")]).await;
    assert_eq!(answer.status, 406);
}

#[tokio::test]
async fn versions_are_listed_and_stay_at_their_addresses() {
    let (bench, token) = bench().await;
    bench.deliver("atlas", V2, &[("csv", b"new\n")]).await;
    let listed = bench.fetch(&token, "/flows/atlas/versions", &[]).await.json();
    assert_eq!(listed["versions"][0]["version"], V2);
    assert_eq!(listed["versions"][1]["version"], V1);
    for version in listed["versions"].as_array().unwrap() {
        assert_eq!(
            bench.fetch(&token, version["manifest"].as_str().unwrap(), &[]).await.json()["version"],
            version["version"]
        );
        for file in version["files"].as_object().unwrap().values() {
            let answer = bench.fetch(&token, file["path"].as_str().unwrap(), &[]).await;
            assert_eq!(answer.header("etag"), format!("\"{}\"", file["sha256"].as_str().unwrap()));
            assert_eq!(answer.body.len() as u64, file["size_bytes"].as_u64().unwrap());
        }
    }
    let manifest = bench.fetch(&token, "/flows/atlas/manifest.json", &[]).await;
    assert_eq!((&manifest.json()["version"], manifest.header("etag")), (&V2.into(), etag(&manifest.body).as_str()));
    assert_eq!(bench.fetch(&token, "/flows/atlas/20200101T000000Z/manifest.json", &[]).await.status, 404);
}

#[tokio::test]
async fn a_version_that_was_taken_away_is_gone() {
    let (bench, token) = bench().await;
    bench.deliver("atlas", V2, &[("csv", b"new\n")]).await;
    sqlx::query("UPDATE passereau.delivery SET erased_at = now() WHERE folder = $1")
        .bind(V1)
        .execute(bench.pool())
        .await
        .unwrap();
    for path in [format!("/flows/atlas/{V1}/atlas.csv"), format!("/flows/atlas/{V1}/manifest.json")] {
        assert_eq!(bench.fetch(&token, &path, &[]).await.status, 410, "{path}");
    }
    let listed = bench.fetch(&token, "/flows/atlas/versions", &[]).await.json();
    assert_eq!(listed["versions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn sensitive_records_at_their_precision_are_gone_when_their_authorisation_is() {
    let (bench, token) = bench().await;
    bench.deliver("atlas", V2, &[("csv", b"exact places\n")]).await;
    let agreed = async |version: i32, sensitive: &str, until: &str| {
        sqlx::query(
            "WITH changed AS (UPDATE passereau.flow SET version = $1, agreement = agreement || jsonb_build_object(
                 'sensitive', $2::text, 'authorisation', jsonb_build_object('ends_on', $3::text)) WHERE name = 'atlas' RETURNING *)
             INSERT INTO passereau.flow_version (flow, version, agreement, applied_at, applied_by)
             SELECT name, version, agreement, now(), 'Hermine' FROM changed
             ON CONFLICT (flow, version) DO UPDATE SET agreement = excluded.agreement",
        )
        .bind(version)
        .bind(sensitive)
        .bind(until)
        .execute(bench.pool())
        .await
        .unwrap();
    };
    sqlx::query("UPDATE passereau.delivery SET flow_version = 2 WHERE folder = $1")
        .bind(V2)
        .execute(bench.pool())
        .await
        .unwrap();
    let exact = format!("/flows/atlas/{V2}/atlas.csv");
    agreed(2, "precise", "2999-12-31").await;
    assert_eq!(bench.fetch(&token, &exact, &[]).await.status, 200, "while it lasts");
    agreed(2, "precise", "2020-12-31").await;
    assert_eq!(bench.fetch(&token, &exact, &[]).await.status, 410, "its last day is over");
    assert_eq!(
        bench.fetch(&token, "/flows/atlas/latest.csv", &[]).await.body,
        CSV,
        "the version before it was blurred"
    );
    agreed(2, "precise", "2999-12-31").await;
    agreed(3, "blurred", "2999-12-31").await;
    assert_eq!(bench.fetch(&token, &exact, &[]).await.status, 410, "the flow is blurred now");
}

#[tokio::test]
async fn what_was_not_published_is_not_there() {
    let bench = Bench::start(&[]).await;
    let token = bench.flow("atlas").await;
    assert_eq!(bench.fetch(&token, "/flows/atlas/latest.csv", &[]).await.status, 404);
    bench.deliver("atlas", V1, &[("csv", CSV)]).await;
    bench.deliver("atlas", V2, &[("csv", b"half")]).await;
    sqlx::query("UPDATE passereau.delivery SET state = 'writing', finished_at = NULL WHERE folder = $1")
        .bind(V2)
        .execute(bench.pool())
        .await
        .unwrap();
    assert_eq!(bench.fetch(&token, "/flows/atlas/latest.csv", &[]).await.body, CSV);
    assert_eq!(bench.fetch(&token, &format!("/flows/atlas/{V2}/atlas.csv"), &[]).await.status, 404);
}

#[tokio::test]
async fn a_file_of_another_size_is_not_sent() {
    let (bench, token) = bench().await;
    std::fs::write(bench.folder.path().join(format!("store/flows/atlas/{V1}/atlas.csv")), "half").unwrap();
    let answer = bench.fetch(&token, "/flows/atlas/latest.csv", &[]).await;
    assert_eq!(answer.status, 500);
    assert!(!answer.text().contains("half"));
}
