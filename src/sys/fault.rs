//! The switch that makes the system misbehave on demand: short reads and writes, "would block",
//! the k-th system call failing, panics.
//!
//! Only with the feature `fault`, which is for tests and in no release; without it every function
//! here is empty and leaves nothing behind. Every call of this floor that can fail asks [`before`]
//! first; the calls are counted over all threads of the process.
#![allow(unsafe_code)]

use std::io::{self, IoSlice};

use socket2::Socket;

#[cfg(feature = "fault")]
use crate::errno;
pub use switch::*;

macro_rules! calls {
    ($($(#[$doc:meta])* $variant:ident = $name:literal [$($errno:ident)*],)*) => {
        /// The kinds of system calls.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Call { $($(#[$doc])* $variant,)* }

        #[cfg(feature = "fault")]
        impl Call {
            /// The name of the call, and what it typically fails with.
            fn typical(self) -> (&'static str, &'static [(&'static str, i32)]) {
                match self {
                    $(Call::$variant => ($name, &[$((stringify!($errno), errno::$errno)),*]),)*
                }
            }
        }
    };
}

calls! {
    /// Taking a connection that waits.
    Accept = "accept" [EMFILE ECONNABORTED ENOMEM],
    /// Naming our end.
    Bind = "bind" [EADDRINUSE EACCES EADDRNOTAVAIL],
    /// A descriptor of a clock.
    ClockCreate = "timerfd_create" [EMFILE ENOMEM],
    /// Starting to connect.
    Connect = "connect" [ECONNREFUSED ENETUNREACH EADDRNOTAVAIL],
    /// Making the registry.
    EpollCreate = "epoll_create" [EMFILE ENOMEM],
    /// Registering a descriptor.
    EpollAdd = "epoll_ctl add" [ENOSPC ENOMEM],
    /// Changing what it waits for.
    EpollModify = "epoll_ctl modify" [ENOMEM],
    /// Forgetting it.
    EpollDelete = "epoll_ctl delete" [ENOMEM],
    /// Waiting.
    EpollWait = "epoll_wait" [EINTR EBADF],
    /// Whether the connection stands.
    GetPeer = "getpeername" [ENOTCONN ENOBUFS],
    /// Our end.
    GetLocal = "getsockname" [ENOBUFS],
    /// How connecting went.
    GetError = "getsockopt SO_ERROR" [ECONNREFUSED ETIMEDOUT EHOSTUNREACH],
    /// Beginning to listen.
    Listen = "listen" [EADDRINUSE ENOBUFS],
    /// Non-blocking mode.
    /// Receiving.
    Recv = "recv" [ECONNRESET ETIMEDOUT EINTR],
    /// Sending one part.
    Send = "send" [EPIPE ECONNRESET ENOBUFS],
    /// Sending several parts.
    SendGathered = "sendmsg" [EPIPE ECONNRESET EINTR],
    /// An option of a socket.
    SetOption = "setsockopt" [EINVAL ENOMEM],
    /// The end of stream.
    Shutdown = "shutdown" [ENOTCONN ENOBUFS],
    /// A new socket.
    Socket = "socket" [EMFILE ENOBUFS],
    /// A new thread.
    Spawn = "clone" [EAGAIN],
    /// A descriptor for waking.
    WakeCreate = "eventfd" [EMFILE ENOMEM],
    /// Waking.
    WakeWrite = "eventfd write" [EINTR],
    /// Having been woken.
    WakeRead = "eventfd read" [EINTR EAGAIN],
}

/// Where panics are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// In the leader, outside of any source.
    Leader,
    /// Before a source is served.
    Source,
}

#[cfg(not(feature = "fault"))]
mod switch {
    use super::{Call, IoSlice, Place, Socket, io};

    /// Asked before every system call.
    ///
    /// # Errors
    /// What was planned.
    #[inline]
    pub fn before(_call: Call) -> io::Result<()> {
        Ok(())
    }

    /// Where a panic may be planned.
    #[inline]
    pub fn point(_place: Place) {}

    /// What may be received into.
    #[inline]
    pub fn shorten_room<'a, T>(_socket: &Socket, room: &'a mut [T]) -> &'a mut [T] {
        room
    }

    /// What may be sent.
    #[inline]
    pub fn shorten(data: &[u8]) -> &[u8] {
        data
    }

    /// The part to send alone, if no more than that may be sent.
    #[inline]
    pub fn only<'a>(_slices: &'a [IoSlice<'_>]) -> Option<&'a [u8]> {
        None
    }
}

#[cfg(feature = "fault")]
mod switch {
    use std::os::fd::AsRawFd;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::{Call, IoSlice, Place, Socket, io};
    use crate::errno;

    /// What is to go wrong.
    #[derive(Clone, Debug, Default)]
    pub struct Plan {
        /// Reads and writes move that part of what there is to move, at least one byte; 0: all.
        pub cut: usize,
        /// Every n-th accept, receive and send would block; 0: none.
        pub again_every: u64,
        /// This call fails, counted from 1; 0: none.
        pub fail_at: u64,
        /// What with.
        pub failure: Failure,
        /// A panic where this event is handed to its source, counted from 1; 0: none.
        pub panic_at: u64,
        /// A panic in this turn of the leader, outside of any source; 0: none.
        pub stumble_at: u64,
    }

    /// What the failing call fails with.
    #[derive(Clone, Copy, Debug)]
    pub enum Failure {
        /// It panics.
        Panic,
        /// The n-th of the typical ones of its kind, from 0; if there are fewer, nothing fails.
        Typical(usize),
    }

    impl Default for Failure {
        fn default() -> Self {
            Self::Typical(0)
        }
    }

    /// What has happened since the plan was set.
    #[derive(Clone, Debug, Default)]
    pub struct Record {
        /// System calls.
        pub calls: u64,
        /// Events handed to sources.
        pub events: u64,
        /// Turns of the leader.
        pub turns: u64,
        /// What was made to fail: the call and the error.
        pub failed: Option<(&'static str, &'static str)>,
        /// It was not on the script's thread.
        pub on_thread: bool,
    }

    #[derive(Debug)]
    struct Switch {
        plan: Plan,
        record: Record,
        /// Accepts, receives and sends.
        transfers: u64,
    }

    static SWITCH: Mutex<Option<Switch>> = Mutex::new(None);

    fn held() -> MutexGuard<'static, Option<Switch>> {
        SWITCH.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what is to go wrong from now on and counts anew; `None`: nothing. Returns what has
    /// happened under the plan before.
    pub fn set(plan: Option<Plan>) -> Record {
        let next = plan.map(|plan| Switch { plan, record: Record::default(), transfers: 0 });
        let before = std::mem::replace(&mut *held(), next);
        before.map(|switch| switch.record).unwrap_or_default()
    }

    /// What has happened so far.
    pub fn record() -> Record {
        held().as_ref().map(|switch| switch.record.clone()).unwrap_or_default()
    }

    /// How many descriptors the process has open.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub fn descriptors() -> io::Result<usize> {
        // One of them is that of the listing itself.
        Ok(std::fs::read_dir("/proc/self/fd")?.count().saturating_sub(1))
    }

    /// Asked before every system call.
    ///
    /// # Errors
    /// What was planned.
    pub fn before(call: Call) -> io::Result<()> {
        let errno = {
            let mut held = held();
            let Some(switch) = held.as_mut() else { return Ok(()) };
            switch.record.calls += 1;
            if switch.record.calls == switch.plan.fail_at {
                switch.fail(call)
            } else if switch.would_block(call) {
                Some(errno::EAGAIN)
            } else {
                None
            }
        };
        match errno {
            None => Ok(()),
            Some(PANIC) => unwind(),
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    const PANIC: i32 = -1;

    impl Switch {
        fn fail(&mut self, call: Call) -> Option<i32> {
            let (name, typical) = call.typical();
            let (text, errno) = match self.plan.failure {
                // Waking has no code of ours around it that could panic.
                Failure::Panic if call == Call::WakeWrite => return None,
                Failure::Panic => ("panic", PANIC),
                Failure::Typical(index) => *typical.get(index)?,
            };
            self.record.failed = Some((name, text));
            self.record.on_thread = on_thread();
            Some(errno)
        }

        fn would_block(&mut self, call: Call) -> bool {
            use Call::{Accept, Recv, Send, SendGathered};
            if self.plan.again_every == 0 || !matches!(call, Accept | Recv | Send | SendGathered) {
                return false;
            }
            self.transfers += 1;
            self.transfers.is_multiple_of(self.plan.again_every)
        }
    }

    /// Where a panic may be planned.
    pub fn point(place: Place) {
        let due = {
            let mut held = held();
            let Some(Switch { plan, record, .. }) = held.as_mut() else { return };
            let (count, at, name) = match place {
                Place::Leader => (&mut record.turns, plan.stumble_at, "leader"),
                Place::Source => (&mut record.events, plan.panic_at, "source"),
            };
            *count += 1;
            let due = *count == at;
            if due {
                record.failed = Some((name, "panic"));
                record.on_thread = on_thread();
            }
            due
        };
        if due {
            unwind();
        }
    }

    fn on_thread() -> bool {
        std::thread::current().name().is_some_and(|name| name.starts_with("evsock"))
    }

    /// A panic that the hook does not print: whatever it prints in a test is a true one.
    fn unwind() -> ! {
        std::panic::resume_unwind(Box::new("planned"))
    }

    fn cut() -> usize {
        held().as_ref().map_or(0, |switch| switch.plan.cut)
    }

    /// What may be received into.
    pub fn shorten_room<'a, T>(socket: &Socket, room: &'a mut [T]) -> &'a mut [T] {
        let most = room.len();
        let length = match cut() {
            0 => most,
            part => (waiting(socket) / part).max(1),
        };
        room.split_at_mut(length.min(most)).0
    }

    fn waiting(socket: &Socket) -> usize {
        let mut count: libc::c_int = 0;
        // SAFETY: the request writes one `int`.
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &raw mut count) };
        usize::try_from(count).unwrap_or_default()
    }

    /// What may be sent.
    pub fn shorten(data: &[u8]) -> &[u8] {
        match cut() {
            0 => data,
            part => data.get(..(data.len() / part).max(1)).unwrap_or(data),
        }
    }

    /// The part to send alone, if not all of them may be sent.
    pub fn only<'a>(slices: &'a [IoSlice<'_>]) -> Option<&'a [u8]> {
        let first = slices.iter().find(|slice| !slice.is_empty())?;
        (cut() > 0).then_some(first)
    }
}
