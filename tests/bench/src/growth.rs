//! How a cost grows: between the two largest sizes, where what is paid once no longer counts.

/// Sizes and what each costs, from small to large.
#[derive(Debug, Default)]
pub struct Growth(Vec<(u64, u64)>);

/// What is no faster than linear, though the machine's other work makes it look a little so, in percent.
const LINEAR: u64 = 125;
/// Sizes from which on steps are judged.
const LARGE: u64 = 256;
/// What only caches that no longer hold it, and sorting, make faster than that.
const NEARLY: u64 = 150;

impl Growth {
    /// The next larger size.
    pub fn add(&mut self, size: u64, cost: u64) {
        self.0.push((size, cost));
    }

    /// The worst of the steps between large sizes: of small ones the start of a process hides everything.
    pub fn verdict(&self, of: &str, what: &str) -> String {
        let steps = self.0.iter().zip(self.0.iter().skip(1));
        let last = self.0.len().saturating_sub(2);
        let large = steps.enumerate().filter(|(index, ((small, _), _))| *index == last || *small >= LARGE);
        let share =
            |(small, less): (u64, u64), (large, more): (u64, u64)| more * small * 100 / (less * large).max(1);
        let Some((_, (from, to))) = large.max_by_key(|(_, (from, to))| share(**from, **to)) else {
            return "of one size nothing is told".to_owned();
        };
        let share = share(*from, *to);
        let judged = match (share <= LINEAR, share <= NEARLY) {
            (true, _) => "no faster than linear, give or take a quarter",
            (false, true) => "a little faster than linear, as sorting and caches have it",
            (false, false) => "**faster than linear**",
        };
        let times = |a: u64, b: u64| crate::contest::hundredths(a, b);
        format!(
            "{judged}: at worst from {} to {} {of}, {} times as many, where {what} grows to {} times",
            from.0,
            to.0,
            times(to.0, from.0),
            times(to.1, from.1)
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
        let linear = "no faster than linear, give or take a quarter: at worst from 1000 to 4000 functions, 4.00 times as many, where time grows to 3.40 times";
        assert_eq!(of(|size| 1000 + 4 * size), linear);
        assert!(of(|size| size * (9 + size / 1000)).starts_with("a little faster"));
        assert!(of(|size| size * size).starts_with("**faster than linear**"));
        // In the middle only.
        assert!(
            of(|size| if size < 1000 { 1 } else { size }).starts_with("no faster"),
            "small sizes are not judged"
        );
        let mut bent = Growth::default();
        [(256, 10), (512, 90), (1024, 100)].into_iter().for_each(|(size, cost)| bent.add(size, cost));
        assert!(bent.verdict("x", "y").starts_with("**faster than linear**: at worst from 256 to 512"));
        assert!(Growth::default().verdict("x", "y").starts_with("of one size"));
    }
}
