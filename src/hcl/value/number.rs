//! Numbers as cty has them: binary fractions of 512 bits, so that 0.1 + 0.2 prints as 0.3.

use std::cmp::Ordering;

use num_bigint::{BigInt, Sign};
use num_traits::{One, Signed, ToPrimitive, Zero};

/// Bits of a mantissa.
pub(super) const PRECISION: u64 = 512;
/// Powers of ten beyond this are refused; every power costs time.
const MAX_EXPONENT: i64 = 5_000;
/// Powers of two beyond this, which only repeated multiplication reaches, count as infinite.
const MAX_BINARY: i64 = 64_000;

/// A number; small integers cost nothing.
#[derive(Clone, Debug)]
pub struct Number(pub(super) Repr);

#[derive(Clone, Debug)]
pub(super) enum Repr {
    Int(i64),
    /// `mantissa * 2^exponent`, the mantissa odd and of 512 bits at most; never an i64.
    Big(Box<(BigInt, i64)>),
    Infinite {
        negative: bool,
    },
}

impl Default for Number {
    fn default() -> Self {
        Self(Repr::Int(0))
    }
}

impl Number {
    pub const ZERO: Self = Self(Repr::Int(0));

    /// Reads `-12`, `1.5`, `1e9`. `None` for anything else, and for powers of ten beyond ±5000.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(int) = text.parse::<i64>()
            && !text.starts_with('+')
        {
            return Some(Self(Repr::Int(int)));
        }
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match digits.find(['e', 'E']) {
            Some(at) => (&digits[..at], digits[at + 1..].parse::<i64>().ok()?),
            None => (digits, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: String = [whole, fraction].concat();
        if digits.is_empty() || digits.len() > 10_000 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        let mut number: BigInt = digits.parse().ok()?;
        if negative {
            number = -number;
        }
        if number.is_zero() {
            return Some(Self::ZERO);
        }
        if exponent.abs() > MAX_EXPONENT + 10_000 || exponent > MAX_EXPONENT {
            return None;
        }
        let power = BigInt::from(10).pow(u32::try_from(exponent.unsigned_abs()).ok()?);
        Some(if exponent >= 0 { rounded(number * power, 0) } else { quotient(&number, 0, &power, 0) })
    }

    pub fn from_f64(float: f64) -> Option<Self> {
        if float.is_infinite() {
            return Some(Self(Repr::Infinite { negative: float < 0.0 }));
        }
        if !float.is_finite() {
            return None;
        }
        let bits = float.to_bits();
        let fraction = bits & ((1 << 52) - 1);
        let biased = i64::try_from((bits >> 52) & 0x7ff).ok()?;
        let (mantissa, exponent) =
            if biased == 0 { (fraction, -1074) } else { (fraction | (1 << 52), biased - 1075) };
        let mantissa = BigInt::from(mantissa);
        Some(rounded(if float < 0.0 { -mantissa } else { mantissa }, exponent))
    }

    /// The number, where it is a whole one of 64 bits.
    pub fn as_i64(&self) -> Option<i64> {
        if let Repr::Int(int) = self.0 { Some(int) } else { None }
    }

    pub fn as_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Int(int) => u64::try_from(*int).ok(),
            Repr::Big(_) => self.whole()?.to_u64(),
            Repr::Infinite { .. } => None,
        }
    }

    /// The nearest float.
    pub fn as_f64(&self) -> f64 {
        match &self.0 {
            // Text is rounded to the nearest float; a cast of a big integer would be cut off.
            Repr::Int(_) | Repr::Big(_) => self.to_string().parse().unwrap_or(f64::NAN),
            Repr::Infinite { negative } => {
                if *negative {
                    f64::NEG_INFINITY
                } else {
                    f64::INFINITY
                }
            }
        }
    }

    pub fn is_whole(&self) -> bool {
        match &self.0 {
            Repr::Int(_) => true,
            Repr::Big(big) => big.1 >= 0,
            Repr::Infinite { .. } => false,
        }
    }

    pub fn is_zero(&self) -> bool {
        matches!(self.0, Repr::Int(0))
    }

    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Repr::Int(int) => *int < 0,
            Repr::Big(big) => big.0.is_negative(),
            Repr::Infinite { negative } => *negative,
        }
    }

    pub fn is_infinite(&self) -> bool {
        matches!(self.0, Repr::Infinite { .. })
    }

    /// The whole number it is, where it is one.
    pub fn whole(&self) -> Option<BigInt> {
        match &self.0 {
            Repr::Int(int) => Some(BigInt::from(*int)),
            Repr::Big(big) if big.1 >= 0 => Some(&big.0 << usize::try_from(big.1).ok()?),
            _ => None,
        }
    }

    pub fn from_whole(whole: BigInt) -> Self {
        rounded(whole, 0)
    }

    /// How many bits its digits take, without zeros at the end.
    pub fn bits(&self) -> u64 {
        match &self.0 {
            Repr::Int(0) | Repr::Infinite { .. } => 0,
            Repr::Int(int) => u64::from(64 - int.unsigned_abs().leading_zeros() - int.trailing_zeros()),
            Repr::Big(big) => big.0.bits(),
        }
    }

    fn parts(&self) -> Option<(BigInt, i64)> {
        match &self.0 {
            Repr::Int(int) => Some((BigInt::from(*int), 0)),
            Repr::Big(big) => Some((**big).clone()),
            Repr::Infinite { .. } => None,
        }
    }

    fn infinite(negative: bool) -> Self {
        Self(Repr::Infinite { negative })
    }

    #[must_use]
    pub fn negated(&self) -> Self {
        match &self.0 {
            Repr::Int(int) => int.checked_neg().map_or_else(|| rounded(-BigInt::from(*int), 0), Self::from),
            Repr::Big(big) => rounded(-big.0.clone(), big.1),
            Repr::Infinite { negative } => Self::infinite(!negative),
        }
    }

    /// `None` where infinities cancel.
    pub fn add(&self, other: &Self) -> Option<Self> {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(sum) = a.checked_add(*b)
        {
            return Some(Self::from(sum));
        }
        match (self.parts(), other.parts()) {
            (Some((a, x)), Some((b, y))) => {
                let low = x.min(y);
                let shift = |n: BigInt, e: i64| n << usize::try_from(e - low).unwrap_or(0);
                Some(rounded(shift(a, x) + shift(b, y), low))
            }
            (None, Some(_)) => Some(self.clone()),
            (Some(_), None) => Some(other.clone()),
            (None, None) => (self.is_negative() == other.is_negative()).then(|| self.clone()),
        }
    }

    pub fn subtract(&self, other: &Self) -> Option<Self> {
        self.add(&other.negated())
    }

    /// `None` for zero times infinity.
    pub fn multiply(&self, other: &Self) -> Option<Self> {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(product) = a.checked_mul(*b)
        {
            return Some(Self::from(product));
        }
        if let (Some((a, x)), Some((b, y))) = (self.parts(), other.parts()) {
            return Some(rounded(a * b, x + y));
        }
        if self.is_zero() || other.is_zero() {
            return None;
        }
        Some(Self::infinite(self.is_negative() != other.is_negative()))
    }

    /// Division by zero gives infinity, as in cty; `None` for zero by zero and infinity by infinity.
    pub fn divide(&self, other: &Self) -> Option<Self> {
        if other.is_zero() {
            return if self.is_zero() { None } else { Some(Self::infinite(self.is_negative())) };
        }
        match (self.parts(), other.parts()) {
            (Some((a, x)), Some((b, y))) => Some(quotient(&a, x, &b, y)),
            (Some(_), None) => Some(Self::ZERO),
            (None, Some(_)) => Some(Self::infinite(self.is_negative() != other.is_negative())),
            (None, None) => None,
        }
    }

    /// The remainder of division towards zero; of division by zero, the number itself.
    pub fn modulo(&self, other: &Self) -> Option<Self> {
        if other.is_zero() || other.is_infinite() || self.is_infinite() {
            return Some(self.clone());
        }
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0) {
            return Some(Self::from(a.checked_rem(*b).unwrap_or(0)));
        }
        let times = self.divide(other)?.truncated();
        self.subtract(&other.multiply(&times)?)
    }

    /// Towards zero.
    #[must_use]
    pub fn truncated(&self) -> Self {
        match &self.0 {
            Repr::Big(big) if big.1 < 0 => {
                let shift = usize::try_from(-big.1).unwrap_or(usize::MAX);
                let whole = big.0.abs() >> shift;
                rounded(if big.0.is_negative() { -whole } else { whole }, 0)
            }
            _ => self.clone(),
        }
    }

    #[must_use]
    pub fn floor(&self) -> Self {
        let truncated = self.truncated();
        if self.is_negative() && truncated != *self {
            return truncated.subtract(&Self::from(1_i64)).unwrap_or(truncated);
        }
        truncated
    }

    #[must_use]
    pub fn ceil(&self) -> Self {
        self.negated().floor().negated()
    }
}

/// `mantissa * 2^exponent` to the nearest 512-bit number, ties to even.
fn rounded(mut mantissa: BigInt, mut exponent: i64) -> Number {
    let bits = mantissa.bits();
    if bits > PRECISION {
        let drop = bits - PRECISION;
        let negative = mantissa.is_negative();
        let magnitude = mantissa.abs();
        let mut kept = &magnitude >> drop;
        let rest = &magnitude - (&kept << drop);
        let half = BigInt::one() << (drop - 1);
        let up = match rest.cmp(&half) {
            Ordering::Greater => true,
            Ordering::Equal => kept.bit(0),
            Ordering::Less => false,
        };
        if up {
            kept += 1;
        }
        mantissa = if negative { -kept } else { kept };
        exponent += i64::try_from(drop).unwrap_or(i64::MAX);
    }
    if mantissa.is_zero() {
        return Number::ZERO;
    }
    let zeros = mantissa.trailing_zeros().unwrap_or(0);
    mantissa >>= zeros;
    exponent = exponent.saturating_add(i64::try_from(zeros).unwrap_or(0));
    if exponent > MAX_BINARY {
        return Number::infinite(mantissa.sign() == Sign::Minus);
    }
    if exponent < -MAX_BINARY {
        return Number::ZERO;
    }
    if (0..64).contains(&exponent)
        && mantissa.bits() + exponent.unsigned_abs() <= 64
        && let Some(int) = (&mantissa << exponent.unsigned_abs()).to_i64()
    {
        return Number(Repr::Int(int));
    }
    Number(Repr::Big(Box::new((mantissa, exponent))))
}

/// `a * 2^x / (b * 2^y)`; `b` is not zero.
fn quotient(a: &BigInt, x: i64, b: &BigInt, y: i64) -> Number {
    let shift = (PRECISION + 2 + b.bits()).saturating_sub(a.bits());
    let dividend: BigInt = a << shift;
    let mut result = &dividend / b;
    // What is left over lies beyond the last bit; one more bit keeps rounding honest.
    let exact = (&result * b) == dividend;
    result <<= 1;
    if !exact {
        if result.is_negative() || (result.is_zero() && (a.is_negative() != b.is_negative())) {
            result -= 1;
        } else {
            result += 1;
        }
    }
    rounded(result, x - y - i64::try_from(shift).unwrap_or(0) - 1)
}

impl From<i64> for Number {
    fn from(int: i64) -> Self {
        Self(Repr::Int(int))
    }
}

impl From<u64> for Number {
    fn from(int: u64) -> Self {
        rounded(BigInt::from(int), 0)
    }
}

impl From<usize> for Number {
    fn from(int: usize) -> Self {
        rounded(BigInt::from(int), 0)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0) {
            return a.cmp(b);
        }
        match (self.parts(), other.parts()) {
            (Some((a, x)), Some((b, y))) => {
                let low = x.min(y);
                let shift = |n: BigInt, e: i64| n << usize::try_from(e - low).unwrap_or(0);
                shift(a, x).cmp(&shift(b, y))
            }
            (None, Some(_)) => {
                if self.is_negative() {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (Some(_), None) => {
                if other.is_negative() {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (None, None) => other.is_negative().cmp(&self.is_negative()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn n(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn decimals_stay_decimal() {
        assert_eq!(n("0.1").add(&n("0.2")).unwrap().to_string(), "0.3");
        assert_eq!(n("1.50").to_string(), "1.5");
        assert_eq!(n("1e3").to_string(), "1000");
        assert_eq!(n("1e-7").to_string(), "0.0000001");
        assert_eq!(n("12345678901234567890").to_string(), "12345678901234567890");
        assert_eq!(n("1").divide(&n("3")).unwrap().multiply(&n("3")).unwrap().to_string(), "1");
        assert_eq!(n("1").divide(&n("3")).unwrap().to_string().len(), 157);
        assert_eq!(n("7").modulo(&n("0")).unwrap(), n("7"));
        assert_eq!(n("-7").modulo(&n("3")).unwrap(), n("-1"));
        assert_eq!(n("5.5").modulo(&n("2")).unwrap(), n("1.5"));
        assert_eq!(n("1").divide(&n("0")).unwrap().to_string(), "+Inf");
        assert_eq!(n("-1.5").floor(), n("-2"));
        assert_eq!(n("-1.5").ceil(), n("-1"));
        assert_eq!(n("1e400").to_string().len(), 401);
        assert!(Number::parse("1e99999").is_none());
    }

    proptest! {
        #[test]
        fn text_reads_back(a in any::<f64>().prop_filter("finite", |f| f.is_finite())) {
            let number = Number::from_f64(a).unwrap();
            prop_assert_eq!(n(&number.to_string()), number.clone());
            prop_assert_eq!(number.as_f64().to_bits(), if a == 0.0 { 0 } else { a.to_bits() });
        }

        #[test]
        fn integers_agree(a in any::<i64>(), b in any::<i64>()) {
            let (x, y) = (Number::from(a), Number::from(b));
            let wide = i128::from(a) + i128::from(b);
            prop_assert_eq!(x.add(&y).unwrap().to_string(), wide.to_string());
            let wide = i128::from(a) * i128::from(b);
            prop_assert_eq!(x.multiply(&y).unwrap().to_string(), wide.to_string());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }
    }
}
