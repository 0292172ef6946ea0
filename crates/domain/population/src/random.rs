//! The crate's own small random stream (SplitMix64), so that a seed gives the same bytes whatever
//! version any other crate has. Not for secrets; takes no entropy from outside.

/// A stream of draws fixed by a seed and the number of the stream.
#[derive(Debug, Clone)]
pub(crate) struct Draw(u64);

/// The finalizer of SplitMix64: a bijection over 64 bits that spreads neighbouring inputs apart.
pub(crate) const fn mix(value: u64) -> u64 {
    let a = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    b ^ (b >> 31)
}

impl Draw {
    /// The stream numbered `stream` of `seed`; streams of one seed are independent of each other.
    pub(crate) const fn of(seed: u64, stream: u64) -> Self {
        Self(mix(seed ^ 0x7468_6572_6961_6301).wrapping_add(mix(stream.wrapping_add(1))))
    }

    /// The next 64 bits.
    pub(crate) const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number from 0 up to but not including `n`; 0 when `n` is 0.
    pub(crate) const fn below(&mut self, n: u32) -> u32 {
        (((self.bits() >> 32) * n as u64) >> 32) as u32
    }

    /// A number from `lo` to `hi`, both included; `lo` when the range is empty.
    pub(crate) const fn between(&mut self, lo: i32, hi: i32) -> i32 {
        if hi <= lo {
            return lo;
        }
        lo.wrapping_add(self.below((hi - lo) as u32 + 1) as i32)
    }

    /// A number around 0, at most `spread` away from it, near values more often than far ones.
    pub(crate) const fn wobble(&mut self, spread: i32) -> i32 {
        i32::midpoint(self.between(-spread, spread), self.between(-spread, spread))
    }

    /// True in `percent` of a hundred draws.
    pub(crate) const fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of the items, each as likely as the other; nothing from an empty list.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u32) as usize)
    }

    /// One of the words; the empty string from an empty list.
    pub(crate) fn word(&mut self, words: &[&'static str]) -> &'static str {
        self.pick(words).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_never_changes() {
        let mut draw = Draw::of(1, 0);
        let first: Vec<u64> = (0..3).map(|_| draw.bits()).collect();
        let mut again = Draw::of(1, 0);
        assert_eq!(first, (0..3).map(|_| again.bits()).collect::<Vec<_>>());
        assert_ne!(first[0], Draw::of(1, 1).bits());
        assert_ne!(first[0], Draw::of(2, 0).bits());
        // The published first output of SplitMix64 for state 0.
        assert_eq!(Draw(0).bits(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn draws_stay_in_their_range() {
        let mut draw = Draw::of(7, 7);
        for _ in 0..2_000 {
            assert!(draw.below(3) < 3);
            assert!((-2..=5).contains(&draw.between(-2, 5)));
            assert!(draw.wobble(4).abs() <= 4);
        }
        assert_eq!(draw.below(0), 0);
        assert_eq!(draw.between(5, 5), 5);
        assert_eq!(draw.between(9, 5), 9);
        assert_eq!(draw.word(&[]), "");
    }
}
