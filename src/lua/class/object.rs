//! An object: a socket of either kind, a server or a timer, with what it has in Rust. Its class is its
//! metatable.
//!
//! Not here: the block of memory where it lies (`ffi::block`), its fields and handlers (`fields`).
//! Invariant: what keeps `run` going follows from what the script knows of the object, in `update` alone.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::rc::Rc;

use crate::error::Error;
use crate::lua::class::kind::Kind;
use crate::lua::ffi::line_batch::{Given, LineBatch};
use crate::lua::run::queue::Work;
use crate::lua::run::state::State;
use crate::lua::server::part::ServerPart;
use crate::lua::watch::part::WatchPart;
use crate::net::options::Options;
use crate::net::question::Question;
use crate::net::stream::Stream;
use crate::net::target::Target;
use crate::net::timer::Timer;
use crate::net::udp::UdpSocket;
use crate::proto::lazy::Lazy;
use crate::proto::read_buffer::ReadBuffer;
use crate::proto::script::{ScriptState, SocketState};
use crate::proto::token::Token;
use crate::sync::Arc;

/// What keeps an active object alive (`class::anchor`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::lua) enum Anchor {
    /// Its handlers: the object survives if they reach it.
    Handlers,
    /// Having a handler at all.
    Object,
}

/// A cell for what is shared and rarely looked at: a word less than a `RefCell`. Looking copies.
pub(in crate::lua) struct SharedCell<T>(Cell<Option<T>>);

impl<T> Default for SharedCell<T> {
    fn default() -> Self {
        Self(Cell::new(None))
    }
}

impl<T: Clone> SharedCell<T> {
    pub(in crate::lua) fn get(&self) -> Option<T> {
        let value = self.0.take();
        self.0.set(value.clone());
        value
    }

    pub(in crate::lua) fn set(&self, value: Option<T>) {
        self.0.set(value);
    }
}

impl<T> std::fmt::Debug for SharedCell<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SharedCell")
    }
}

/// What a socket has.
#[derive(Debug, Default)]
pub(in crate::lua) struct SocketPart {
    pub(in crate::lua) stream: RefCell<Option<Arc<Stream>>>,
    /// Only through `front` and `front_mut`: a batch of lines may have to be committed first.
    buffer: RefCell<Lazy<ReadBuffer>>,
    /// None: those of the state.
    pub(in crate::lua) options: SharedCell<Arc<Options>>,
    /// Where it connects to; none for an accepted connection.
    pub(in crate::lua) target: SharedCell<Arc<Target>>,
    /// Why the connection was closed, if it failed.
    pub(in crate::lua) failure: SharedCell<Box<Error>>,
}

impl SocketPart {
    /// Drops what was received, and the state of the buffer.
    pub(in crate::lua) fn clear(&self, object: &Object) {
        self.commit_batch(object);
        if let Some(buffer) = self.buffer.borrow_mut().present() {
            buffer.clear();
        }
    }

    /// Drops what can be read.
    pub(in crate::lua) fn forget(&self, object: &Object) {
        self.commit_batch(object);
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
    pub(in crate::lua) fn front(&self, object: &Object) -> Ref<'_, ReadBuffer> {
        self.commit_batch(object);
        Ref::map(self.buffer.borrow(), Lazy::get)
    }

    #[inline]
    pub(in crate::lua) fn front_mut(&self, object: &Object) -> RefMut<'_, Lazy<ReadBuffer>> {
        self.commit_batch(object);
        self.buffer.borrow_mut()
    }

    /// Takes the lines that were given since they were found ahead; no more are given of these.
    #[inline]
    pub(in crate::lua) fn commit_batch(&self, object: &Object) {
        if object.has_batch.get() {
            self.commit_now(object);
        }
    }

    #[cold]
    fn commit_now(&self, object: &Object) {
        object.has_batch.set(false);
        let mut buffer = self.buffer.borrow_mut();
        let buffer = buffer.make();
        match LineBatch::finish(&object.state) {
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

/// What a timer has.
#[derive(Debug, Default)]
pub(in crate::lua) struct TimerPart {
    pub(in crate::lua) timer: RefCell<Option<Arc<Timer>>>,
    /// When it last was due, in seconds of the state's clock, and the period; zero: once.
    pub(in crate::lua) due: Cell<f64>,
    pub(in crate::lua) period: Cell<f64>,
    pub(in crate::lua) repeats: Cell<bool>,
    /// Its handler runs.
    pub(in crate::lua) is_running: Cell<bool>,
    /// It keeps no `run` going.
    pub(in crate::lua) background: Cell<bool>,
}

/// A socket's for datagrams; one that is closed still knows what it has moved.
pub(in crate::lua) type DatagramPart = RefCell<Option<Arc<UdpSocket>>>;

/// A question's; the answer is taken from it.
pub(in crate::lua) type QuestionPart = RefCell<Option<Arc<Question>>>;

/// Which kind it is.
#[derive(Debug)]
pub(in crate::lua) enum Part {
    Datagram(Box<DatagramPart>),
    Question(QuestionPart),
    Server(Box<ServerPart>),
    Socket(SocketPart),
    Timer(TimerPart),
    Watch(Box<WatchPart>),
}

/// An object.
#[derive(Debug)]
pub(in crate::lua) struct Object {
    pub(in crate::lua) magic: Cell<u32>,
    pub(in crate::lua) state: Rc<State>,
    pub(in crate::lua) token: Cell<Option<Token>>,
    pub(in crate::lua) handlers: Cell<u16>,
    /// Only through `script` and `update`.
    script: Cell<ScriptState>,
    pub(in crate::lua) anchor: Cell<Anchor>,
    /// Tasks wait on it.
    pub(in crate::lua) watched: Cell<bool>,
    /// It has been registered: if it does not stand in the table of objects, it is garbage.
    pub(in crate::lua) registered: Cell<bool>,
    /// Its table of fields is shared with other objects.
    pub(in crate::lua) shared_fields: Cell<bool>,
    /// Of a socket: it dies with the server that accepted it.
    pub(in crate::lua) dies_with_server: Cell<bool>,
    /// Of a socket: lines were found ahead in its buffer (`line_batch`).
    pub(in crate::lua) has_batch: Cell<bool>,
    /// It has had deferred callbacks.
    pub(in crate::lua) has_deferred: Cell<bool>,
    /// Of a server: its number. Of a socket: that of the server which accepted it; else 0.
    pub(in crate::lua) server_id: Cell<u32>,
    pub(in crate::lua) part: Part,
}

// Each connection and each timer has one.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Object>() <= 112);

impl Object {
    /// A new object, for a block that begins with that number.
    pub(in crate::lua) fn make(magic: u32, state: Rc<State>, kind: Kind, anchor: Anchor) -> Self {
        let mut server_id = 0;
        let part = match kind {
            Kind::Datagram => Part::Datagram(Box::default()),
            Kind::Question => Part::Question(QuestionPart::default()),
            Kind::Timer => Part::Timer(TimerPart::default()),
            Kind::Watch => Part::Watch(Box::default()),
            Kind::Server => {
                server_id = state.servers.get().wrapping_add(1).max(1);
                state.servers.set(server_id);
                Part::Server(Box::default())
            }
            Kind::Socket => Part::Socket(SocketPart::default()),
        };
        Self {
            magic: Cell::new(magic),
            state,
            token: Cell::new(None),
            handlers: Cell::new(0),
            script: Cell::default(),
            anchor: Cell::new(anchor),
            watched: Cell::new(false),
            registered: Cell::new(false),
            shared_fields: Cell::new(true),
            dies_with_server: Cell::new(false),
            has_deferred: Cell::new(false),
            has_batch: Cell::new(false),
            server_id: Cell::new(server_id),
            part,
        }
    }

    /// From now on events of that token are its own.
    pub(in crate::lua) fn take_slot(&self, token: Token) {
        self.state.set_slot(token, self.pointer());
        self.state.sweep(|object, token| {
            let object = Self::behind(object);
            object.is_some_and(|it| it.socket().is_none() || it.token.get() == Some(token))
        });
    }

    /// Events of that token are not its own any more.
    pub(in crate::lua) fn leave_slot(&self, token: Token) {
        self.state.clear_slot(token, self.pointer());
    }

    /// Which kind it is.
    #[inline]
    pub(in crate::lua) fn kind(&self) -> Kind {
        match self.part {
            Part::Datagram(_) => Kind::Datagram,
            Part::Question(_) => Kind::Question,
            Part::Server(_) => Kind::Server,
            Part::Socket(_) => Kind::Socket,
            Part::Timer(_) => Kind::Timer,
            Part::Watch(_) => Kind::Watch,
        }
    }

    /// The token by which it goes; that of its first address for a server.
    pub(in crate::lua) fn name(&self) -> Option<Token> {
        match &self.part {
            Part::Server(part) => part.listeners.borrow().first().map(|listener| listener.token()),
            _ => self.token.get(),
        }
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

    /// What the script knows of it.
    #[inline]
    pub(in crate::lua) fn script(&self) -> ScriptState {
        self.script.get()
    }

    /// Changes that. Whether a loop has to go on for the object follows from it, here alone.
    #[inline]
    pub(in crate::lua) fn update<R>(&self, change: impl FnOnce(&mut ScriptState) -> R) -> R {
        let before = self.script.get();
        let mut after = before;
        let result = change(&mut after);
        self.script.set(after);
        if before.is_active() != after.is_active() {
            self.state.hold_loop(after.is_active());
        }
        result
    }

    /// Its events are those of the source that has the token.
    pub(in crate::lua) fn attach(&self, token: Token) {
        let in_background = match &self.part {
            Part::Timer(part) => part.background.get(),
            // Whoever waits for it keeps the loop going.
            Part::Question(_) => true,
            Part::Watch(part) => !part.has_handler.get(),
            _ => false,
        };
        self.token.set(Some(token));
        self.update(
            |script| {
                if in_background { script.attach_in_background() } else { script.attach() }
            },
        );
        self.take_slot(token);
    }

    /// They are no more; the token that it had.
    pub(in crate::lua) fn detach(&self) -> Option<Token> {
        let token = self.token.take()?;
        self.update(ScriptState::detach);
        self.leave_slot(token);
        Some(token)
    }

    /// It was closed without an event: tasks that wait on it check again. Not those whose timeout it is.
    pub(in crate::lua) fn notify_watchers(&self) {
        let is_over = match &self.part {
            Part::Socket(_) => self.script().state() == SocketState::Closed,
            Part::Timer(part) => !part.background.get(),
            Part::Datagram(_) | Part::Question(_) | Part::Server(_) | Part::Watch(_) => true,
        };
        if self.watched.get() && is_over {
            self.state.queue.push(Work::TaskReady);
            self.state.ring();
        }
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
                    self.leave_slot(listener.token());
                    listener.abandon();
                }
            }
            Part::Question(part) => drop(part.take()),
            Part::Timer(part) => drop(part.timer.take()),
            Part::Watch(part) => {
                if let Some(watch) = part.watch.take() {
                    watch.abandon();
                }
            }
        }
    }

    /// Gives a stream up silently; what was written is flushed in the background.
    pub(in crate::lua) fn let_go(&self) {
        self.detach();
        self.state.free_port(self.pointer());
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
            Part::Question(part) => {
                if let Some(question) = part.take() {
                    question.call_off(hub);
                }
            }
            Part::Server(part) => {
                for listener in part.listeners.take() {
                    self.leave_slot(listener.token());
                    listener.close(hub);
                }
            }
            Part::Timer(part) => {
                if let Some(timer) = part.timer.take() {
                    timer.cancel(hub);
                }
            }
            Part::Watch(part) => {
                if let Some(watch) = part.watch.take() {
                    watch.close(hub);
                }
            }
        }
    }
}
