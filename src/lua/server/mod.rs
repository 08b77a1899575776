//! Servers: listening, accepting.

pub(super) mod accept;
pub(super) mod native;
pub(super) mod part;
pub(super) mod weigh;
