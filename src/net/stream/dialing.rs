//! Setting out: lookup, dials, and the names in the messages.
//!
//! Not here: which address is next and when (`proto::life`, `proto::race`). Invariant: what is
//! under way is in `Dialing`; dropping it calls the lookup off and closes the dials.

use std::net::SocketAddr;

use socket2::Socket;

use crate::address::Address;
use crate::error::{Code, Error, Result};
use crate::net::connect_plan::{Way, loopback};
use crate::net::hub::{Hub, Message};
use crate::net::resolver::{self, Lookup};
use crate::net::stream::{Inner, Other};
use crate::proto::lazy::Lazy;
use crate::proto::life::Input;
use crate::proto::token::Token;
use crate::sync::Arc;
use crate::sys::poller::Interest;
use crate::sys::socket;

/// What only an attempt needs.
#[derive(Debug, Default)]
pub(super) struct Dialing {
    pub(super) dials: Vec<(Socket, Address)>,
    pub(super) lookup: Option<Lookup>,
}

impl Inner {
    pub(super) fn begin(&mut self, hub: &Arc<Hub>, token: Token) {
        if let Some(input) = self.set_out() {
            self.feed(hub, token, input);
        }
    }

    pub(super) fn set_out(&mut self) -> Option<Input> {
        let plan = self.plan.as_ref()?;
        if let Some(inbound) = self.inbound.present() {
            inbound.restart();
        }
        self.outbound = Lazy::default();
        self.owed = true;
        self.secure = None;
        Some(match &plan.way {
            Way::Address(Address::Ip(address)) => Input::Begin(Some(vec![*address])),
            Way::Address(Address::Unix(_)) => Input::BeginDirect,
            // Without its interface the failure comes like a lookup's.
            Way::Zoned(literal, port) => {
                Input::Begin(literal.at(*port).ok().map(|address| vec![address]))
            }
            _ => Input::Begin(None),
        })
    }

    /// The answer, when it is known without asking anybody.
    pub(super) fn look_up(&mut self, hub: &Arc<Hub>, token: Token) -> Option<Input> {
        let plan = self.plan.as_ref()?;
        match &plan.way {
            // Numeric: `set_out` has named it.
            Way::Address(_) => None,
            Way::Localhost(port) => Some(Input::Resolved(Ok(self.ordered(loopback(*port))))),
            Way::Nowhere(error) => Some(Input::Resolved(Err(error.clone()))),
            Way::Zoned(literal, port) => {
                let failed = |why| Error::new(Code::AddressNotAvailable, format!("connect: {why}"));
                Some(Input::Resolved(literal.at(*port).map(|it| vec![it]).map_err(failed)))
            }
            Way::Name(name, port) => {
                // A lookup that takes long must not keep a closed reactor's descriptors.
                let (port, hub) = (*port, Arc::downgrade(hub));
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
                        self.dialing.get_or_insert_default().lookup = Some(lookup);
                        None
                    }
                    Err(error) => Some(Input::Resolved(Err(error))),
                }
            }
        }
    }

    /// In the order in which they are to be tried.
    pub(super) fn ordered(&self, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        if self.options.ipv4_first {
            addresses.sort_by_key(SocketAddr::is_ipv6);
        }
        addresses
    }

    pub(super) fn dial_direct(&mut self, hub: &Arc<Hub>, token: Token) -> Option<Input> {
        let Way::Address(address) = &self.plan.as_ref()?.way else { return None };
        let address = address.clone();
        self.dial(hub, token, address)
    }

    pub(super) fn dial(&mut self, hub: &Arc<Hub>, token: Token, address: Address) -> Option<Input> {
        let failed = |error| Some(Input::DialFailed(Error::os("connect", &error)));
        let dial = match socket::begin_connect(&address, self.options.bind) {
            Ok(dial) => dial,
            Err(error) => return failed(error),
        };
        let key = token.slot as usize;
        if let Err(error) = hub.poller.change(&dial, key, Interest::NONE, Interest::WRITE) {
            return failed(error);
        }
        let dials = &mut self.dialing.get_or_insert_default().dials;
        dials.reserve_exact(1);
        dials.push((dial, address));
        None
    }

    pub(super) fn check_dials(&mut self, hub: &Arc<Hub>, token: Token) {
        let Some(dialing) = &mut self.dialing else { return };
        let mut failures = Vec::new();
        let mut winner = None;
        let mut index = 0;
        while let (Some((dial, _)), None) = (dialing.dials.get(index), &winner) {
            match socket::finish_connect(dial) {
                Ok(false) => index += 1,
                Ok(true) => winner = Some(dialing.dials.swap_remove(index)),
                Err(error) => {
                    let (dial, _) = dialing.dials.swap_remove(index);
                    let _ = hub.poller.change(&dial, 0, Interest::WRITE, Interest::NONE);
                    failures.push(Error::os("connect", &error));
                }
            }
        }
        if let Some((socket, address)) = winner {
            self.socket = Some(socket);
            self.interest = Interest::WRITE;
            let planned =
                self.plan.as_ref().is_some_and(|plan| plan.way == Way::Address(address.clone()));
            let address = (!planned).then_some(address);
            self.other =
                address.map(|address| Box::new(Other { address: Some(address), gate: None }));
            self.feed(hub, token, Input::Dialed);
            self.apply_options(hub, token, None);
            return;
        }
        for failure in failures {
            self.feed(hub, token, Input::DialFailed(failure));
        }
    }

    pub(super) fn hang_up(&mut self, hub: &Arc<Hub>) {
        let Some(dialing) = self.dialing.take() else { return };
        for (dial, _) in dialing.dials {
            let _ = hub.poller.change(&dial, 0, Interest::WRITE, Interest::NONE);
        }
    }

    pub(super) fn peer(&self) -> Option<Address> {
        match (self.address(), self.plan.as_ref().map(|plan| &plan.way)) {
            (Some(address), _) | (None, Some(Way::Address(address))) => Some(address.clone()),
            _ => None,
        }
    }

    fn address(&self) -> Option<&Address> {
        self.other.as_ref()?.address.as_ref()
    }

    /// "connect: timed out" becomes "connect 10.0.0.9:23: timed out".
    pub(super) fn named(&self, error: Error) -> Error {
        let whom = match (&self.plan, self.address()) {
            (Some(plan), _) => plan.whom(),
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
