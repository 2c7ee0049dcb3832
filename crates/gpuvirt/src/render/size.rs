//! Sizes for people: MiB, GiB.

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// A number of bytes in the largest unit that keeps it at least 1, with one decimal where that is not 0.
pub fn bytes(bytes: u64) -> String {
    let mut unit = 0;
    while unit + 1 < UNITS.len() && bytes >> (10 * (unit + 1)) > 0 {
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    let shift = 10 * unit;
    let whole = bytes >> shift;
    let rest = bytes - (whole << shift);
    if rest == 0 {
        return format!("{whole} {name}");
    }
    // Below one unit, so ten times it fits.
    let tenths = u128::from(rest) * 10 / (1u128 << shift);
    if tenths == 0 { format!("{whole} {name}") } else { format!("{whole}.{tenths} {name}") }
}

/// A number of MiB.
pub fn mib(mib: u64) -> String {
    bytes(mib.saturating_mul(1024 * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_unit_that_people_use() {
        for (size, want) in [
            (0, "0 B"),
            (4096, "4 KiB"),
            (16 << 20, "16 MiB"),
            (24 << 30, "24 GiB"),
            ((24 << 30) + (288 << 20), "24.2 GiB"),
            ((64 << 30) + (16 << 20), "64 GiB"),
            (1023, "1023 B"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes(size), want);
        }
        assert_eq!(mib(24576), "24 GiB");
        assert_eq!(mib(u64::MAX), bytes(u64::MAX));
    }
}
