//! What the trace says of a connection.
//!
//! Not here: how a line is written (`net::trace`). Invariant: nothing is put together while the trace is
//! off; nothing of TLS tables is told but the name that is asked for.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use crate::address::Address;
use crate::error::{Code, Error};
use crate::net::stream::Inner;
use crate::net::stream::step::Step;
use crate::net::trace::{Ends, of_bytes};
use crate::proto::connection::{Input, Phase};
use crate::proto::event::Event;
use crate::tls::Verified;

impl Step<'_> {
    /// Tells something, if anybody wants to know.
    #[inline]
    pub(super) fn trace(&self, what: impl FnOnce(&Inner) -> Cow<'static, str>) {
        if self.hub.trace.is_on() {
            self.tell(&what(self.inner));
        }
    }

    #[cold]
    fn tell(&self, what: &str) {
        self.hub.tell(self.token, &self.inner.who(), what, self.inner.ends());
    }

    /// So many bytes have come, which are the last of those that the script's side has not got.
    #[cold]
    pub(super) fn tell_received(&self, count: usize) {
        let bytes = &self.inner.inbound.get().bytes;
        let start = bytes.len().saturating_sub(count);
        let news = bytes.get(start..).unwrap_or_default();
        let what = format!("received {}", of_bytes(count));
        self.hub.tell_bytes(self.token, &self.inner.who(), &what, &[news], self.inner.ends());
    }

    /// The script writes.
    #[cold]
    pub(super) fn tell_sent(&self, parts: &[&[u8]]) {
        let count = parts.iter().map(|part| part.len()).sum();
        if count > 0 {
            let what = format!("sends {}", of_bytes(count));
            self.hub.tell_bytes(self.token, &self.inner.who(), &what, parts, self.inner.ends());
        }
    }

    /// What came of that, unless all of it went at once.
    #[cold]
    pub(super) fn tell_written(&self, refused: Option<&Error>) {
        match (refused, self.inner.unsent()) {
            (Some(error), _) => self.tell(&format!("that was refused: {}", told(error))),
            (None, 0) => {}
            (None, left) => self.tell(&format!("{} wait to be sent", of_bytes(left))),
        }
    }

    /// What is about to happen to the machine.
    #[cold]
    pub(super) fn tell_input(&self, input: &Input) {
        let inner = &*self.inner;
        let phase = inner.connection.phase();
        let is_over = matches!(phase, Phase::Closed);
        let what = match input {
            Input::Adopt => "accepted".into(),
            Input::Dialed => match (inner.peer_address(), inner.local_address()) {
                (Some(peer), Some(local)) => format!("connected to {peer} from {local}"),
                (Some(peer), None) => format!("connected to {peer}"),
                _ => "connected".into(),
            },
            Input::Secured => inner.secured_by(),
            Input::Wait(pause) => format!("connects again in {}", seconds(*pause)),
            Input::Close if is_over => return,
            Input::Close if phase == Phase::Waiting => {
                "closed by the script: no more attempts".into()
            }
            Input::Close => {
                let who = if inner.mail.is_closed() { "given up" } else { "closing" };
                match inner.unsent() {
                    0 => format!("{who}: the script is done with it"),
                    left => format!(
                        "{who}: the script is done with it; {} are still to be sent",
                        of_bytes(left)
                    ),
                }
            }
            _ => return,
        };
        self.tell(&what);
    }

    /// What the script is told, or its listener.
    #[cold]
    pub(super) fn tell_event(&self, event: &Event) {
        let inner = &*self.inner;
        let what = match event {
            Event::Resolved(addresses) => {
                let shown = addresses.iter().map(|address| address.ip().to_string());
                let shown: Vec<String> = shown.take(8).collect();
                format!("the name is known: {}", shown.join(", "))
            }
            Event::Reconnecting(attempt) => format!("connecting again, attempt {attempt}"),
            Event::Eof => "the peer has ended its stream".into(),
            Event::Securing => match &inner.target {
                Some(target) => format!("TLS handshake with {} begins", target.name()),
                None => "TLS handshake begins".into(),
            },
            Event::Closed(error) => inner.end(error.as_deref()),
            _ => return,
        };
        self.tell(&what);
    }
}

impl Inner {
    /// What it is and where it goes.
    fn who(&self) -> String {
        match (&self.target, self.peer_address()) {
            (Some(target), _) => format!("socket to {}", target.display()),
            (None, Some(peer)) => format!("socket from {peer}"),
            (None, None) => "socket".into(),
        }
    }

    fn ends(&self) -> Ends {
        let ip = |address: Option<Address>| match address {
            Some(Address::Ip(address)) => Some(address),
            _ => None::<SocketAddr>,
        };
        (ip(self.local_address()), ip(self.peer_address()))
    }

    fn secured_by(&self) -> String {
        let Some(facts) = self.tls_facts() else { return "secured".into() };
        let verdict = match facts.verified {
            Verified::Yes => "the peer's certificate is verified",
            Verified::Chain => {
                "the peer's certificate is verified but for its name (insecure_name)"
            }
            Verified::No if self.is_accepted() => "the client has shown no certificate",
            Verified::No => "the peer's certificate is not verified (verify = false)",
        };
        format!("secured by TLS {}, {}: {verdict}", facts.version, facts.cipher)
    }

    /// By whom it was closed, and why.
    fn end(&self, error: Option<&Error>) -> String {
        let Some(error) = error else {
            let by = if self.connection.has_eof() {
                "the peer, which has ended its stream"
            } else if self.connection.is_closing() {
                "the script"
            } else {
                "the script, at once"
            };
            return format!("closed by {by}");
        };
        let why = told(error);
        match error.code() {
            Code::ConnectionRefused => format!("closed: {why}: nothing listens there"),
            Code::HostNotFound => format!("closed: {why}: check the name and the name server"),
            Code::ConnectionReset => format!("closed by the peer, which broke it off: {why}"),
            Code::TimedOut | Code::TlsTimeout => format!("closed by a timeout: {why}"),
            code if code.as_str().starts_with("TLS_") => format!("closed, TLS refused: {why}"),
            _ => format!("closed by an error: {why}"),
        }
    }
}

/// "refused: connect: connection refused (ECONNREFUSED)".
pub(super) fn told(error: &Error) -> String {
    format!("{} ({})", error.message(), error.code())
}

fn seconds(pause: Duration) -> String {
    format!("{} s", (pause.as_secs_f64() * 1000.0).round() / 1000.0)
}
