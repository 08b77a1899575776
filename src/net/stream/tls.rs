//! TLS on a stream: between what the system moves and what the script sees.
//!
//! Not here: the protocol (`tls::session`), when a handshake begins and ends (`proto::connection`).
//! Invariants: once TLS has begun, every byte goes through the session in both directions; nothing
//! that came is given to the script before the peer is verified; what is written meanwhile is held
//! and leaves encrypted, in order.

use std::io::IoSlice;

use socket2::Socket;

use crate::address::Address;
use crate::error::{Code, Error, Result};
use crate::limits;
use crate::net::connection_count::CountGuard;
use crate::net::hub::{Hub, Message};
use crate::net::options::{Options, Tls};
use crate::net::panic::internal_error;
use crate::net::stream::step::Step;
use crate::net::stream::{Inner, Peer, Stream};
use crate::proto::connection::{Input, Phase};
use crate::proto::event::Event;
use crate::proto::handshakes::Answered;
use crate::proto::outbound::Outbound;
use crate::proto::token::Token;
use crate::proto::write_queue::WriteQueue;
use crate::sync::{Arc, lock};
pub use crate::sys::path::{hashed_files, read as read_file};
use crate::sys::process;
pub use crate::tls::{Choices, ClientAuth, Config, Kept, Password, Pem, Settings, Version};
pub use crate::tls::{Facts, Fingerprint, KeyLog, NamePart, PeerCertificate, Shown, Verified};
use crate::tls::{Session, roots};

/// Extra state of a stream that uses TLS.
#[derive(Debug)]
pub(super) struct TlsState {
    config: Arc<Config>,
    /// Whom a client expects, in place of where the connection goes.
    name: Option<Box<str>>,
    /// `None` while the system's roots are being loaded.
    session: Option<Session>,
    /// The beginning of a record whose rest has not come.
    cipher: Vec<u8>,
    /// Written before the handshake was done.
    pub(super) held: WriteQueue,
    accepting_listener: Option<AcceptingListener>,
}

/// The listener that announces the connection once it is secured.
#[derive(Debug)]
pub(super) struct AcceptingListener {
    listener: Token,
    answered: Answered,
}

impl Stream {
    /// Takes an accepted connection over that its listener announces once it is secured.
    pub fn receive_secure(
        hub: &Arc<Hub>,
        socket: Socket,
        peer: Option<Address>,
        (options, inherited): (Arc<Options>, &Options),
        listener: Token,
        answered: Answered,
    ) -> Arc<Self> {
        let peer = Peer { address: peer, held_back: true, ..Peer::default() };
        let stream = Self::enter(hub, options, Some(socket), None, Some(peer));
        stream.step(hub, |step| {
            step.inner.mail.expect_close();
            if step.inner.set_accepting_listener(AcceptingListener { listener, answered }) {
                step.feed(Input::Adopt);
                step.apply_options(Some(inherited));
            }
        });
        stream
    }

    /// The server has room for the connection, whose handshake is over.
    pub fn move_in(&self, hub: &Arc<Hub>, options: Arc<Options>, guard: CountGuard) {
        self.set_options(hub, options);
        self.step(hub, |step| {
            // One that is over takes no place.
            if step.inner.connection.phase() != Phase::Closed {
                step.inner.peer.get_or_insert_default().guard = Some(guard);
            }
        });
    }

    /// Ends a handshake of which nobody is to hear.
    pub fn turn_away(&self, hub: &Arc<Hub>) {
        self.step(hub, |step| {
            if let Some(state) = &mut step.inner.tls {
                state.accepting_listener = None;
            }
            step.inner.detach();
            step.feed(Input::Abort);
        });
    }

    /// Turns the open connection into TLS. `name`: whom a client expects, in place of where the
    /// connection goes; `early`: what the script has not seen of what came. False if it is over, which the script is still to hear.
    ///
    /// # Errors
    /// It is not open, or plain bytes came before: then it is closed.
    pub fn start_tls(
        &self,
        hub: &Arc<Hub>,
        tls: &Tls,
        name: Option<Box<str>>,
        early: Vec<u8>,
    ) -> Result<bool> {
        let begun = self.step(hub, |step| step.upgrade(tls, name, early));
        begun.unwrap_or_else(|| Err(internal_error("start_tls")))
    }

    /// The peer's own certificate, if it has shown one in a handshake that succeeded.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<PeerCertificate> {
        let inner = lock(&self.inner);
        inner.tls_facts()?;
        let own = inner.peer_certificates().into_iter().next();
        drop(inner);
        own.map(PeerCertificate::new)
    }

    /// The certificates that the peer has shown, its own first.
    #[must_use]
    pub fn peer_certificates(&self) -> Vec<Vec<u8>> {
        lock(&self.inner).peer_certificates()
    }
}

impl Step<'_> {
    /// Begins the handshake. On an open connection what was written before goes out before it; on
    /// a new one it waits.
    pub(super) fn begin_tls(&mut self) -> Option<Input> {
        if self.inner.tls.is_none() {
            let tls = self.inner.options.tls.clone()?;
            let config = Arc::clone(tls.of_role(self.inner.is_accepted())?);
            let outbound = self.inner.outbound.present();
            let held = outbound.map(Outbound::take_queue).unwrap_or_default();
            self.inner.tls = Some(Box::new(TlsState::new(config, None, held, Vec::new())));
        }
        let state = self.inner.tls.as_ref()?;
        if !state.config.is_ready() {
            // A thread of ours: signals are not for it.
            roots::spawn_with(|name, body| process::spawn(name, body).map(drop));
            let (hub, token) = (Arc::downgrade(self.hub), self.token);
            state.config.when_ready(Box::new(move || {
                if let Some(hub) = hub.upgrade() {
                    hub.send(token, Message::Recheck);
                }
            }));
            return None;
        }
        self.start_handshake()
    }

    /// The system's roots are there.
    pub(super) fn go_on_securing(&mut self) {
        let waits = self.inner.tls.as_ref().is_some_and(|state| state.session.is_none());
        if waits
            && self.inner.connection.phase() == Phase::Securing
            && let Some(input) = self.start_handshake()
        {
            self.feed(input);
        }
    }

    fn start_handshake(&mut self) -> Option<Input> {
        let host =
            self.inner.target.as_ref().map(|target| target.name().into_owned()).unwrap_or_default();
        let state = self.inner.tls.as_mut()?;
        let host = state.name.as_deref().unwrap_or(&host);
        let made = if state.config.is_server() {
            Session::server(&state.config)
        } else {
            Session::client(&state.config, host)
        };
        let mut out = Vec::new();
        let started = made.and_then(|mut session| {
            session.start(&mut out)?;
            Ok(session)
        });
        match started {
            Ok(session) => state.session = Some(session),
            Err(error) => return Some(Input::Broken(error)),
        }
        self.send_cipher(&out);
        let mut early = std::mem::take(&mut self.inner.tls.as_mut()?.cipher);
        if !early.is_empty() {
            self.decrypt(&mut early);
        }
        None
    }

    /// Puts bytes of the protocol behind what waits, and sends what it can.
    fn send_cipher(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || self.inner.outbound.get().failure().is_some() {
            return;
        }
        let nothing_waits = self.inner.outbound.get().is_empty();
        let sent = if nothing_waits { self.send_now(&[bytes]) } else { 0 };
        self.inner.enqueue(self.hub, &[bytes], sent);
    }

    /// Takes in what came from the system; `scratch` is used up.
    pub(super) fn decrypt(&mut self, scratch: &mut Vec<u8>) {
        let Some(state) = &mut self.inner.tls else { return };
        let Some(session) = &mut state.session else {
            state.cipher.append(scratch);
            return;
        };
        let was_secured = session.is_secured();
        let plain = &mut self.inner.inbound.make().bytes;
        let before = plain.len();
        let mut out = Vec::new();
        let received = if state.cipher.is_empty() {
            let received = session.receive(scratch, plain, &mut out);
            state.cipher.extend_from_slice(scratch);
            received
        } else {
            state.cipher.append(scratch);
            session.receive(&mut state.cipher, plain, &mut out)
        };
        scratch.clear();
        let (is_secured, has_ended) = (session.is_secured(), session.has_ended());
        if !is_secured {
            // Nothing of a peer that was not verified.
            plain.truncate(before);
        }
        let count = plain.len() - before;
        if let Some(accepting_listener) =
            self.inner.accepting_listener().filter(|_| !out.is_empty())
        {
            accepting_listener.answered.set();
        }
        self.send_cipher(&out);
        if is_secured && !was_secured && received.is_ok() {
            self.secured();
        }
        if count > 0 {
            self.announce(count);
        }
        match received {
            Err(error) => self.broke(error),
            Ok(()) if has_ended && !self.inner.connection.has_eof() => self.on_eof(),
            Ok(()) => {}
        }
    }

    /// The handshake is done: what was held goes out, and an end that was asked for behind it.
    fn secured(&mut self) {
        let held = self.inner.tls.as_mut().map(|state| std::mem::take(&mut state.held));
        if let Some(mut held) = held {
            let mut failed = None;
            while !held.is_empty() && failed.is_none() {
                let mut slices: Vec<IoSlice<'_>> = Vec::new();
                held.slices(&mut slices);
                let parts: Vec<&[u8]> = slices.iter().map(|slice| &**slice).collect();
                let count = parts.iter().map(|part| part.len()).sum();
                match self.inner.seal(&parts) {
                    Ok(cipher) => self.send_cipher(&cipher),
                    Err(error) => failed = Some(error),
                }
                held.advance(count);
            }
            if let Some(error) = failed {
                return self.feed(Input::Broken(error));
            }
        }
        if self.inner.is_ending() {
            self.send_close_notify();
        }
        self.feed(Input::Secured);
        let config = self.inner.tls.as_ref().map(|state| Arc::clone(&state.config));
        if let Some(error) = config.and_then(|config| config.take_key_log_failure()) {
            self.post(Event::Failed(Box::new(error)));
        }
        self.place_marks();
        self.finish_writing();
    }

    /// Takes what the script writes: encrypted and sent, or held until the handshake is done.
    pub(super) fn write_tls(&mut self, parts: &[&[u8]]) -> Result<()> {
        let Some(state) = &mut self.inner.tls else { return Ok(()) };
        if !state.is_secured() {
            let now = self.inner.options.write_timeout.map(|_| self.hub.now());
            for part in parts {
                state.held.push(part, now);
            }
            self.inner.outbound.make().note_waiting(state.held.len(), self.inner.options.drain_at);
            return Ok(());
        }
        let cipher = self.inner.seal(parts)?;
        self.send_cipher(&cipher);
        Ok(())
    }

    /// Takes records of what the script has as long as the system takes them.
    pub(super) fn encrypt_some(&mut self, data: &[u8]) -> Result<usize> {
        let mut taken = 0;
        for record in data.chunks(limits::TLS_RECORD) {
            if !self.inner.outbound.get().is_empty() {
                break;
            }
            let cipher = self.inner.seal(&[record])?;
            self.send_cipher(&cipher);
            if let Some(error) = self.inner.outbound.get().failure() {
                return Err(self.inner.named(error.clone()));
            }
            taken += record.len();
        }
        Ok(taken)
    }

    /// Our end of the secured stream, once, before that of the connection.
    pub(super) fn send_close_notify(&mut self) {
        let Some(state) = self.inner.tls.as_mut().filter(|state| state.is_secured()) else {
            return;
        };
        let mut out = Vec::new();
        if let Some(session) = &mut state.session {
            session.close(&mut out);
        }
        if matches!(self.inner.connection.phase(), Phase::Open | Phase::Securing) {
            self.send_cipher(&out);
        }
    }

    /// Turns the open connection into TLS. `early`: what came and was not read.
    pub(super) fn upgrade(
        &mut self,
        tls: &Tls,
        name: Option<Box<str>>,
        mut early: Vec<u8>,
    ) -> Result<bool> {
        let phase = self.inner.connection.phase();
        if self.inner.is_unheard() {
            return Ok(false);
        }
        let stands = matches!(phase, Phase::Open | Phase::Securing);
        if !stands || self.inner.connection.has_eof() || self.inner.is_ending() {
            return Err(Error::new(Code::Closed, "start_tls: the socket is not open"));
        }
        if self.inner.tls.is_some() || phase == Phase::Securing {
            return Err(Error::new(Code::Busy, "start_tls: the connection is secured already"));
        }
        let Some(config) = tls.of_role(self.inner.is_accepted()).cloned() else {
            return Err(Error::new(Code::Invalid, "start_tls: a server needs a certificate"));
        };
        if let Some(inbound) = self.inner.inbound.present() {
            early.append(&mut inbound.bytes);
        }
        // A client speaks first; the first record of one begins with these two bytes.
        let is_hello = config.is_server() && early.starts_with(&[22, 3]);
        if !early.is_empty() && !is_hello {
            let error = Error::new(Code::TlsNotTls, "start_tls: plain bytes came before it");
            self.feed(Input::Broken(error.clone()));
            return Err(error);
        }
        self.inner.tls = Some(Box::new(TlsState::new(config, name, WriteQueue::default(), early)));
        self.feed(Input::Secure);
        Ok(true)
    }

    /// Whether the event was one for the listener, which gets it.
    pub(super) fn take_for_listener(&mut self, event: &mut Event) -> bool {
        let Some(state) = self.inner.tls.as_mut() else { return false };
        let Some(AcceptingListener { listener, .. }) = state.accepting_listener else {
            return false;
        };
        let news = match event {
            Event::Connected => Ok(()),
            Event::Closed(error) => Err(error.take()),
            _ => return true,
        };
        state.accepting_listener = None;
        let news = news.map_err(|error| error.map(|error| Box::new(self.inner.named(*error))));
        if news.is_err() {
            self.inner.detach();
        }
        self.hub.send(listener, Message::HandshakeOver(self.token, news));
        true
    }
}

impl Inner {
    fn seal(&mut self, parts: &[&[u8]]) -> Result<Vec<u8>> {
        let mut cipher = Vec::new();
        if let Some(session) = self.tls.as_mut().and_then(|state| state.session.as_mut()) {
            session.encrypt(parts, &mut cipher)?;
        }
        Ok(cipher)
    }

    /// Why a connection that ended here did not end well; `None` when it did.
    pub(super) fn truncation(&self) -> Option<Error> {
        let state = self.tls.as_ref()?;
        if !matches!(self.connection.phase(), Phase::Open | Phase::Securing) {
            return None; // ours has ended it: what the peer omits harms nobody
        }
        match &state.session {
            Some(session) if session.has_ended() => None,
            Some(session) => Some(session.cut()),
            None => Some(Error::new(Code::TlsTruncated, "tls: the peer ended the connection")),
        }
    }

    /// Whether nothing has to be secured first.
    pub(super) fn is_secured(&self) -> bool {
        self.tls.as_ref().is_none_or(|state| state.is_secured())
    }

    /// Whether its handshake waits for the system's roots, which are being loaded.
    pub(super) fn waits_for_roots(&self) -> bool {
        let is_due = self.connection.phase() == Phase::Securing;
        is_due && self.tls.as_ref().is_some_and(|state| state.session.is_none())
    }

    /// What was written and is not encrypted yet.
    pub(super) fn held(&self) -> usize {
        self.tls.as_ref().map_or(0, |state| state.held.len())
    }

    fn peer_certificates(&self) -> Vec<Vec<u8>> {
        let session = self.tls.as_ref().and_then(|state| state.session.as_ref());
        session.map(Session::peer_certificates).unwrap_or_default()
    }

    pub(super) fn tls_facts(&self) -> Option<Facts> {
        // The script may hear of the connection after its failure.
        let session = self.tls.as_ref()?.session.as_ref();
        session.filter(|session| session.has_agreed()).map(Session::facts)
    }

    /// An accepted connection goes to its listener once it is secured; before, nobody knows of it.
    pub(super) fn set_accepting_listener(&mut self, accepting_listener: AcceptingListener) -> bool {
        let config = self.options.tls.as_ref().and_then(|tls| tls.server.clone());
        let Some(config) = config else { return false };
        let mut state = TlsState::new(config, None, WriteQueue::default(), Vec::new());
        state.accepting_listener = Some(accepting_listener);
        self.tls = Some(Box::new(state));
        true
    }

    fn accepting_listener(&self) -> Option<&AcceptingListener> {
        self.tls.as_ref()?.accepting_listener.as_ref()
    }
}

impl TlsState {
    fn new(config: Arc<Config>, name: Option<Box<str>>, held: WriteQueue, cipher: Vec<u8>) -> Self {
        Self { config, name, session: None, cipher, held, accepting_listener: None }
    }

    pub(super) fn is_secured(&self) -> bool {
        self.session.as_ref().is_some_and(Session::is_secured)
    }

    /// The connection is over. A script may keep its socket, which is not to keep what a peer has
    /// sent without an end, nor what nobody gets any more.
    pub(super) fn drop_bytes(&mut self) {
        (self.cipher, self.held) = (Vec::new(), WriteQueue::default());
    }
}
