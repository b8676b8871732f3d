//! Sizes and durations as people write them.
//!
//! Pure. Must not know which key a value belongs to.

use std::time::Duration;

/// Reads a size as redis.conf has it: `50mb` (1024²), `50m` (1000²), plain bytes.
///
/// # Errors
/// A sentence that shows how to write it.
pub fn size(text: &str) -> Result<u64, String> {
    let bad = || "not a size; write it like 50mb, 1gb or a number of bytes".to_owned();
    let text = text.trim().to_ascii_lowercase();
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim() {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" | "kib" => 1 << 10,
        "m" => 1_000_000,
        "mb" | "mib" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" | "gib" => 1 << 30,
        _ => return Err(bad()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
        .ok_or_else(bad)
}

/// Reads a duration as go.d has it: seconds (`1`, `0.5`), or with units (`500ms`,
/// `1m30s`).
///
/// # Errors
/// A sentence that shows how to write it.
pub fn duration(text: &str) -> Result<Duration, String> {
    let bad = || "not a time; write it like 1, 0.5 or 500ms".to_owned();
    let mut rest = text.trim();
    let mut seconds = 0.0;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, behind) = rest.split_at(digits.unwrap_or(rest.len()));
        let unit = behind.find(|c: char| c.is_ascii_digit());
        let (unit, behind) = behind.split_at(unit.unwrap_or(behind.len()));
        let scale = match unit.trim() {
            // Only at the end, and alone: 1m30 is a slip of the pen.
            "" if number.len() == text.trim().len() => 1.0,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(bad()),
        };
        seconds += scale * number.parse::<f64>().map_err(|_| bad())?;
        rest = behind;
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_redis_sizes() {
        for (text, want) in [
            ("50mb", Some(50 << 20)),
            ("50 MB", Some(50 << 20)),
            ("50m", Some(50_000_000)),
            ("1gb", Some(1 << 30)),
            ("52428800", Some(52_428_800)),
            ("0", Some(0)),
            ("-1", None),
            ("1.5gb", None),
            ("50 lots", None),
            ("99999999999gb", None),
            ("", None),
        ] {
            assert_eq!(size(text).ok(), want, "{text:?}");
        }
    }

    #[test]
    fn durations_are_seconds_or_carry_a_unit() {
        for (text, want) in [
            ("1", Some(1000)),
            ("0.5", Some(500)),
            ("500ms", Some(500)),
            ("2s", Some(2000)),
            ("1m", Some(60_000)),
            ("1m30s", Some(90_000)),
            ("1h", Some(3_600_000)),
            ("1500us", Some(1)),
            ("1m30", None),
            ("m", None),
            ("1d", None),
            ("inf", None),
            ("nan", None),
            ("-1", None),
            ("1e400", None),
            ("", None),
        ] {
            let got = duration(text).ok().map(|d| d.as_millis());
            assert_eq!(got, want, "{text:?}");
        }
    }
}
