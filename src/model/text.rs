//! Figures as people read them. Pure formatting.

/// Bytes in binary units, as the server's own `_human` fields: `93.7 MiB`.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn bytes(bytes: i64) -> String {
    let size = bytes.unsigned_abs() as f64;
    let sign = if bytes < 0 { "-" } else { "" };
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units
        .iter()
        .find(|(_, power)| size >= f64::from(1u32 << power))
    {
        Some((unit, power)) => format!("{sign}{:.1} {unit}", size / f64::from(1u32 << power)),
        None => format!("{sign}{size:.0} B"),
    }
}

/// Seconds since 1970 as `2026-11-23 16:14:05Z`.
#[must_use]
pub fn utc(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02}Z",
        second % 60
    )
}

/// Year, month and day of a day since 1970: Howard Hinnant's `civil_from_days`.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "days are at most 2^64 / 86 400"
)]
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_at_a_glance() {
        for (size, want) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (52_428_800, "50.0 MiB"),
            (-98_233_344, "-93.7 MiB"),
            (5 << 30, "5.0 GiB"),
            (i64::MIN, "-8589934592.0 GiB"),
        ] {
            assert_eq!(bytes(size), want);
        }
    }

    #[test]
    fn times_are_dates() {
        for (seconds, want) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_827_696, "2000-02-29 12:34:56Z"),
            (1_795_440_280, "2026-11-23 13:24:40Z"),
            (4_102_444_799, "2099-12-31 23:59:59Z"),
        ] {
            assert_eq!(utc(seconds), want);
        }
    }
}
