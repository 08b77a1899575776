//! Timers.

pub(super) mod event;
pub(super) mod native;
