//! How a cost grows: between the two largest sizes, where what is paid once no longer counts.

/// Sizes and what each costs, from small to large.
#[derive(Debug, Default)]
pub struct Growth(Vec<(u64, u64)>);

/// What is no faster than linear, though the machine's other work makes it look a little so, in percent.
const LINEAR: u64 = 125;
/// What only caches that no longer hold it, and sorting, make faster than that.
const NEARLY: u64 = 150;

impl Growth {
    /// The next larger size.
    pub fn add(&mut self, size: u64, cost: u64) {
        self.0.push((size, cost));
    }

    /// How the two largest compare.
    pub fn verdict(&self, of: &str, what: &str) -> String {
        let [.., (small, less), (large, more)] = self.0.as_slice() else {
            return "of one size nothing is told".to_owned();
        };
        let times = |a: u64, b: u64| crate::contest::hundredths(a, b);
        let within = |percent: u64| more * small * 100 <= less * large * percent;
        let judged = match (within(LINEAR), within(NEARLY)) {
            (true, _) => "no faster than linear",
            (false, true) => "a little faster than linear, as sorting and caches have it",
            (false, false) => "**faster than linear**",
        };
        format!(
            "{judged}: from {small} to {large} {of}, {} times as many, {what} grows to {} times",
            times(*large, *small),
            times(*more, *less)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_and_quadratic_are_told_apart() {
        let of = |cost: fn(u64) -> u64| {
            let mut growth = Growth::default();
            [10, 1000, 4000].into_iter().for_each(|size| growth.add(size, cost(size)));
            growth.verdict("functions", "time")
        };
        let linear = "no faster than linear: from 1000 to 4000 functions, 4.00 times as many, time grows to 3.40 times";
        assert_eq!(of(|size| 1000 + 4 * size), linear);
        assert!(of(|size| size * (9 + size / 1000)).starts_with("a little faster"));
        assert!(of(|size| size * size).starts_with("**faster than linear**"));
        assert!(Growth::default().verdict("x", "y").starts_with("of one size"));
    }
}
