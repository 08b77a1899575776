//! `sock:lines()`: iterators, and batches of lines that were found ahead.

pub(super) mod batch;
pub(super) mod iterator;
