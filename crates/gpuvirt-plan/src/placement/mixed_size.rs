//! The mixed-size allocator: sizes side by side, at the placements that the vendor's table allows.

use super::table::CardTable;

/// A placement ID: an offset on the card, in the table's unit.
pub type PlacementId = u32;

/// A card's frame buffer with what sits on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    table: &'static CardTable,
    /// Beginning and size of each vGPU.
    taken: Vec<(PlacementId, u32)>,
}

/// Slots that a placement costs, by size, the largest first: the smaller, the less is fragmented.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(Vec<u32>);

impl Slots {
    /// A card of `gib` GiB on which nothing sits; none where the vendor's table has no such card.
    pub fn empty(gib: u32) -> Option<Self> {
        Some(Self { table: CardTable::of(gib)?, taken: Vec::new() })
    }

    /// Whether the table tells where vGPUs of this size go.
    pub fn knows(&self, gib: u32) -> bool {
        gib == self.table.gib || self.table.row(gib).is_some()
    }

    /// The allowed placements of a size that nothing overlaps. One that takes the whole card has a single one, whether the
    /// table names that or not.
    pub fn free(&self, gib: u32) -> Vec<PlacementId> {
        let whole: &[PlacementId] = if gib == self.table.gib { &[0] } else { &[] };
        let ids = self.table.row(gib).map_or(whole, |row| row.ids);
        ids.iter().copied().filter(|id| self.is_free(*id, gib)).collect()
    }

    fn is_free(&self, id: PlacementId, gib: u32) -> bool {
        let end = id.saturating_add(gib);
        self.taken.iter().all(|(start, size)| end <= *start || start.saturating_add(*size) <= id)
    }

    /// How many of a size still fit. Placements of one size never overlap each other.
    pub fn room(&self, gib: u32) -> u32 {
        u32::try_from(self.free(gib).len()).unwrap_or(u32::MAX)
    }

    /// How many of a size fit on the empty card.
    pub fn max(&self, gib: u32) -> u32 {
        Self { table: self.table, taken: Vec::new() }.room(gib)
    }

    /// Puts down a vGPU that lives at `id`.
    pub fn put(&mut self, id: PlacementId, gib: u32) {
        self.taken.push((id, gib));
    }

    /// The free placement that leaves most slots of every size, the largest sizes first, with what it costs.
    pub fn best(&self, gib: u32) -> Option<(PlacementId, Cost)> {
        let priced = self.free(gib).into_iter().map(|id| (self.cost(id, gib), id));
        priced.min().map(|(cost, id)| (id, cost))
    }

    fn cost(&self, id: PlacementId, gib: u32) -> Cost {
        let mut after = self.clone();
        after.put(id, gib);
        let lost = |size: u32| self.room(size).saturating_sub(after.room(size));
        Cost(self.table.rows.iter().map(|row| lost(row.gib)).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::placement::table::TABLES;

    #[test]
    fn a_small_vgpu_goes_where_no_large_one_would_go() {
        let mut slots = Slots::empty(80).unwrap();
        // 16 lies between the placements of 16 GiB at 0 and 24: no such slot is lost.
        assert_eq!(slots.best(4).unwrap().0, 16);
        slots.put(16, 4);
        assert_eq!(slots.room(16), 4);
        // The half that is used already goes on being used.
        assert!(slots.best(4).unwrap().0 < 40);
        assert_eq!(slots.best(40).unwrap().0, 40);
    }

    #[test]
    fn a_whole_card_needs_it_empty() {
        let mut slots = Slots::empty(24).unwrap();
        assert_eq!((slots.max(24), slots.best(24).unwrap().0), (1, 0));
        slots.put(23, 1);
        assert_eq!((slots.room(24), slots.best(24)), (0, None));
        assert!(slots.knows(12) && !slots.knows(7));
        assert_eq!(Slots::empty(48), None);
    }

    proptest! {
        /// Any mix of sizes on any card: nothing overlaps or leaves the card, every placement is one of the row's, and
        /// none is refused while an allowed one is free. The reckoning here is its own: a map of the card.
        #[test]
        fn no_overlap_and_no_refusal_while_a_slot_is_free(
            card in 0..TABLES.len(),
            wanted in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..64),
        ) {
            let table = &TABLES[card];
            let mut slots = Slots::empty(table.gib).unwrap();
            let mut map = vec![None; table.gib as usize];
            let mut made: Vec<(u32, u32)> = Vec::new();
            for (number, (index, leave)) in wanted.into_iter().enumerate() {
                let row = &table.rows[index.index(table.rows.len())];
                let fits = |id: u32| map[id as usize..(id + row.gib) as usize].iter().all(Option::is_none);
                let allowed = row.ids.iter().filter(|id| fits(**id)).count();
                prop_assert_eq!(slots.room(row.gib) as usize, allowed);
                match slots.best(row.gib) {
                    None => prop_assert_eq!(allowed, 0, "refused while a slot is free"),
                    Some((id, _)) => {
                        prop_assert!(row.ids.contains(&id) && fits(id));
                        map[id as usize..(id + row.gib) as usize].fill(Some(number));
                        slots.put(id, row.gib);
                        made.push((id, row.gib));
                    }
                }
                // Some go again.
                if leave && !made.is_empty() {
                    let (id, gib) = made.swap_remove(index.index(made.len()));
                    map[id as usize..(id + gib) as usize].fill(None);
                    slots.taken.retain(|taken| *taken != (id, gib));
                }
            }
        }

        /// A row alone fills the card with as many as the table says.
        #[test]
        fn a_row_alone_fills_its_placements(card in 0..TABLES.len(), index in any::<prop::sample::Index>()) {
            let table = &TABLES[card];
            let row = &table.rows[index.index(table.rows.len())];
            let mut slots = Slots::empty(table.gib).unwrap();
            for left in (1..=row.ids.len() as u32).rev() {
                prop_assert_eq!(slots.room(row.gib), left);
                let (id, _) = slots.best(row.gib).unwrap();
                slots.put(id, row.gib);
            }
            prop_assert_eq!(slots.best(row.gib), None);
        }
    }
}
