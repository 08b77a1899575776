//! Looking names up without blocking anybody: a pool of threads for the whole process.
//!
//! The threads are detached, and end when nothing happens; what each does next is decided by
//! `proto::lookups`. Names under way are shared; what nobody waits for any more is not begun.
//! Not here: numeric addresses and `localhost` (`target`), which never come here.
//! Invariants: no lock is held while the system looks up or an answer is given; calling off takes
//! no lock, so that it can be done in the child of a fork.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Code, Error, Result};
use crate::limits;
use crate::proto::lookups::{Lookups, Turn, Wanted};
use crate::sync::Arc;
use crate::sys::{names, process};

/// Told the addresses of a name; their port is 0.
type Callback = Box<dyn FnOnce(Result<Vec<SocketAddr>>) + Send>;
/// Told what is answered.
type AnswerCallback = Box<dyn FnOnce(Result<Answer>) + Send>;

/// What is found out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The addresses of a name; their port is 0.
    Addresses(Vec<SocketAddr>),
    /// The name of an address.
    Name(String),
}

/// What stands in the list before the address whose name is looked for: no host name has it.
const ADDRESS: char = '\0';

/// A request under way; dropping it calls the request off.
#[derive(Debug)]
pub struct Lookup {
    canceled: Arc<AtomicBool>,
}

impl Drop for Lookup {
    fn drop(&mut self) {
        // Relaxed: no data is handed over; a late answer is dropped by its token anyway.
        self.canceled.store(true, Ordering::Relaxed);
    }
}

struct Waiter {
    canceled: Arc<AtomicBool>,
    answer: AnswerCallback,
}

impl Wanted for Waiter {
    fn is_wanted(&self) -> bool {
        !self.canceled.load(Ordering::Relaxed)
    }
}

impl Answer {
    fn into_addresses(self) -> Vec<SocketAddr> {
        match self {
            Self::Addresses(addresses) => addresses,
            Self::Name(_) => Vec::new(),
        }
    }
}

/// The child of a fork has none of its parent's threads, and perhaps a lock that nobody will
/// open: it makes a pool of its own.
#[derive(Default)]
struct Pool {
    forks: u32,
    lookups: Mutex<Lookups<Waiter>>,
    more: Condvar,
    next: OnceLock<Box<Pool>>,
}

static FIRST: OnceLock<Pool> = OnceLock::new();

/// Looks `name` up; `answer` is called on a thread of the pool.
///
/// # Errors
/// `EAGAIN` when too many names wait already; or the system has no room for a thread.
pub fn look_up(name: &str, answer: Callback) -> Result<Lookup> {
    ask(name, Box::new(|found| answer(found.map(Answer::into_addresses))))
}

/// Looks for the name of an address; `answer` is called on a thread of the pool.
///
/// # Errors
/// As [`look_up`].
pub fn look_up_address(address: SocketAddr, answer: AnswerCallback) -> Result<Lookup> {
    ask(&format!("{ADDRESS}{address}"), answer)
}

/// As [`look_up`], for whoever asks for names of addresses, too.
///
/// # Errors
/// As [`look_up`].
pub fn ask(name: &str, answer: AnswerCallback) -> Result<Lookup> {
    let canceled = Arc::new(AtomicBool::new(false));
    let pool = Pool::of(process::fork_generation());
    let mut lookups = pool.held();
    if !lookups.ask(name, Waiter { canceled: Arc::clone(&canceled), answer }) {
        return Err(Error::new(Code::Again, "connect: too many names are being looked up"));
    }
    pool.staff(&mut lookups)?;
    Ok(Lookup { canceled })
}

impl Pool {
    fn of(forks: u32) -> &'static Self {
        let new = || Self { forks, ..Self::default() };
        let mut pool = FIRST.get_or_init(new);
        while pool.forks != forks {
            pool = pool.next.get_or_init(|| Box::new(new()));
        }
        pool
    }

    fn held(&self) -> MutexGuard<'_, Lookups<Waiter>> {
        self.lookups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that somebody goes on with the names that wait. Fails if there is nobody.
    fn staff(&'static self, lookups: &mut Lookups<Waiter>) -> Result<()> {
        if lookups.hire() {
            let hired = process::spawn("evsock-lookup", move || self.serve());
            if let Err(error) = hired
                && !lookups.unhire()
            {
                return Err(Error::os("connect", &error));
            }
        }
        if lookups.are_waiting() {
            self.more.notify_one();
        }
        Ok(())
    }

    fn serve(&'static self) {
        let mut lookups = self.held();
        lookups.rise(false);
        let mut tired = false;
        loop {
            match lookups.turn(Instant::now(), tired) {
                Turn::LookUp(ticket) => {
                    // Each sees to two, so that many have begun soon even where a new thread
                    // waits for its turn on a busy machine. That none can be had matters less
                    // than this name.
                    let _ = self.staff(&mut lookups);
                    let _ = self.staff(&mut lookups);
                    drop(lookups);
                    let address = ticket.name.strip_prefix(ADDRESS);
                    let address = address.and_then(|address| address.parse().ok());
                    let found = match address {
                        Some(address) => names::name_of(address).map(Answer::Name),
                        None => names::look_up(&ticket.name).map(Answer::Addresses),
                    };
                    let waiters = self.held().finish(&ticket);
                    for waiter in waiters {
                        let answer = AssertUnwindSafe(|| (waiter.answer)(found.clone()));
                        // A fault there is not to cost the pool a thread, nor the others theirs.
                        let _ = catch_unwind(answer);
                    }
                    lookups = self.held();
                    tired = false;
                }
                Turn::Watch(until) => {
                    let time = until.saturating_duration_since(Instant::now());
                    (lookups, _) = self.wait(lookups, time);
                    lookups.rise(true);
                }
                Turn::Rest => {
                    (lookups, tired) = self.wait(lookups, limits::LOOKUP_IDLE);
                    lookups.rise(false);
                }
                Turn::End => return,
            }
        }
    }

    /// Waits to be woken; whether that did not happen in time.
    fn wait<'a, T>(&self, guard: MutexGuard<'a, T>, time: Duration) -> (MutexGuard<'a, T>, bool) {
        let waited = self.more.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner);
        (waited.0, waited.1.timed_out())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_name_of_this_machine_is_found_and_every_waiter_is_told() {
        let (sender, receiver) = mpsc::channel();
        let lookups: Vec<_> = (0..3)
            .map(|_| {
                let sender = sender.clone();
                let answer = Box::new(move |found| sender.send(found).unwrap_or(()));
                look_up("localhost", answer).unwrap()
            })
            .collect();
        for _ in &lookups {
            let found = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
            assert!(found.unwrap().iter().all(|address| address.ip().is_loopback()));
        }
    }

    #[test]
    fn a_name_is_found_for_an_address_of_this_machine() {
        let (sender, receiver) = mpsc::channel();
        let answer = Box::new(move |found: Result<_>| sender.send(found).unwrap_or(()));
        let _lookup = look_up_address("127.0.0.1:0".parse().unwrap(), answer).unwrap();
        let found = receiver.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
        assert_eq!(found, Answer::Name("localhost".to_owned()));
    }

    #[test]
    fn a_fault_in_an_answer_costs_nobody_theirs() {
        let (sender, receiver) = mpsc::channel();
        let faulty = look_up("127.0.0.1", Box::new(|_| std::panic::resume_unwind(Box::new(()))));
        let answer = Box::new(move |found: Result<_>| sender.send(found.is_ok()).unwrap_or(()));
        let sound = look_up("127.0.0.1", answer);
        assert!(faulty.is_ok() && sound.is_ok());
        assert!(receiver.recv_timeout(Duration::from_secs(20)).unwrap());
    }

    #[test]
    fn the_child_of_a_fork_has_a_pool_of_its_own() {
        let parent: *const Pool = Pool::of(0);
        let child: *const Pool = Pool::of(1);
        assert!(parent != child);
        assert!(std::ptr::eq(Pool::of(0), parent) && std::ptr::eq(Pool::of(1), child));
    }
}
