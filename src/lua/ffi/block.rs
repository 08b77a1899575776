//! The block: the memory of Lua in which an object lies, and the ways from an address to the object.
//!
//! Not here: what an object is (`class::object`). Invariants: a block is recognised by its size and by a
//! number at its start that no other userdata has, whatever its metatable is; its finaliser clears the
//! number, so an object that another finaliser finds again is refused; `State` never holds the address of a
//! finalised object.

use std::ffi::c_int;

use mlua::{AnyUserData, Lua, ffi};

use crate::lua::class::kind::Kind;
use crate::lua::class::object::{Anchor, Object};
use crate::lua::ffi::sentinel::{shared_state, state_of, with_stack};
use crate::lua::ffi::stack::Stack;
use crate::lua::run::queue::ObjectPointer;
use crate::lua::run::state::State;

/// The numbers at the start of a block: of a live object, and of one that the script has finalised.
const LIVE: u32 = 0x736f_0b1e;
const RETIRED: u32 = 0x736f_0b1f;

impl Object {
    /// The object at an index of the stack, if it is one.
    pub(in crate::lua) fn at<'a>(stack: Stack, index: c_int) -> Option<&'a Self> {
        Self::marked(Self::block(stack, index)?, LIVE)
    }

    /// The same of one that the script has finalised by hand.
    pub(in crate::lua) fn retired_at<'a>(stack: Stack, index: c_int) -> Option<&'a Self> {
        Self::marked(Self::block(stack, index)?, RETIRED)
    }

    /// A block of the right size, whatever is in it.
    fn block(stack: Stack, index: c_int) -> Option<*const Self> {
        let fits =
            stack.kind(index) == ffi::LUA_TUSERDATA && stack.size(index) == size_of::<Self>();
        fits.then(|| stack.to_pointer(index).cast_const().cast())
    }

    fn live<'a>(object: *const Self) -> Option<&'a Self> {
        Self::marked(object, LIVE)
    }

    #[inline]
    fn marked<'a>(object: *const Self, wanted: u32) -> Option<&'a Self> {
        // SAFETY: a userdata of this size holds at least a number at its start.
        let magic = unsafe { (&raw const (*object).magic).cast::<u32>().read() };
        if magic != wanted {
            return None;
        }
        // SAFETY: only `create` writes these numbers, over a whole object that lives until
        // `collect`, which takes the number away.
        Some(unsafe { &*object })
    }

    /// Ends what is in the block. Only its finaliser may: nothing refers to the object any more.
    pub(in crate::lua) fn end_block(&self) {
        let block = std::ptr::from_ref(self).cast_mut();
        // SAFETY: finalisers run once on a live block.
        unsafe { block.drop_in_place() };
        // SAFETY: the memory is Lua's until the finaliser returns; the number marks it as dead.
        unsafe { (&raw mut (*block).magic).cast::<u32>().write(0) };
    }

    /// The object that lies there, if one still does.
    pub(in crate::lua) fn behind<'a>(object: ObjectPointer) -> Option<&'a Self> {
        let object: *const Self = object.address().cast();
        if object.is_null() { None } else { Self::live(object) }
    }

    /// Where it lies.
    pub(in crate::lua) fn pointer(&self) -> ObjectPointer {
        ObjectPointer::new(std::ptr::from_ref(self).cast())
    }

    /// The script has finalised it: from now on it is refused.
    pub(in crate::lua) fn retire(&self) {
        self.magic.set(RETIRED);
    }

    /// The object that a safe handle refers to, while the handle is held.
    pub(in crate::lua) fn of<'a>(
        handle: &'a AnyUserData,
        lua: &Lua,
        state: &State,
    ) -> Option<&'a Self> {
        let address: *const Self = handle.to_pointer().cast();
        if state.receiver.get().address() == address.cast() {
            // It was an object when the cold call began, and the handle has kept it since.
            return Self::live(address);
        }
        // A finaliser has made another cold call before this one had all its arguments.
        let mut found = None;
        let read = |stack| {
            found = Self::at(stack, 1);
            stack.set_top(0);
        };
        with_stack::<()>(lua, handle, read).ok()?;
        found
    }
}

/// `create(metatable, kind, handlers_anchor)`: a new object. Upvalue: the state.
pub(in crate::lua) extern "C-unwind" fn create(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    let kind = stack.to_number(2).and_then(Kind::numbered).unwrap_or(Kind::Socket);
    let anchor = if stack.to_bool(3) { Anchor::Handlers } else { Anchor::Object };
    stack.set_top(1);
    new(stack, kind, anchor);
    1
}

/// Pushes a new object; its metatable is on top of the stack and stays below it.
pub(in crate::lua) fn new<'a>(stack: Stack, kind: Kind, anchor: Anchor) -> &'a Object {
    let block: *mut Object = stack.new_block(size_of::<Object>()).cast();
    stack.push_reference(state_of(stack).references.get().blank);
    stack.set_fields(-2);
    let object = Object::make(LIVE, shared_state(stack), kind, anchor);
    // SAFETY: the block is new, of the right size, and Lua aligns blocks for any type.
    unsafe { block.write(object) };
    // The metatable last: its finaliser must never see an unfinished block.
    stack.push_value(-2);
    stack.set_metatable(-2);
    // SAFETY: written above.
    unsafe { &*block }
}
