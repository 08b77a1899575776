//! Tasks and the calls that wait.

pub(super) mod native;
