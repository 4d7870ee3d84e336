//! One example for each rule, above all where clocks are moved.

use chrono::{DateTime, Utc};
use passereau_calendar::Recurrence;
use rstest::rstest;

use crate::{moment, recurrence};

const PARIS: &str = "Europe/Paris";
const ANY: &str = "2026-01-01T00:00:00Z";

/// The occurrences that follow each other from a moment on.
fn sequence(recurrence: &Recurrence, from: &str, count: usize) -> Vec<DateTime<Utc>> {
    let mut all: Vec<DateTime<Utc>> = Vec::new();
    while all.len() < count {
        let last = all.last().copied().unwrap_or_else(|| moment(from));
        all.push(recurrence.next_after(last).unwrap());
    }
    all
}

fn moments(texts: &[&str]) -> Vec<DateTime<Utc>> {
    texts.iter().map(|text| moment(text)).collect()
}

#[test]
fn a_month_from_31_january_is_the_last_day_of_february_and_the_31st_again() {
    let monthly = recurrence("P1M", "UTC", "2026-01-31T03:00:00Z");
    assert_eq!(
        sequence(&monthly, "2026-01-31T03:00:00Z", 4),
        moments(&["2026-02-28T03:00:00Z", "2026-03-31T03:00:00Z", "2026-04-30T03:00:00Z", "2026-05-31T03:00:00Z"])
    );
    let leap = recurrence("P1Y", "UTC", "2024-02-29T03:00:00Z");
    assert_eq!(leap.next_after(moment("2027-06-01T00:00:00Z")), Some(moment("2028-02-29T03:00:00Z")));
}

#[rstest]
#[case("PT30M", "2026-03-01T12:30:00Z")]
#[case("PT6H", "2026-03-01T18:00:00Z")]
#[case("P1D", "2026-03-02T12:00:00Z")]
#[case("P1DT6H", "2026-03-02T18:00:00Z")]
#[case("P1W", "2026-03-08T12:00:00Z")]
#[case("P1W1D", "2026-03-09T12:00:00Z")]
#[case("P3M", "2026-06-01T12:00:00Z")]
#[case("P1Y2M", "2027-05-01T12:00:00Z")]
fn periods_of_every_unit(#[case] period: &str, #[case] next: &str) {
    let anchor = "2026-03-01T12:00:00Z";
    assert_eq!(recurrence(period, "UTC", anchor).next_after(moment(anchor)), Some(moment(next)));
}

/// A handling that comes late moves nothing.
#[test]
fn a_period_stays_on_its_anchor_however_late_it_is_asked() {
    let daily = recurrence("P1D", "UTC", "2026-01-01T03:00:00Z");
    assert_eq!(daily.next_after(moment("2026-07-14T11:22:33Z")), Some(moment("2026-07-15T03:00:00Z")));
    assert_eq!(
        daily.next_after(moment("2025-12-31T00:00:00Z")),
        Some(moment("2026-01-01T03:00:00Z")),
        "the anchor itself"
    );
}

#[test]
fn days_keep_the_hour_of_the_day_through_summer_time_and_hours_do_not() {
    // 29 March 2026, 2:00 in Paris does not exist up to 3:00.
    let daily = recurrence("P1D", PARIS, "2026-03-27T04:00:00Z");
    assert_eq!(
        sequence(&daily, "2026-03-27T04:00:00Z", 3),
        moments(&["2026-03-28T04:00:00Z", "2026-03-29T03:00:00Z", "2026-03-30T03:00:00Z"])
    );
    let by_hours = recurrence("PT24H", PARIS, "2026-03-27T04:00:00Z");
    assert_eq!(by_hours.next_after(moment("2026-03-28T04:00:00Z")), Some(moment("2026-03-29T04:00:00Z")));
}

#[test]
fn a_period_that_meets_a_gap_comes_right_after_it_and_in_a_fold_at_the_first_pass() {
    let daily = recurrence("P1D", PARIS, "2026-03-28T01:30:00Z");
    assert_eq!(
        sequence(&daily, "2026-03-28T01:30:00Z", 2),
        moments(&["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]),
        "2:30 is taken for 3:00, and is 2:30 again the day after"
    );
    // 25 October 2026: 2:30 comes twice, at 0:30 and 1:30 UTC.
    let autumn = recurrence("P1D", PARIS, "2026-10-24T00:30:00Z");
    assert_eq!(
        sequence(&autumn, "2026-10-24T00:30:00Z", 2),
        moments(&["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"])
    );
}

/// Samoa had no 30 December 2011.
#[test]
fn a_day_that_a_zone_left_out_is_taken_for_the_moment_after_it() {
    let daily = recurrence("P1D", "Pacific/Apia", "2011-12-28T20:00:00Z");
    assert_eq!(
        sequence(&daily, "2011-12-29T20:00:00Z", 2),
        moments(&["2011-12-30T10:00:00Z", "2011-12-30T20:00:00Z"]),
        "10:00 of the 30th is the beginning of the 31st; then 10:00 of the 31st"
    );
}

#[test]
fn cron_in_a_zone() {
    let monthly = recurrence("0 3 1 * *", PARIS, ANY);
    assert_eq!(
        sequence(&monthly, "2026-02-15T00:00:00Z", 3),
        moments(&["2026-03-01T02:00:00Z", "2026-04-01T01:00:00Z", "2026-05-01T01:00:00Z"])
    );
    let last_day = recurrence("0 3 L * *", "UTC", ANY);
    assert_eq!(last_day.next_after(moment("2028-02-01T00:00:00Z")), Some(moment("2028-02-29T03:00:00Z")));
    let monday = recurrence("30 2 * * MON", "UTC", ANY);
    assert_eq!(monday.next_after(moment("2026-11-29T12:00:00Z")), Some(moment("2026-11-30T02:30:00Z")));
}

#[test]
fn a_cron_time_that_does_not_exist_fires_at_the_next_that_does() {
    let daily = recurrence("30 2 * * *", PARIS, ANY);
    assert_eq!(sequence(&daily, "2026-03-28T12:00:00Z", 2), moments(&["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]));
}

#[test]
fn a_cron_time_that_exists_twice_fires_once() {
    let daily = recurrence("30 2 * * *", PARIS, ANY);
    assert_eq!(sequence(&daily, "2026-10-24T12:00:00Z", 2), moments(&["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]));
    // Asked between the two.
    assert_eq!(daily.next_after(moment("2026-10-25T01:10:00Z")), Some(moment("2026-10-26T01:30:00Z")));
}

#[test]
fn cron_at_an_interval_follows_elapsed_time() {
    let quarters = recurrence("*/15 * * * *", PARIS, ANY);
    let through_the_fold = sequence(&quarters, "2026-10-25T00:00:00Z", 12);
    assert_eq!(through_the_fold.last(), Some(&moment("2026-10-25T03:00:00Z")), "every quarter of an hour, 12 in three");
    assert_eq!(quarters.next_after(moment("2026-03-29T00:45:00Z")), Some(moment("2026-03-29T01:00:00Z")));
}

#[rstest]
#[case("daily", "`daily` is neither a period nor a cron expression; write an ISO 8601 period such as P1D")]
#[case("every day", "`every day` is neither")]
#[case("", "`` is neither")]
#[case("@daily", "neither")]
#[case("P", "`P` is no period: it is no time at all; write an ISO 8601 duration")]
#[case("P0D", "no time at all")]
#[case("p1d", "it does not begin with P")]
#[case("P1DT", "nothing follows the T")]
#[case("P1", "a number has no unit after it")]
#[case("PD", "a unit has no number before it")]
#[case("P1D1M", "each once and in this order")]
#[case("P1H", "before a T come years")]
#[case("PT1S", "after the T come hours")]
#[case("P0.5D", "its numbers are not whole")]
#[case("P-1D", "before a T come years")]
#[case("P11Y", "longer than ten years")]
#[case("P99999999999D", "longer than ten years")]
#[case("0 3 1 *", "`0 3 1 *` is no cron expression: it has 4 fields; write the five fields minute, hour")]
#[case("0 0 3 1 * *", "it has 6 fields")]
#[case("0 25 * * *", "is no cron expression")]
#[case("x 3 * * *", "is no cron expression")]
#[case("0 3 30 2 *", "`0 3 30 2 *` never comes")]
fn what_is_no_recurrence_is_refused_with_a_right_example(#[case] expression: &str, #[case] words: &str) {
    let said = Recurrence::parse(expression, "UTC", moment(ANY)).unwrap_err().to_string();
    assert!(said.contains(words), "{said}");
}

#[test]
fn a_zone_is_a_name_of_the_iana_database() {
    let said = Recurrence::parse("P1D", "Paris", moment(ANY)).unwrap_err().to_string();
    assert!(said.contains("`Paris` is no time zone") && said.contains("Europe/Paris"), "{said}");
}
