//! The thread: leads while the script does not.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::limits;
use crate::net::hub::Hub;
use crate::net::panic::catch_panic;
use crate::reactor::lead::Lead;
use crate::reactor::leader::Leader;
use crate::sync::Arc;

/// What the thread and the script's side share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) hub: Arc<Hub>,
    pub(super) lead: Lead<Leader>,
    pub(super) done: Mutex<bool>,
    pub(super) gone: Condvar,
}

pub(super) fn run(shared: &Shared) {
    while catch_panic(|| lead(shared)).is_none() {
        // A fault outside of any source; the locks are free again, so the thread goes on. What it
        // had been woken for is looked at again; the pause keeps a fault that stays from spinning.
        shared.hub.wake.wake();
        std::thread::sleep(limits::FAULT_PAUSE);
    }
    *shared.done.lock().unwrap_or_else(PoisonError::into_inner) = true;
    shared.gone.notify_all();
}

fn lead(shared: &Shared) {
    let mut pumps = shared.lead.pumps();
    while let Some(mut leader) = shared.lead.next_turn(pumps) {
        pumps = shared.lead.pumps();
        while !shared.lead.must_yield(pumps) {
            leader.poll(&shared.hub, Instant::now(), None, None);
        }
    }
}
