//! Positive ratios of integers and a power of ten, for unit factors. Exact until the integers would pass 128
//! bits; then the last digits are rounded away.

use core::cmp::Ordering;

use rust_decimal::Decimal;

/// `over / under * 10^exponent`, both positive and without common factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ratio {
    over: u128,
    under: u128,
    exponent: i32,
}

/// Powers of ten beyond this are no unit's.
const MAX_EXPONENT: i32 = 400;

impl Ratio {
    /// One.
    pub const ONE: Self = Self {
        over: 1,
        under: 1,
        exponent: 0,
    };

    fn new(over: u128, under: u128, exponent: i32) -> Option<Self> {
        if over == 0 || under == 0 || exponent.abs() > MAX_EXPONENT {
            return None;
        }
        let common = gcd(over, under);
        let mut ratio = Self {
            over: over / common,
            under: under / common,
            exponent,
        };
        while ratio.over.is_multiple_of(10) {
            ratio.over /= 10;
            ratio.exponent += 1;
        }
        while ratio.under.is_multiple_of(10) {
            ratio.under /= 10;
            ratio.exponent -= 1;
        }
        Some(ratio)
    }

    /// A power of ten.
    pub(super) fn ten(exponent: i32) -> Option<Self> {
        Self::new(1, 1, exponent)
    }

    /// A whole number.
    pub(super) fn integer(value: u128) -> Option<Self> {
        Self::new(value, 1, 0)
    }

    /// A decimal as UCUM writes one: `1.6605402e-24`. Digits beyond 28 are dropped.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let kept = fraction.get(..28).unwrap_or(fraction);
        let digits: u128 = format!("{whole}{kept}").parse().ok()?;
        let exponent: i32 = exponent.parse().ok()?;
        Self::new(digits, 1, exponent - kept.len() as i32)
    }

    /// `1 / self`
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        Self::new(self.under, self.over, -self.exponent)
    }

    /// `self * other`
    #[must_use]
    pub fn product(&self, other: &Self) -> Option<Self> {
        let (a, b) = (gcd(self.over, other.under), gcd(other.over, self.under));
        let (over, up) = multiply(self.over / a, other.over / b);
        let (under, down) = multiply(self.under / b, other.under / a);
        Self::new(over, under, self.exponent + other.exponent + up - down)
    }

    /// `self / other`
    #[must_use]
    pub fn over(&self, other: &Self) -> Option<Self> {
        self.product(&other.inverse()?)
    }

    /// `self ^ exponent`
    #[must_use]
    pub(super) fn power(&self, exponent: i8) -> Option<Self> {
        let base = if exponent < 0 { self.inverse()? } else { *self };
        (0..exponent.unsigned_abs()).try_fold(Self::ONE, |power, _| power.product(&base))
    }

    /// A decimal times the ratio, rounded to 28 digits; none beyond them.
    #[must_use]
    pub fn times(&self, value: Decimal) -> Option<Decimal> {
        let value = shift(value, self.exponent)?;
        let over = u128_decimal(self.over)?;
        let under = u128_decimal(self.under)?;
        match value.checked_mul(over) {
            Some(product) => product.checked_div(under),
            None => value.checked_div(under)?.checked_mul(over),
        }
    }

    /// Compares `a` with `b * self`; by cross products where they fit, else to 20 places.
    pub(super) fn compare_scaled(&self, a: Decimal, b: Decimal) -> Option<Ordering> {
        let crossed = || {
            let left = a.checked_mul(u128_decimal(self.under)?)?;
            let right = shift(b, self.exponent)?.checked_mul(u128_decimal(self.over)?)?;
            Some(left.cmp(&right))
        };
        crossed().or_else(|| Some(a.round_dp(20).cmp(&self.times(b)?.round_dp(20))))
    }
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// A product and the power of ten dropped from it to make it fit.
fn multiply(mut a: u128, mut b: u128) -> (u128, i32) {
    let mut dropped = 0;
    loop {
        if let Some(product) = a.checked_mul(b) {
            return (product, dropped);
        }
        let larger = if a > b { &mut a } else { &mut b };
        *larger = (*larger + 5) / 10;
        dropped += 1;
    }
}

/// The largest part of a 128-bit number a decimal holds exactly, or a rounded one.
fn u128_decimal(value: u128) -> Option<Decimal> {
    let mut value = value;
    let mut dropped = 0;
    while value >= 1 << 96 {
        value = (value + 5) / 10;
        dropped += 1;
    }
    shift(Decimal::from_i128_with_scale(value as i128, 0), dropped)
}

/// A decimal times a power of ten; none beyond 28 digits.
fn shift(value: Decimal, exponent: i32) -> Option<Decimal> {
    let scale = value.scale() as i32 - exponent;
    if (0..=28).contains(&scale) {
        let mut moved = value;
        moved.set_scale(scale as u32).ok()?;
        return Some(moved);
    }
    let mut moved = value;
    if scale < 0 {
        moved.set_scale(0).ok()?;
        for _ in 0..scale.unsigned_abs().min(30) {
            moved = moved.checked_mul(Decimal::TEN)?;
        }
        return (scale >= -30).then_some(moved);
    }
    moved.set_scale(28).ok()?;
    for _ in 28..scale.min(60) {
        moved = moved.checked_div(Decimal::TEN)?;
    }
    Some(moved)
}
