//! What holds for every recurrence at every moment.

use chrono::{DateTime, TimeDelta, Utc};
use passereau_calendar::Recurrence;
use proptest::prelude::*;

/// Summer time of one hour, of half an hour, of two; without; west and east of Greenwich.
const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Africa/Casablanca",
];

fn moments() -> impl Strategy<Value = DateTime<Utc>> {
    // 1990 to 2060, with microseconds as PostgreSQL has them.
    (631_152_000_000_000_i64..2_840_140_800_000_000).prop_map(|micros| DateTime::from_timestamp_micros(micros).unwrap())
}

fn zones() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&ZONES)
}

/// A period and the longest time that it can take.
fn periods() -> impl Strategy<Value = (String, TimeDelta)> {
    (0_i64..15, 0_i64..40, 0_i64..50, 0_i64..60).prop_filter_map("no time at all", |(months, days, hours, minutes)| {
        let longest = TimeDelta::days(31 * months + days) + TimeDelta::hours(hours) + TimeDelta::minutes(minutes);
        (longest > TimeDelta::zero()).then(|| (format!("P{months}M{days}DT{hours}H{minutes}M"), longest))
    })
}

fn crons() -> impl Strategy<Value = String> {
    let minute =
        prop_oneof!["[0-9]", "[1-5][0-9]", Just("*/15".to_owned()), Just("*".to_owned()), Just("0,30".to_owned())];
    let hour =
        prop_oneof!["[0-9]", "1[0-9]", "[1-4]", Just("*".to_owned()), Just("*/6".to_owned()), Just("1-3".to_owned())];
    let day = prop_oneof![Just("*".to_owned()), "[1-9]", "2[0-9]", Just("L".to_owned())];
    let month = prop_oneof![Just("*".to_owned()), "[1-9]", Just("*/3".to_owned())];
    let weekday = prop_oneof![Just("*".to_owned()), "[0-6]", Just("MON-FRI".to_owned())];
    (minute, hour, day, month, weekday)
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

fn any_expression() -> impl Strategy<Value = String> {
    prop_oneof![periods().prop_map(|(period, _)| period), crons()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_next_is_strictly_later_and_nothing_lies_between(
        expression in any_expression(), zone in zones(), anchor in moments(), moment in moments(), share in 0.0_f64..1.0
    ) {
        let recurrence = Recurrence::parse(&expression, zone, anchor).unwrap();
        let next = recurrence.next_after(moment).unwrap();
        prop_assert!(next > moment, "{expression} {zone}: {next} after {moment}");
        let micros = (next - moment).num_microseconds().unwrap();
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "any moment between will do")]
        let between = moment + TimeDelta::microseconds((micros as f64 * share) as i64);
        if between < next {
            prop_assert_eq!(recurrence.next_after(between).unwrap(), next, "{} {}: asked at {}", expression, zone, between);
        }
    }

    #[test]
    fn a_later_question_has_no_earlier_answer(
        expression in any_expression(), zone in zones(), anchor in moments(), one in moments(), ahead_min in 0_i64..200_000
    ) {
        let recurrence = Recurrence::parse(&expression, zone, anchor).unwrap();
        let other = one + TimeDelta::minutes(ahead_min);
        prop_assert!(recurrence.next_after(one) <= recurrence.next_after(other), "{expression} {zone}: {one}, {other}");
    }

    #[test]
    fn a_period_comes_at_least_as_often_as_it_says(
        (period, longest) in periods(), zone in zones(), anchor in moments(), moment in moments()
    ) {
        let next = Recurrence::parse(&period, zone, anchor).unwrap().next_after(moment).unwrap();
        // Clocks that are put back by two hours at most make a day longer.
        prop_assert!(next - moment.max(anchor) <= longest + TimeDelta::hours(2), "{period} {zone}: {next} after {moment}");
    }

    /// Asked from occurrence to occurrence or from anywhere: the same moments.
    #[test]
    fn a_period_does_not_drift(
        (period, _) in periods(), zone in zones(), anchor in moments(), steps in 1_usize..60
    ) {
        let recurrence = Recurrence::parse(&period, zone, anchor).unwrap();
        let mut moment = anchor;
        for _ in 0..steps {
            moment = recurrence.next_after(moment).unwrap();
        }
        prop_assert_eq!(recurrence.next_after(moment - TimeDelta::microseconds(1)).unwrap(), moment);
    }
}
