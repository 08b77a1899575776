//! What the leader does in one turn: wait, hand the reports to their sources, fire timers.
//!
//! Not here: whose turn it is (`lead`), when a wait spins (`proto::spin`). A panic while one source is served ends that source and
//! nothing else.

use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::limits;
use crate::net::hub::{Hub, Source, WAKE_KEY};
use crate::net::panic::catch_panic;
use crate::proto::spin::{Spin, Turn};
use crate::sync::Arc;
use crate::sys::fault::{self, Place};
use crate::sys::poller::{HeldSignals, Poller, Readiness, Reports, Waited};
use crate::sys::process;

/// What belongs to whoever leads.
#[derive(Debug, Default)]
pub(super) struct Leader {
    reports: Reports,
    ready: Vec<Readiness>,
    sources: Vec<Arc<dyn Source>>,
    scratch: Vec<u8>,
    spin: Spin,
    /// The connection of the last report, if it was alone.
    lone: Option<Weak<dyn Source>>,
}

impl Leader {
    /// A wait of the script begins: it may spin for so long before it sleeps.
    pub(super) fn begin_wait(&mut self, now: Instant, spin: Duration) {
        self.spin.begin_wait(now, spin);
    }

    /// Waits for reports until the deadline and serves them. The script's thread says how it
    /// learns that a signal came: one that comes while it is awake does not end the sleep after.
    pub(super) fn poll(
        &mut self,
        hub: &Arc<Hub>,
        now: Instant,
        deadline: Option<Instant>,
        interrupted: Option<&dyn Fn() -> bool>,
    ) -> Waited {
        if let Some(waited) = self.spin(hub, now, deadline, interrupted) {
            return waited;
        }
        let (held, most) = interrupted.map_or((None, None), |_| Poller::hold_signals());
        if interrupted.is_some_and(|interrupted| interrupted()) {
            return Waited::Interrupted;
        }
        // The lead may have been long in coming.
        let now = Instant::now();
        let mut timeout = hub.fall_asleep(deadline, now);
        if let Some(most) = most {
            // A signal may not end this system's wait: slices, and a look between them.
            timeout = Some(timeout.map_or(most, |left| left.min(most)));
        }
        let waited = self.gather(hub, timeout, held.as_ref());
        drop(held);
        hub.wake_up();
        if !self.ready.is_empty() && self.spin.is_given_up() {
            self.spin.slept(now.elapsed());
        }
        self.serve(hub);
        // A clock that stands is moved by the script, which then fires what is due.
        if !hub.clock.is_held() {
            fire_due(hub, hub.now());
        }
        waited
    }

    /// Serves what is ready now. Never waits.
    pub(super) fn poll_now(&mut self, hub: &Arc<Hub>) {
        self.gather(hub, Some(Duration::ZERO), None);
        self.serve(hub);
    }

    /// Polls without sleeping; `None` if that found nothing.
    fn spin(
        &mut self,
        hub: &Arc<Hub>,
        now: Instant,
        deadline: Option<Instant>,
        interrupted: Option<&dyn Fn() -> bool>,
    ) -> Option<Waited> {
        let until = self.spin.begin(deadline, || timer_in_real_time(hub, now))?;
        let mut now = now;
        loop {
            let came = match self.spin.turn(now, until) {
                Turn::Read { then_look } => match self.read_ahead(hub) {
                    None => self.spin_look(hub),
                    Some(false) if then_look => self.spin_look(hub),
                    Some(came) => came,
                },
                Turn::Look => self.spin_look(hub),
                Turn::Sleep => return None,
            };
            if came {
                return Some(Waited::Done);
            }
            if interrupted.is_some_and(|interrupted| interrupted()) {
                return Some(Waited::Interrupted);
            }
            // Another thread of this core may be the one that answers.
            process::yield_core();
            now = Instant::now();
        }
    }

    /// Serves what is ready while spinning; whether anything was.
    fn spin_look(&mut self, hub: &Arc<Hub>) -> bool {
        self.gather(hub, Some(Duration::ZERO), None);
        let found = !self.ready.is_empty();
        if found {
            self.spin.found();
            self.serve(hub);
        }
        found
    }

    /// Reads the one busy connection without asking whether there is something: a dialogue needs
    /// no more calls of the system than with a blocking socket. Whether anything came; `None` if
    /// there is none.
    fn read_ahead(&mut self, hub: &Arc<Hub>) -> Option<bool> {
        let source = self.lone.as_ref()?.upgrade()?;
        let scratch = &mut self.scratch;
        let (came, waiting) = serve_source(hub, &*source, || source.read_ahead(hub, scratch))??;
        if came {
            self.spin.read(waiting);
            hub.polls.fetch_add(1, Ordering::Relaxed); // a hint only
        }
        Some(came)
    }

    fn gather(
        &mut self,
        hub: &Hub,
        timeout: Option<Duration>,
        held: Option<&HeldSignals>,
    ) -> Waited {
        self.ready.clear();
        // A turn that a fault cut short may have left some.
        self.sources.clear();
        fault::point(Place::Leader);
        hub.polls.fetch_add(1, Ordering::Relaxed); // a hint only
        let waited = hub.poller.wait(&mut self.reports, &mut self.ready, timeout, held);
        self.spin.looked(Instant::now());
        waited.unwrap_or_else(|_| {
            // Only a fault of ours gets here; without a pause it would become a busy loop.
            std::thread::sleep(limits::FAULT_PAUSE);
            Waited::Done
        })
    }

    fn serve(&mut self, hub: &Arc<Hub>) {
        fault::point(Place::Leader);
        if self.ready.iter().any(|ready| ready.key == WAKE_KEY) {
            self.ready.retain(|ready| ready.key != WAKE_KEY);
            hub.wake.clear();
            serve_messages(hub);
        }
        if self.ready.is_empty() {
            return;
        }
        // Registered descriptors belong to sources in the registry, so the lists go in step,
        // except for a source that went away since the report.
        let sources = &mut self.sources;
        self.ready.retain(|ready| {
            let source = hub.source_at(ready.key);
            let found = source.is_some();
            sources.extend(source);
            found
        });
        let accepts = matches!(self.sources.as_slice(), [source] if source.accepts());
        self.spin.reported(self.sources.len(), accepts);
        self.lone = match self.sources.as_slice() {
            [source] => Some(Arc::downgrade(source)),
            _ => None,
        };
        for (source, ready) in self.sources.drain(..).zip(self.ready.drain(..)) {
            let scratch = &mut self.scratch;
            serve_source(hub, &*source, || source.on_ready(hub, ready, scratch));
        }
    }
}

/// When the earliest timer runs out, by the system's clock.
fn timer_in_real_time(hub: &Hub, now: Instant) -> Option<Instant> {
    hub.next_timer().and_then(|at| hub.clock.left(at, now)).map(|left| now + left)
}

fn serve_messages(hub: &Arc<Hub>) {
    while let Some((token, message)) = hub.next_message() {
        // A source that is gone needs none.
        if let Some(source) = hub.source(token) {
            serve_source(hub, &*source, || source.on_message(hub, message));
        }
    }
}

/// Fires the timers that have run out.
pub(super) fn fire_due(hub: &Arc<Hub>, now: Instant) {
    if hub.clock.is_held() {
        for (at, source) in hub.all_due(now) {
            serve_source(hub, &*source, || source.on_timer(hub, at));
        }
        return;
    }
    // At most as many as there are now: one that is set again for the past must not hold the others.
    for _ in 0..hub.timers() {
        let Some((slot, at)) = hub.due(now) else { return };
        let Some(source) = hub.source_at(slot) else { continue };
        serve_source(hub, &*source, || source.on_timer(hub, at));
    }
}

fn serve_source<T>(hub: &Arc<Hub>, source: &dyn Source, body: impl FnOnce() -> T) -> Option<T> {
    let served = catch_panic(|| {
        fault::point(Place::Source);
        body()
    });
    if served.is_none() {
        // A second fault while reporting the first leaves nothing better to do.
        let _ = catch_panic(|| source.on_fault(hub));
    }
    served
}
