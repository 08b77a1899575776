//! One Lua state, and the way of an event from its source to a handler: `pump` fills the `queue`, `dispatch`
//! changes what the script sees, `call` calls.

pub(super) mod arguments;
pub(super) mod attend;
pub(super) mod blame;
pub(super) mod call;
pub(super) mod closing;
pub(super) mod defer;
pub(super) mod dispatch;
pub(super) mod errors;
pub(super) mod events;
#[cfg(feature = "fault")]
pub(super) mod fault;
pub(super) mod functions;
pub(super) mod handlers;
pub(super) mod module;
pub(super) mod objects;
pub(super) mod pump;
pub(super) mod queue;
pub(super) mod scope;
pub(super) mod settle;
pub(super) mod state;
pub(super) mod test_clock;
pub(super) mod trace;
pub(super) mod unhandled;
