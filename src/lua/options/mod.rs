//! Options and addresses, from what `options.lua` has checked to Rust's values.

pub(super) mod addresses;
pub(super) mod certificates;
pub(super) mod settings;
pub(super) mod tls;
