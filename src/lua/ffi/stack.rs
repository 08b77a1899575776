//! The Lua stack, one method a call of Lua's.
//!
//! Not here: policy. Invariants: a [`Stack`] is made only by functions that Lua has called (or
//! that hold the state of a running one), so the pointer is valid for as long as they run; indexes
//! are the caller's own. Methods that say "may raise" leave by a jump: their callers hold nothing
//! that has a destructor.

use std::ffi::{CStr, c_int, c_void};
use std::fmt;

use mlua::ffi;

/// The state that called us.
#[derive(Clone, Copy)]
pub(in crate::lua) struct Stack(*mut ffi::lua_State);

/// The signature of a raw function.
pub(in crate::lua) type Function = extern "C-unwind" fn(*mut ffi::lua_State) -> c_int;

/// A message of bounded length that needs no memory of its own.
pub(in crate::lua) struct Text {
    bytes: [u8; 400],
    length: usize,
}

/// Bytes as a text, with U+FFFD for what is not UTF-8; owns nothing.
pub(in crate::lua) struct Lossy<'a>(pub(in crate::lua) &'a [u8]);

impl fmt::Display for Lossy<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            out.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                out.write_str("\u{FFFD}")?;
            }
        }
        Ok(())
    }
}

impl Text {
    /// Formats; what does not fit is cut.
    pub(in crate::lua) fn new(arguments: fmt::Arguments<'_>) -> Self {
        let mut text = Self { bytes: [0; 400], length: 0 };
        // Never fails: `write_str` below cuts instead.
        let _ = fmt::write(&mut text, arguments);
        text
    }

    /// What was written.
    pub(in crate::lua) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        let count = piece.len().min(room.len());
        for (to, from) in room.iter_mut().zip(piece.bytes()) {
            *to = from;
        }
        self.length += count;
        Ok(())
    }
}

impl Stack {
    /// The stack of the state that Lua has handed to a raw function.
    pub(in crate::lua) fn of(state: *mut ffi::lua_State) -> Self {
        Self(state)
    }

    pub(in crate::lua) fn top(self) -> c_int {
        // SAFETY: a valid state; reads only.
        unsafe { ffi::lua_gettop(self.0) }
    }

    pub(in crate::lua) fn set_top(self, index: c_int) {
        // SAFETY: shrinks, or grows within the places that Lua guarantees.
        unsafe { ffi::lua_settop(self.0, index) }
    }

    pub(in crate::lua) fn pop(self, count: c_int) {
        self.set_top(-count - 1);
    }

    /// Makes sure of room; may raise.
    pub(in crate::lua) fn reserve(self, count: c_int) {
        // SAFETY: a valid state; the message is a C string.
        unsafe { ffi::luaL_checkstack(self.0, count, c"too many values".as_ptr()) }
    }

    pub(in crate::lua) fn push_value(self, index: c_int) {
        // SAFETY: the index is the caller's own.
        unsafe { ffi::lua_pushvalue(self.0, index) }
    }

    /// Takes out the value at an index.
    pub(in crate::lua) fn remove(self, index: c_int) {
        // SAFETY: the index is the caller's own.
        unsafe { ffi::lua_remove(self.0, index) }
    }

    /// Moves the value on top to an index.
    pub(in crate::lua) fn insert(self, index: c_int) {
        // SAFETY: the index is the caller's own.
        unsafe { ffi::lua_insert(self.0, index) }
    }

    pub(in crate::lua) fn push_nil(self) {
        // SAFETY: a place is guaranteed.
        unsafe { ffi::lua_pushnil(self.0) }
    }

    pub(in crate::lua) fn push_bool(self, value: bool) {
        // SAFETY: a place is guaranteed.
        unsafe { ffi::lua_pushboolean(self.0, c_int::from(value)) }
    }

    pub(in crate::lua) fn push_count(self, value: usize) {
        let value = ffi::lua_Integer::try_from(value).unwrap_or(ffi::lua_Integer::MAX);
        // SAFETY: a place is guaranteed.
        unsafe { ffi::lua_pushinteger(self.0, value) }
    }

    pub(in crate::lua) fn push_number(self, value: f64) {
        // SAFETY: a place is guaranteed.
        unsafe { ffi::lua_pushnumber(self.0, value) }
    }

    /// May raise (out of memory; on 5.1 finalisers may run before the bytes are copied).
    pub(in crate::lua) fn push_bytes(self, bytes: &[u8]) {
        // SAFETY: the slice is valid for its length, and for the call: see `strings`.
        unsafe { ffi::lua_pushlstring(self.0, bytes.as_ptr().cast(), bytes.len()) };
    }

    pub(in crate::lua) fn push_pointer(self, pointer: *const c_void) {
        // SAFETY: a light userdata is any address.
        unsafe { ffi::lua_pushlightuserdata(self.0, pointer.cast_mut()) }
    }

    /// Pushes a closure over the `count` values on top; may raise.
    pub(in crate::lua) fn push_closure(self, function: Function, count: c_int) {
        // SAFETY: the values are the caller's own.
        unsafe { ffi::lua_pushcclosure(self.0, function, count) }
    }

    pub(in crate::lua) fn kind(self, index: c_int) -> c_int {
        // SAFETY: any acceptable index may be asked for.
        unsafe { ffi::lua_type(self.0, index) }
    }

    pub(in crate::lua) fn is_nil(self, index: c_int) -> bool {
        self.kind(index) <= ffi::LUA_TNIL
    }

    pub(in crate::lua) fn is_function(self, index: c_int) -> bool {
        self.kind(index) == ffi::LUA_TFUNCTION
    }

    pub(in crate::lua) fn is_string(self, index: c_int) -> bool {
        self.kind(index) == ffi::LUA_TSTRING
    }

    pub(in crate::lua) fn is_table(self, index: c_int) -> bool {
        self.kind(index) == ffi::LUA_TTABLE
    }

    pub(in crate::lua) fn to_bool(self, index: c_int) -> bool {
        // SAFETY: any acceptable index may be asked for.
        unsafe { ffi::lua_toboolean(self.0, index) != 0 }
    }

    /// Whether the value is false itself, not nil.
    pub(in crate::lua) fn is_false(self, index: c_int) -> bool {
        self.kind(index) == ffi::LUA_TBOOLEAN && !self.to_bool(index)
    }

    pub(in crate::lua) fn to_number(self, index: c_int) -> Option<f64> {
        let mut is_number = 0;
        // SAFETY: any acceptable index may be asked for; the flag is ours.
        let number = unsafe { ffi::lua_tonumberx(self.0, index, &raw mut is_number) };
        (is_number != 0).then_some(number)
    }

    /// The bytes of a string, or of a number, which becomes a string in its place (may raise).
    /// They live as long as the value stays where it is.
    pub(in crate::lua) fn to_bytes<'a>(self, index: c_int) -> Option<&'a [u8]> {
        let kind = self.kind(index);
        if kind != ffi::LUA_TSTRING && kind != ffi::LUA_TNUMBER {
            return None;
        }
        let mut length = 0;
        // SAFETY: the value is a string or number.
        let bytes = unsafe { ffi::lua_tolstring(self.0, index, &raw mut length) };
        if bytes.is_null() {
            return None;
        }
        // SAFETY: Lua keeps `length` bytes there while the value is on the stack.
        Some(unsafe { std::slice::from_raw_parts(bytes.cast(), length) })
    }

    pub(in crate::lua) fn to_pointer(self, index: c_int) -> *mut c_void {
        // SAFETY: any acceptable index may be asked for; null when it is no userdata.
        unsafe { ffi::lua_touserdata(self.0, index) }
    }

    /// Pushes what `tostring` makes of the value; may raise.
    pub(in crate::lua) fn push_text_of(self, index: c_int) {
        // SAFETY: the index is the caller's own, and the length is not asked for.
        unsafe { ffi::luaL_tolstring(self.0, index, std::ptr::null_mut()) };
    }

    pub(in crate::lua) fn is_c_function(self, index: c_int) -> bool {
        // SAFETY: any acceptable index may be asked for.
        unsafe { ffi::lua_iscfunction(self.0, index) != 0 }
    }

    pub(in crate::lua) fn is_same(self, one: c_int, other: c_int) -> bool {
        // SAFETY: any acceptable indexes may be asked for.
        unsafe { ffi::lua_rawequal(self.0, one, other) != 0 }
    }

    /// The size of a full userdata, or the length of a table.
    pub(in crate::lua) fn size(self, index: c_int) -> usize {
        // SAFETY: any acceptable index may be asked for.
        unsafe { ffi::lua_rawlen(self.0, index) }
    }

    pub(in crate::lua) fn type_name(self, index: c_int) -> &'static str {
        let kind = self.kind(index);
        if kind == ffi::LUA_TNONE {
            return "no value";
        }
        // SAFETY: the kind is one of Lua's own.
        let name = unsafe { ffi::lua_typename(self.0, kind) };
        // SAFETY: Lua's type names are static C strings.
        unsafe { CStr::from_ptr(name) }.to_str().unwrap_or("value")
    }

    /// Makes a userdata block of `size` bytes with room for one user value; may raise.
    pub(in crate::lua) fn new_block(self, size: usize) -> *mut c_void {
        // SAFETY: a valid state.
        unsafe { ffi::lua_newuserdata(self.0, size) }
    }

    /// May raise.
    pub(in crate::lua) fn new_table(self) {
        // SAFETY: a valid state.
        unsafe { ffi::lua_createtable(self.0, 0, 0) }
    }

    pub(in crate::lua) fn set_metatable(self, index: c_int) {
        // SAFETY: a table or nil is on top.
        unsafe { ffi::lua_setmetatable(self.0, index) };
    }

    pub(in crate::lua) fn push_metatable(self, index: c_int) -> bool {
        // SAFETY: the index is the caller's own.
        unsafe { ffi::lua_getmetatable(self.0, index) != 0 }
    }

    /// Pushes the fields of the object at an absolute index. If the debug library has put something else
    /// there, the object gets a new table; only then this may raise.
    pub(in crate::lua) fn push_fields(self, index: c_int) {
        // SAFETY: the value is one of our userdata.
        unsafe { ffi::lua_getuservalue(self.0, index) };
        if !self.is_table(-1) {
            self.pop(1);
            self.new_table();
            self.push_value(-1);
            self.set_fields(index);
        }
    }

    /// Makes the table on top the fields of the object.
    pub(in crate::lua) fn set_fields(self, index: c_int) {
        // SAFETY: the value is one of our userdata, and a table is on top.
        unsafe { ffi::lua_setuservalue(self.0, index) };
    }

    pub(in crate::lua) fn raw_get(self, table: c_int) {
        // SAFETY: `table` is a table, the key is on top.
        unsafe { ffi::lua_rawget(self.0, table) };
    }

    /// May raise.
    pub(in crate::lua) fn raw_set(self, table: c_int) {
        // SAFETY: `table` is a table, key and value are on top; the key is not nil.
        unsafe { ffi::lua_rawset(self.0, table) }
    }

    pub(in crate::lua) fn raw_get_at(self, table: c_int, index: u32) {
        // SAFETY: `table` is a table.
        unsafe { ffi::lua_rawgeti(self.0, table, ffi::lua_Integer::from(index)) };
    }

    /// May raise.
    pub(in crate::lua) fn raw_set_at(self, table: c_int, index: u32) {
        // SAFETY: `table` is a table, the value is on top.
        unsafe { ffi::lua_rawseti(self.0, table, ffi::lua_Integer::from(index)) }
    }

    /// With a key on top: replaces it by the next key and its value; false, and nothing, at the end.
    pub(in crate::lua) fn next(self, table: c_int) -> bool {
        // SAFETY: the caller names a table; the key on top came from here or is nil.
        unsafe { ffi::lua_next(self.0, table) != 0 }
    }

    /// Pushes a global, without asking a metatable that scripts may have given the globals.
    pub(in crate::lua) fn push_global(self, name: &[u8]) {
        // SAFETY: a valid state with a place left.
        unsafe { ffi::lua_pushglobaltable(self.0) };
        self.push_bytes(name);
        self.raw_get(-2);
        self.remove(-2);
    }

    /// Pushes what stands in the registry under a reference.
    pub(in crate::lua) fn push_reference(self, reference: c_int) {
        let index = ffi::lua_Integer::from(reference);
        // SAFETY: the registry is a table.
        unsafe { ffi::lua_rawgeti(self.0, ffi::LUA_REGISTRYINDEX, index) };
    }

    /// Puts the value on top into the registry, under a reference; may raise.
    pub(in crate::lua) fn make_reference(self) -> c_int {
        // SAFETY: the registry is a table, a value is on top.
        unsafe { ffi::luaL_ref(self.0, ffi::LUA_REGISTRYINDEX) }
    }

    /// Puts the value on top into the place of a reference; may raise.
    pub(in crate::lua) fn set_reference(self, reference: c_int) {
        let index = ffi::lua_Integer::from(reference);
        // SAFETY: the registry is a table, a value is on top.
        unsafe { ffi::lua_rawseti(self.0, ffi::LUA_REGISTRYINDEX, index) }
    }

    pub(in crate::lua) fn upvalue(index: c_int) -> c_int {
        ffi::lua_upvalueindex(index)
    }

    /// Calls; may raise whatever the function raises.
    pub(in crate::lua) fn call(self, arguments: c_int, results: c_int) {
        // SAFETY: the function and its arguments are on top.
        unsafe { ffi::lua_call(self.0, arguments, results) }
    }

    /// Calls under protection; whether it went well.
    pub(in crate::lua) fn protected_call(
        self,
        arguments: c_int,
        results: c_int,
        handler: c_int,
    ) -> bool {
        // SAFETY: the function and its arguments are on top.
        unsafe { ffi::lua_pcall(self.0, arguments, results, handler) == ffi::LUA_OK }
    }

    /// The coroutine at an index, unless it is this one, has nothing to run, or there is none.
    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    pub(in crate::lua) fn startable(self, index: c_int) -> Option<Self> {
        // SAFETY: any acceptable index may be asked for.
        let thread = unsafe { ffi::lua_tothread(self.0, index) };
        if thread.is_null() || thread == self.0 {
            return None;
        }
        let thread = Self(thread);
        // Later versions look themselves.
        #[cfg(any(feature = "lua52", feature = "lua53"))]
        {
            // SAFETY: a thread that this stack holds.
            let is_new_or_over = unsafe { ffi::lua_status(thread.0) == ffi::LUA_OK };
            if is_new_or_over && thread.top() == 0 {
                return None;
            }
        }
        Some(thread)
    }

    /// Resumes a coroutine with so many arguments, which are on top, and leaves what Lua's `resume` would
    /// leave; how many values those are.
    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    pub(in crate::lua) fn resume(self, thread: Self, arguments: c_int) -> c_int {
        // SAFETY: asks for room, and says whether there is.
        if unsafe { ffi::lua_checkstack(thread.0, arguments) } == 0 {
            self.push_bool(false);
            self.push_bytes(b"too many arguments to resume");
            return 2;
        }
        // SAFETY: both belong to one Lua, and there is room.
        unsafe { ffi::lua_xmove(self.0, thread.0, arguments) };
        let mut count = 0;
        // SAFETY: a coroutine of this Lua with its arguments on top; it never raises.
        let status = unsafe { ffi::lua_resume(thread.0, self.0, arguments, &raw mut count) };
        let went_well = status == ffi::LUA_OK || status == ffi::LUA_YIELD;
        let count = if went_well { count } else { 1 };
        // SAFETY: asks for room, and says whether there is.
        if unsafe { ffi::lua_checkstack(self.0, count + 1) } == 0 {
            thread.pop(count);
            self.push_bool(false);
            self.push_bytes(b"too many results to resume");
            return 2;
        }
        self.push_bool(went_well);
        // SAFETY: so many values are on top there, or the error, and there is room.
        unsafe { ffi::lua_xmove(thread.0, self.0, count) };
        count + 1
    }

    /// Calls what stands below so many arguments, and returns what it returns; it may yield.
    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    pub(in crate::lua) fn hand_over(self, arguments: c_int) -> c_int {
        #[cfg(feature = "lua52")]
        extern "C-unwind" fn all_of(state: *mut ffi::lua_State) -> c_int {
            Stack::of(state).top()
        }
        #[cfg(not(feature = "lua52"))]
        extern "C-unwind" fn all_of(
            state: *mut ffi::lua_State,
            _: c_int,
            _: ffi::lua_KContext,
        ) -> c_int {
            Stack::of(state).top()
        }
        // SAFETY: the function and its arguments are all that is on the stack.
        unsafe { ffi::lua_callk(self.0, arguments, ffi::LUA_MULTRET, 0, Some(all_of)) };
        self.top()
    }

    /// Puts the strings on top together; may raise.
    pub(in crate::lua) fn concat(self, count: c_int) {
        // SAFETY: so many strings are on top.
        unsafe { ffi::lua_concat(self.0, count) };
    }

    /// Raises the value on top.
    pub(in crate::lua) fn throw(self) -> ! {
        // SAFETY: a value is on top; the callers hold nothing that has a destructor.
        unsafe { ffi::lua_error(self.0) }
    }

    /// The main thread, the only one whose hook the interpreter's handler of signals sets; null when
    /// it can't be told.
    pub(in crate::lua) fn main_thread(self) -> *mut ffi::lua_State {
        #[cfg(not(any(feature = "lua51", feature = "luajit")))]
        {
            self.push_reference(1); // LUA_RIDX_MAINTHREAD
            // SAFETY: a valid state; null for what is no thread.
            let main = unsafe { ffi::lua_tothread(self.0, -1) };
            self.pop(1);
            main
        }
        // These two only say whether the running thread is it.
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        {
            // SAFETY: a valid state with a place left.
            let is_main = unsafe { ffi::lua_pushthread(self.0) } == 1;
            self.pop(1);
            if is_main { self.0 } else { std::ptr::null_mut() }
        }
    }

    /// The thread whose hook tells of a signal, good until Lua runs again: `main`, or where that is
    /// null the one that runs. On `LuaJIT` all threads have the same hook.
    pub(in crate::lua) fn hooked_thread(self, main: *mut ffi::lua_State) -> *mut ffi::lua_State {
        if main.is_null() { self.0 } else { main }
    }

    /// The hook of a thread as a number; 0: none.
    pub(in crate::lua) fn hook(thread: *mut ffi::lua_State) -> usize {
        // SAFETY: the main thread lives as long as any other, and no thread ends while its pump waits.
        unsafe { ffi::lua_gethook(thread) }.map_or(0, |hook| hook as usize)
    }

    /// Pushes the message with the place of the nearest caller that is not ours, and raises it.
    pub(in crate::lua) fn raise(self, message: &Text) -> ! {
        let place = self.place();
        self.push_bytes(place.as_bytes());
        self.push_bytes(message.as_bytes());
        self.concat(2);
        self.throw()
    }

    /// "script.lua:12: ", of the nearest Lua function outside of our own chunks.
    pub(in crate::lua) fn place(self) -> Text {
        self.caller().map_or_else(
            || Text::new(format_args!("")),
            |(_, record)| {
                // SAFETY: `lua_getinfo` has written a C string.
                let short = unsafe { CStr::from_ptr(record.short_src.as_ptr()) };
                let short = short.to_str().unwrap_or("?");
                Text::new(format_args!("{short}:{}: ", record.currentline))
            },
        )
    }

    /// Which method or field the nearest Lua function outside of our own chunks has called; empty where
    /// it has called something else, as `pcall`, or a variable.
    pub(in crate::lua) fn called(self) -> Text {
        let nothing = || Text::new(format_args!(""));
        let Some(level) = self.caller().and_then(|(level, _)| level.checked_sub(1)) else {
            return nothing();
        };
        let Some(record) = self.describe(level) else { return nothing() };
        // A function that is neither the running one nor of our chunks was called by something else.
        if level > 0 && !is_ours(&record) || record.name.is_null() || record.namewhat.is_null() {
            return nothing();
        }
        // SAFETY: the kind of a name is a static C string.
        let kind = unsafe { CStr::from_ptr(record.namewhat) };
        if kind != c"method" && kind != c"field" {
            return nothing();
        }
        // SAFETY: a name is a C string, which its function's code keeps.
        let name = unsafe { CStr::from_ptr(record.name) };
        Text::new(format_args!("{}", Lossy(name.to_bytes())))
    }

    /// The level of the nearest Lua function outside of our own chunks, and what is known of it.
    fn caller(self) -> Option<(c_int, ffi::lua_Debug)> {
        (0..32).map_while(|level| Some((level, self.describe(level)?))).find(|(_, record)| {
            !record.source.is_null() && record.currentline > 0 && !is_ours(record)
        })
    }

    /// What is known of the function at a level.
    fn describe(self, level: c_int) -> Option<ffi::lua_Debug> {
        // SAFETY: a `lua_Debug` is plain data; zeroes are valid.
        let mut record: ffi::lua_Debug = unsafe { std::mem::zeroed() };
        // SAFETY: a valid state and a record of ours.
        if unsafe { ffi::lua_getstack(self.0, level, &raw mut record) } == 0 {
            return None;
        }
        // SAFETY: `lua_getstack` has filled the record in.
        unsafe { ffi::lua_getinfo(self.0, c"Sln".as_ptr(), &raw mut record) };
        Some(record)
    }

    /// Replaces the message at `index` by itself with a traceback; may raise.
    pub(in crate::lua) fn push_traceback(self, index: c_int) {
        let mut length = 0;
        // SAFETY: a string stands there.
        let message = unsafe { ffi::lua_tolstring(self.0, index, &raw mut length) };
        // SAFETY: a valid state and a C string that stays on the stack.
        unsafe { ffi::luaL_traceback(self.0, self.0, message, 1) }
    }
}

/// Whether it is a function of our own chunks.
fn is_ours(record: &ffi::lua_Debug) -> bool {
    // SAFETY: `lua_getinfo` has set the source, a C string that the function keeps.
    !record.source.is_null()
        && unsafe { CStr::from_ptr(record.source) }.to_bytes().starts_with(b"@evsock/")
}
