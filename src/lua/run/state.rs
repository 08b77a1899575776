//! What one Lua state has: its reactor, the queue of work, and where its objects are.
//!
//! Not here: Lua values (they live in Lua tables), work that waits (`queue`). Invariants: only the
//! interpreter's thread touches it; `slot(token.slot)` is nowhere or where a live object lies.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::ffi::lua_State;

use crate::error::{Code, Error, Result};
use crate::limits;
use crate::lua::run::queue::{ObjectPointer, Queue};
use crate::lua::run::test_clock::TestClock;
use crate::net::early_socket::EarlySocket;
use crate::net::hub::Hub;
use crate::net::options::Options;
use crate::net::port_hold::PortHold;
use crate::net::target::Target;
use crate::net::trace::Trace;
use crate::proto::token::Token;
use crate::reactor::{Reactor, fork_generation};
use crate::sync::Arc;

/// Keys in the registry; null behind the last. Two are ours; each other module that uses mlua has two.
pub(in crate::lua) type MluaSlots = [*const c_void; 8];

/// References into the registry of Lua.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::lua) struct References {
    /// Slot to object; weak.
    pub(in crate::lua) objects: i32,
    /// Slot to what keeps an object alive; strong.
    pub(in crate::lua) anchors: i32,
    /// The fields of objects that have none of their own.
    pub(in crate::lua) blank: i32,
    /// Event number to the name of its handler.
    pub(in crate::lua) names: i32,
    /// Class number to metatable.
    pub(in crate::lua) metatables: i32,
    /// The module's table.
    pub(in crate::lua) module: i32,
    /// What a script has set of the module (`on_error`).
    pub(in crate::lua) hooks: i32,
    /// The current block of lines found ahead, or false.
    pub(in crate::lua) line_batch: i32,
    /// The function that adds a traceback.
    pub(in crate::lua) traceback: i32,
    /// The function that runs a body under protection (`ffi::protected`).
    pub(in crate::lua) runner: i32,
    /// The function that says in an error which handler it was (`run::blame`).
    pub(in crate::lua) blamer: i32,
    /// The function of `scheduler.lua` that wakes the tasks which wait on an object.
    pub(in crate::lua) wake: i32,
    /// The one that runs a task which is ready.
    pub(in crate::lua) run_ready_task: i32,
    /// What was loaded with these.
    pub(in crate::lua) tasks: i32,
    /// The function of `trace.lua` that hands lines to the script's; 0 while there is none.
    pub(in crate::lua) deliver_trace: i32,
}

/// 1/512 of a second in nanoseconds.
const CLOCK_STEP: u128 = 1_953_125;

/// The next time that is a whole number of [`CLOCK_STEP`].
pub(in crate::lua) fn whole_steps(time: Duration) -> Duration {
    let nanos = time.as_nanos().div_ceil(CLOCK_STEP).saturating_mul(CLOCK_STEP);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 2))
}

/// What a handler is to get that has a destructor.
#[derive(Debug)]
pub(in crate::lua) enum Held {
    Addresses(Vec<SocketAddr>),
    Error(Box<Error>),
}

/// The state.
#[derive(Debug)]
pub(in crate::lua) struct State {
    reactor: RefCell<Option<Reactor>>,
    hub: OnceCell<Arc<Hub>>,
    /// The fork generation of the process in which the reactor began.
    forks: Cell<u32>,
    began: Instant,
    pub(in crate::lua) test_clock: TestClock,
    /// What is told of what happens.
    pub(in crate::lua) trace: Arc<Trace>,
    /// What it told of last on the script's side.
    pub(in crate::lua) told_of: Cell<Option<Token>>,
    /// The script's function for it runs.
    pub(in crate::lua) delivers_trace: Cell<bool>,
    /// The options of a socket that has none of its own.
    pub(in crate::lua) defaults: Arc<Options>,
    last_target: RefCell<Option<Arc<Target>>>,
    pub(in crate::lua) queue: Queue,
    /// The ports that the next connections of objects are to use, by where the objects lie.
    reserved: RefCell<HashMap<*const c_void, PortHold>>,
    /// Likewise, the early sockets of objects.
    early: RefCell<HashMap<*const c_void, EarlySocket>>,
    /// How many servers there were.
    pub(in crate::lua) servers: Cell<u32>,
    /// The number of the next deferred callback.
    pub(in crate::lua) deferred: Cell<u32>,
    pub(in crate::lua) depth: Cell<u32>,
    /// A task may not have been woken, because memory was out: all of them check again.
    pub(in crate::lua) missed: Cell<bool>,
    /// Sockets, servers, timers and tasks that keep `run` going; only `hold_loop` changes it.
    active: Cell<usize>,
    pub(in crate::lua) spin: Cell<f64>,
    /// `stop` was called: dispatching ends with the running handler.
    pub(in crate::lua) stopping: Cell<bool>,
    pub(in crate::lua) references: Cell<References>,
    /// The main thread of Lua, null while it is not known, and the hook that was last seen there:
    /// signals set one.
    pub(in crate::lua) main_thread: Cell<*mut lua_State>,
    pub(in crate::lua) hook: Cell<usize>,
    /// The Lua state is being closed.
    over: Cell<bool>,
    /// What is about to be pushed: kept here so that no destructor is due while Lua may raise.
    pub(in crate::lua) held: RefCell<Option<Held>>,
    /// Lines found ahead: the block that may be filled, or null.
    pub(in crate::lua) line_batch: Cell<*const c_void>,
    slots: RefCell<Vec<ObjectPointer>>,
    /// A cold call is under way, and the slots in which mlua passes itself functions (`ffi::cold_call`).
    pub(in crate::lua) in_cold_call: Cell<bool>,
    pub(in crate::lua) mlua_slots: Cell<MluaSlots>,
    /// The object that the last cold call was given first, or nowhere.
    pub(in crate::lua) receiver: Cell<ObjectPointer>,
}

impl State {
    pub(in crate::lua) fn new() -> Rc<Self> {
        let began = Instant::now();
        Rc::new(Self {
            reactor: RefCell::new(None),
            hub: OnceCell::new(),
            forks: Cell::new(fork_generation()),
            began,
            test_clock: TestClock::default(),
            told_of: Cell::new(None),
            delivers_trace: Cell::new(false),
            trace: Arc::new(Trace::new(began)),
            defaults: Arc::default(),
            last_target: RefCell::default(),
            queue: Queue::default(),
            reserved: RefCell::default(),
            early: RefCell::default(),
            servers: Cell::new(0),
            deferred: Cell::new(0),
            depth: Cell::new(0),
            missed: Cell::new(false),
            active: Cell::new(0),
            spin: Cell::new(limits::SPIN.as_secs_f64()),
            stopping: Cell::new(false),
            references: Cell::default(),
            main_thread: Cell::new(std::ptr::null_mut()),
            hook: Cell::new(0),
            over: Cell::new(false),
            held: RefCell::default(),
            line_batch: Cell::new(std::ptr::null()),
            slots: RefCell::default(),
            in_cold_call: Cell::new(false),
            mlua_slots: Cell::new([std::ptr::null(); 8]),
            receiver: Cell::new(ObjectPointer::NOWHERE),
        })
    }

    /// The hub, if anything was ever opened.
    pub(in crate::lua) fn hub(&self) -> Option<&Arc<Hub>> {
        self.hub.get()
    }

    /// The hub; starts the reactor at the first use.
    pub(in crate::lua) fn open(&self) -> Result<&Arc<Hub>> {
        if let Some(hub) = self.hub.get().filter(|_| !self.over.get()) {
            return Ok(hub);
        }
        if self.over.get() {
            return Err(Self::gone());
        }
        // A fork before anything was opened is of no account.
        self.forks.set(fork_generation());
        let reactor = Reactor::start(Arc::clone(&self.trace))?;
        let hub = Arc::clone(reactor.hub());
        self.reactor.replace(Some(reactor));
        Ok(self.hub.get_or_init(|| hub))
    }

    /// Does something with the reactor, if there is one.
    pub(in crate::lua) fn with_reactor<T>(&self, body: impl FnOnce(&Reactor) -> T) -> Option<T> {
        self.reactor.borrow().as_ref().map(body)
    }

    /// Stops the thread and closes everything: the end of the Lua state.
    pub(in crate::lua) fn shut(&self) {
        self.over.set(true);
        drop(self.reactor.take());
    }

    /// Whether this is a child of the process that began the reactor.
    pub(in crate::lua) fn is_forked(&self) -> bool {
        self.hub.get().is_some() && self.forks.get() != fork_generation()
    }

    pub(in crate::lua) fn forked() -> Error {
        Error::new(Code::Fork, "evsock: the process forked; its sockets belong to the parent")
    }

    pub(in crate::lua) fn gone() -> Error {
        Error::new(Code::Closed, "evsock: the Lua state is being closed")
    }

    pub(in crate::lua) fn elapsed(&self) -> Duration {
        self.hub().map_or_else(Instant::now, |hub| hub.now()).saturating_duration_since(self.began)
    }

    /// Monotonic seconds.
    pub(in crate::lua) fn now(&self) -> f64 {
        self.elapsed().as_secs_f64()
    }

    /// The same, of the system's clock.
    pub(in crate::lua) fn real_now(&self) -> f64 {
        self.real_elapsed().as_secs_f64()
    }

    pub(in crate::lua) fn real_elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The moment at so many seconds of [`State::now`].
    pub(in crate::lua) fn moment(&self, seconds: f64) -> Instant {
        let after = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(limits::LONGEST_WAIT);
        self.began + after.min(limits::LONGEST_WAIT)
    }

    /// How far a test has moved the clock ahead of the system's, in seconds; less than 0 if it lags.
    pub(in crate::lua) fn ahead(&self) -> f64 {
        let was_moved = self.hub().is_some_and(|hub| hub.clock.was_moved());
        if was_moved { self.now() - self.real_now() } else { 0.0 }
    }

    /// Whole parts of [`CLOCK_STEP`] since the state began: a clock that is held shows no other times
    /// but those that are exact as numbers of Lua.
    pub(in crate::lua) fn next_step(&self) -> Instant {
        self.began + whole_steps(self.elapsed())
    }

    /// The target, shared with the connection made before if it goes to the same place: a thousand
    /// connections to one server need one target.
    pub(in crate::lua) fn shared_target(&self, target: Target) -> Arc<Target> {
        let mut last = self.last_target.borrow_mut();
        match last.as_ref().filter(|last| ***last == target) {
            Some(last) => Arc::clone(last),
            None => Arc::clone(last.insert(Arc::new(target))),
        }
    }

    /// How many keep `run` going.
    pub(in crate::lua) fn active(&self) -> usize {
        self.active.get() + self.queue.deferred()
    }

    /// If anything waits on this side that nobody has announced, a foreign loop must come and see.
    pub(in crate::lua) fn ring(&self) {
        if let Some(hub) = self.hub().filter(|_| self.queue.has_work()) {
            hub.ring();
        }
    }

    /// What stands under a slot.
    pub(in crate::lua) fn slot(&self, slot: u32) -> ObjectPointer {
        let found = self.slots.borrow().get(slot as usize).copied();
        found.unwrap_or(ObjectPointer::NOWHERE)
    }

    /// How many slots there are.
    pub(in crate::lua) fn slots(&self) -> u32 {
        u32::try_from(self.slots.borrow().len()).unwrap_or(u32::MAX)
    }

    pub(in crate::lua) fn set_slot(&self, token: Token, object: ObjectPointer) {
        let mut slots = self.slots.borrow_mut();
        let slot = token.slot as usize;
        if slots.len() <= slot {
            slots.resize(slot + 1, ObjectPointer::NOWHERE);
        }
        if let Some(place) = slots.get_mut(slot) {
            *place = object;
        }
    }

    /// Forgets the tokens of connections that are gone: a script that never pumps would gather one
    /// for each that it had. `is_due`: whether an object wants what the token stands for.
    pub(in crate::lua) fn sweep(&self, is_due: impl Fn(ObjectPointer, Token) -> bool) {
        let most = limits::TOKENS_UNSWEPT + self.queue.aside.borrow().len();
        let Some(hub) = self.hub().filter(|hub| hub.waiting() > most) else { return };
        let before = self.queue.aside.take();
        let fresh = (0..hub.waiting()).map_while(|_| hub.next_token());
        let is_due = |token: &Token| {
            // The object of a new source may not have taken its slot yet.
            is_due(self.slot(token.slot), *token) || hub.source(*token).is_some()
        };
        self.queue.aside.replace(before.into_iter().chain(fresh).filter(is_due).collect());
    }

    /// Holds a port for the object, and gives up another that it held.
    pub(in crate::lua) fn hold_port(&self, object: ObjectPointer, port: PortHold) {
        drop(self.reserved.borrow_mut().insert(object.address(), port));
    }

    /// The object gives up the port that it holds, and its early socket.
    pub(in crate::lua) fn free_port(&self, object: ObjectPointer) {
        drop(self.reserved.borrow_mut().remove(&object.address()));
        drop(self.take_early(object));
    }

    /// The object has this early socket from now on.
    pub(in crate::lua) fn keep_early(&self, object: ObjectPointer, early: EarlySocket) {
        drop(self.early.borrow_mut().insert(object.address(), early));
    }

    pub(in crate::lua) fn with_early<R>(
        &self,
        object: ObjectPointer,
        body: impl FnOnce(&mut EarlySocket) -> R,
    ) -> Option<R> {
        self.early.borrow_mut().get_mut(&object.address()).map(body)
    }

    pub(in crate::lua) fn take_early(&self, object: ObjectPointer) -> Option<EarlySocket> {
        self.early.borrow_mut().remove(&object.address())
    }

    /// Empties the slot, if it still holds that object.
    pub(in crate::lua) fn clear_slot(&self, token: Token, object: ObjectPointer) {
        let mut slots = self.slots.borrow_mut();
        if let Some(place) = slots.get_mut(token.slot as usize).filter(|place| **place == object) {
            *place = ObjectPointer::NOWHERE;
        }
    }

    /// One more, or one less, keeps `run` going.
    pub(in crate::lua) fn hold_loop(&self, more: bool) {
        let active = self.active.get();
        let active = if more { active + 1 } else { active.saturating_sub(1) };
        self.active.set(active);
        let active = self.active();
        // A loop that ends when nothing is active must look again. After a pump it does anyway.
        if active == 0
            && self.depth.get() == 0
            && !self.is_forked()
            && let Some(hub) = self.hub()
        {
            hub.ring();
        }
    }
}
