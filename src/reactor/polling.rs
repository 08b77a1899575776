//! One turn of polling: wait, hand the reports to their sources, fire timers.
//!
//! Not here: whose turn it is (`lead`). A panic while one source is served ends that source and
//! nothing else.

use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::limits;
use crate::net::fence::fenced;
use crate::net::hub::{Hub, Source, WAKE_KEY};
use crate::sync::Arc;
use crate::sys::fault::{self, Place};
use crate::sys::poller::{HeldSignals, Poller, Readiness, Reports, Waited};
use crate::sys::process;

/// How many spins in a row may find nothing before spinning is given up for a while.
const SPIN_PATIENCE: i8 = 4;
/// So many waits in a row must bring one report before spinning is tried again after more at once.
const CROWD_MEMORY: u8 = 8;
/// While one connection alone is busy, each so many looks at it bring one for everybody else.
const LOOKS_APART: u32 = 4;
/// How often in a row the one busy connection may be read before anybody else is looked for.
const READS_AHEAD: u8 = 16;
/// And for how long: its handler may compute.
const AHEAD: Duration = Duration::from_micros(200);

/// What belongs to whoever leads.
#[derive(Debug, Default)]
pub(super) struct Desk {
    reports: Reports,
    ready: Vec<Readiness>,
    sources: Vec<Arc<dyn Source>>,
    scratch: Vec<u8>,
    /// Until when the present wait may poll without sleeping.
    spin_until: Option<Instant>,
    /// How well spinning went lately; below zero it is not tried.
    luck: i8,
    /// Above zero: several sources are busy, or clients come. Sleeping lets their reports gather,
    /// and none of them waits for us alone; a spin would fetch them one by one.
    crowd: u8,
    /// The connection of the last report, if it was alone.
    lone: Option<Weak<dyn Source>>,
    /// How often it was read since anybody else was looked for, and when that was.
    ahead: u8,
    looked: Option<Instant>,
}

impl Desk {
    /// A wait of the script begins: it may spin for so long before it sleeps.
    pub(super) fn begin_wait(&mut self, now: Instant, spin: Duration) {
        let tries = !spin.is_zero() && self.luck >= 0 && self.crowd == 0;
        self.spin_until = tries.then(|| now + spin);
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
        if !self.ready.is_empty() && self.luck < 0 && now.elapsed() < limits::SPIN {
            // It would have been found by spinning.
            self.luck += 1;
        }
        self.serve(hub);
        fire_due(hub, Instant::now());
        waited
    }

    /// Serves what is ready now. Never waits.
    pub(super) fn look(&mut self, hub: &Arc<Hub>) {
        self.gather(hub, Some(Duration::ZERO), None);
        self.serve(hub);
    }

    /// Polls without sleeping; `None` if that found nothing. It ends for good with the first event
    /// of this wait, and is given up while it finds nothing: an idle process uses no CPU.
    fn spin(
        &mut self,
        hub: &Arc<Hub>,
        now: Instant,
        deadline: Option<Instant>,
        interrupted: Option<&dyn Fn() -> bool>,
    ) -> Option<Waited> {
        let until = self.spin_until.take()?;
        let until = deadline.map_or(until, |deadline| until.min(deadline));
        let until = hub.next_timer().map_or(until, |timer| until.min(timer));
        let mut turn = 0_u32;
        let mut moment = now;
        while moment < until {
            let came = self.read_ahead(hub, moment);
            if came == Some(true) {
                self.luck = SPIN_PATIENCE;
                return Some(Waited::Done);
            }
            if came.is_none() || turn % LOOKS_APART == LOOKS_APART - 1 {
                self.gather(hub, Some(Duration::ZERO), None);
                if !self.ready.is_empty() {
                    self.luck = SPIN_PATIENCE;
                    self.serve(hub);
                    return Some(Waited::Done);
                }
            }
            turn += 1;
            if interrupted.is_some_and(|interrupted| interrupted()) {
                return Some(Waited::Interrupted);
            }
            // Another thread of this core may be the one that answers.
            process::yield_core();
            moment = Instant::now();
        }
        self.luck -= 1;
        None
    }

    /// Reads the one busy connection without asking whether there is something: a dialogue needs
    /// no more calls of the system than with a blocking socket. Whether anything came; `None` if
    /// there is none, or others must be looked for.
    fn read_ahead(&mut self, hub: &Arc<Hub>, now: Instant) -> Option<bool> {
        let lately = self.looked.is_some_and(|looked| now < looked + AHEAD);
        if !lately || self.ahead >= READS_AHEAD {
            return None;
        }
        let source = self.lone.as_ref()?.upgrade()?;
        let scratch = &mut self.scratch;
        let (came, count) = serve_source(hub, &*source, || source.read_ahead(hub, scratch))??;
        if came {
            // A flood is no dialogue: everybody has a turn before more of it.
            self.ahead += if count < limits::SMALL_ARRIVAL { 1 } else { READS_AHEAD };
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
        self.ahead = 0;
        hub.polls.fetch_add(1, Ordering::Relaxed); // a hint only
        let waited = hub.poller.wait(&mut self.reports, &mut self.ready, timeout, held);
        self.looked = Some(Instant::now());
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
        let comes = matches!(self.sources.as_slice(), [source] if source.accepts());
        self.crowd = if comes || self.sources.len() > 1 {
            CROWD_MEMORY
        } else {
            self.crowd.saturating_sub(1)
        };
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
    // At most as many as there are now: one that is set again for the past must not hold the others.
    for _ in 0..hub.timers() {
        let Some((slot, at)) = hub.due(now) else { return };
        let Some(source) = hub.source_at(slot) else { continue };
        serve_source(hub, &*source, || source.on_alarm(hub, at));
    }
}

fn serve_source<T>(hub: &Arc<Hub>, source: &dyn Source, body: impl FnOnce() -> T) -> Option<T> {
    let served = fenced(|| {
        fault::point(Place::Source);
        body()
    });
    if served.is_none() {
        // A second fault while reporting the first leaves nothing better to do.
        let _ = fenced(|| source.on_fault(hub));
    }
    served
}
