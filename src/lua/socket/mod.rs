//! Sockets of connections: the methods that scripts call.

pub(super) mod facts;
pub(super) mod methods;
pub(super) mod native;
pub(super) mod path_datagrams;
pub(super) mod status;
pub(super) mod system;
