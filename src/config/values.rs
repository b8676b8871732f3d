//! What a scalar of the file may be, key by key.
//!
//! Pure. An error says what to write, and never repeats what was written.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::units;

/// Longest wait for a server: an hour is a mistake, and so is nothing.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(600);

/// Longest time between collections: a day.
const INTERVALS: RangeInclusive<u32> = 1..=86_400;

/// `update_every`.
pub(super) fn interval(text: &str) -> Result<u32, String> {
    let seconds = text.trim().parse().ok();
    let seconds = seconds.filter(|seconds| INTERVALS.contains(seconds));
    seconds.ok_or_else(|| "not an interval; write seconds, 1 to 86400".to_owned())
}

/// A number that go.d takes for its default where it is below `least` (`ApplyDefaults` of
/// confgroup/config.go, 2.10).
pub(super) fn or_default(
    least: i64,
    read: fn(&str) -> Result<u32, String>,
) -> impl Fn(&str) -> Result<Option<u32>, String> {
    move |text| match text.trim().parse::<i64>() {
        Ok(number) if number < least && number <= 0 => Ok(None),
        _ => read(text).map(Some),
    }
}

/// `autodetection_retry` and `priority`.
pub(super) fn whole(text: &str) -> Result<u32, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("not a whole number; write 0 to {}", u32::MAX))
}

/// `timeout`.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let time = units::duration(text)?;
    if TIMEOUTS.contains(&time) {
        return Ok(time);
    }
    Err("a timeout is between 10ms and 10 minutes".to_owned())
}

/// Thresholds that are ratios, factors or shares.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    let plain = text.trim().chars().all(|c| c.is_ascii_digit() || c == '.');
    let number = text
        .trim()
        .parse()
        .ok()
        .filter(|number: &f64| plain && number.is_finite());
    let positive = number.filter(|number| *number > 0.0);
    positive.ok_or_else(|| "not a number above 0; write it like 1.5".to_owned())
}

/// A switch, in the words of YAML 1.1.
pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "y" => Ok(true),
        "no" | "false" | "off" | "n" => Ok(false),
        _ => Err("write yes or no".to_owned()),
    }
}
