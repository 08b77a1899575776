//! One TLS connection as a machine: received bytes in, payload and bytes to send out.
//!
//! Not here: sockets and deadlines. Decryption happens in place, in the buffer that the bytes were
//! read into. Invariants: rustls sees whole records only, so what it may refer back to is known
//! ([`Session::unfinished`]); after an error nothing more is taken or given.

use std::fmt;
use std::net::Ipv4Addr;

use once_cell::sync::OnceCell;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::{IpAddr, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert, UnbufferedServerConnection};
use rustls::sign::CertifiedKey;
use rustls::{CommonState, HandshakeKind, ProtocolVersion};

use super::config::{Config, Role, server_name};
use super::engine::{OVERHEAD, Sink, Traffic, Written, advance, flush, write};
use super::facts::{Facts, Verified};
use super::hello::{Hello, asked_name};
use super::names::Chosen;
use super::suites::suite_name;
use super::verdict;
use crate::error::{Code, Error, Result};
use crate::limits::{TLS_RECORD, TLS_WAITING};
use crate::quote::named;
use crate::sync::Arc;

enum Connection {
    Client(Box<UnbufferedClientConnection>),
    Server(Box<UnbufferedServerConnection>),
}

/// One end of a TLS connection.
pub struct Session {
    connection: Connection,
    /// Of a server that has several, the one for the client's name, once that is known.
    config: Arc<Config>,
    /// What the client asked for.
    name: Name,
    /// Whom a client expects, until the handshake is over.
    expected: Option<Box<ServerName<'static>>>,
    /// Of a server that looks at names: what it has seen of the hello. rustls has seen none of it.
    hello: Option<Box<Hello>>,
    /// Bytes at the front of what was received that rustls has seen and still needs: the begin of
    /// a handshake message.
    unfinished: usize,
    stage: Stage,
    /// Whether the peer's hello is of a version that nobody here speaks, once it is there.
    is_old: Option<bool>,
    has_ended: bool,
    has_closed: bool,
    failure: Option<Error>,
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// The peer may speak something else than TLS.
    Unknown,
    Handshake,
    /// The handshake has succeeded, whatever came after it.
    Agreed,
}

/// What the client asked for, once it is known.
type Name = Arc<OnceCell<String>>;

/// Shows a client the certificate and keeps the name that it asked for, which rustls does not tell in
/// any other way.
#[derive(Debug)]
struct Listening {
    /// None: whoever it is, is refused.
    identity: Option<Arc<CertifiedKey>>,
    name: Name,
}

impl ResolvesServerCert for Listening {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(name) = hello.server_name() {
            // A second hello asks for the same.
            drop(self.name.set(name.to_owned()));
        }
        self.identity.clone()
    }
}

/// The header of a record: kind, version, length.
const HEADER: usize = 5;
/// The longest record there may be (RFC 5246, 6.2.3).
const LONGEST: usize = 16 * 1024 + 2048;

impl Session {
    /// The end that connects; `host` is whom it expects if the settings don't say.
    ///
    /// # Errors
    /// The host is no name that a certificate can have.
    pub fn client(config: &Arc<Config>, host: &str) -> Result<Self> {
        let Role::Client { config: client, name, checks_name, .. } = &config.role else {
            return Err(verdict::said(Code::Internal, "a server's settings for a client"));
        };
        let name = match name.clone().or_else(|| server_name(host)) {
            Some(name) => name,
            // Nobody looks at it, and addresses are not told to the server.
            None if !checks_name => ServerName::IpAddress(IpAddr::from(Ipv4Addr::UNSPECIFIED)),
            None => {
                let host = named(host.as_bytes());
                let text = format!("{host} is no name that a certificate can have");
                return Err(verdict::said(Code::TlsBadHostname, &text));
            }
        };
        let asked = match &name {
            ServerName::DnsName(name) => Arc::new(OnceCell::with_value(name.as_ref().to_owned())),
            _ => Name::default(),
        };
        let expected = Some(Box::new(name.clone()));
        let connection = UnbufferedClientConnection::new(Arc::clone(client), name)
            .map_err(|error| verdict::of(&error))?;
        let connection = Connection::Client(Box::new(connection));
        Ok(Self { expected, ..Self::new(connection, config, asked) })
    }

    /// The end that accepts.
    ///
    /// # Errors
    /// The machine has no randomness.
    pub fn server(config: &Arc<Config>) -> Result<Self> {
        let name = Name::default();
        let connection = serving(config, &name, true)?;
        let hello = config.looks_at_names().then(Box::default);
        Ok(Self { hello, ..Self::new(connection, config, name) })
    }

    fn new(connection: Connection, config: &Arc<Config>, name: Name) -> Self {
        Self {
            connection,
            config: Arc::clone(config),
            name,
            expected: None,
            hello: None,
            unfinished: 0,
            stage: Stage::Unknown,
            is_old: None,
            has_ended: false,
            has_closed: false,
            failure: None,
        }
    }

    /// Begins: a client has something to say.
    ///
    /// # Errors
    /// None that depends on the peer.
    pub fn start(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.guard()?;
        let done = self.step(&mut [], &mut Vec::new(), out);
        done.map(drop).map_err(|error| self.fail(error, out))
    }

    /// Takes whole records from the front of `cipher`; what is left there must be there again, and
    /// in front, at the next call. Payload is appended to `plain`, and to `out` what is to be sent.
    ///
    /// # Errors
    /// The connection is over. What is in `out` is the alert that says so, and should be sent; what
    /// is in `plain` came before and is genuine.
    pub fn receive(
        &mut self,
        cipher: &mut Vec<u8>,
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.guard()?;
        let mut used = 0;
        let done = self.take(cipher, &mut used, plain, out);
        cipher.drain(..used);
        let done = done.and_then(|()| self.agree());
        done.map_err(|error| self.fail(error, out))
    }

    /// Encrypts `parts`, one after the other, and appends them to `out`.
    ///
    /// # Errors
    /// Called before the handshake is over, or after the end.
    pub fn encrypt(&mut self, parts: &[&[u8]], out: &mut Vec<u8>) -> Result<()> {
        self.guard()?;
        if !self.is_secured() || self.has_closed {
            return Err(verdict::said(Code::Closed, "there is no session to write to"));
        }
        if let [part] = parts {
            return self.seal(part, out);
        }
        // Many small parts in one record each would be many bytes more.
        let mut together = Vec::new();
        for part in parts {
            let mut rest = *part;
            if !together.is_empty() || rest.len() < TLS_RECORD {
                let (front, back) = rest.split_at(rest.len().min(TLS_RECORD - together.len()));
                together.extend_from_slice(front);
                rest = back;
                if together.len() == TLS_RECORD {
                    self.seal(&together, out)?;
                    together.clear();
                }
            }
            let (whole, tail) = rest.split_at(rest.len() / TLS_RECORD * TLS_RECORD);
            self.seal(whole, out)?;
            together.extend_from_slice(tail);
        }
        self.seal(&together, out)
    }

    /// Says that nothing more comes from here; once, and not in the handshake.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if self.failure.is_some() || !self.is_secured() || self.has_closed {
            return;
        }
        self.has_closed = true;
        // What fails here is over anyway.
        drop(self.write(OVERHEAD, out, |traffic, room| traffic.queue_close_notify(room)));
    }

    /// Whether the handshake is over and the peer verified as asked: payload may pass.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        !self.common().is_handshaking() && self.failure.is_none()
    }

    /// Whether the handshake has succeeded, even if the connection has failed since.
    #[must_use]
    pub fn has_agreed(&self) -> bool {
        self.stage == Stage::Agreed
    }

    /// Whether the peer said that nothing more comes.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// What it means that the stream ended without the peer saying so.
    #[must_use]
    pub fn cut(&self) -> Error {
        self.failure.clone().unwrap_or_else(|| verdict::truncated(self.is_secured()))
    }

    /// What was agreed on; of use once the handshake has succeeded.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let common = self.common();
        let version = match common.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            _ => "",
        };
        let suite = common.negotiated_cipher_suite();
        let cipher = suite.and_then(|suite| suite_name(suite.suite())).unwrap_or_default();
        let showed_none = common.peer_certificates().is_none_or(<[_]>::is_empty);
        Facts {
            version,
            cipher,
            alpn: common.alpn_protocol().map(<[_]>::to_vec),
            server_name: self.name.get().cloned(),
            verified: if showed_none { Verified::No } else { self.config.verified },
            resumed: common.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }

    /// The certificates that the peer showed, its own first.
    #[must_use]
    pub fn peer_certificates(&self) -> Vec<Vec<u8>> {
        let chain = self.common().peer_certificates().unwrap_or_default();
        chain.iter().map(|certificate| certificate.to_vec()).collect()
    }

    fn common(&self) -> &CommonState {
        match &self.connection {
            Connection::Client(client) => client,
            Connection::Server(server) => server,
        }
    }

    fn guard(&self) -> Result<()> {
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// Says it to the peer, and remembers it.
    fn fail(&mut self, error: Error, out: &mut Vec<u8>) -> Error {
        match &mut self.connection {
            Connection::Client(client) => flush(&mut **client, out),
            Connection::Server(server) => flush(&mut **server, out),
        }
        let error = match (&self.config.left_out, error.code()) {
            // rustls may look for other things first.
            (_, Code::TlsNoCommon | Code::TlsProtocol | Code::TlsVersion)
                if self.is_old == Some(true) =>
            {
                verdict::too_old()
            }
            (Some(left_out), code @ (Code::TlsUnknownIssuer | Code::TlsSelfSigned)) => {
                Error::new(code, format!("{} ({left_out})", error.message()))
            }
            _ => error,
        };
        self.failure.get_or_insert(error).clone()
    }

    /// Hands the records to rustls, one by one; `used` bytes are done with.
    fn take(
        &mut self,
        cipher: &mut [u8],
        used: &mut usize,
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        if self.stage == Stage::Unknown && !cipher.is_empty() {
            looks_like_tls(cipher)?;
            if cipher.len() >= HEADER {
                self.stage = Stage::Handshake;
            }
        }
        let is_decided = self.decide(cipher)?;
        while is_decided && !self.has_ended {
            let begin = *used + self.unfinished;
            let Some(length) = record(&cipher[begin..]) else { break };
            let seen = &mut cipher[*used..begin + length];
            self.is_old.get_or_insert_with(|| is_old_hello(seen));
            let whole = seen.len();
            let done = self.step(seen, plain, out)?;
            *used += done;
            self.unfinished = whole - done;
        }
        if self.has_ended {
            *used = cipher.len();
            self.unfinished = 0;
        }
        if cipher.len() - *used > TLS_WAITING {
            return Err(verdict::too_much());
        }
        Ok(())
    }

    /// Of a server that looks at names: chooses for the client of this hello, once that is all there.
    /// False while it is not.
    fn decide(&mut self, came: &[u8]) -> Result<bool> {
        let Some(hello) = &mut self.hello else { return Ok(true) };
        let Some(records) = hello.whole(came) else { return Ok(false) };
        self.hello = None;
        let config = Arc::clone(&self.config);
        match config.choose(asked_name(records).as_deref()) {
            Chosen::Own => {}
            Chosen::Other(other) => {
                self.connection = serving(other, &self.name, true)?;
                self.config = Arc::clone(other);
            }
            Chosen::Refused => self.connection = serving(&config, &self.name, false)?,
        }
        Ok(true)
    }

    /// The handshake may have come to its end. In one that goes on with an earlier session rustls
    /// verifies nothing: that is done here.
    fn agree(&mut self) -> Result<()> {
        if self.stage == Stage::Agreed || !self.is_secured() {
            return Ok(());
        }
        let expected = self.expected.take();
        let common = self.common();
        if common.handshake_kind() == Some(HandshakeKind::Resumed) {
            let chain = common.peer_certificates().unwrap_or_default();
            self.config.judge_resumed(chain, expected.as_deref())?;
        }
        self.stage = Stage::Agreed;
        Ok(())
    }

    /// Lets rustls go on until it needs more; says how many bytes it is done with.
    fn step(&mut self, seen: &mut [u8], plain: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<usize> {
        let spoken = self.config.spoken;
        let mut sink = Sink { plain, out, has_ended: &mut self.has_ended, spoken };
        match &mut self.connection {
            Connection::Client(client) => advance(&mut **client, seen, &mut sink),
            Connection::Server(server) => advance(&mut **server, seen, &mut sink),
        }
    }

    /// Encrypts one piece, of whatever length.
    fn seal(&mut self, part: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if part.is_empty() {
            return Ok(());
        }
        let room = part.len() + part.len().div_ceil(TLS_RECORD) * OVERHEAD;
        self.write(room, out, |traffic, room| traffic.encrypt(part, room))
    }

    fn write(
        &mut self,
        room: usize,
        out: &mut Vec<u8>,
        mut put: impl FnMut(&mut dyn Traffic, &mut [u8]) -> Written,
    ) -> Result<()> {
        // rustls wants to see again what it has seen, but does not look at it.
        let mut seen = vec![0; self.unfinished];
        match &mut self.connection {
            Connection::Client(client) => write(&mut **client, &mut seen, room, out, &mut put),
            Connection::Server(server) => write(&mut **server, &mut seen, room, out, &mut put),
        }
    }
}

/// A connection of a server. `shows`: else every client is refused.
fn serving(config: &Config, name: &Name, shows: bool) -> Result<Connection> {
    let Role::Server { config, identity, .. } = &config.role else {
        return Err(verdict::said(Code::Internal, "a client's settings for a server"));
    };
    let identity = shows.then(|| Arc::clone(identity));
    let mut config = rustls::ServerConfig::clone(config);
    config.cert_resolver = Arc::new(Listening { identity, name: Arc::clone(name) });
    let connection =
        UnbufferedServerConnection::new(Arc::new(config)).map_err(|error| verdict::of(&error))?;
    Ok(Connection::Server(Box::new(connection)))
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("is_secured", &self.is_secured())
            .field("has_ended", &self.has_ended)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

/// The length of the record at the front. None while it is not all there, except when its header
/// is wrong: then rustls says in which way.
fn record(bytes: &[u8]) -> Option<usize> {
    let header = bytes.get(..HEADER)?;
    let length = HEADER + usize::from(u16::from_be_bytes([header[3], header[4]]));
    let is_right = (0x14..=0x18).contains(&header[0]) && header[1] == 3 && length <= LONGEST;
    if is_right { (bytes.len() >= length).then_some(length) } else { Some(bytes.len()) }
}

/// Whether it is a hello of SSL 3, TLS 1.0 or TLS 1.1; newer ones all say 1.2 in that place.
fn is_old_hello(record: &[u8]) -> bool {
    const HELLOS: [u8; 2] = [1, 2];
    match record.get(..HEADER + 6) {
        Some([0x16, 3, _, _, _, kind, _, _, _, 3, minor]) => HELLOS.contains(kind) && *minor < 3,
        _ => false,
    }
}

/// Whether a peer that begins like this speaks TLS: a handshake message or an alert.
fn looks_like_tls(begin: &[u8]) -> Result<()> {
    let is_tls = matches!(begin, [] | [0x15 | 0x16] | [0x15 | 0x16, 3, ..]);
    if is_tls { Ok(()) } else { Err(verdict::not_tls(begin)) }
}
