//! Sockets for datagrams.

pub(super) mod native;
