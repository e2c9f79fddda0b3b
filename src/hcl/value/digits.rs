//! Numbers in decimal.

use std::fmt;

use num_bigint::BigInt;
use num_traits::{One, Signed, Zero};

use super::Number;
use super::number::{PRECISION, Repr};

/// Digits that tell any two mantissas apart.
const DIGITS: usize = 156;

impl Number {
    /// The fewest digits that read back as this number's magnitude, and where the point stands: the
    /// magnitude is `0.digits * 10^point`. Zero has no digits; an infinite number none either.
    pub fn shortest(&self) -> (String, i64) {
        match &self.0 {
            Repr::Int(0) | Repr::Infinite { .. } => (String::new(), 0),
            Repr::Int(int) => {
                let text = int.unsigned_abs().to_string();
                let point = i64::try_from(text.len()).unwrap_or(0);
                (text.trim_end_matches('0').to_owned(), point)
            }
            Repr::Big(big) => shortest_of(self, &big.0.abs(), big.1),
        }
    }

    /// The magnitude with so many decimals, ties to even; empty for an infinite number.
    pub fn fixed(&self, decimals: u32) -> String {
        let (mantissa, exponent) = match &self.0 {
            Repr::Int(int) => (BigInt::from(int.unsigned_abs()), 0),
            Repr::Big(big) => (big.0.abs(), big.1),
            Repr::Infinite { .. } => return String::new(),
        };
        let scaled = mantissa * BigInt::from(10).pow(decimals);
        let rounded: BigInt = if exponent >= 0 {
            scaled << exponent.unsigned_abs()
        } else {
            let shift = exponent.unsigned_abs();
            let whole: BigInt = &scaled >> shift;
            let rest = scaled - (&whole << shift);
            let half = BigInt::one() << (shift - 1);
            if rest > half || (rest == half && whole.bit(0)) { whole + 1 } else { whole }
        };
        let digits = rounded.to_string();
        let decimals = decimals as usize;
        if decimals == 0 {
            return digits;
        }
        let digits = format!("{digits:0>width$}", width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        format!("{whole}.{fraction}")
    }

    /// The magnitude rounded to so many digits, ties to even, as [`Number::shortest`] gives it.
    pub fn significant(&self, digits: usize) -> (String, i64) {
        let (mantissa, exponent) = match &self.0 {
            Repr::Int(0) | Repr::Infinite { .. } => return (String::new(), 0),
            Repr::Int(int) => (BigInt::from(int.unsigned_abs()), 0),
            Repr::Big(big) => (big.0.abs(), big.1),
        };
        let (_, point) = leading(&mantissa, exponent, 2);
        let digits = i64::try_from(digits.max(1)).unwrap_or(i64::MAX);
        let (mut numerator, mut denominator) = fraction(&mantissa, exponent);
        let scale = digits - point;
        let ten = BigInt::from(10).pow(u32::try_from(scale.unsigned_abs()).unwrap_or(0));
        if scale >= 0 {
            numerator *= ten;
        } else {
            denominator *= ten;
        }
        let mut whole: BigInt = &numerator / &denominator;
        let twice = (numerator - &whole * &denominator) * 2;
        if twice > denominator || (twice == denominator && whole.bit(0)) {
            whole += 1;
        }
        let text = whole.to_string();
        let carry = i64::try_from(text.len()).unwrap_or(digits) - digits;
        (text.trim_end_matches('0').to_owned(), point + carry)
    }
}

impl Number {
    /// The first ten digits as Go's `%.10g` has them: `1.5`, `1e+12`, `1e-05`.
    pub(super) fn ten_digits(&self) -> String {
        if self.is_zero() || self.is_infinite() {
            return self.to_string();
        }
        let sign = if self.is_negative() { "-" } else { "" };
        let (digits, point) = self.significant(10);
        let length = i64::try_from(digits.len()).unwrap_or(10);
        let limit = if length < 10 && length >= point { length } else { 10 };
        if point - 1 < -4 || point > limit {
            let (first, rest) = digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            let (mark, power) = if point > 0 { ('+', point - 1) } else { ('-', 1 - point) };
            return format!("{sign}{first}{dot}{rest}e{mark}{power:02}");
        }
        let pad = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
        if point <= 0 {
            return format!("{sign}0.{}{digits}", pad(-point));
        }
        if length <= point {
            return format!("{sign}{digits}{}", pad(point - length));
        }
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or_default());
        format!("{sign}{whole}.{fraction}")
    }
}

/// Decimal, without an exponent, with the fewest digits that give the same number back.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Int(int) => write!(f, "{int}"),
            Repr::Infinite { negative } => f.write_str(if *negative { "-Inf" } else { "+Inf" }),
            Repr::Big(big) => {
                if big.1 >= 0 && big.0.bits() + big.1.unsigned_abs() <= PRECISION {
                    return write!(f, "{}", &big.0 << big.1.unsigned_abs());
                }
                let (digits, point) = self.shortest();
                if big.0.is_negative() {
                    f.write_str("-")?;
                }
                f.write_str(&plain(&digits, point))
            }
        }
    }
}

/// `0.digits * 10^point`, written out.
fn plain(digits: &str, point: i64) -> String {
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let zeros = |n: i64| "0".repeat(usize::try_from(n).unwrap_or(0));
    if point <= 0 {
        format!("0.{}{digits}", zeros(-point))
    } else if point >= length {
        format!("{digits}{}", zeros(point - length))
    } else {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        format!("{whole}.{fraction}")
    }
}

fn fraction(magnitude: &BigInt, exponent: i64) -> (BigInt, BigInt) {
    if exponent >= 0 {
        (magnitude << exponent.unsigned_abs(), BigInt::one())
    } else {
        (magnitude.clone(), BigInt::one() << exponent.unsigned_abs())
    }
}

/// The first digits of `magnitude * 2^exponent`, at least so many, cut off; and where the point stands.
fn leading(magnitude: &BigInt, exponent: i64, digits: usize) -> (String, i64) {
    let (numerator, denominator) = fraction(magnitude, exponent);
    let bits = i64::try_from(numerator.bits()).unwrap_or(0) - i64::try_from(denominator.bits()).unwrap_or(0);
    let estimate = bits * 30_103 / 100_000;
    let scale = i64::try_from(digits).unwrap_or(0) + 4 - estimate;
    let ten = |n: i64| BigInt::from(10).pow(u32::try_from(n).unwrap_or(0));
    let scaled = if scale >= 0 {
        &numerator * ten(scale) / &denominator
    } else {
        &numerator / (&denominator * ten(-scale))
    };
    if scaled.is_zero() {
        return (String::new(), 0);
    }
    let all = scaled.to_string();
    let point = i64::try_from(all.len()).unwrap_or(0) - scale;
    (all, point)
}

fn shortest_of(number: &Number, magnitude: &BigInt, exponent: i64) -> (String, i64) {
    let (all, point) = leading(magnitude, exponent, DIGITS);
    let absolute = if number.is_negative() { number.negated() } else { number.clone() };
    let at = |n: usize| {
        let (digits, carry) = round_digits(&all, n);
        (digits, point + i64::from(carry))
    };
    let (mut low, mut high) = (1, DIGITS.min(all.len()));
    while low < high {
        let middle = usize::midpoint(low, high);
        let (digits, point) = at(middle);
        let length = i64::try_from(digits.len()).unwrap_or(0);
        let back = Number::parse(&format!("{digits}e{}", point - length));
        if back.is_some_and(|back| back == absolute) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    let (digits, point) = at(low);
    (digits.trim_end_matches('0').to_owned(), point)
}

/// The first `n` of many digits, rounded; whether that added a digit in front.
fn round_digits(all: &str, n: usize) -> (String, bool) {
    if n >= all.len() {
        return (all.to_owned(), false);
    }
    let mut digits = all.as_bytes()[..n].to_vec();
    if all.as_bytes()[n] >= b'5' {
        for digit in digits.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return (String::from_utf8(digits).unwrap_or_default(), false);
            }
            *digit = b'0';
        }
        digits.insert(0, b'1');
        digits.pop();
        return (String::from_utf8(digits).unwrap_or_default(), true);
    }
    (String::from_utf8(digits).unwrap_or_default(), false)
}
