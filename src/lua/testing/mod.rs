//! What tests of scripts need, of which nothing is loaded before somebody asks.

pub(super) mod native;
