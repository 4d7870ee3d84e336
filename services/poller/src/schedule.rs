//! When to look again.

use std::time::Duration;

/// Growth of the time between two looks.
const GROWTH: f64 = 1.5;

/// Time to the next look after `polls` looks (from 1): half as much again each time, up to the longest.
pub fn interval(polls: u32, first: Duration, longest: Duration) -> Duration {
    let exponent = i32::try_from(polls.saturating_sub(1)).unwrap_or(i32::MAX).min(64);
    let seconds = first.as_secs_f64() * GROWTH.powi(exponent);
    Duration::from_secs_f64(seconds.min(longest.as_secs_f64()))
}

/// The same, but no later than the deadline, which is `left` away, and no sooner than GBIF asked for.
pub fn next_look(interval: Duration, asked: Option<Duration>, left: Duration) -> Duration {
    interval.min(left).max(asked.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const FIRST: Duration = Duration::from_secs(10);
    const LONGEST: Duration = Duration::from_secs(300);

    #[rstest]
    #[case(0, 10.0)]
    #[case(1, 10.0)]
    #[case(2, 15.0)]
    #[case(3, 22.5)]
    #[case(10, 300.0)]
    #[case(u32::MAX, 300.0)]
    fn looks_become_rarer(#[case] polls: u32, #[case] seconds: f64) {
        assert_eq!(interval(polls, FIRST, LONGEST).as_secs_f64(), seconds);
    }

    #[test]
    fn a_look_is_taken_at_the_deadline_and_gbifs_wish_is_kept() {
        let left = Duration::from_secs(60);
        assert_eq!(next_look(LONGEST, None, left), left);
        assert_eq!(next_look(FIRST, Some(Duration::from_secs(77)), left), Duration::from_secs(77));
        assert_eq!(next_look(FIRST, None, Duration::ZERO), Duration::ZERO);
    }
}
