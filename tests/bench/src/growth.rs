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
        self.told(of, what, None)
    }

    /// The same beside the cost of merely reading what is worked on: what no cache holds any more is slower to read, and
    /// that is no fault of the work.
    pub fn verdict_beside(&self, floor: &Self, of: &str, what: &str) -> String {
        self.told(of, what, Some(floor))
    }

    /// How many times as much the floor costs at one size as at another, in hundredths.
    fn grown(&self, from: u64, to: u64) -> Option<u64> {
        let cost = |size| self.0.iter().find(|(known, _)| *known == size).map(|(_, cost)| *cost);
        Some(cost(to)? * 100 / cost(from)?.max(1))
    }

    fn told(&self, of: &str, what: &str, floor: Option<&Self>) -> String {
        let steps = self.0.iter().zip(self.0.iter().skip(1));
        let last = self.0.len().saturating_sub(2);
        let large = steps.enumerate().filter(|(index, ((small, _), _))| *index == last || *small >= LARGE);
        let share =
            |(small, less): (u64, u64), (large, more): (u64, u64)| more * small * 100 / (less * large).max(1);
        let Some((_, (from, to))) = large.max_by_key(|(_, (from, to))| share(**from, **to)) else {
            return "of one size nothing is told".to_owned();
        };
        let share = share(*from, *to);
        let floor = floor.and_then(|floor| floor.grown(from.0, to.0));
        let as_reading = floor.is_some_and(|floor| to.1 * 100 / from.1.max(1) * 100 <= floor * LINEAR);
        let judged = match (share <= LINEAR, share <= NEARLY, as_reading) {
            (true, ..) => "no faster than linear, give or take a quarter",
            (false, true, _) => "a little faster than linear, as sorting and caches have it",
            (false, false, true) => {
                "no faster than reading the same, which caches no longer hold, give or take a quarter"
            }
            (false, false, false) => "**faster than linear**",
        };
        let times = |a: u64, b: u64| crate::contest::hundredths(a, b);
        let reading =
            floor.map_or(String::new(), |floor| format!(", and that of reading it to {}", times(floor, 100)));
        format!(
            "{judged}: at worst from {} to {} {of}, {} times as many, where {what} grows to {} times{reading}",
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

    #[test]
    fn what_grows_with_reading_is_told_from_what_grows_by_itself() {
        let of = |costs: [u64; 2]| {
            let mut growth = Growth::default();
            [1000, 10_000].into_iter().zip(costs).for_each(|(size, cost)| growth.add(size, cost));
            growth
        };
        let cold = of([10, 300]);
        let end = "where time grows to 30.00 times, and that of reading it to 30.00";
        let said = of([20, 600]).verdict_beside(&cold, "GPUs", "time");
        assert!(said.starts_with("no faster than reading the same") && said.ends_with(end), "{said}");
        assert!(of([20, 900]).verdict_beside(&cold, "GPUs", "time").starts_with("**faster than linear**"));
        let warm = of([10, 100]);
        assert!(of([20, 600]).verdict_beside(&warm, "GPUs", "time").starts_with("**faster than linear**"));
        assert!(of([20, 200]).verdict_beside(&cold, "GPUs", "time").starts_with("no faster than linear"));
    }
}
