//! The special functions the statistics here stand on: log-gamma (Lanczos; Press et al., "Numerical Recipes",
//! 6.1), incomplete gamma (6.2), normal and chi-square distributions with their quantiles. Doubles with a
//! relative error near 1e-12 where tests use them. Must not know what is tested with them.

/// ln of the gamma function, for positive numbers (Lanczos with g = 7 and nine terms).
#[must_use]
pub fn ln_gamma(x: f64) -> f64 {
    const FIRST: f64 = 0.999_999_999_999_809_9;
    const TERMS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        // Reflection: gamma(x) gamma(1 - x) = pi / sin(pi x).
        let pi = core::f64::consts::PI;
        return (pi / (pi * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let mut sum = FIRST;
    let mut place = 1.0;
    for term in TERMS {
        sum += term / (x + place);
        place += 1.0;
    }
    let t = x + 7.5;
    0.5 * core::f64::consts::TAU.ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// ln of "n choose k".
#[must_use]
pub fn ln_choose(n: f64, k: f64) -> f64 {
    ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0)
}

/// The upper regularised incomplete gamma function Q(a, x).
#[must_use]
pub fn gamma_upper(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let mut term = 1.0 / a;
        let mut sum = term;
        let mut place = a;
        for _ in 0..1_000 {
            place += 1.0;
            term *= x / place;
            sum += term;
            if term < sum * 1e-16 {
                break;
            }
        }
        return (1.0 - front * sum).clamp(0.0, 1.0);
    }
    (front * upper_fraction(a, x)).clamp(0.0, 1.0)
}

/// The continued fraction of Q(a, x) by Lentz's method.
fn upper_fraction(a: f64, x: f64) -> f64 {
    let tiny = 1e-300;
    let mut partial = x + 1.0 - a;
    let mut above = 1.0 / tiny;
    let mut below = 1.0 / partial;
    let mut value = below;
    for i in 1..1_000 {
        let i = f64::from(i);
        let numerator = -i * (i - a);
        partial += 2.0;
        below = 1.0 / nonzero(numerator * below + partial, tiny);
        above = nonzero(partial + numerator / above, tiny);
        let step = below * above;
        value *= step;
        if (step - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

fn nonzero(value: f64, tiny: f64) -> f64 {
    if value.abs() < tiny { tiny } else { value }
}

/// The chance that a chi-square variable with these degrees of freedom exceeds the value.
#[must_use]
pub fn chi_square_tail(value: f64, degrees: f64) -> f64 {
    gamma_upper(degrees / 2.0, value / 2.0)
}

/// The value a chi-square variable exceeds with the given chance, by bisection.
#[must_use]
pub fn chi_square_point(tail: f64, degrees: f64) -> f64 {
    let mut high = degrees + 10.0;
    while chi_square_tail(high, degrees) > tail && high < 1e9 {
        high *= 2.0;
    }
    bisect(0.0, high, |x| chi_square_tail(x, degrees) > tail)
}

/// The chance that a standard normal variable exceeds the value.
#[must_use]
pub fn normal_tail(value: f64) -> f64 {
    let half = gamma_upper(0.5, value * value / 2.0) / 2.0;
    if value >= 0.0 { half } else { 1.0 - half }
}

/// The value a standard normal variable exceeds with the given chance, by bisection.
#[must_use]
pub fn normal_point(tail: f64) -> f64 {
    bisect(-40.0, 40.0, |x| normal_tail(x) > tail)
}

/// Where a falling condition turns false between two numbers.
#[must_use]
pub fn bisect(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..200 {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low + (high - low) / 2.0
}

/// The logistic function, without overflow.
#[must_use]
pub fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        let e = z.exp();
        e / (1.0 + e)
    }
}

/// ln(p / (1 - p)), with p kept 1e-15 away from 0 and 1.
#[must_use]
pub fn logit(p: f64) -> f64 {
    let p = p.clamp(1e-15, 1.0 - 1e-15);
    (p / (1.0 - p)).ln()
}

/// ln of the sum of exponentials, without overflow.
#[must_use]
pub fn log_sum_exp(values: &[f64]) -> f64 {
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return most;
    }
    most + values.iter().map(|v| (v - most).exp()).sum::<f64>().ln()
}

/// Exponentials over their sum.
#[must_use]
pub fn softmax(values: &[f64]) -> Vec<f64> {
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = values.iter().map(|v| (v - most).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / total).collect()
}

/// The mean; 0 of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        let scale = expected.abs().max(1e-12);
        assert!(
            (found - expected).abs() <= 1e-9 * scale,
            "{found} is not {expected}"
        );
    }

    #[test]
    fn values_are_those_of_the_tables() {
        close(ln_gamma(0.5), 0.572_364_942_924_700_1);
        close(ln_gamma(10.0), 12.801_827_480_081_469);
        close(ln_choose(10.0, 3.0), 120_f64.ln());
        close(normal_tail(1.959_963_984_540_054), 0.025);
        close(normal_tail(-1.0), 0.841_344_746_068_543);
        close(normal_point(0.025), 1.959_963_984_540_054);
        close(chi_square_tail(16.918_977_604_620_45, 9.0), 0.05);
        close(chi_square_point(0.01, 9.0), 21.665_994_333_461_94);
        close(chi_square_tail(1.0, 1.0), 0.317_310_507_862_914_2);
    }

    #[test]
    fn extremes_neither_overflow_nor_vanish() {
        assert!((sigmoid(-800.0)).abs() < 1e-300 && (sigmoid(800.0) - 1.0).abs() < 1e-15);
        close(log_sum_exp(&[1_000.0, 1_000.0]), 1_000.0 + 2_f64.ln());
        close(softmax(&[-1_000.0, -1_000.0])[0], 0.5);
        assert!(logit(0.0).is_finite() && logit(1.0).is_finite());
    }
}
