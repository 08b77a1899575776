//! Watches of descriptors that are not ours.

pub(super) mod event;
pub(super) mod listen;
pub(super) mod native;
pub(super) mod part;
