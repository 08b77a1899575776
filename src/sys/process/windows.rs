//! The process under Windows: nothing forks, and of signals there is Ctrl-C alone.
//!
//! Not here: threads, which are made alike everywhere (`mod.rs`). The system tells of Ctrl-C on a
//! thread of its own, ours first, then the interpreter's C runtime, which sets Lua's hook. So ours
//! ends the wait that is under way, and for a moment after that no wait is a long one: the hook
//! must be seen although nobody tells when it is set.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use windows_sys::Win32::Foundation::{FALSE, HMODULE, TRUE};
use windows_sys::Win32::System::Console::SetConsoleCtrlHandler;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};
use windows_sys::core::BOOL;

use crate::limits;
use crate::sys::wake::Wake;

/// What ends the waits, one for each Lua state.
static WAKERS: Mutex<Vec<Weak<Wake>>> = Mutex::new(Vec::new());
/// When Ctrl-C was pressed last, in milliseconds of the system's clock; 0: never.
static PRESSED: AtomicU64 = AtomicU64::new(0);

/// Nothing forks here.
#[must_use]
pub fn fork_generation() -> u32 {
    0
}

/// What this machine calls itself.
#[must_use]
pub fn host_name() -> Vec<u8> {
    std::env::var("COMPUTERNAME").unwrap_or_default().into_bytes()
}

/// No number is set: sockets count as what the system has memory for.
#[must_use]
pub fn most_descriptors() -> usize {
    usize::MAX
}

/// Keeps this library mapped for the rest of the process and begins to hear of Ctrl-C.
///
/// `lua_close` unmaps modules while our thread may still run in them: without this the process
/// dies.
pub fn settle_in() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        pin();
        // SAFETY: the handler has the signature that is asked for and is never unmapped.
        unsafe { SetConsoleCtrlHandler(Some(on_control), TRUE) };
    });
}

fn pin() {
    let here: *const u16 = (pin as fn() as *const ()).cast();
    let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN;
    let mut module: HMODULE = std::ptr::null_mut();
    // SAFETY: with these flags an address inside of a module stands for its name.
    unsafe { GetModuleHandleExW(flags, here, &raw mut module) };
}

extern "system" fn on_control(_kind: u32) -> BOOL {
    PRESSED.store(clock(), Ordering::Release); // partner: `hold_signals`
    let wakers = WAKERS.lock().unwrap_or_else(PoisonError::into_inner);
    for waker in wakers.iter().filter_map(Weak::upgrade) {
        waker.wake();
    }
    // The next handler, the interpreter's, has its turn.
    FALSE
}

/// From now on each Ctrl-C ends this one's wait, as long as it lives.
pub fn on_interrupt(waker: Weak<Wake>) {
    let mut wakers = WAKERS.lock().unwrap_or_else(PoisonError::into_inner);
    wakers.retain(|waker| waker.strong_count() > 0);
    wakers.push(waker);
}

fn clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Says that Ctrl-C ends the wait.
#[derive(Debug)]
pub struct HeldSignals(());

/// Nothing is held back: a thread takes no signals here.
#[must_use]
pub fn hold_signals() -> HeldSignals {
    HeldSignals(())
}

/// Whether Ctrl-C was pressed so lately that Lua's hook may still be to come.
#[must_use]
pub fn expects_hook() -> bool {
    let moment = u64::try_from(limits::HOOK_WAIT.as_millis()).unwrap_or(u64::MAX);
    // A clock that was set back meanwhile makes waits short for a moment, no more.
    clock().abs_diff(PRESSED.load(Ordering::Acquire)) < moment
}
