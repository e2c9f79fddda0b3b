//! Address ranges.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
        let length = u32::try_from(bits).ok().and_then(|bits| range.length.checked_add(bits));
        let Some(length) = length.filter(|length| *length <= range.bits) else {
            return Err(Fault::at(1, "the address has not so many bits"));
        };
        let bits = length - range.length;
        let number = u128::try_from(number).ok().filter(|number| bits >= 128 || *number < 1 << bits);
        let Some(number) = number else {
            return Err(Fault::at(2, format!("this subnet's number doesn't fit into {bits} bits")));
        };
        let base = range.base | number.checked_shl(range.bits - length).unwrap_or(0);
        Ok(Value::from(Range { base, length, ..range }.to_string()))
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
