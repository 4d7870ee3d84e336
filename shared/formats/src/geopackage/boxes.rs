//! The boxes of the R-tree, gathered and put in order before they are inserted.
//!
//! Rows come in the order of a key, their places are anywhere: each insertion would read and write pages of its own, far more
//! of them than SQLite's cache holds. In the order of a Morton curve neighbours follow each other, and a page is changed many
//! times while it is there. (1,000,000 scattered rows: two thirds of the time were insertions into the R-tree.) A batch has
//! a fixed size, so memory is bounded, and the order depends on nothing but the rows.

use rusqlite::Connection;

use crate::geometry::Bounds;

/// Boxes of a batch: 3 MiB.
const BATCH: usize = 1 << 16;

/// A batch of boxes that are not inserted yet.
#[derive(Default)]
pub(super) struct Boxes {
    /// Place on the curve, key of the row, box.
    batch: Vec<(u64, i64, Bounds)>,
}

impl Boxes {
    /// Keeps a box, and inserts a batch that is full.
    pub(super) fn add(
        &mut self,
        row: i64,
        bounds: Bounds,
        database: &Connection,
        insert: &str,
    ) -> rusqlite::Result<()> {
        self.batch.push((place(&bounds), row, bounds));
        if self.batch.len() >= BATCH { self.insert(database, insert) } else { Ok(()) }
    }

    /// Inserts what was kept. An R-tree has single precision, and rounds outwards by itself.
    pub(super) fn insert(&mut self, database: &Connection, insert: &str) -> rusqlite::Result<()> {
        self.batch.sort_unstable_by_key(|(place, row, _)| (*place, *row));
        let mut statement = database.prepare_cached(insert)?;
        for (_, row, bounds) in self.batch.drain(..) {
            statement.execute((row, bounds.min_x, bounds.max_x, bounds.min_y, bounds.max_y))?;
        }
        Ok(())
    }
}

/// Where the middle of a box lies on the Morton curve through all longitudes and latitudes.
fn place(bounds: &Bounds) -> u64 {
    let x = bounds.min_x.midpoint(bounds.max_x);
    let y = bounds.min_y.midpoint(bounds.max_y);
    spread(grid(x / 360.0 + 0.5)) | spread(grid(y / 180.0 + 0.5)) << 1
}

/// A part of one in 32 bits.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, which is as good an order as any"
)]
fn grid(part: f64) -> u32 {
    (part * f64::from(u32::MAX)) as u32
}

/// Puts a zero before each bit.
fn spread(bits: u32) -> u64 {
    let mut spread = u64::from(bits);
    for (shift, mask) in [
        (16, 0x0000_FFFF_0000_FFFF),
        (8, 0x00FF_00FF_00FF_00FF),
        (4, 0x0F0F_0F0F_0F0F_0F0F),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        spread = (spread | spread << shift) & mask;
    }
    spread
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn at(x: f64, y: f64) -> u64 {
        place(&Bounds { min_x: x, max_x: x, min_y: y, max_y: y })
    }

    #[test]
    fn bits_are_interleaved() {
        assert_eq!(spread(0b1011), 0b100_0101);
        assert_eq!(spread(u32::MAX), 0x5555_5555_5555_5555);
    }

    #[test]
    fn neighbours_are_near_on_the_curve_and_no_place_is_off_it() {
        assert!(at(2.0, 48.0).abs_diff(at(2.000_001, 48.000_001)) < at(2.0, 48.0).abs_diff(at(-60.0, 4.0)));
        assert_eq!(at(-180.0, -90.0), 0);
        assert_eq!(at(1e300, 1e300), u64::MAX);
    }

    #[test]
    fn each_box_is_inserted_once_under_the_key_of_its_row() {
        let database = Connection::open_in_memory().unwrap();
        database.execute_batch("BEGIN; CREATE VIRTUAL TABLE boxes USING rtree(id, minx, maxx, miny, maxy)").unwrap();
        let (mut boxes, insert) = (Boxes::default(), "INSERT INTO boxes VALUES (?,?,?,?,?)");
        let rows = i64::try_from(BATCH).unwrap() + 10;
        for row in 1..=rows {
            // Neighbouring rows are far from each other.
            let (row_x, row_y) =
                (i32::try_from(row * 7919 % 360).unwrap(), i32::try_from(row * 104_729 % 180).unwrap());
            let (x, y) = (f64::from(row_x) - 180.0, f64::from(row_y) - 90.0);
            boxes.add(row, Bounds { min_x: x, max_x: x, min_y: y, max_y: y }, &database, insert).unwrap();
        }
        boxes.insert(&database, insert).unwrap();
        let query = "SELECT count(*), sum(minx = id * 7919 % 360 - 180 AND miny = id * 104729 % 180 - 90) FROM boxes";
        let counts = database.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(counts, (rows, rows));
    }
}
