//! A timer is due.
//!
//! Not here: which timer (`dispatch`). Invariant: while its handler runs it is not called again.

use crate::lua::class::anchor::unregister;
use crate::lua::class::object::{Object, Part};
use crate::lua::ffi::stack::Stack;
use crate::lua::run::arguments::Argument;
use crate::lua::run::call::call;
use crate::lua::run::events::EventNumber;
use crate::lua::run::handlers::{Base, Outcome};
use crate::lua::run::trace::tell;

/// Hands the event to the timer on top of the stack.
pub(in crate::lua) fn timer_event(stack: Stack, base: Base, object: &Object) -> Outcome {
    let state = &*object.state;
    let Part::Timer(part) = &object.part else { return Outcome::Dropped };
    let last = !part.repeats.get();
    if !part.background.get() {
        tell(object, || "due".into());
    }
    let skips = !last && part.is_running.get();
    if !last {
        // The next call keeps the phase; missed ones are left out.
        let (now, period) = (state.now(), part.period.get());
        let mut due = part.due.get() + period;
        if due < now && period > 0.0 {
            due = now + period - (now - part.due.get()) % period;
        }
        part.due.set(due.max(now));
        if let (Some(timer), Some(hub)) = (part.timer.borrow().as_ref(), state.hub()) {
            timer.rearm(hub, state.moment(due), hub.now());
        }
    } else if let Some(token) = object.token.get() {
        object.let_go();
        unregister(stack, object, token);
    }
    if skips {
        // Its handler is pumping: it would be called inside of itself, deeper and deeper.
        stack.pop(1);
        return Outcome::Silent;
    }
    let argument = Argument::Timer { last };
    if last {
        return call(stack, base, EventNumber::Timer, argument, state);
    }
    part.is_running.set(true);
    // Kept below: the handler may drop the last reference, or finalise it.
    stack.push_value(-1);
    let outcome = call(stack, base, EventNumber::Timer, argument, state);
    let index = stack.top() - if outcome == Outcome::Raised { 2 } else { 0 };
    if let Some(Part::Timer(part)) = Object::at(stack, index).map(|timer| &timer.part) {
        part.is_running.set(false);
    }
    stack.remove(index);
    outcome
}
