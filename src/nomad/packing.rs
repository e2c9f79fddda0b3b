//! Whether several jobs fit together: their allocations put on nodes one after another, as Nomad would put
//! them, each where it fills a node most and spread over nodes. Pure.
//!
//! An approximation: the server places jobs in the order in which they come to it, spreads what it is asked
//! to spread, and knows of ports and devices. What doesn't fit here fits there only by luck; what fits here
//! may still be refused for a reason that isn't processor, memory or disk.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::capacity::{Amounts, Dimension, Room};

/// Allocations of one group that need room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub job: String,
    pub group: String,
    pub amounts: Amounts,
    pub count: u64,
    /// Nodes that can't take it, by id.
    pub ruled_out: BTreeSet<String>,
    /// One on every node that can take it, whatever the count says.
    pub everywhere: bool,
}

/// The first allocation that found no room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shortage {
    pub job: String,
    pub group: String,
    /// How many of the group had found room.
    pub placed: u64,
    pub of: u64,
    /// The node that came nearest; none where no node can take it.
    pub on: Option<String>,
    /// What that node lacks: dimension, what is asked, what it has left.
    pub lacks: Vec<(Dimension, i64, i64)>,
}

/// Puts everything that is asked for into the rooms, which are left as they are then; the first that finds
/// no room ends it.
pub fn pack(rooms: &mut [Room], asks: &[Ask]) -> Result<(), Shortage> {
    for ask in asks {
        let open = |room: &Room| !ask.ruled_out.contains(&room.id);
        if ask.everywhere {
            let of = rooms.iter().filter(|room| open(room)).count() as u64;
            for (placed, room) in (0..).zip(rooms.iter_mut().filter(|room| open(room))) {
                if room.free.times(ask.amounts) == 0 {
                    return Err(shortage(ask, placed, of, &[room]));
                }
                room.free = room.free.minus(ask.amounts);
            }
            continue;
        }
        let mut own: BTreeMap<String, u64> = BTreeMap::new();
        for placed in 0..ask.count {
            let score = |room: &Room| score(room, ask, own.get(&room.id).copied().unwrap_or_default());
            let fits = |room: &&mut Room| open(room) && room.free.times(ask.amounts) > 0;
            let best = rooms
                .iter_mut()
                .filter(fits)
                .max_by(|a, b| score(a).total_cmp(&score(b)).then_with(|| b.name.cmp(&a.name)));
            let Some(room) = best else {
                let open: Vec<&Room> = rooms.iter().filter(|room| open(room)).collect();
                return Err(shortage(ask, placed, ask.count, &open));
            };
            room.free = room.free.minus(ask.amounts);
            *own.entry(room.id.clone()).or_default() += 1;
        }
    }
    Ok(())
}

/// The same with the largest first: what fits so fits if somebody sees to the order.
pub fn pack_largest_first(rooms: &mut [Room], asks: &[Ask]) -> Result<(), Shortage> {
    let total = rooms.iter().fold(Amounts::default(), |sum, room| sum.plus(room.total));
    let share = |ask: &Ask| {
        let part = |d: Dimension| ask.amounts.get(d).saturating_mul(1_000_000) / total.get(d).max(1);
        Dimension::ALL.into_iter().map(part).max().unwrap_or_default()
    };
    let mut sorted = asks.to_vec();
    sorted.sort_by_key(|ask| std::cmp::Reverse((ask.everywhere, share(ask))));
    pack(rooms, &sorted)
}

/// How much Nomad would like a node for one more allocation: the fuller the better, and less for each of the
/// same group that it has got already.
#[expect(clippy::cast_precision_loss, reason = "MHz and MiB are far below 2^52")]
fn score(room: &Room, ask: &Ask, own: u64) -> f64 {
    let free =
        |d: Dimension| (room.free.get(d) - ask.amounts.get(d)) as f64 / room.total.get(d).max(1) as f64;
    let empty = 10_f64.powf(free(Dimension::Cpu)) + 10_f64.powf(free(Dimension::Memory));
    let full = (20.0 - empty) / 18.0;
    if own == 0 { full } else { f64::midpoint(full, -((own + 1) as f64) / ask.count as f64) }
}

fn shortage(ask: &Ask, placed: u64, of: u64, open: &[&Room]) -> Shortage {
    let lack = |room: &Room| -> Vec<(Dimension, i64, i64)> {
        let short = room.free.short_of(ask.amounts);
        short.map(|d| (d, ask.amounts.get(d), room.free.get(d).max(0))).collect()
    };
    // The nearest: what it lacks most, as a share of what is asked, is the least.
    let worst = |room: &&&Room| {
        let part =
            |(_, asked, left): (Dimension, i64, i64)| (asked - left).saturating_mul(1000) / asked.max(1);
        lack(room).into_iter().map(part).max()
    };
    let nearest = open.iter().min_by_key(worst);
    Shortage {
        job: ask.job.clone(),
        group: ask.group.clone(),
        placed,
        of,
        on: nearest.map(|room| room.name.clone()),
        lacks: nearest.map(|room| lack(room)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn room(name: &str, cpu: i64) -> Room {
        let free = Amounts { cpu, memory: 1000, disk: 1000 };
        Room { id: name.into(), name: name.into(), total: free, free }
    }

    fn ask(job: &str, cpu: i64, count: u64) -> Ask {
        Ask {
            job: job.into(),
            group: "g".into(),
            amounts: Amounts { cpu, memory: 1, disk: 1 },
            count,
            ruled_out: BTreeSet::new(),
            everywhere: false,
        }
    }

    #[test]
    fn the_first_without_room_is_named_with_what_lacks() {
        let mut rooms = [room("a", 1000), room("b", 1200)];
        let found = pack(&mut rooms, &[ask("x", 600, 2), ask("y", 700, 1)]).unwrap_err();
        assert_eq!((found.job.as_str(), found.placed, found.of), ("y", 0, 1));
        // Each has taken one of x, the fuller first.
        assert_eq!((found.on.as_deref(), &*found.lacks), (Some("b"), &[(Dimension::Cpu, 700, 600)][..]));
        let mut rooms = [room("a", 1000), room("b", 1200)];
        let found = pack(&mut rooms, &[ask("x", 600, 4)]).unwrap_err();
        assert_eq!((found.placed, found.of), (3, 4));
    }

    #[test]
    fn order_may_matter() {
        let rooms = [room("a", 1000), room("b", 1001)];
        let asks = [ask("s", 500, 1), ask("t", 500, 1), ask("l", 1000, 1)];
        assert_eq!(pack(&mut rooms.clone(), &asks), Ok(()));
        // Two of one group are spread, and leave no room for the large one.
        let asks = [ask("s", 500, 2), ask("l", 1000, 1)];
        assert_eq!(pack(&mut rooms.clone(), &asks).unwrap_err().job, "l");
        let asks = [ask("s", 500, 1), ask("m", 600, 1), ask("l", 1000, 1)];
        let rooms = [room("a", 1000), room("b", 1150)];
        assert!(pack(&mut rooms.clone(), &asks).is_err());
        assert_eq!(pack_largest_first(&mut rooms.clone(), &asks), Ok(()));
    }

    #[test]
    fn one_everywhere_and_none_where_it_is_ruled_out() {
        let mut all = Ask { everywhere: true, count: 0, ..ask("system", 600, 0) };
        let mut rooms = [room("a", 1000), room("b", 500)];
        let found = pack(&mut rooms, std::slice::from_ref(&all)).unwrap_err();
        assert_eq!((found.on.as_deref(), found.placed, found.of), (Some("b"), 1, 2));
        all.ruled_out.insert("b".into());
        let mut rooms = [room("a", 1000), room("b", 500)];
        assert_eq!(pack(&mut rooms, std::slice::from_ref(&all)), Ok(()));
        assert_eq!((rooms[0].free.cpu, rooms[1].free.cpu), (400, 500));
    }

    proptest! {
        /// Nothing gets into a room that isn't there, and nothing is lost on the way.
        #[test]
        fn rooms_are_never_overfull(
            free in prop::collection::vec(0..3000_i64, 1..5),
            asks in prop::collection::vec((1..1500_i64, 1..4_u64), 0..6),
        ) {
            let mut rooms: Vec<Room> = free.iter().enumerate().map(|(i, cpu)| room(&i.to_string(), *cpu)).collect();
            let asks: Vec<Ask> = asks.iter().enumerate().map(|(i, (cpu, n))| ask(&i.to_string(), *cpu, *n)).collect();
            let before: i64 = rooms.iter().map(|room| room.free.cpu).sum();
            let done = pack(&mut rooms, &asks);
            prop_assert!(rooms.iter().all(|room| room.free.cpu >= 0));
            let used = before - rooms.iter().map(|room| room.free.cpu).sum::<i64>();
            let wanted: i64 = asks.iter().map(|ask| ask.amounts.cpu * i64::try_from(ask.count).unwrap()).sum();
            match done {
                Ok(()) => prop_assert_eq!(used, wanted),
                Err(shortage) => {
                    let last = &asks[shortage.job.parse::<usize>().unwrap()];
                    prop_assert!(rooms.iter().all(|room| room.free.times(last.amounts) == 0));
                }
            }
        }
    }
}
