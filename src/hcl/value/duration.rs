//! Lengths of time as Go writes them.

/// Nanoseconds of `1h30m`, `1.5s`, `-250ms`, `0`. The error says what is wrong with it.
pub fn parse(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is not a length of time, such as \"30s\" or \"1h30m\"");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let limit = 1_u64 << 63;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let whole = digits(rest);
        let mut value: u64 = 0;
        for digit in rest[..whole].bytes() {
            value = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(u64::from(digit - b'0')))
                .filter(|value| *value <= limit)
                .ok_or_else(|| format!("{text:?} is too long a time"))?;
        }
        rest = &rest[whole..];
        let (mut fraction, mut scale, mut decimals) = (0_u64, 1_f64, 0);
        if let Some(after) = rest.strip_prefix('.') {
            decimals = digits(after);
            let mut full = false;
            for digit in after[..decimals].bytes() {
                let next =
                    fraction.checked_mul(10).and_then(|next| next.checked_add(u64::from(digit - b'0')));
                match next.filter(|next| *next < limit) {
                    Some(next) if !full => {
                        fraction = next;
                        scale *= 10.0;
                    }
                    _ => full = true,
                }
            }
            rest = &after[decimals..];
        }
        if whole == 0 && decimals == 0 {
            return Err(wrong());
        }
        let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let unit: u64 = match &rest[..end] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "" => return Err(format!("{text:?} lacks a unit: ns, us, ms, s, m or h")),
            unit => return Err(format!("{unit:?} in {text:?} is not a unit of time (ns, us, ms, s, m, h)")),
        };
        rest = &rest[end..];
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "Go reads fractions by way of a float, and its results are the measure"
        )]
        let part = (fraction as f64 * (unit as f64 / scale)) as u64;
        total = value
            .checked_mul(unit)
            .filter(|value| *value <= limit)
            .and_then(|value| value.checked_add(part))
            .and_then(|value| total.checked_add(value))
            .filter(|total| *total <= limit)
            .ok_or_else(|| format!("{text:?} is too long a time"))?;
    }
    if negative {
        return Ok(0_i64.wrapping_sub_unsigned(total));
    }
    i64::try_from(total).map_err(|_| format!("{text:?} is too long a time"))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn as_go_reads_them() {
        for (text, wanted) in [
            ("30s", 30_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("-2ms", -2_000_000),
            ("0", 0),
            ("+5us", 5_000),
            ("1m0.000000001s", 60_000_000_001),
            ("-9223372036854775808ns", i64::MIN),
        ] {
            assert_eq!(parse(text), Ok(wanted), "{text}");
        }
        for text in ["", "-", "3", "1d", "s", ".s", "1h 2m", "9223372036854775808ns", "99999999999h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
