//! Functions of sets, and those that combine whole lists.

use crate::hcl::functions::collection::list;
use crate::hcl::functions::registry::{Fault, Outcome, Table};
use crate::hcl::value::{Type, Value, convert, unify};

/// More combinations than any file should make.
const MAX_PRODUCT: usize = 100_000;

pub fn register(table: &mut Table) {
    let set = || Type::Set(Type::Any.into());
    table.variadic("setunion", &[set()], set(), |args| {
        combine(args, |mut all, other| {
            all.extend_from_slice(other);
            all
        })
    });
    table.variadic("setintersection", &[set()], set(), |args| {
        combine(args, |all, other| all.into_iter().filter(|item| other.contains(item)).collect())
    });
    table.add("setsubtract", &[set(), set()], |args| {
        combine(args, |all, other| all.into_iter().filter(|item| !other.contains(item)).collect())
    });
    table.variadic("setproduct", &[], Type::Any, product);
}

/// Folds sets whose elements were first made of one type.
fn combine(args: &[Value], f: fn(Vec<Value>, &[Value]) -> Vec<Value>) -> Outcome {
    let of = common(args).ok_or("the sets must have elements of one type")?;
    let to = Type::Set(of.into());
    let mut sets =
        args.iter().enumerate().map(|(i, arg)| convert(arg, &to).map_err(|error| Fault::at(i, error)));
    let mut all = match sets.next() {
        Some(first) => first?.as_list().unwrap_or_default().to_vec(),
        None => Vec::new(),
    };
    for set in sets {
        all = f(all, set?.as_list().unwrap_or_default());
    }
    Ok(Value::set(all))
}

fn common(args: &[Value]) -> Option<Type> {
    let types: Vec<Type> =
        args.iter().flat_map(|arg| arg.as_list().unwrap_or_default()).map(Type::of).collect();
    unify(&types)
}

fn product(args: &[Value]) -> Outcome {
    if args.len() < 2 {
        return Err("at least two lists or sets are needed".into());
    }
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for i in 0..args.len() {
        let items = list(args, i)?;
        let of = common(std::slice::from_ref(&args[i]))
            .ok_or_else(|| Fault::at(i, "the elements must be of one type"))?;
        if rows.len().saturating_mul(items.len()) > MAX_PRODUCT {
            return Err(Fault::at(i, format!("more than {MAX_PRODUCT} combinations")));
        }
        let items: Vec<Value> = items
            .iter()
            .map(|item| convert(item, &of).map_err(|error| Fault::at(i, error)))
            .collect::<Result<_, _>>()?;
        rows = rows
            .iter()
            .flat_map(|row| {
                items.iter().map(|item| {
                    let mut row = row.clone();
                    row.push(item.clone());
                    row
                })
            })
            .collect();
    }
    let rows: Vec<Value> = rows.into_iter().map(Value::Tuple).collect();
    let lists = args.iter().all(|arg| !matches!(arg, Value::Set(_)));
    Ok(if lists { Value::List(rows) } else { Value::set(rows) })
}
