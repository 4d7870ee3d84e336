//! Which bytes of the file are still missing. Pure.
//!
//! The file is cut into parts of one size, numbered from 0; the last is shorter. A part in the store counts when it has exactly the
//! size that its number asks for, so a store whose parts belong to another cutting is simply empty.

use std::collections::BTreeMap;

/// How a file is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutting {
    /// Size of the file in bytes, above 0.
    pub size_bytes: u64,
    /// Size of every part but the last in bytes, above 0.
    pub part_bytes: u64,
}

/// One part: its number and its bytes in the file, `last` included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Number, from 0.
    pub number: u64,
    /// First byte.
    pub first: u64,
    /// Last byte.
    pub last: u64,
}

impl Part {
    /// Size in bytes.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.last - self.first + 1
    }
}

impl Cutting {
    /// Number of parts.
    #[must_use]
    pub fn parts(&self) -> u64 {
        self.size_bytes.div_ceil(self.part_bytes.max(1))
    }

    /// The part of that number, if the file has it.
    #[must_use]
    pub fn part(&self, number: u64) -> Option<Part> {
        let first = number.checked_mul(self.part_bytes).filter(|first| *first < self.size_bytes)?;
        let last = first.saturating_add(self.part_bytes).min(self.size_bytes) - 1;
        Some(Part { number, first, last })
    }

    /// The first part that is not there in its right size; none when the file is whole. `present` is size by number.
    #[must_use]
    pub fn first_missing(&self, present: &BTreeMap<u64, u64>) -> Option<Part> {
        (0..self.parts())
            .filter_map(|number| self.part(number))
            .find(|part| present.get(&part.number) != Some(&part.len_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUTTING: Cutting = Cutting { size_bytes: 25, part_bytes: 10 };

    #[test]
    fn the_parts_cover_the_file_and_nothing_else() {
        assert_eq!(CUTTING.part(0), Some(Part { number: 0, first: 0, last: 9 }));
        assert_eq!(CUTTING.part(2), Some(Part { number: 2, first: 20, last: 24 }));
        assert_eq!(CUTTING.part(3), None);
        assert_eq!(Cutting { size_bytes: 20, part_bytes: 10 }.parts(), 2);
        assert_eq!(Cutting { size_bytes: 5, part_bytes: u64::MAX }.part(0).map(|part| part.last), Some(4));
    }

    #[test]
    fn fetching_goes_on_at_the_first_missing_part() {
        let mut present = BTreeMap::from([(0, 10), (2, 5)]);
        assert_eq!(CUTTING.first_missing(&present).map(|part| part.number), Some(1));
        present.insert(1, 10);
        assert_eq!(CUTTING.first_missing(&present), None);
    }

    #[test]
    fn a_part_of_another_size_does_not_count() {
        let present = BTreeMap::from([(0, 10), (1, 9), (2, 5)]);
        assert_eq!(CUTTING.first_missing(&present).map(|part| part.number), Some(1));
    }
}
