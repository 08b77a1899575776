//! Connecting: lookup, dials, and the names in the messages.
//!
//! Not here: which address is next and when (`proto::connection`, `proto::happy_eyeballs`). Invariant: what is
//! under way is in `Connecting`; dropping it calls the lookup off and closes the dials.

use std::net::SocketAddr;

use crate::address::Address;
use crate::error::{Code, Error, Result};
use crate::net::early_socket::EarlySocket;
use crate::net::hub::Message;
use crate::net::resolver::{self, Lookup};
use crate::net::stream::step::Step;
use crate::net::stream::trace::told;
use crate::net::stream::{Inner, Peer};
use crate::net::target::{Route, loopback};
use crate::proto::connection::Input;
use crate::proto::lazy::Lazy;
use crate::sync::Arc;
use crate::sys::poller::Interest;
use crate::sys::registered::Registered;
use crate::sys::socket;
use crate::sys::socket_options::Failure;

/// What only an attempt needs.
#[derive(Debug, Default)]
pub(super) struct Connecting {
    pub(super) dials: Vec<(Registered, Address)>,
    pub(super) lookup: Option<Lookup>,
    /// The attempt is by this one, and to no address of another family.
    pub(super) early: Option<Box<EarlySocket>>,
    /// One of the dials is by an early socket.
    pub(super) was_early: bool,
}

impl Step<'_> {
    pub(super) fn begin(&mut self) {
        if let Some(input) = self.inner.start() {
            self.feed(input);
        }
    }

    /// The answer, when it is known without asking anybody.
    pub(super) fn look_up(&mut self) -> Option<Input> {
        let target = self.inner.target.as_ref()?;
        match &target.route {
            // Numeric: `start` has named it.
            Route::Address(_) => None,
            Route::Localhost(port) => {
                Some(Input::Resolved(Ok(self.inner.ordered(loopback(*port)))))
            }
            Route::Nowhere(error) => Some(Input::Resolved(Err(error.clone()))),
            Route::Zoned(literal, port) => {
                let failed = |why| Error::new(Code::AddressNotAvailable, format!("connect: {why}"));
                Some(Input::Resolved(literal.at(*port).map(|it| vec![it]).map_err(failed)))
            }
            Route::Name(name, port) => {
                self.trace(|_| format!("looking up {name}").into());
                // A lookup that takes long must not keep a closed reactor's descriptors.
                let (port, hub, token) = (*port, Arc::downgrade(self.hub), self.token);
                let answer = move |mut found: Result<Vec<SocketAddr>>| {
                    for address in found.iter_mut().flatten() {
                        address.set_port(port);
                    }
                    if let Some(hub) = hub.upgrade() {
                        hub.send(token, Message::Resolved(found));
                    }
                };
                match resolver::look_up(name, Box::new(answer)) {
                    Ok(lookup) => {
                        self.inner.connecting.get_or_insert_default().lookup = Some(lookup);
                        None
                    }
                    Err(error) => Some(Input::Resolved(Err(error))),
                }
            }
        }
    }

    pub(super) fn dial_direct(&mut self) -> Option<Input> {
        let Route::Address(address) = &self.inner.target.as_ref()?.route else { return None };
        let address = address.clone();
        self.dial(address)
    }

    pub(super) fn dial(&mut self, address: Address) -> Option<Input> {
        self.trace(|_| format!("connecting to {address}").into());
        let whom = self.hub.trace.is_on().then(|| address.clone());
        let failed = self.begin_dial(address);
        if let (Some(Input::DialFailed(error)), Some(whom)) = (&failed, whom) {
            self.trace(|_| format!("no connection with {whom}: {}", told(error)).into());
        }
        failed
    }

    fn begin_dial(&mut self, address: Address) -> Option<Input> {
        let early = self.inner.connecting.as_mut().and_then(|it| it.early.as_mut());
        let by = match early.map(|early| early.take_for(&address)).transpose() {
            Ok(by) => by.flatten(),
            Err(error) => return Some(Input::DialFailed(Error::os("connect", &error))),
        };
        let is_early = by.is_some();
        let options = &self.inner.options;
        let begun = match by {
            Some(by) => socket::begin_connect_by(by, &address).map_err(Failure::from),
            None => socket::begin_connect(&address, options.bind, &options.setup()),
        };
        let mut dial = match begun {
            Ok(dial) => Registered::new(dial),
            Err(failure) => return Some(Input::DialFailed(failure.told("connect"))),
        };
        let key = self.token.slot as usize;
        if let Err(error) = dial.wait_for(Interest::WRITE, &self.hub.poller, key) {
            return Some(Input::DialFailed(Error::os("connect", &error)));
        }
        let connecting = self.inner.connecting.get_or_insert_default();
        connecting.was_early |= is_early;
        connecting.dials.reserve_exact(1);
        connecting.dials.push((dial, address));
        None
    }

    /// `has_news`: the poller has just said that one of them can be written, and nothing of its end.
    pub(super) fn check_dials(&mut self, has_news: bool) {
        let Some(connecting) = &mut self.inner.connecting else { return };
        // Of an early socket somebody may have taken the error already.
        let is_over = has_news && connecting.dials.len() == 1 && !connecting.was_early;
        let mut failures = Vec::new();
        let mut winner = None;
        let mut index = 0;
        while let (Some((dial, _)), None) = (connecting.dials.get(index), &winner) {
            match socket::finish_connect(dial, is_over) {
                Ok(false) => index += 1,
                Ok(true) => winner = Some(connecting.dials.swap_remove(index)),
                Err(error) => {
                    let (dial, address) = connecting.dials.swap_remove(index);
                    dial.close(&self.hub.poller);
                    failures.push((Error::os("connect", &error), address));
                }
            }
        }
        if let Some((socket, address)) = winner {
            self.inner.socket = Some(socket);
            let targeted = self
                .inner
                .target
                .as_ref()
                .is_some_and(|target| target.route == Route::Address(address.clone()));
            let address = (!targeted).then_some(address);
            self.inner.peer =
                address.map(|address| Box::new(Peer { address: Some(address), ..Peer::default() }));
            self.feed(Input::Dialed);
            self.apply_options(None);
            // There is room: what waits need not wait for a report of that.
            if !self.inner.outbound.get().is_empty() {
                self.flush();
            }
            return;
        }
        for (failure, address) in failures {
            self.trace(|_| format!("no connection with {address}: {}", told(&failure)).into());
            self.feed(Input::DialFailed(failure));
        }
    }

    pub(super) fn cancel_connect(&mut self) {
        let Some(connecting) = self.inner.connecting.take() else { return };
        for (dial, _) in connecting.dials {
            dial.close(&self.hub.poller);
        }
    }
}

impl Inner {
    pub(super) fn start(&mut self) -> Option<Input> {
        let target = self.target.as_ref()?;
        if let Some(inbound) = self.inbound.present() {
            inbound.restart();
        }
        self.outbound = Lazy::default();
        self.mail.expect_close();
        self.tls = None;
        if let Some(ends) = &mut self.peer {
            ends.local = None;
        }
        Some(match &target.route {
            Route::Address(Address::Ip(address)) => Input::Begin(Some(vec![*address])),
            Route::Address(Address::Unix(_)) => Input::BeginDirect,
            // Without its interface the failure comes like a lookup's.
            Route::Zoned(literal, port) => {
                Input::Begin(literal.at(*port).ok().map(|address| vec![address]))
            }
            _ => Input::Begin(None),
        })
    }

    /// In the order in which they are to be tried.
    pub(super) fn ordered(&self, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        if self.options.ipv4_first {
            addresses.sort_by_key(SocketAddr::is_ipv6);
        }
        addresses
    }

    pub(super) fn peer_address(&self) -> Option<Address> {
        match (self.address(), self.target.as_ref().map(|target| &target.route)) {
            (Some(address), _) | (None, Some(Route::Address(address))) => Some(address.clone()),
            _ => None,
        }
    }

    /// Our end, also of a connection that ended without the script.
    pub(super) fn local_address(&self) -> Option<Address> {
        let Some(socket) = &self.socket else {
            return self.peer.as_ref()?.local.as_deref().cloned();
        };
        socket::local_address(socket).ok().flatten()
    }

    fn address(&self) -> Option<&Address> {
        self.peer.as_ref()?.address.as_ref()
    }

    /// "connect: timed out" becomes "connect 10.0.0.9:23: timed out".
    pub(super) fn named(&self, error: Error) -> Error {
        let whom = match (&self.target, self.address()) {
            (Some(target), _) => target.display(),
            (None, Some(peer)) => peer.to_string(),
            (None, None) => return error,
        };
        let message = match error.message().split_once(": ") {
            Some((what, why)) => format!("{what} {whom}: {why}"),
            None => error.message().to_owned(),
        };
        Error::new(error.code(), message)
    }
}
