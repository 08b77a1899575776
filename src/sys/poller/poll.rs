//! The wait where there is neither epoll nor kqueue: that of `polling`, by poll(2).
//!
//! Not here: the registry (`mod.rs`). The wait goes on after a signal, so the script's thread waits
//! in slices and looks between them.

use super::{Call, Duration, Ending, HeldSignals, Poller, Readiness, Waited, fault, io};
use crate::limits;

/// What keeps the registry.
pub(super) type Registry = polling::Poller;

/// The buffer of a wait.
#[derive(Default)]
pub struct Reports {
    events: polling::Events,
}

impl Poller {
    /// Before the script's thread looks for signals that came: the result is for the wait after
    /// that. The second part is how long that wait may be where a signal may not end it.
    #[must_use]
    pub fn hold_signals() -> (Option<HeldSignals>, Option<Duration>) {
        (None, Some(limits::SLICE))
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
        ready.extend(reports.events.iter().map(|event| Readiness {
            key: event.key,
            readable: event.readable,
            writable: event.writable,
            ending: Ending::hung_up(event.is_interrupt() || event.is_err().unwrap_or_default()),
        }));
        Ok(Waited::Done)
    }
}
