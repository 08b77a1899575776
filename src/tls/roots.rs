//! The system's trusted roots: read once per process, when first needed, on a thread of its own.
//!
//! Not here: roots that the script gives. `SSL_CERT_FILE` and `SSL_CERT_DIR` take the place of the
//! system's store, as with other programs. Invariant: what is loaded never changes again, and
//! nobody waits for it; who needs it is called.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use once_cell::sync::OnceCell;

use super::given::Given;
use crate::sync::{Mutex, lock};

/// What is called when the roots are there.
pub type Call = Box<dyn FnOnce() + Send>;
/// Starts a thread of that name.
pub type Spawn = fn(&str, Call) -> io::Result<()>;

/// What the system had.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) given: Given,
    /// Why there are none, if there are none.
    pub(super) problem: Option<String>,
}

enum Progress {
    Idle,
    Loading(Vec<Call>),
    Done,
}

static FOUND: OnceCell<Found> = OnceCell::new();
static PROGRESS: Mutex<Progress> = Mutex::new(Progress::Idle);
static SPAWN: OnceCell<Spawn> = OnceCell::new();

/// Has the thread started by `spawn` (one without signals, for example) from now on; only the first
/// call counts.
pub fn spawn_with(spawn: Spawn) {
    // Whoever was first wants the same.
    let _ = SPAWN.set(spawn);
}

/// The roots, if they are loaded.
pub(super) fn loaded() -> Option<&'static Found> {
    FOUND.get()
}

/// Calls `call` when the roots are loaded: at once if they are, else later, from the thread that
/// loads them, which is started if nobody did.
pub(super) fn when_loaded(call: Call) {
    let mut progress = lock(&PROGRESS);
    match &mut *progress {
        Progress::Done => {
            drop(progress);
            call();
        }
        Progress::Loading(calls) => calls.push(call),
        Progress::Idle => {
            *progress = Progress::Loading(vec![call]);
            drop(progress);
            let spawn = SPAWN.get().copied().unwrap_or(start_thread);
            if spawn("evsock roots", Box::new(load)).is_err() {
                // No room for a thread: late is better than never.
                load();
            }
        }
    }
}

fn start_thread(name: &str, body: Call) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
}

fn load() {
    let found = catch_unwind(read).unwrap_or_else(|_| none("reading them failed"));
    // Only one thread loads.
    drop(FOUND.set(found));
    let before = std::mem::replace(&mut *lock(&PROGRESS), Progress::Done);
    if let Progress::Loading(calls) = before {
        for call in calls {
            // One socket's fault must not keep the others waiting.
            drop(catch_unwind(AssertUnwindSafe(call)));
        }
    }
}

fn read() -> Found {
    let result = rustls_native_certs::load_native_certs();
    let given = Given::of_system(result.certs);
    if !given.is_empty() {
        return Found { given, problem: None };
    }
    match result.errors.first() {
        Some(error) => none(&error.to_string()),
        None => none("none found"),
    }
}

fn none(why: &str) -> Found {
    Found { given: Given::of_system(Vec::new()), problem: Some(why.to_owned()) }
}
