//! What all classes have: fields and methods, handlers, who keeps an object alive, its end.

pub(super) mod anchor;
pub(super) mod fields;
pub(super) mod finalise;
pub(super) mod index;
pub(super) mod kind;
pub(super) mod native;
pub(super) mod object;
pub(super) mod receiver;
