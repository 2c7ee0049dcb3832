//! What `resource` and `resourceN_resize` say of windows beyond their size.

/// The kernel found no place for the window (`IORESOURCE_UNSET`, include/linux/ioport.h).
const UNSET: u64 = 0x2000_0000;
/// `IORESOURCE_MEM`.
const MEMORY: u64 = 0x200;
/// Windows proper: the seventh line is the ROM's.
const BARS: usize = 6;

/// The memory windows that have a size and no place, by number.
pub fn unassigned(text: &str) -> Vec<u8> {
    let number = |field: &str| u64::from_str_radix(field.strip_prefix("0x")?, 16).ok();
    let lines = (0_u8..).zip(text.lines().take(BARS));
    lines
        .filter(|(_, line)| {
            let mut fields = line.split_whitespace().map(number);
            let (start, end, flags) =
                (fields.next().flatten(), fields.next().flatten(), fields.next().flatten());
            let Some(((start, end), flags)) = start.zip(end).zip(flags) else { return false };
            flags & MEMORY != 0 && end > start && (flags & UNSET != 0 || start == 0)
        })
        .map(|(index, _)| index)
        .collect()
}

/// The largest size in `resourceN_resize`, in bytes: bit n stands for 2^n MiB.
pub fn largest(text: &str) -> Option<u64> {
    let text = text.trim();
    let mask = u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()?;
    let bit = mask.checked_ilog2()?;
    1_u64.checked_shl(bit + 20).filter(|_| bit < 44)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_without_a_place_are_found() {
        let text = "0x00000000a1000000 0x00000000a1ffffff 0x0000000000040200\n\
                    0x0000000000000000 0x0000000fffffffff 0x000000002014220c\n\
                    0x0000000000000000 0x0000000000000000 0x0000000000000000\n\
                    0x0000000000000000 0x000000000000007f 0x0000000000040101\n";
        assert_eq!(unassigned(text), [1]);
        assert_eq!(unassigned("x\n0x0\n"), Vec::<u8>::new());
    }

    #[test]
    fn the_largest_size_is_the_highest_bit() {
        assert_eq!(largest("0000000000007f00\n"), Some(16 << 30));
        assert_eq!(largest("0"), None);
        assert_eq!(largest("ffffffffffffffff"), None);
        assert_eq!(largest("zz"), None);
    }
}
