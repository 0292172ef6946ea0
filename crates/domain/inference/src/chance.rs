//! Random numbers without randomness: SplitMix64 from a seed the caller gives (Steele, Lea and Flood, "Fast
//! splittable pseudorandom number generators", OOPSLA 2014, figure 19). The same seed draws the same numbers
//! on every machine, so that an answer can be replayed. Not for keys, tokens or anything secret.

/// A generator; where it stands is its seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chance(u64);

impl Chance {
    /// Starts at the seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Starts at the first eight bytes of a digest, for draws that belong to one input.
    #[must_use]
    pub fn of_digest(digest: &[u8; 32]) -> Self {
        let mut seed = 0_u64;
        for byte in digest.iter().take(8) {
            seed = (seed << 8) | u64::from(*byte);
        }
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1), on 53 bits.
    pub const fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Uniform below the limit without bias (Lemire 2019); 0 for a limit of 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = limit as u64;
        if limit == 0 {
            return 0;
        }
        let reject = limit.wrapping_neg() % limit;
        loop {
            let wide = u128::from(self.bits()) * u128::from(limit);
            if (wide as u64) >= reject {
                return (wide >> 64) as usize;
            }
        }
    }

    /// Standard normal (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (core::f64::consts::TAU * self.unit()).cos()
    }

    /// Shuffles in place (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_reference() {
        // The first outputs of the reference implementation in C for seed 1234567.
        let mut chance = Chance::new(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        for value in expected {
            assert_eq!(chance.bits(), value);
        }
    }

    #[test]
    fn draws_are_even_and_shuffles_keep_everything() {
        let mut chance = Chance::new(5);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[chance.below(7)] += 1;
        }
        // Chi-square with 6 degrees of freedom: 22.46 is its 99.9 % point.
        let statistic: f64 = counts
            .iter()
            .map(|count| (f64::from(*count) - 10_000.0).powi(2) / 10_000.0)
            .sum();
        assert!(statistic < 22.46, "{counts:?}");
        let mut items: Vec<u32> = (0..50).collect();
        chance.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<u32>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<u32>>());
        let draws: Vec<f64> = (0..20_000).map(|_| chance.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let square = draws.iter().map(|v| v * v).sum::<f64>() / 20_000.0;
        assert!(
            mean.abs() < 0.03 && (square - 1.0).abs() < 0.05,
            "{mean} {square}"
        );
    }
}
