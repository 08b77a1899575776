//! The process under Unix: `dlopen` keeps the library mapped, signals are held back by masks.
//!
//! Not here: threads, which are made alike everywhere (`mod.rs`).
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static FORKS: AtomicU32 = AtomicU32::new(0);

/// Counts up in the child of every fork; what was made under another number belongs to a parent.
#[must_use]
pub fn fork_generation() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Keeps this library mapped for the rest of the process, begins to count forks, and looks what stderr
/// is.
///
/// `lua_close` unmaps modules while our thread may still run in them, and while finalisers are still
/// to come that call our functions: without this the process dies.
pub fn settle_in() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        pin();
        crate::sys::stderr::remember();
        // SAFETY: the handler is an atomic addition and this library is never unmapped.
        unsafe { libc::pthread_atfork(None, None, Some(forked)) };
    });
}

fn pin() {
    let here: *const libc::c_void = (pin as fn() as *const ()).cast();
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: any address may be asked for; the result is written to `info`.
    if unsafe { libc::dladdr(here, info.as_mut_ptr()) } == 0 {
        return;
    }
    // SAFETY: zeroed memory is a valid `Dl_info`, and `dladdr` has filled it in.
    let info = unsafe { info.assume_init() };
    if info.dli_fname.is_null() {
        return;
    }
    let flags = libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
    // SAFETY: the name is a C string of the loader. The handle is kept on purpose.
    unsafe { libc::dlopen(info.dli_fname, flags) };
}

/// While this lives no signal reaches this thread, but inside of a wait that is handed it: so none
/// can come unnoticed between a look and the sleep that follows.
pub struct HeldSignals(libc::sigset_t);

/// Holds the signals back.
#[must_use]
pub fn hold_signals() -> HeldSignals {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: writes the set.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: `all` was filled in above; `before` receives the mask of this thread.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
    // SAFETY: zeroed memory is a valid set, and the call has filled it in.
    HeldSignals(unsafe { before.assume_init() })
}

impl HeldSignals {
    /// The mask that lets them through.
    #[must_use]
    pub fn outside(&self) -> &libc::sigset_t {
        &self.0
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        // SAFETY: the set is the one that this thread had.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut())
        };
    }
}

/// The longest name of a host that systems allow.
const LONGEST_NAME: usize = 255;

/// What this machine calls itself.
#[must_use]
pub fn host_name() -> Vec<u8> {
    // One more than is given out, so that it always ends with a zero byte.
    let mut name = vec![0; LONGEST_NAME + 1];
    // SAFETY: the name is written to `name`, of which one byte is kept back.
    let told = unsafe { libc::gethostname(name.as_mut_ptr().cast(), LONGEST_NAME) } == 0;
    let length = name.iter().position(|byte| *byte == 0).unwrap_or_default();
    name.truncate(if told { length } else { 0 });
    name
}

/// How many descriptors the process may have open.
#[must_use]
pub fn most_descriptors() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the result is written to `limit`.
    let told = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    if told { usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX) } else { usize::MAX }
}
