//! TLS on a stream: between what the system moves and what the script sees.
//!
//! Not here: the protocol (`tls::session`), when a handshake begins and ends (`proto::life`).
//! Invariants: once TLS has begun, every byte goes through the session in both directions; nothing
//! that came is given to the script before the peer is verified; what is written meanwhile is held
//! and leaves encrypted, in order.

use std::io::IoSlice;
use std::time::Instant;

use socket2::Socket;

use crate::address::Address;
use crate::error::{Code, Error, Result};
use crate::net::door::Gate;
use crate::net::fence::fault;
use crate::net::hub::{Hub, Message};
use crate::net::options::{Options, Tls};
use crate::net::stream::{Inner, Other, Stream};
use crate::proto::event::Event;
use crate::proto::handshakes::Answered;
use crate::proto::life::{Input, Phase};
use crate::proto::token::Token;
use crate::proto::write_queue::WriteQueue;
use crate::sync::Arc;
pub use crate::sys::path::read as read_file;
use crate::sys::process;
pub use crate::tls::{ClientAuth, Config, Pem, Settings, Version};
pub use crate::tls::{Facts, Verified};
use crate::tls::{Session, roots};

/// What a secured stream has more.
#[derive(Debug)]
pub(super) struct Secure {
    config: Arc<Config>,
    /// `None` while the system's roots are being loaded.
    session: Option<Session>,
    /// The beginning of a record whose rest has not come.
    cipher: Vec<u8>,
    /// Written before the handshake was done.
    pub(super) held: WriteQueue,
    greeter: Option<Greeter>,
}

/// The listener that announces the connection once it is secured.
#[derive(Debug)]
pub(super) struct Greeter {
    listener: Token,
    answered: Answered,
}

impl Stream {
    /// Takes an accepted connection over that its listener announces once it is secured.
    pub fn receive_secure(
        hub: &Arc<Hub>,
        socket: Socket,
        peer: Option<Address>,
        options: Arc<Options>,
        listener: Token,
        answered: Answered,
    ) -> Arc<Self> {
        let other = Other { address: peer, gate: None };
        let stream = Self::enter(hub, options, Some(socket), None, Some(other));
        stream.step(hub, |inner| {
            inner.held_back = true;
            inner.owed = true;
            if inner.set_greeter(Greeter { listener, answered }) {
                inner.feed(hub, stream.token, Input::Adopt);
            }
        });
        stream
    }

    /// The server has room for the connection, whose handshake is over.
    pub fn move_in(&self, hub: &Arc<Hub>, options: Arc<Options>, gate: Gate) {
        self.set_options(hub, options);
        self.step(hub, |inner| {
            // One that is over takes no place.
            if inner.life.phase() != Phase::Closed {
                inner.other.get_or_insert_default().gate = Some(gate);
            }
        });
    }

    /// Ends a handshake of which nobody is to hear.
    pub fn turn_away(&self, hub: &Arc<Hub>) {
        self.step(hub, |inner| {
            if let Some(secure) = &mut inner.secure {
                secure.greeter = None;
            }
            inner.detach();
            inner.feed(hub, self.token, Input::Abort);
        });
    }

    /// Turns the open connection into TLS. `early`: what the script has not seen of what came. False
    /// if it is over, which the script is still to hear.
    ///
    /// # Errors
    /// It is not open, or plain bytes came before: then it is closed.
    pub fn start_tls(&self, hub: &Arc<Hub>, tls: &Tls, early: Vec<u8>) -> Result<bool> {
        let begun = self.step(hub, |inner| inner.upgrade(hub, self.token, tls, early));
        begun.unwrap_or_else(|| Err(fault("start_tls")))
    }
}

impl Inner {
    fn is_server(&self) -> bool {
        self.plan.is_none()
    }

    /// Begins the handshake. On an open connection what was written before goes out before it; on
    /// a new one it waits.
    pub(super) fn begin_secure(&mut self, hub: &Arc<Hub>, token: Token) -> Option<Input> {
        if self.secure.is_none() {
            let tls = self.options.tls.clone()?;
            let server = self.is_server();
            let config = if server { tls.server.clone()? } else { tls.client.clone() };
            let held = std::mem::take(&mut self.outbound.queue);
            self.secure = Some(Box::new(Secure::new(config, held, Vec::new())));
        }
        let secure = self.secure.as_ref()?;
        if !secure.config.is_ready() {
            // A thread of ours: signals are not for it.
            roots::spawn_with(|name, body| process::spawn(name, body).map(drop));
            let hub = Arc::downgrade(hub);
            secure.config.when_ready(Box::new(move || {
                if let Some(hub) = hub.upgrade() {
                    hub.send(token, Message::Recheck);
                }
            }));
            return None;
        }
        self.say_hello(hub, token)
    }

    /// The system's roots are there.
    pub(super) fn go_on_securing(&mut self, hub: &Arc<Hub>, token: Token) {
        let waits = self.secure.as_ref().is_some_and(|secure| secure.session.is_none());
        if waits
            && self.life.phase() == Phase::Securing
            && let Some(input) = self.say_hello(hub, token)
        {
            self.feed(hub, token, input);
        }
    }

    fn say_hello(&mut self, hub: &Arc<Hub>, token: Token) -> Option<Input> {
        let is_server = self.is_server();
        let host = self.plan.as_ref().map(|plan| plan.name().into_owned()).unwrap_or_default();
        let secure = self.secure.as_mut()?;
        let made = if is_server {
            Session::server(&secure.config)
        } else {
            Session::client(&secure.config, &host)
        };
        let mut out = Vec::new();
        let started = made.and_then(|mut session| {
            session.start(&mut out)?;
            Ok(session)
        });
        match started {
            Ok(session) => secure.session = Some(session),
            Err(error) => return Some(Input::Broken(error)),
        }
        self.send_cipher(hub, token, &out);
        let mut early = std::mem::take(&mut self.secure.as_mut()?.cipher);
        if !early.is_empty() {
            self.decrypt(hub, token, &mut early);
        }
        None
    }

    /// Puts bytes of the protocol behind what waits, and sends what it can.
    fn send_cipher(&mut self, hub: &Arc<Hub>, token: Token, bytes: &[u8]) {
        if bytes.is_empty() || self.outbound.broken.is_some() {
            return;
        }
        let sent =
            if self.outbound.queue.is_empty() { self.send_now(hub, token, &[bytes]) } else { 0 };
        self.enqueue(&[bytes], sent);
    }

    /// Takes in what came from the system; `scratch` is used up. Returns how much of it became
    /// visible to the script.
    pub(super) fn decrypt(&mut self, hub: &Arc<Hub>, token: Token, scratch: &mut Vec<u8>) {
        let Some(secure) = &mut self.secure else { return };
        let Some(session) = &mut secure.session else {
            secure.cipher.append(scratch);
            return;
        };
        let was_secured = session.is_secured();
        let before = self.inbound.bytes.len();
        let mut out = Vec::new();
        let received = if secure.cipher.is_empty() {
            let received = session.receive(scratch, &mut self.inbound.bytes, &mut out);
            secure.cipher.extend_from_slice(scratch);
            received
        } else {
            secure.cipher.append(scratch);
            session.receive(&mut secure.cipher, &mut self.inbound.bytes, &mut out)
        };
        scratch.clear();
        let (is_secured, has_ended) = (session.is_secured(), session.has_ended());
        if !is_secured {
            // Nothing of a peer that was not verified.
            self.inbound.bytes.truncate(before);
        }
        if let Some(greeter) = self.greeter().filter(|_| !out.is_empty()) {
            greeter.answered.set();
        }
        self.send_cipher(hub, token, &out);
        if is_secured && !was_secured && received.is_ok() {
            self.secured(hub, token);
        }
        let count = self.inbound.bytes.len() - before;
        if count > 0 {
            self.announce(hub, token, count);
        }
        match received {
            Err(error) => self.broke(hub, token, error),
            Ok(()) if has_ended && !self.life.has_ended() => self.ended(hub, token),
            Ok(()) => {}
        }
    }

    /// The handshake is done: what was held goes out, and an end that was asked for behind it.
    fn secured(&mut self, hub: &Arc<Hub>, token: Token) {
        let held = self.secure.as_mut().map(|secure| std::mem::take(&mut secure.held));
        if let Some(mut held) = held {
            let mut failed = None;
            while !held.is_empty() && failed.is_none() {
                let mut slices: Vec<IoSlice<'_>> = Vec::new();
                held.slices(&mut slices);
                let parts: Vec<&[u8]> = slices.iter().map(|slice| &**slice).collect();
                let count = parts.iter().map(|part| part.len()).sum();
                match self.seal(&parts) {
                    Ok(cipher) => self.send_cipher(hub, token, &cipher),
                    Err(error) => failed = Some(error),
                }
                held.advance(count);
            }
            if let Some(error) = failed {
                return self.feed(hub, token, Input::Broken(error));
            }
        }
        if self.life.is_closing() || self.outbound.fin {
            self.say_goodbye(hub, token);
        }
        self.feed(hub, token, Input::Secured);
        self.place_marks(hub, token);
        self.finish_writing(hub, token);
    }

    fn seal(&mut self, parts: &[&[u8]]) -> Result<Vec<u8>> {
        let mut cipher = Vec::new();
        if let Some(session) = self.secure.as_mut().and_then(|secure| secure.session.as_mut()) {
            session.encrypt(parts, &mut cipher)?;
        }
        Ok(cipher)
    }

    /// Takes what the script writes: encrypted and sent, or held until the handshake is done.
    pub(super) fn write_secure(
        &mut self,
        hub: &Arc<Hub>,
        token: Token,
        parts: &[&[u8]],
    ) -> Result<()> {
        let Some(secure) = &mut self.secure else { return Ok(()) };
        if !secure.is_secured() {
            let now = self.options.write_timeout.map(|_| Instant::now());
            for part in parts {
                secure.held.push(part, now);
            }
            self.outbound.high |= secure.held.len() > self.options.drain_at;
            return Ok(());
        }
        let cipher = self.seal(parts)?;
        self.send_cipher(hub, token, &cipher);
        Ok(())
    }

    /// Our end of the secured stream, once, before that of the connection.
    pub(super) fn say_goodbye(&mut self, hub: &Arc<Hub>, token: Token) {
        let Some(secure) = self.secure.as_mut().filter(|secure| secure.is_secured()) else {
            return;
        };
        let mut out = Vec::new();
        if let Some(session) = &mut secure.session {
            session.close(&mut out);
        }
        if matches!(self.life.phase(), Phase::Open | Phase::Securing) {
            self.send_cipher(hub, token, &out);
        }
    }

    /// Why a connection that ended here did not end well; `None` when it did.
    pub(super) fn truncation(&self) -> Option<Error> {
        let secure = self.secure.as_ref()?;
        if !matches!(self.life.phase(), Phase::Open | Phase::Securing) {
            return None; // ours has ended it: what the peer omits harms nobody
        }
        match &secure.session {
            Some(session) if session.has_ended() => None,
            Some(session) => Some(session.cut()),
            None => Some(Error::new(Code::TlsTruncated, "tls: the peer ended the connection")),
        }
    }

    /// What was written and is not encrypted yet.
    pub(super) fn held(&self) -> usize {
        self.secure.as_ref().map_or(0, |secure| secure.held.len())
    }

    pub(super) fn facts(&self) -> Option<Facts> {
        let secure = self.secure.as_ref().filter(|secure| secure.is_secured())?;
        secure.session.as_ref().map(Session::facts)
    }

    /// Turns the open connection into TLS. `early`: what came and was not read.
    pub(super) fn upgrade(
        &mut self,
        hub: &Arc<Hub>,
        token: Token,
        tls: &Tls,
        mut early: Vec<u8>,
    ) -> Result<bool> {
        let phase = self.life.phase();
        if self.is_unheard() {
            return Ok(false);
        }
        let stands = matches!(phase, Phase::Open | Phase::Securing);
        if !stands || self.life.has_ended() || self.life.is_closing() || self.outbound.fin {
            return Err(Error::new(Code::Closed, "start_tls: the socket is not open"));
        }
        if self.secure.is_some() || phase == Phase::Securing {
            return Err(Error::new(Code::Busy, "start_tls: the connection is secured already"));
        }
        let config = if self.is_server() { tls.server.clone() } else { Some(tls.client.clone()) };
        let Some(config) = config else {
            return Err(Error::new(Code::Invalid, "start_tls: a server needs a certificate"));
        };
        early.append(&mut self.inbound.bytes);
        // A client speaks first; the first record of one begins with these two bytes.
        let hello = self.is_server() && early.starts_with(&[22, 3]);
        if !early.is_empty() && !hello {
            let error = Error::new(Code::TlsNotTls, "start_tls: plain bytes came before it");
            self.feed(hub, token, Input::Broken(error.clone()));
            return Err(error);
        }
        self.secure = Some(Box::new(Secure::new(config, WriteQueue::default(), early)));
        self.feed(hub, token, Input::Secure);
        Ok(true)
    }

    /// An accepted connection goes to its listener once it is secured; before, nobody knows of it.
    pub(super) fn set_greeter(&mut self, greeter: Greeter) -> bool {
        let config = self.options.tls.as_ref().and_then(|tls| tls.server.clone());
        let Some(config) = config else { return false };
        let mut secure = Secure::new(config, WriteQueue::default(), Vec::new());
        secure.greeter = Some(greeter);
        self.secure = Some(Box::new(secure));
        true
    }

    fn greeter(&self) -> Option<&Greeter> {
        self.secure.as_ref()?.greeter.as_ref()
    }

    /// Whether the event was one for the listener, which gets it.
    pub(super) fn is_for_greeter(&mut self, hub: &Hub, token: Token, event: &mut Event) -> bool {
        let Some(secure) = self.secure.as_mut() else { return false };
        let Some(Greeter { listener, .. }) = secure.greeter else { return false };
        let news = match event {
            Event::Connected => Ok(()),
            Event::Closed(error) => Err(error.take()),
            _ => return true,
        };
        secure.greeter = None;
        let news = news.map_err(|error| error.map(|error| Box::new(self.named(*error))));
        if news.is_err() {
            self.detach();
        }
        hub.send(listener, Message::HandshakeOver(token, news));
        true
    }

    fn announce(&mut self, hub: &Arc<Hub>, token: Token, count: usize) {
        self.inbound.total += count as u64;
        if self.inbound.front + self.inbound.bytes.len() >= self.inbound.limit(&self.options) {
            self.inbound.paused = true;
        }
        if self.options.read_timeout.is_some() {
            self.life.restart_silence(Instant::now());
        }
        let event = Event::Data(u32::try_from(count).unwrap_or(u32::MAX));
        hub.post(&mut self.mail, token, event);
        self.weigh(token);
    }
}

impl Secure {
    fn new(config: Arc<Config>, held: WriteQueue, cipher: Vec<u8>) -> Self {
        Self { config, session: None, cipher, held, greeter: None }
    }

    pub(super) fn is_secured(&self) -> bool {
        self.session.as_ref().is_some_and(Session::is_secured)
    }
}
