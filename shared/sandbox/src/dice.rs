//! Deterministic randomness: every throw is a pure function of (seed, index, purpose).
//!
//! A generator that hands out numbers in sequence would tie the value of one column to the number of throws made for the
//! columns before it, and the three tables of an archive could not be written in separate passes. Here each question has
//! its own stream. The mixing function is SplitMix64 (Steele, Lea and Flood, 2014); nothing here is fit for secrets.

/// SplitMix64's finaliser: spreads every bit of `value` over the result.
pub const fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Folds a text into 64 bits (FNV-1a, then mixed), for keys derived from names.
pub fn mix_text(text: &str) -> u64 {
    let folded = text
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    mix(folded)
}

/// The dice of one record.
#[derive(Clone, Copy, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice for record `index` of the world `seed`.
    pub const fn new(seed: u64, index: u64) -> Self {
        Self(mix(mix(seed) ^ index.wrapping_mul(0xD6E8_FEB8_6659_FD93)))
    }

    /// 64 random bits for `purpose`.
    pub const fn bits(self, purpose: u64) -> u64 {
        mix(self.0 ^ purpose.wrapping_mul(0xA076_1D64_78BD_642F))
    }

    /// A number below `bound` (0 when `bound` is 0).
    pub fn below(self, purpose: u64, bound: u64) -> u64 {
        self.bits(purpose).checked_rem(bound).unwrap_or(0)
    }

    /// True in `per_mille` of 1000 records.
    pub fn chance(self, purpose: u64, per_mille: u64) -> bool {
        self.below(purpose, 1000) < per_mille
    }

    /// A number from 0 (included) to 1 (excluded).
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
    pub fn unit(self, purpose: u64) -> f64 {
        (self.bits(purpose) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of the items; the first when the list is empty is a defect of the caller, hence the array type.
    pub fn pick<T: Copy, const N: usize>(self, purpose: u64, items: &[T; N]) -> T {
        items[usize::try_from(self.below(purpose, N as u64)).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_are_independent_and_repeatable() {
        let dice = Dice::new(42, 7);
        assert_eq!(dice.bits(1), Dice::new(42, 7).bits(1));
        assert_ne!(dice.bits(1), dice.bits(2));
        assert_ne!(dice.bits(1), Dice::new(42, 8).bits(1));
        assert_ne!(dice.bits(1), Dice::new(43, 7).bits(1));
    }

    #[test]
    fn chances_come_out_as_asked() {
        let hits = (0..100_000).filter(|&index| Dice::new(1, index).chance(9, 600)).count();
        assert!((59_000..61_000).contains(&hits), "{hits}");
    }
}
