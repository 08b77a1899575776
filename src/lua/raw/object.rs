//! Our userdata: one block for sockets of both kinds, servers and timers; their class is their metatable.
//!
//! Not here: what they do. Invariants: a block is recognised by its size and a number that no other
//! userdata has, whatever metatable it wears; after its finaliser the number is gone, so a
//! resurrected object is refused; `state.slots` never holds the address of a finalised one.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::ffi::c_int;
use std::rc::Rc;

use mlua::{AnyUserData, Lua, ffi};

use super::lease::{Given, Lease};
use super::misuse::refuse_self;
use super::server::ServerPart;
use super::stack::{Stack, Text};
use crate::error::Error;
use crate::lua::slot::Slot;
use crate::lua::state::State;
use crate::net::alarm::Alarm;
use crate::net::connect_plan::ConnectPlan;
use crate::net::datagram::Datagram;
use crate::net::options::Options;
use crate::net::stream::Stream;
use crate::proto::buffer::ReadBuffer;
use crate::proto::lazy::Lazy;
use crate::proto::token::Token;
use crate::sync::Arc;

/// What a block begins with: a live object; one that the script has finalised by hand.
pub(super) const LIVE: u32 = 0x736f_0b1e;
pub(super) const RETIRED: u32 = 0x736f_0b1f;

/// What keeps an active object alive (design: the Lua side).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::lua) enum Anchor {
    /// Its handlers: the object survives if they reach it.
    Handlers,
    /// Having a handler at all.
    Object,
}

/// Where a socket stands for the script: as of the last dispatched event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::lua) enum View {
    Idle,
    Resolving,
    Connecting,
    Securing,
    Open,
    Closing,
    Closed,
    Waiting,
}

impl View {
    pub(in crate::lua) fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Resolving => "resolving",
            Self::Connecting => "connecting",
            Self::Securing => "securing",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Closed => "closed",
            Self::Waiting => "waiting",
        }
    }
}

/// A socket's own.
#[derive(Debug)]
pub(in crate::lua) struct SocketPart {
    pub(in crate::lua) stream: RefCell<Option<Arc<Stream>>>,
    /// Only through `front` and `front_mut`: it may lag behind what was given.
    buffer: RefCell<Lazy<ReadBuffer>>,
    /// Nothing: those of the state.
    pub(in crate::lua) options: Slot<Arc<Options>>,
    /// Where to; nothing for an accepted connection.
    pub(in crate::lua) target: Slot<Arc<ConnectPlan>>,
    /// Why the connection ended, if not orderly.
    pub(in crate::lua) failure: Slot<Box<Error>>,
}

impl SocketPart {
    /// Drops what was received, if anything ever was, and what is known of it.
    pub(in crate::lua) fn clear(&self, object: &Object) {
        self.catch_up(object);
        if let Some(buffer) = self.buffer.borrow_mut().present() {
            buffer.clear();
        }
    }

    /// Drops what can be read.
    pub(in crate::lua) fn forget(&self, object: &Object) {
        self.catch_up(object);
        if let Some(buffer) = self.buffer.borrow_mut().present() {
            buffer.forget();
        }
    }

    /// `max_frame` was set; before bytes come it is the stream that knows.
    pub(in crate::lua) fn set_longest(&self, longest: usize) {
        if let Some(buffer) = self.buffer.borrow_mut().present() {
            buffer.set_longest(longest);
        }
    }

    /// What the script can read.
    #[inline]
    pub(in crate::lua) fn front(&self, object: &Object) -> Ref<'_, Lazy<ReadBuffer>> {
        self.catch_up(object);
        self.buffer.borrow()
    }

    #[inline]
    pub(in crate::lua) fn front_mut(&self, object: &Object) -> RefMut<'_, Lazy<ReadBuffer>> {
        self.catch_up(object);
        self.buffer.borrow_mut()
    }

    /// Takes the lines that were given since they were found ahead; no more are given of these.
    #[inline]
    pub(in crate::lua) fn catch_up(&self, object: &Object) {
        if object.leased.get() {
            self.take_given(object);
        }
    }

    #[cold]
    fn take_given(&self, object: &Object) {
        object.leased.set(false);
        let mut buffer = self.buffer.borrow_mut();
        match Lease::end(&object.state) {
            Given::Bytes(count) => {
                buffer.take(count);
            }
            Given::One(held) => {
                buffer.keep(&held);
                if let (Some(spare), Some(hub)) = (buffer.spare(), object.state.hub()) {
                    hub.recycle(spare);
                }
            }
        }
    }
}

/// A timer's own.
#[derive(Debug, Default)]
pub(in crate::lua) struct TimerPart {
    pub(in crate::lua) alarm: RefCell<Option<Arc<Alarm>>>,
    /// When it last was due, in seconds of the state's clock, and the period; zero: once.
    pub(in crate::lua) due: Cell<f64>,
    pub(in crate::lua) period: Cell<f64>,
    pub(in crate::lua) repeats: Cell<bool>,
    /// Its handler runs.
    pub(in crate::lua) turns: Cell<bool>,
}

/// A socket's for datagrams; one that is closed still knows what it has moved.
pub(in crate::lua) type DatagramPart = RefCell<Option<Arc<Datagram>>>;

/// Which of the four it is.
#[derive(Debug)]
pub(in crate::lua) enum Part {
    Datagram(Box<DatagramPart>),
    Server(Box<ServerPart>),
    Socket(SocketPart),
    Timer(TimerPart),
}

/// The block.
#[derive(Debug)]
pub(in crate::lua) struct Object {
    pub(super) magic: Cell<u32>,
    pub(in crate::lua) state: Rc<State>,
    pub(in crate::lua) token: Cell<Option<Token>>,
    pub(in crate::lua) handlers: Cell<u16>,
    /// Ends of replaced connections that the script has still to be told of.
    pub(in crate::lua) farewells: Cell<u16>,
    /// Ends of connections that the script has been told of.
    pub(in crate::lua) ends: Cell<u32>,
    /// When the connection stood, in milliseconds of the state's clock.
    pub(in crate::lua) opened: Cell<u32>,
    pub(in crate::lua) anchor: Cell<Anchor>,
    pub(in crate::lua) view: Cell<View>,
    /// The script has closed it: only `on_close` still comes.
    pub(in crate::lua) ended: Cell<bool>,
    /// The peer's end of stream has been dispatched.
    pub(in crate::lua) peer_ended: Cell<bool>,
    /// Tasks wait on it.
    pub(in crate::lua) watched: Cell<bool>,
    /// Its tokens have been entered in the table of objects: if it does not stand there, it is
    /// garbage.
    pub(in crate::lua) bound: Cell<bool>,
    /// Its own table is also that of others.
    pub(in crate::lua) shares: Cell<bool>,
    /// Of a socket: reading has stopped at the limit; reading below half of it resumes.
    pub(in crate::lua) paused: Cell<bool>,
    /// Of a socket: a mark was set, and there may be something to tell before a close.
    pub(in crate::lua) marked: Cell<bool>,
    /// Of a socket: it dies with the server of its house.
    pub(in crate::lua) kept: Cell<bool>,
    /// Of a socket: lines were found ahead in its buffer (`lease`).
    pub(super) leased: Cell<bool>,
    /// It has had notes to itself.
    pub(in crate::lua) noted: Cell<bool>,
    /// The number of the server that it is or was accepted by; else 0.
    pub(in crate::lua) house: Cell<u32>,
    pub(in crate::lua) part: Part,
}

// Each connection and each timer has one.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Object>() <= 112);

impl Object {
    /// The object at an index of the stack, if it is one.
    pub(super) fn at<'a>(stack: Stack, index: c_int) -> Option<&'a Self> {
        Self::behind(Self::block(stack, index)?, LIVE)
    }

    /// The same of one that the script has finalised by hand.
    pub(super) fn retired_at<'a>(stack: Stack, index: c_int) -> Option<&'a Self> {
        Self::behind(Self::block(stack, index)?, RETIRED)
    }

    /// A block of the right size, whatever is in it.
    fn block(stack: Stack, index: c_int) -> Option<*const Self> {
        let fits =
            stack.kind(index) == ffi::LUA_TUSERDATA && stack.size(index) == size_of::<Self>();
        fits.then(|| stack.to_pointer(index).cast_const().cast())
    }

    fn live<'a>(object: *const Self) -> Option<&'a Self> {
        Self::behind(object, LIVE)
    }

    #[inline]
    fn behind<'a>(object: *const Self, wanted: u32) -> Option<&'a Self> {
        // SAFETY: a userdata of this size holds at least a number at its start.
        let magic = unsafe { (&raw const (*object).magic).cast::<u32>().read() };
        if magic != wanted {
            return None;
        }
        // SAFETY: only `create` writes these numbers, over a whole object that lives until
        // `collect`, which takes the number away.
        Some(unsafe { &*object })
    }

    /// The object behind an address in `state.slots`.
    pub(in crate::lua) fn in_slot<'a>(object: *const Self) -> Option<&'a Self> {
        if object.is_null() { None } else { Self::live(object) }
    }

    /// The object that a safe handle refers to, while the handle is held.
    pub(in crate::lua) fn of<'a>(
        handle: &'a AnyUserData,
        lua: &Lua,
        state: &State,
    ) -> Option<&'a Self> {
        let address: *const Self = handle.to_pointer().cast();
        if state.callee.get() == address {
            // Seen to be an object when the call began, and the handle has kept it since.
            return Self::live(address);
        }
        // A finaliser has made a call of its own before this one had all its arguments.
        let mut found = None;
        let look = |raw| {
            let stack = Stack::of(raw);
            found = Self::at(stack, 1);
            stack.set_top(0);
        };
        // SAFETY: the function gets the handle's value, looks at it and leaves nothing.
        unsafe { lua.exec_raw::<()>(handle, look) }.ok()?;
        found
    }

    /// The socket's part, if it is a socket.
    pub(in crate::lua) fn socket(&self) -> Option<&SocketPart> {
        match &self.part {
            Part::Socket(part) => Some(part),
            _ => None,
        }
    }

    /// The options of a socket.
    pub(in crate::lua) fn options(&self) -> Arc<Options> {
        let own = self.socket().and_then(|part| part.options.get());
        own.unwrap_or_else(|| Arc::clone(&self.state.defaults))
    }

    /// The script is about to be told of the end of a connection.
    pub(in crate::lua) fn ends_one(&self) {
        self.ends.set(self.ends.get().wrapping_add(1));
    }

    /// The connection stands.
    pub(in crate::lua) fn stands(&self) {
        self.view.set(View::Open);
        let millis = self.state.elapsed().as_millis();
        self.opened.set(u32::try_from(millis).unwrap_or(u32::MAX));
    }

    /// In a child: closes the descriptors and touches nothing that the parent shares.
    fn abandon(&self) {
        match &self.part {
            Part::Socket(part) => {
                if let Some(stream) = part.stream.take() {
                    stream.abandon();
                }
            }
            Part::Datagram(part) => {
                if let Some(datagram) = part.take() {
                    datagram.abandon();
                }
            }
            Part::Server(part) => {
                for listener in part.listeners.take() {
                    self.state.vacate(listener.token(), self);
                    listener.abandon();
                }
            }
            Part::Timer(part) => drop(part.alarm.take()),
        }
    }

    /// Gives a stream up silently; what was written is flushed in the background.
    pub(in crate::lua) fn let_go(&self) {
        if let Some(token) = self.token.take() {
            self.state.vacate(token, self);
            self.state.count(-1);
        }
        self.state.free_port(self);
        let Some(hub) = self.state.hub() else { return };
        if self.state.is_forked() {
            return self.abandon();
        }
        match &self.part {
            Part::Socket(part) => {
                if let Some(stream) = part.stream.take() {
                    stream.detach(hub);
                }
            }
            Part::Datagram(part) => {
                if let Some(datagram) = part.borrow().as_ref() {
                    datagram.close(hub);
                }
            }
            Part::Server(part) => {
                for listener in part.listeners.take() {
                    self.state.vacate(listener.token(), self);
                    listener.close(hub);
                }
            }
            Part::Timer(part) => {
                if let Some(alarm) = part.alarm.take() {
                    alarm.cancel(hub);
                }
            }
        }
    }
}

/// `create(metatable, kind, handlers_anchor)`: a new object. Upvalue: the state.
pub(in crate::lua) extern "C-unwind" fn create(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    let kind = stack.to_number(2).unwrap_or_default();
    let anchor = if stack.to_bool(3) { Anchor::Handlers } else { Anchor::Object };
    stack.set_top(1);
    new(stack, kind, anchor);
    1
}

/// Pushes a new object; its metatable is on top of the stack and stays below it.
pub(super) fn new<'a>(stack: Stack, kind: f64, anchor: Anchor) -> &'a Object {
    let block: *mut Object = stack.new_block(size_of::<Object>()).cast();
    stack.push_registered(state_of(stack).references.get().blank);
    stack.set_own(-2);
    let state = shared_state(stack);
    let mut house = 0;
    let part = if kind > 2.5 {
        Part::Datagram(Box::default())
    } else if kind > 1.5 {
        Part::Timer(TimerPart::default())
    } else if kind > 0.5 {
        house = state.servers.get().wrapping_add(1).max(1);
        state.servers.set(house);
        Part::Server(Box::default())
    } else {
        Part::Socket(SocketPart {
            stream: RefCell::default(),
            buffer: RefCell::default(),
            options: Slot::default(),
            target: Slot::default(),
            failure: Slot::default(),
        })
    };
    let object = Object {
        magic: Cell::new(LIVE),
        state,
        token: Cell::new(None),
        handlers: Cell::new(0),
        farewells: Cell::new(0),
        ends: Cell::new(0),
        opened: Cell::new(0),
        anchor: Cell::new(anchor),
        view: Cell::new(View::Idle),
        ended: Cell::new(false),
        peer_ended: Cell::new(false),
        watched: Cell::new(false),
        bound: Cell::new(false),
        shares: Cell::new(true),
        paused: Cell::new(false),
        marked: Cell::new(false),
        kept: Cell::new(false),
        noted: Cell::new(false),
        leased: Cell::new(false),
        house: Cell::new(house),
        part,
    };
    // SAFETY: the block is new, of the right size, and Lua aligns blocks for any type.
    unsafe { block.write(object) };
    // The metatable last: its finaliser must never see an unfinished block.
    stack.push_value(-2);
    stack.set_metatable(-2);
    // SAFETY: written above.
    unsafe { &*block }
}

/// The state behind the first upvalue of the running function.
pub(super) fn state_of<'a>(stack: Stack) -> &'a State {
    state_behind(stack, stack.to_pointer(Stack::upvalue(1)).cast())
}

/// The state behind the sentinel's block; raises after the sentinel's finaliser.
pub(super) fn state_behind<'a>(stack: Stack, block: *const *const State) -> &'a State {
    // SAFETY: every function that calls this was made by `entry` over the sentinel's block. Lua
    // frees blocks after all finalisers have run.
    let address = unsafe { block.read() };
    if address.is_null() {
        stack.raise(&Text::new(format_args!("evsock: the Lua state is being closed")));
    }
    // SAFETY: the sentinel keeps the state alive until its finaliser clears the block.
    unsafe { &*address }
}

fn shared_state(stack: Stack) -> Rc<State> {
    let address: *const State = state_of(stack);
    // SAFETY: the address came from `Rc::into_raw` and is still counted.
    unsafe { Rc::increment_strong_count(address) };
    // SAFETY: the count was raised for this one.
    unsafe { Rc::from_raw(address) }
}

/// The object at index 1, which must be of the kind named; raises otherwise.
pub(super) fn expect<'a>(stack: Stack, method: &str, kind: &str) -> &'a Object {
    let found = Object::at(stack, 1);
    let fits = found.filter(|object| {
        matches!(
            (&object.part, kind),
            (Part::Socket(_), "socket") | (Part::Server(_), "server") | (Part::Timer(_), "timer")
        )
    });
    let Some(object) = fits else { refuse_self(stack, kind.as_bytes(), method.as_bytes()) };
    object
}
