//! What one Lua state has: its reactor, the events taken from it, and where its objects are.
//!
//! Not here: Lua values (they live in Lua tables). Single-threaded: only the interpreter's thread
//! touches it. Invariants: `slots[token.slot]` is null or the address of a live object; `batch`
//! holds events in the order in which they are to be dispatched; what the sources of `aside` have
//! posted comes after it, and before what is in the hub's queue.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::ffi::lua_State;

use crate::error::{Code, Error, Result};
use crate::limits;
use crate::lua::raw::lease::Lease;
use crate::lua::raw::object::Object;
use crate::net::connect_plan::ConnectPlan;
use crate::net::hub::Hub;
use crate::net::options::Options;
use crate::net::reserve::Reserved;
use crate::proto::event::Event;
use crate::proto::token::Token;
use crate::reactor::{Reactor, fork_generation};
use crate::sync::Arc;

/// What waits to be dispatched.
#[derive(Debug)]
pub(super) enum Item {
    /// An event on its way to a handler.
    Event(Token, Event),
    /// The ends of connections that the script has already replaced by this one: as many turns as
    /// there are.
    Farewell(Token),
    /// An object has something to tell of its own: the number of the note (`raw::notes`), and the
    /// address of the object, null once it is finalised.
    Note(u32, *const Object),
    /// A task wants its turn (`tasks.lua` knows which).
    Turn,
}

/// Keys in the registry; null behind the last. Two are ours; each other module that uses mlua has two.
pub(super) type Hands = [*const std::ffi::c_void; 8];

/// References into the registry of Lua.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct References {
    /// Slot to object; weak.
    pub(super) objects: i32,
    /// Slot to what keeps an object alive; strong.
    pub(super) anchors: i32,
    /// The own table of objects without fields.
    pub(super) blank: i32,
    /// Event number to the name of its handler.
    pub(super) names: i32,
    /// Class number to metatable.
    pub(super) metatables: i32,
    /// The module's table.
    pub(super) module: i32,
    /// What a script has set of the module (`on_error`).
    pub(super) hooks: i32,
    /// The current block of lines found ahead, or false.
    pub(super) lease: i32,
    /// The function that adds a traceback.
    pub(super) traceback: i32,
    /// The function that dispatches (`raw::pump`).
    pub(super) dispatcher: i32,
    /// The function that makes what a handler gets (`raw::arguments`).
    pub(super) preparer: i32,
    /// The function that says in an error which handler it was (`raw::blame`).
    pub(super) blamer: i32,
    /// The function that makes a string under protection (`raw::making`).
    pub(super) maker: i32,
    /// What `tasks.lua` has put there: 1 wakes the tasks that wait on an object, 2 gives a turn.
    pub(super) tasks: i32,
}

/// The state.
#[derive(Debug)]
pub(super) struct State {
    reactor: RefCell<Option<Reactor>>,
    hub: OnceCell<Arc<Hub>>,
    /// How often the process had forked when the reactor began.
    forks: Cell<u32>,
    began: Instant,
    /// The options of a socket that has none of its own.
    pub(super) defaults: Arc<Options>,
    last_plan: RefCell<Option<Arc<ConnectPlan>>>,
    /// Each with its number: the items that a pump found when it began are those up to a number.
    pub(super) batch: RefCell<VecDeque<(u64, Item)>>,
    /// The number of the last item.
    pub(super) pushed: Cell<u64>,
    /// Tokens out of the hub's queue whose turn was not yet: a call waits for one object alone.
    pub(super) aside: RefCell<VecDeque<Token>>,
    /// The ports that the next connections of objects are to use, by the addresses of the objects.
    reserved: RefCell<HashMap<usize, Reserved>>,
    /// How many servers there were.
    pub(super) servers: Cell<u32>,
    /// The number of the next note.
    pub(super) notes: Cell<u32>,
    pub(super) depth: Cell<u32>,
    /// For want of memory a task was not woken that may have to be.
    pub(super) missed: Cell<bool>,
    /// Sockets, servers, timers and tasks that keep `run` going. Below zero for a moment while a handler
    /// replaces the connection whose end it is told.
    pub(super) active: Cell<isize>,
    pub(super) spin: Cell<f64>,
    /// `stop` was called: dispatching ends with the running handler.
    pub(super) stopping: Cell<bool>,
    pub(super) references: Cell<References>,
    /// The main thread of Lua, null while it is not known, and the hook that was last seen there:
    /// signals set one.
    pub(super) main_thread: Cell<*mut lua_State>,
    pub(super) hook: Cell<usize>,
    /// The Lua state is being closed.
    over: Cell<bool>,
    /// The error being pushed: kept here so that no destructor is due while Lua may raise.
    pub(super) error: RefCell<Option<Box<Error>>>,
    /// Lines found ahead: the block that may be filled, or null.
    pub(super) lease: Cell<*const Lease>,
    pub(super) slots: RefCell<Vec<*const Object>>,
    /// A cold function is under way, and where mlua keeps what it hands itself (`raw::shield`).
    pub(super) cold: Cell<bool>,
    pub(super) hands: Cell<Hands>,
    /// The object that the last call of a cold function was given first, or null.
    pub(super) callee: Cell<*const Object>,
}

impl State {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            reactor: RefCell::new(None),
            hub: OnceCell::new(),
            forks: Cell::new(fork_generation()),
            began: Instant::now(),
            defaults: Arc::default(),
            last_plan: RefCell::default(),
            batch: RefCell::default(),
            pushed: Cell::new(0),
            aside: RefCell::default(),
            reserved: RefCell::default(),
            servers: Cell::new(0),
            notes: Cell::new(0),
            depth: Cell::new(0),
            missed: Cell::new(false),
            active: Cell::new(0),
            spin: Cell::new(limits::SPIN.as_secs_f64()),
            stopping: Cell::new(false),
            references: Cell::default(),
            main_thread: Cell::new(std::ptr::null_mut()),
            hook: Cell::new(0),
            over: Cell::new(false),
            error: RefCell::default(),
            lease: Cell::new(std::ptr::null()),
            slots: RefCell::default(),
            cold: Cell::new(false),
            hands: Cell::new([std::ptr::null(); 8]),
            callee: Cell::new(std::ptr::null()),
        })
    }

    /// The hub, if anything was ever opened.
    pub(super) fn hub(&self) -> Option<&Arc<Hub>> {
        self.hub.get()
    }

    /// The hub; starts the reactor at the first use.
    pub(super) fn open(&self) -> Result<&Arc<Hub>> {
        if let Some(hub) = self.hub.get().filter(|_| !self.over.get()) {
            return Ok(hub);
        }
        if self.over.get() {
            return Err(Self::gone());
        }
        // A fork before anything was opened is of no account.
        self.forks.set(fork_generation());
        let reactor = Reactor::start()?;
        let hub = Arc::clone(reactor.hub());
        self.reactor.replace(Some(reactor));
        Ok(self.hub.get_or_init(|| hub))
    }

    /// Does something with the reactor, if there is one.
    pub(super) fn with_reactor<T>(&self, body: impl FnOnce(&Reactor) -> T) -> Option<T> {
        self.reactor.borrow().as_ref().map(body)
    }

    /// Stops the thread and closes everything: the end of the Lua state.
    pub(super) fn shut(&self) {
        self.over.set(true);
        drop(self.reactor.take());
    }

    /// Whether this is a child of the process that began the reactor.
    pub(super) fn is_forked(&self) -> bool {
        self.hub.get().is_some() && self.forks.get() != fork_generation()
    }

    pub(super) fn forked() -> Error {
        Error::new(Code::Fork, "evsock: the process forked; its sockets belong to the parent")
    }

    pub(super) fn gone() -> Error {
        Error::new(Code::Closed, "evsock: the Lua state is being closed")
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Monotonic seconds.
    pub(super) fn now(&self) -> f64 {
        self.elapsed().as_secs_f64()
    }

    /// The moment at so many seconds of [`State::now`].
    pub(super) fn moment(&self, seconds: f64) -> Instant {
        let after = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(limits::LONGEST_WAIT);
        self.began + after.min(limits::LONGEST_WAIT)
    }

    /// The plan, shared with the connection made before if it goes to the same place: a thousand
    /// connections to one server need one plan.
    pub(super) fn shared_plan(&self, plan: ConnectPlan) -> Arc<ConnectPlan> {
        let mut last = self.last_plan.borrow_mut();
        match last.as_ref().filter(|last| ***last == plan) {
            Some(last) => Arc::clone(last),
            None => Arc::clone(last.insert(Arc::new(plan))),
        }
    }

    pub(super) fn push(&self, item: Item) {
        let number = self.pushed.get() + 1;
        self.pushed.set(number);
        self.batch.borrow_mut().push_back((number, item));
    }

    /// The first item numbered `from` to `to`, or put before all others, that `is_wanted`, taken out,
    /// and its number.
    pub(super) fn pick(
        &self,
        from: u64,
        to: u64,
        is_wanted: impl Fn(&Item) -> bool,
    ) -> Option<(u64, Item)> {
        let mut batch = self.batch.borrow_mut();
        let mut ahead = batch.iter().take_while(|(number, _)| *number == 0);
        if let Some(place) = ahead.position(|(_, item)| is_wanted(item)) {
            return batch.remove(place);
        }
        let start = batch.partition_point(|(number, _)| *number < from);
        let found = batch.range(start..).position(|(number, item)| *number > to || is_wanted(item));
        let place = start + found?;
        batch.get(place).is_some_and(|(number, _)| *number <= to).then(|| batch.remove(place))?
    }

    /// Takes the events of one connection out, in order.
    pub(super) fn pull(&self, token: Token) -> Vec<Item> {
        let mut batch = self.batch.borrow_mut();
        let is_its = |item: &Item| matches!(item, Item::Event(of, _) if *of == token);
        let mut pulled = Vec::new();
        while let Some(place) = batch.iter().position(|(_, item)| is_its(item)) {
            pulled.extend(batch.remove(place).map(|(_, item)| item));
        }
        pulled
    }

    /// Whether anything waits on this side that nobody has announced.
    pub(super) fn has_items(&self) -> bool {
        !self.batch.borrow().is_empty() || !self.aside.borrow().is_empty()
    }

    /// Gives back what a burst of items has taken.
    pub(super) fn shrink(&self) {
        let mut batch = self.batch.borrow_mut();
        if batch.capacity() > limits::ITEMS_KEPT && batch.is_empty() {
            *batch = VecDeque::new();
        }
    }

    /// Puts an item before all others. Every pump that runs handles it: it belongs to an event that
    /// was there when they began.
    pub(super) fn push_next(&self, item: Item) {
        self.batch.borrow_mut().push_front((0, item));
    }

    /// If so, a foreign loop must come and see.
    pub(super) fn ring(&self) {
        if let Some(hub) = self.hub().filter(|_| self.has_items()) {
            hub.ring();
        }
    }

    /// The object is being finalised: its notes are nobody's.
    pub(super) fn forget_notes(&self, object: *const Object) {
        for (_, item) in self.batch.borrow_mut().iter_mut() {
            if let Item::Note(_, place) = item
                && *place == object
            {
                *place = std::ptr::null();
            }
        }
    }

    pub(super) fn place(&self, token: Token, object: *const Object) {
        let mut slots = self.slots.borrow_mut();
        let slot = token.slot as usize;
        if slots.len() <= slot {
            slots.resize(slot + 1, std::ptr::null());
        }
        if let Some(place) = slots.get_mut(slot) {
            *place = object;
        }
        drop(slots);
        self.sweep();
    }

    /// Forgets the tokens of connections that are gone: a script that never pumps would gather one
    /// for each that it had.
    fn sweep(&self) {
        let most = limits::TOKENS_UNSWEPT + self.aside.borrow().len();
        let Some(hub) = self.hub().filter(|hub| hub.waiting() > most) else { return };
        let before = self.aside.take();
        let fresh = (0..hub.waiting()).map_while(|_| hub.next_token());
        let slots = self.slots.borrow();
        let is_due = |token: &Token| {
            let object = slots.get(token.slot as usize).copied().and_then(Object::in_slot);
            let waits =
                |object: &Object| object.socket().is_none() || object.token.get() == Some(*token);
            // One that is new may not have its place yet.
            object.is_some_and(waits) || hub.source(*token).is_some()
        };
        self.aside.replace(before.into_iter().chain(fresh).filter(is_due).collect());
    }

    /// Holds a port for the object, and gives up another that it held.
    pub(super) fn hold_port(&self, object: &Object, port: Reserved) {
        let address = std::ptr::from_ref(object) as usize;
        drop(self.reserved.borrow_mut().insert(address, port));
    }

    pub(super) fn free_port(&self, object: &Object) {
        let address = std::ptr::from_ref(object) as usize;
        drop(self.reserved.borrow_mut().remove(&address));
    }

    /// Empties the place, if it still holds that object.
    pub(super) fn vacate(&self, token: Token, object: *const Object) {
        let mut slots = self.slots.borrow_mut();
        if let Some(place) = slots.get_mut(token.slot as usize).filter(|place| **place == object) {
            *place = std::ptr::null();
        }
    }

    pub(super) fn count(&self, change: isize) {
        let active = self.active.get() + change;
        self.active.set(active);
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
