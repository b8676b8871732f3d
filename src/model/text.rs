//! Figures as people read them, and which letters of others' texts people may see.
//! Pure formatting.

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

/// Somebody else's text on one line of at most `most` characters: what ends a line or is
/// a tab becomes a blank, and all else that [`is_hidden`] goes.
#[must_use]
pub fn line(text: &str, most: usize) -> String {
    let spaced = text.chars().filter_map(|c| match c {
        '\n' | '\r' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        c => (!is_hidden(c)).then_some(c),
    });
    spaced.take(most).collect()
}

/// Whether a character does something to the text around it instead of being seen:
/// controls (C0, DEL, C1), ends of lines, marks that turn the direction of writing, and
/// whatever has no shape of its own (`Default_Ignorable_Code_Point` of Unicode 16, and
/// the interlinear marks).
#[must_use]
pub const fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
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
    fn others_words_are_one_line_of_what_can_be_seen() {
        for (text, want) in [
            ("jemalloc-5.3.0", "jemalloc-5.3.0"),
            ("\u{1b}[31mred\u{7}", "[31mred"),
            ("a\r\nb\tc\u{2028}d\u{85}e", "a  b c d e"),
            ("\u{9b}31m\u{202e}cba\u{2066}\u{200d}\0", "31mcba"),
            ("größe 部\u{fe0f} <b>\u{e0041}", "größe 部 <b>"),
            ("\u{fffd}", "\u{fffd}"),
        ] {
            assert_eq!(line(text, 400), want);
        }
        assert_eq!(line(&"ö".repeat(9000), 400).chars().count(), 400);
        assert!(
            (0..0x20)
                .chain(0x7f..0xa0)
                .filter_map(char::from_u32)
                .all(is_hidden)
        );
        assert!(char::MAX != 'a' && (' '..='~').chain('¡'..='¬').all(|c| !is_hidden(c)));
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
