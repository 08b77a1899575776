//! Looking names up without blocking anybody: a pool of threads for the whole process.
//!
//! `getaddrinfo` blocks and cannot be cancelled, so it runs on up to eight detached threads that
//! end when idle. Names under way are shared; a request nobody waits for any more is not begun.
//! Not here: numeric addresses and `localhost` (`connect_plan`), which never come here.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use once_cell::sync::Lazy;

use crate::error::{Code, Error, Result};
use crate::limits;
use crate::sync::Arc;
use crate::sys::process;

type Callback = Box<dyn FnOnce(Result<Vec<IpAddr>>) + Send>;

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
    answer: Callback,
}

#[derive(Default)]
struct Work {
    names: std::collections::VecDeque<String>,
    waiters: HashMap<String, Vec<Waiter>>,
    threads: usize,
    idle: usize,
}

#[derive(Default)]
struct Pool {
    work: Mutex<Work>,
    more: Condvar,
}

static POOL: Lazy<Pool> = Lazy::new(Pool::default);

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(10);

/// Looks `name` up; `answer` is called on a thread of the pool.
///
/// # Errors
/// `Again` when too many names wait already, or the system has no room for a thread.
pub fn look_up(name: &str, answer: Callback) -> Result<Lookup> {
    let canceled = Arc::new(AtomicBool::new(false));
    let mut work = held();
    if work.names.len() >= limits::LOOKUPS_WAITING {
        return Err(Error::new(Code::Again, "connect: too many names are being looked up"));
    }
    let waiter = Waiter { canceled: Arc::clone(&canceled), answer };
    if let Some(waiters) = work.waiters.get_mut(name) {
        waiters.push(waiter);
        return Ok(Lookup { canceled });
    }
    if work.idle <= work.names.len() && work.threads < limits::RESOLVER_THREADS {
        let started = process::spawn("evsock-lookup", serve);
        match started {
            Ok(_detached) => work.threads += 1,
            Err(error) if work.threads == 0 => return Err(Error::os("connect", &error)),
            Err(_) => {}
        }
    }
    work.waiters.insert(name.to_owned(), vec![waiter]);
    work.names.push_back(name.to_owned());
    POOL.more.notify_one();
    Ok(Lookup { canceled })
}

fn held() -> MutexGuard<'static, Work> {
    POOL.work.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve() {
    while let Some(name) = next_name() {
        let wanted = |waiter: &Waiter| !waiter.canceled.load(Ordering::Relaxed);
        let anybody = held().waiters.get(&name).is_some_and(|list| list.iter().any(wanted));
        let answer = if anybody { resolve(&name) } else { Err(canceled()) };
        // Those who joined since a cancelled name was skipped are served by a second turn.
        let waiters = {
            let mut work = held();
            let waiters = work.waiters.remove(&name).unwrap_or_default();
            if !anybody && waiters.iter().any(wanted) {
                work.waiters.insert(name.clone(), waiters);
                work.names.push_back(name);
                continue;
            }
            waiters
        };
        for waiter in waiters.into_iter().filter(wanted) {
            (waiter.answer)(answer.clone());
        }
    }
}

fn next_name() -> Option<String> {
    let mut work = held();
    loop {
        if let Some(name) = work.names.pop_front() {
            return Some(name);
        }
        work.idle += 1;
        let (guard, waited) =
            POOL.more.wait_timeout(work, IDLE).unwrap_or_else(PoisonError::into_inner);
        work = guard;
        work.idle -= 1;
        if waited.timed_out() && work.names.is_empty() {
            work.threads -= 1;
            return None;
        }
    }
}

fn canceled() -> Error {
    Error::new(Code::Canceled, "connect: canceled")
}

fn resolve(name: &str) -> Result<Vec<IpAddr>> {
    let failed = |text: &str| Error::new(Code::HostNotFound, format!("connect: {text}"));
    match (name, 0).to_socket_addrs() {
        Ok(found) => {
            let mut hosts: Vec<IpAddr> = Vec::new();
            for address in found {
                // getaddrinfo repeats an address for every socket type.
                if !hosts.contains(&address.ip()) {
                    hosts.push(address.ip());
                }
            }
            if hosts.is_empty() { Err(failed("the name has no address")) } else { Ok(hosts) }
        }
        Err(error) => {
            let text = crate::error::reason(&error);
            Err(failed(&text.rsplit(": ").next().unwrap_or("name not found").to_lowercase()))
        }
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
            assert!(found.unwrap().iter().all(IpAddr::is_loopback));
        }
    }
}
