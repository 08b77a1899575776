//! Lookups that the script itself asks for.

pub(super) mod native;
