//! Address ranges.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use num_bigint::BigInt;

use crate::hcl::functions::registry::{Fault, Outcome, Table};
use crate::hcl::functions::strings::text;
use crate::hcl::value::{Type, Value};

pub fn register(table: &mut Table) {
    use Type::{Number, String};
    table.add("cidrhost", &[String, Number], host);
    table.add("cidrnetmask", &[String], |args| {
        let range = range(args, 0)?;
        Ok(Value::from(Range { base: range.mask(), ..range }.address()))
    });
    table.add("cidrsubnet", &[String, Number, Number], |args| {
        let range = range(args, 0)?;
        let bits = int(args, 1)?;
        let number = int(args, 2)?;
        if bits > 32 {
            return Err(Fault::at(1, "a subnet has at most 32 bits more"));
        }
        let length = i64::from(range.length).saturating_add(bits);
        if length > i64::from(range.bits) {
            return Err(Fault::at(1, "the address has not so many bits"));
        }
        if bits >= 0 && number.unsigned_abs() >= 1 << bits {
            return Err(Fault::at(2, format!("this subnet's number doesn't fit into {bits} bits")));
        }
        below(&range, length, number)
    });
    table.variadic("cidrsubnets", &[String], Number, subnets);
}

/// A network: its first address, and how many leading bits are its own.
#[derive(Clone, Copy)]
struct Range {
    base: u128,
    length: u32,
    /// 32 or 128.
    bits: u32,
}

impl Range {
    fn mask(&self) -> u128 {
        let all = u128::MAX >> (128 - self.bits);
        all & !(all.checked_shr(self.length).unwrap_or(0))
    }

    fn address(&self) -> String {
        if self.bits == 32 {
            return Ipv4Addr::from(u32::try_from(self.base).unwrap_or(u32::MAX)).to_string();
        }
        Ipv6Addr::from(self.base).to_string()
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address(), self.length)
    }
}

fn range(args: &[Value], i: usize) -> Result<Range, Fault> {
    let given = text(args, i)?;
    let wrong = || Fault::at(i, format!("{given:?} is not a range of addresses such as \"10.0.0.0/8\""));
    let (address, length) = given.split_once('/').ok_or_else(wrong)?;
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let length: u32 = length.parse().map_err(|_| wrong())?;
    let (base, bits, given_bits) = match address.parse::<IpAddr>().map_err(|_| wrong())? {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32, 32),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            // A v4 address in v6 clothes counts as v4, if the range lies within those.
            Some(v4) if length >= 96 => (u128::from(u32::from(v4)), 32, 128),
            _ => (u128::from(v6), 128, 128),
        },
    };
    if length > given_bits {
        return Err(wrong());
    }
    let length = length - (given_bits - bits);
    let mut range = Range { base, length, bits };
    range.base &= range.mask();
    Ok(range)
}

fn int(args: &[Value], i: usize) -> Result<i64, Fault> {
    args[i].as_i64().ok_or_else(|| Fault::at(i, "a whole number is needed"))
}

/// The subnet of a number. Of less than nothing Nomad makes what its arithmetic of endless bits makes of
/// it: the magnitude of the result, if that fits an address, and no text at all for a range without a
/// length.
fn below(range: &Range, length: i64, number: i64) -> Outcome {
    let shift = i64::from(range.bits) - length;
    let too_large = || Fault::at(2, "the result is no address");
    let shift = u32::try_from(shift).ok().filter(|shift| *shift <= 1_000).ok_or_else(too_large)?;
    let whole = BigInt::from(range.base) | BigInt::from(number) << shift;
    let base = u128::try_from(whole.magnitude()).ok();
    let base =
        base.filter(|base| range.bits == 128 || *base <= u128::from(u32::MAX)).ok_or_else(too_large)?;
    let Ok(length) = u32::try_from(length) else { return Ok(Value::from("<nil>")) };
    Ok(Value::from(Range { base, length, ..*range }.to_string()))
}

fn host(args: &[Value]) -> Outcome {
    let range = range(args, 0)?;
    let number = int(args, 1)?;
    let bits = range.bits - range.length;
    let size = 1_u128.checked_shl(bits);
    let distance = u128::from(number.unsigned_abs());
    let offset = match (number < 0, size) {
        (false, Some(size)) => Some(distance).filter(|distance| *distance < size),
        (false, None) => Some(distance),
        (true, Some(size)) => size.checked_sub(distance),
        (true, None) => Some(distance.wrapping_neg()),
    };
    match offset {
        Some(offset) => Ok(Value::from(Range { base: range.base | offset, ..range }.address())),
        None => Err(Fault::at(1, format!("this host's number doesn't fit into {bits} bits"))),
    }
}

fn subnets(args: &[Value]) -> Outcome {
    let range = range(args, 0)?;
    if range.base == 0 && args.len() > 1 {
        // Nomad counts on from the subnet before the first, and there is none.
        return Err(Fault::at(1, "there is no room before the first address"));
    }
    let mut next = Some(range.base);
    let mut found = Vec::new();
    for i in 1..args.len() {
        let bits = int(args, i)?;
        let Some(bits) = u32::try_from(bits).ok().filter(|bits| (1..=32).contains(bits)) else {
            return Err(Fault::at(i, "a subnet has from 1 to 32 bits more"));
        };
        let length = range.length + bits;
        if length > range.bits {
            return Err(Fault::at(i, "the address has not so many bits"));
        }
        let size = 1_u128 << (range.bits - length);
        let base = next.and_then(|next| Some(next.checked_add(size - 1)? & !(size - 1)));
        let Some(base) = base.filter(|base| base & range.mask() == range.base) else {
            return Err(Fault::at(i, "there is no room left for this subnet"));
        };
        found.push(Value::from(Range { base, length, ..range }.to_string()));
        next = base.checked_add(size);
    }
    Ok(Value::List(found))
}
