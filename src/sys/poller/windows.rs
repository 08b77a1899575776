//! The wait under Windows: that of `polling`, by a completion port.
//!
//! Not here: the registry (`mod.rs`). The port takes messages, so no descriptor is needed to wake the
//! leader. There are no signals; what ends a wait at Ctrl-C is in `process`.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    Call, Duration, Ending, HeldSignals, Poller, Readiness, WAKE_KEY, Waited, Wake, fault, io,
};
use crate::limits;
use crate::sys::process;

/// What keeps the registry.
#[derive(Debug)]
pub(super) struct Registry {
    inner: Arc<polling::Poller>,
    /// It was woken, and no wait has reported so yet. Partners: `Wake::wake`, `Poller::wait`.
    woken: Arc<AtomicBool>,
    /// What Ctrl-C wakes, as long as this lives.
    _interrupted: Arc<Wake>,
}

impl Registry {
    pub(super) fn new() -> io::Result<Self> {
        let inner = Arc::new(polling::Poller::new()?);
        let woken = Arc::new(AtomicBool::new(false));
        let interrupted = Arc::new(Wake::of(Arc::clone(&inner), Arc::clone(&woken)));
        process::on_interrupt(Arc::downgrade(&interrupted));
        Ok(Self { inner, woken, _interrupted: interrupted })
    }
}

impl Deref for Registry {
    type Target = polling::Poller;

    fn deref(&self) -> &polling::Poller {
        &self.inner
    }
}

/// What is reported of a message.
const WOKEN: Readiness =
    Readiness { key: WAKE_KEY, readable: true, writable: false, ending: Ending::Unsaid };

/// The buffer of a wait.
#[derive(Default)]
pub struct Reports {
    events: polling::Events,
}

impl Poller {
    /// What ends a wait of this registry.
    ///
    /// # Errors
    /// None; other systems need a descriptor.
    pub fn waker(&self) -> io::Result<Wake> {
        Ok(Wake::of(Arc::clone(&self.inner.inner), Arc::clone(&self.inner.woken)))
    }

    /// Before the script's thread looks for signals that came: the result is for the wait after
    /// that. The second part is how long that wait may be where a signal may not end it.
    #[must_use]
    pub fn hold_signals() -> (Option<HeldSignals>, Option<Duration>) {
        (Some(process::hold_signals()), process::expects_hook().then_some(limits::SLICE))
    }

    /// Waits until a source is ready or the time is up (`None`: for ever) and appends the
    /// reports to `ready`.
    ///
    /// # Errors
    /// Only programming errors of ours.
    pub fn wait(
        &self,
        reports: &mut Reports,
        ready: &mut Vec<Readiness>,
        timeout: Option<Duration>,
        _held: Option<&HeldSignals>,
    ) -> io::Result<Waited> {
        reports.events.clear();
        fault::before(Call::EpollWait)?;
        self.inner.wait(&mut reports.events, timeout)?;
        // A message that comes after this ends the next wait, which then reports nothing.
        if self.inner.woken.swap(false, Ordering::AcqRel) {
            ready.push(WOKEN);
        }
        ready.extend(reports.events.iter().map(|event| Readiness {
            key: event.key,
            readable: event.readable,
            writable: event.writable,
            ending: if event.is_interrupt() {
                Ending::Reset
            } else {
                Ending::hung_up(event.is_err().unwrap_or_default())
            },
        }));
        Ok(Waited::Done)
    }
}
