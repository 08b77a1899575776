//! The thread: leads while the script does not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;

use super::Shared;

pub(super) fn run(shared: &Shared) {
    while catch_unwind(AssertUnwindSafe(|| lead(shared))).is_err() {
        // A fault outside of any source; the locks are free again, so the thread goes on.
    }
    *shared.done.lock().unwrap_or_else(PoisonError::into_inner) = true;
    shared.gone.notify_all();
}

fn lead(shared: &Shared) {
    while let Some(mut desk) = shared.lead.next_turn() {
        while !shared.lead.must_yield() {
            desk.poll(&shared.hub, None);
        }
    }
}
