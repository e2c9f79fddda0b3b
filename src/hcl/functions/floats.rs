//! Powers and logarithms as Go computes them on amd64: the last digit of a result is part of it.
//!
//! Guarantees: the same operations in the same order as Go's `math` does them, fused where it fuses
//! them. A C library's own functions are as good, and differ in the last place.

#![expect(clippy::float_cmp, reason = "what is compared is exact")]

/// The natural logarithm, by fdlibm's method: `ln(2^k · (1 + f))` with 1 + f around 1.
pub fn ln(x: f64) -> f64 {
    const HIGH: f64 = 6.931_471_803_691_238e-1;
    const LOW: f64 = 1.908_214_929_270_587_7e-10;
    const EVEN: [f64; 4] = [
        6.666_666_666_666_735e-1,
        2.857_142_874_366_239e-1,
        1.818_357_216_161_805e-1,
        1.479_819_860_511_658_6e-1,
    ];
    const ODD: [f64; 3] = [3.999_999_999_940_942e-1, 2.222_219_843_214_978_4e-1, 1.531_383_769_920_937_3e-1];
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    let (mut fraction, mut exponent) = parts(x);
    if fraction < std::f64::consts::FRAC_1_SQRT_2 {
        fraction *= 2.0;
        exponent -= 1;
    }
    let f = fraction - 1.0;
    let k = f64::from(exponent);
    let s = f / (2.0 + f);
    let square = s * s;
    let fourth = square * square;
    let even = square * (EVEN[0] + fourth * (EVEN[1] + fourth * (EVEN[2] + fourth * EVEN[3])));
    let odd = fourth * (ODD[0] + fourth * (ODD[1] + fourth * ODD[2]));
    let half = 0.5 * f * f;
    k * HIGH - ((half - (s * (half + (even + odd)) + k * LOW)) - f)
}

/// e^x, by Shibata's method: a series for a sixteenth of what is left, squared four times.
fn exp(x: f64) -> f64 {
    const HIGH: f64 = 0.693_147_180_559_663;
    const LOW: f64 = 0.282_352_905_630_315_77e-12;
    // 1/8! to 1/2!, and 1.
    const SERIES: [f64; 8] = [
        2.480_158_730_158_73e-5,
        1.984_126_984_126_984e-4,
        1.388_888_888_888_889e-3,
        8.333_333_333_333_333e-3,
        4.166_666_666_666_666_4e-2,
        1.666_666_666_666_666_6e-1,
        0.5,
        1.0,
    ];
    if x.is_nan() || x > 709.782_712_893_384 {
        return x.max(f64::INFINITY);
    }
    let whole = (x * std::f64::consts::LOG2_E).round_ties_even();
    let left = (-whole).mul_add(LOW, (-whole).mul_add(HIGH, x)) * 0.0625;
    let series = SERIES[1..].iter().fold(SERIES[0], |sum, next| sum.mul_add(left, *next));
    let mut grown = left * series;
    for _ in 0..3 {
        grown *= grown + 2.0;
    }
    scaled(grown.mul_add(grown + 2.0, 1.0), int(whole))
}

/// x to the power of y: by squares for the whole part of y, by logarithm for the rest.
pub fn pow(x: f64, y: f64) -> f64 {
    if y == 0.0 || x == 1.0 {
        return 1.0;
    }
    if x == 0.0 || !x.is_finite() || !y.is_finite() || y.abs() >= 9.2e18 {
        return x.powf(y);
    }
    if y == 1.0 {
        return x;
    }
    if y.abs() == 0.5 {
        return if y > 0.0 { x.sqrt() } else { 1.0 / x.sqrt() };
    }
    let (mut whole, mut rest) = (y.abs().trunc(), y.abs().fract());
    if rest != 0.0 && x < 0.0 {
        return f64::NAN;
    }
    let (mut result, mut exponent) = (1.0, 0_i64);
    if rest != 0.0 {
        if rest > 0.5 {
            rest -= 1.0;
            whole += 1.0;
        }
        result = exp(rest * ln(x));
    }
    let (mut factor, power) = parts(x);
    let mut power = i64::from(power);
    let mut left = int(whole);
    while left != 0 {
        if power.abs() > 1 << 12 {
            // Beyond all floats, either way.
            exponent += power;
            break;
        }
        if left & 1 == 1 {
            result *= factor;
            exponent += power;
        }
        factor *= factor;
        power *= 2;
        if factor < 0.5 {
            factor += factor;
            power -= 1;
        }
        left >>= 1;
    }
    if y < 0.0 { scaled(1.0 / result, -exponent) } else { scaled(result, exponent) }
}

/// A whole number well within 64 bits.
fn int(whole: f64) -> i64 {
    format!("{whole:.0}").parse().unwrap_or_default()
}

/// `x = fraction · 2^exponent`, the fraction's magnitude from a half to below 1; x is finite, not 0.
fn parts(x: f64) -> (f64, i32) {
    let (x, shift) = if x.abs() < f64::MIN_POSITIVE { (x * 2_f64.powi(52), -52) } else { (x, 0) };
    let bits = x.to_bits();
    let exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or_default() - 1022;
    (f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52), exponent + shift)
}

/// `x · 2^exponent`, rounded once.
fn scaled(x: f64, exponent: i64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let (fraction, own) = parts(x);
    let exponent = i64::from(own) + exponent;
    match i32::try_from(exponent) {
        Ok(exponent @ -1021..=1024) => fraction * 2.0 * 2_f64.powi(exponent - 1),
        Ok(exponent @ -1080..=-1022) => fraction * 2_f64.powi(exponent + 60) * 2_f64.powi(-60),
        _ if exponent > 0 => fraction * f64::INFINITY,
        _ => fraction * 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_digit_is_that_of_go() {
        // Printed by Nomad.
        for (x, y, wanted) in [
            (3.0, 100.0, 5.153_775_207_320_114e47),
            (0.2, 255.0, 5.789_604_461_865_969_4e-179),
            (9_223_372_036_854_775_808.0, 0.2, 6_208.375_056_426_586_5),
            (7.0, -0.5, 0.377_964_473_009_227_2),
            (2.0, 1.5, 2.828_427_124_746_19),
            (10.0, -1.0, 0.1),
            (-2.0, 3.0, -8.0),
            (2.0, -1074.0, 5e-324),
            (2.0, 2000.0, f64::INFINITY),
            (2.0, -2000.0, 0.0),
        ] {
            assert_eq!(pow(x, y), wanted, "{x} {y}");
        }
        assert_eq!(ln(1.0 / 3.0) / ln(3.0), -1.000_000_000_000_000_2);
        assert_eq!(ln(2.0) / ln(3.0), 0.630_929_753_571_457_5);
        assert_eq!((ln(0.0), ln(1.0)), (f64::NEG_INFINITY, 0.0));
    }
}
