//! Where vGPUs may sit on a GPU in mixed-size mode: the vendor's table as data.
//!
//! Source: NVIDIA AI Enterprise user guide, appendix on vGPU placements for GPUs in mixed-size mode. Placement IDs are
//! offsets in GiB of the card's frame buffer: a vGPU of size s at ID p takes [p, p + s).

/// The rows of one size of card.
#[derive(Debug, PartialEq, Eq)]
pub struct CardTable {
    /// The card's frame buffer in GiB.
    pub gib: u32,
    /// A row for each size of vGPU, the largest first.
    pub rows: &'static [Row],
}

/// Where vGPUs of one size may sit.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The vGPU's frame buffer in GiB.
    pub gib: u32,
    /// How many fit on a card that has no other size.
    pub equal: u32,
    /// The placement IDs in mixed-size mode.
    pub ids: &'static [u32],
}

impl CardTable {
    /// The table of a card with so much frame buffer; none where the vendor gives none.
    pub fn of(gib: u32) -> Option<&'static Self> {
        TABLES.iter().find(|table| table.gib == gib)
    }

    /// The row of a size.
    pub fn row(&self, gib: u32) -> Option<&'static Row> {
        self.rows.iter().find(|row| row.gib == gib)
    }
}

const fn row(gib: u32, equal: u32, ids: &'static [u32]) -> Row {
    Row { gib, equal, ids }
}

const STEP_1_TO_15: &[u32] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const STEP_1_TO_31: &[u32] = &[
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
    29, 30, 31,
];

/// Every table there is.
pub const TABLES: &[CardTable] = &[
    CardTable {
        gib: 80,
        rows: &[
            row(40, 2, &[0, 40]),
            row(20, 4, &[0, 20, 40, 60]),
            row(16, 5, &[0, 24, 40, 64]),
            row(10, 8, &[0, 10, 20, 30, 40, 50, 60, 70]),
            row(8, 10, &[0, 12, 20, 32, 40, 52, 60, 72]),
            row(5, 16, &[0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75]),
            row(4, 20, &[0, 6, 10, 16, 20, 26, 30, 36, 40, 46, 50, 56, 60, 66, 70, 76]),
        ],
    },
    CardTable {
        gib: 64,
        rows: &[
            row(32, 2, &[0, 32]),
            row(16, 4, &[0, 16, 32, 48]),
            row(8, 8, &[0, 8, 16, 24, 32, 40, 48, 56]),
            row(4, 16, &[0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60]),
        ],
    },
    CardTable {
        gib: 40,
        rows: &[
            row(40, 1, &[0]),
            row(20, 2, &[0, 20]),
            row(10, 4, &[0, 10, 20, 30]),
            row(8, 5, &[0, 12, 20, 32]),
            row(5, 8, &[0, 5, 10, 15, 20, 25, 30, 35]),
            row(4, 10, &[0, 6, 10, 16, 20, 26, 30, 36]),
        ],
    },
    CardTable {
        gib: 32,
        rows: &[
            row(16, 2, &[0, 16]),
            row(8, 4, &[0, 8, 16, 24]),
            row(4, 8, &[0, 4, 8, 12, 16, 20, 24, 28]),
            row(2, 16, &[0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30]),
            row(1, 32, STEP_1_TO_31),
        ],
    },
    CardTable {
        gib: 24,
        rows: &[
            row(12, 2, &[0, 12]),
            row(8, 3, &[0, 16]),
            row(6, 4, &[0, 6, 12, 18]),
            row(4, 6, &[0, 8, 12, 20]),
            row(3, 8, &[0, 3, 6, 9, 12, 15, 18, 21]),
            row(2, 12, &[0, 4, 6, 10, 12, 16, 18, 22]),
            row(1, 24, &[0, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20, 21, 23]),
        ],
    },
    CardTable {
        gib: 20,
        rows: &[
            row(10, 2, &[0, 10]),
            row(5, 4, &[0, 5, 10, 15]),
            row(4, 5, &[0, 6, 10, 16]),
            row(2, 10, &[0, 3, 5, 8, 10, 13, 15, 18]),
            row(1, 20, &[0, 1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 16, 17, 19]),
        ],
    },
    CardTable {
        gib: 16,
        rows: &[
            row(8, 2, &[0, 8]),
            row(4, 4, &[0, 4, 8, 12]),
            row(2, 8, &[0, 2, 4, 6, 8, 10, 12, 14]),
            row(1, 16, STEP_1_TO_15),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// How many placements the vendor's table says that each row has in mixed mode.
    const MIXED: &[(u32, &[u32])] = &[
        (80, &[2, 4, 4, 8, 8, 16, 16]),
        (64, &[2, 4, 8, 16]),
        (40, &[1, 2, 4, 4, 8, 8]),
        (32, &[2, 4, 8, 16, 32]),
        (24, &[2, 2, 4, 4, 8, 8, 16]),
        (20, &[2, 4, 4, 8, 16]),
        (16, &[2, 4, 8, 16]),
    ];

    #[test]
    fn every_row_has_its_placements_on_the_card_and_side_by_side() {
        for (table, (gib, counts)) in TABLES.iter().zip(MIXED) {
            assert_eq!(table.gib, *gib);
            let found: Vec<usize> = table.rows.iter().map(|row| row.ids.len()).collect();
            assert_eq!(found, counts.iter().map(|count| *count as usize).collect::<Vec<_>>(), "{gib} GiB");
            for row in table.rows {
                assert!(row.ids.windows(2).all(|two| two[0] + row.gib <= two[1]), "{gib}/{}", row.gib);
                assert!(row.ids.iter().all(|id| id + row.gib <= table.gib), "{gib}/{}", row.gib);
                assert!(
                    row.ids.len() as u32 <= row.equal && row.equal * row.gib <= table.gib,
                    "{gib}/{}",
                    row.gib
                );
            }
            assert!(table.rows.windows(2).all(|two| two[0].gib > two[1].gib), "the largest first");
        }
        assert_eq!(TABLES.len(), MIXED.len());
    }
}
