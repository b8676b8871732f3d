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
}
