//! The same for each of many things, on several threads.
//!
//! Guarantees: whoever asks waits until all is done; nothing of it outlives the call, and no clock is asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Enough for what the readers nest, in unoptimised builds too.
const STACK: usize = 8 << 20;

/// As many as there are cores.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// What `make` makes of each, in their order, on so many threads at most.
pub fn each<T: Sync, R: Send>(threads: usize, items: &[T], make: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = threads.min(items.len());
    if threads < 2 {
        return items.iter().map(make).collect();
    }
    let next = AtomicUsize::new(0);
    let made = Mutex::new(BTreeMap::new());
    let work = || {
        while let Some((at, item)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, items.get(at)?)))
        {
            let one = make(item);
            made.lock().unwrap_or_else(PoisonError::into_inner).insert(at, one);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // Where no more threads can be had, the others do it.
            let _ = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        }
        work();
    });
    made.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_done_once_and_in_order() {
        let items: Vec<usize> = (0..500).collect();
        for threads in [0, 1, 2, 8] {
            let done = AtomicUsize::new(0);
            let twice = each(threads, &items, |item| {
                done.fetch_add(1, Ordering::Relaxed);
                item * 2
            });
            assert_eq!(twice, items.iter().map(|item| item * 2).collect::<Vec<_>>());
            assert_eq!(done.into_inner(), items.len());
        }
    }
}
