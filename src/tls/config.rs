//! Settings, checked once and compiled into what rustls works with.
//!
//! Not here: reading files, and which option is whose; the reasons name the source they were given.
//! Invariant: a [`Config`] that exists can be used; nothing about it fails later but the peer.

use std::fmt;
use std::net::Ipv4Addr;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, IpAddr, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ServerConfig};

use super::facts::Verified;
use super::given::Given;
use super::identity::Identity;
use super::key_log::KeyLog;
use super::lists::Lists;
use super::names::{Chosen, Names};
use super::roots;
use super::settings::{ClientAuth, Settings, Version};
use super::suites::{chosen, provider, ticketer, tolerant_provider, versions};
use super::trust::Trust;
use super::verdict;
use super::verifier::{Clients, Servers};
use crate::address::bare;
use crate::error::{Code, Error};
use crate::quote::named;
use crate::sync::Arc;

pub(super) enum Role {
    Client {
        config: Arc<ClientConfig>,
        name: Option<ServerName<'static>>,
        checks_name: bool,
        servers: Arc<Servers>,
        /// Sessions that may be resumed.
        sessions: Option<Arc<ClientSessionMemoryCache>>,
    },
    Server {
        config: Arc<ServerConfig>,
        identity: Arc<CertifiedKey>,
        /// Who judges the certificates of clients, if they are asked for any.
        clients: Option<Arc<Clients>>,
        /// Who serves those that ask for such a name; nothing is looked at where there is none.
        names: Option<Names<Arc<Config>>>,
    },
}

/// Checked settings, for any number of sessions at a time.
///
/// Sessions of the same config resume each other's; others never do.
pub struct Config {
    pub(super) role: Role,
    pub(super) verified: Verified,
    /// The oldest and the newest version that is spoken.
    pub(super) spoken: (Version, Version),
    /// See [`Config::left_out`].
    pub(super) left_out: Option<Arc<str>>,
    key_log: Option<Arc<KeyLog>>,
    remarks: Option<Arc<str>>,
    needs_system_roots: bool,
    notices: Vec<Error>,
}

impl Config {
    /// For the end that connects.
    ///
    /// # Errors
    /// The reason, which names the source of what is wrong.
    pub fn client(settings: &Settings) -> Result<Arc<Self>, String> {
        check(settings)?;
        let name = settings.server_name.as_deref().map(|text| {
            let why = || format!("server_name: {} is no host name", named(text.as_bytes()));
            server_name(text).ok_or_else(why)
        });
        let name = name.transpose()?;
        let trust = trust(settings)?;
        let left_out = trust.given().and_then(|given| given.left_out.clone());
        let needs_system_roots = matches!(trust, Trust::System);
        let checks_name = matches!(verified_by(settings), Verified::Yes);
        let all = if settings.verify { provider() } else { tolerant_provider() };
        let provider = chosen(all, &settings.choices)?;
        let algorithms = provider.signature_verification_algorithms;
        let lists = match (&settings.crl, &trust) {
            (Some(_), Trust::Anyone) => return Err(format!("crl and {UNVERIFIED}")),
            (Some(crl), _) => Some(Lists::new(crl, &provider)?),
            (None, _) => None,
        };
        let given = if let Trust::Given(given) = &trust { Some(given) } else { None };
        // Built now, where the roots are at hand.
        if let (Some(lists), Some(given)) = (&lists, given) {
            lists.chains(&given.store);
        }
        let remarks =
            joined(left_out.as_deref(), lists.as_ref().and_then(|lists| lists.remarks(given)));
        let servers = Arc::new(Servers { algorithms, trust, checks_name, lists });
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions(settings))
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&servers) as _);
        let mut config = match Identity::new(settings, &provider)? {
            None => builder.with_no_client_auth(),
            Some(Identity { key, .. }) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
        };
        config.alpn_protocols = protocols(settings)?;
        if let Some(file) = &settings.key_log {
            config.key_log = Arc::clone(file) as _;
        }
        let new_sessions = || Arc::new(ClientSessionMemoryCache::new(RESUMABLE));
        let sessions = settings.choices.resumes.then(new_sessions);
        config.resumption = match &sessions {
            Some(sessions) => Resumption::store(Arc::clone(sessions) as _),
            None => Resumption::disabled(),
        };
        let config = Arc::new(config);
        Ok(Arc::new(Self {
            role: Role::Client { config, name, checks_name, servers, sessions },
            verified: verified_by(settings),
            spoken: spoken(settings),
            left_out,
            remarks,
            key_log: settings.key_log.clone(),
            needs_system_roots,
            notices: Vec::new(),
        }))
    }

    /// For the end that accepts; needs a certificate and its key.
    ///
    /// # Errors
    /// The reason, which names the source of what is wrong.
    pub fn server(settings: &Settings) -> Result<Arc<Self>, String> {
        check(settings)?;
        let provider = chosen(provider(), &settings.choices)?;
        let Some(Identity { key, notice }) = Identity::new(settings, &provider)? else {
            return Err(INCOMPLETE.to_owned());
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions(settings))
            .map_err(|error| error.to_string())?;
        let clients = client_verifier(settings, &provider)?.map(Arc::new);
        let left_out = clients.as_ref().and_then(|clients| clients.given.left_out.clone());
        let remarks = joined(left_out.as_deref(), remarks_on(settings, clients.as_deref()));
        let builder = match &clients {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier) as _),
        };
        let identity = Arc::new(key);
        let resolver = SingleCertAndKey::from(Arc::clone(&identity));
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = protocols(settings)?;
        if let Some(file) = &settings.key_log {
            config.key_log = Arc::clone(file) as _;
        }
        config.ignore_client_order = settings.choices.prefers_own_suites;
        // Without a source of randomness sessions are not resumed; they still work.
        if !settings.choices.resumes {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else if let Ok(ticketer) = ticketer() {
            config.ticketer = ticketer;
        }
        let verified = match settings.client_auth {
            ClientAuth::None => Verified::No,
            ClientAuth::Request | ClientAuth::Require => match settings.fingerprints {
                Some(_) => Verified::Fingerprint,
                None => Verified::Yes,
            },
        };
        let role = Role::Server { config: Arc::new(config), identity, clients, names: None };
        let skipped = remarks.as_ref().map(|text| Error::new(Code::TlsBadCertificate, &**text));
        Ok(Arc::new(Self {
            role,
            verified,
            spoken: spoken(settings),
            left_out,
            remarks,
            key_log: settings.key_log.clone(),
            needs_system_roots: false,
            notices: notice.or(skipped).into_iter().collect(),
        }))
    }

    /// A server's, where those who ask for such a name are served by that of another server, with all
    /// that it has: its certificate, whom it believes, what it speaks. `*.` stands for one label; a
    /// whole name comes before it; who asks for no such name, or for none, gets this one.
    ///
    /// # Errors
    /// A text is no name, or there twice; or one of them is of a client. The reason.
    pub fn with_servers(&self, others: &[(String, Arc<Self>)]) -> Result<Arc<Self>, String> {
        let Role::Server { identity, .. } = &self.role else { return Err(INCOMPLETE.to_owned()) };
        let mut names = Names::new(false);
        let mut notices = self.notices.clone();
        for (name, other) in others {
            if !other.is_server() {
                return Err(INCOMPLETE.to_owned());
            }
            names.add_checked(name, Arc::clone(other))?;
            notices.extend(other.notices.iter().map(|notice| notice.at(name)));
        }
        let served = self.showing(identity, Some(names), notices);
        served.ok_or_else(|| INCOMPLETE.to_owned())
    }

    /// A server's, where those who ask for such a name are shown the certificate of that server's;
    /// all else is as for everybody.
    /// `is_strict`: whoever asks for another name is refused. None unless all are of servers.
    #[must_use]
    pub fn with_names(&self, others: &[(String, Arc<Self>)], is_strict: bool) -> Option<Arc<Self>> {
        let Role::Server { identity: own, .. } = &self.role else { return None };
        let mut names = Names::new(is_strict);
        for (name, other) in others {
            let Role::Server { identity, .. } = &other.role else { return None };
            names.add(name, self.showing(identity, None, Vec::new())?);
        }
        self.showing(own, Some(names), self.notices.clone())
    }

    /// A server's with another certificate. None if it is of a client.
    fn showing(
        &self,
        identity: &Arc<CertifiedKey>,
        names: Option<Names<Arc<Self>>>,
        notices: Vec<Error>,
    ) -> Option<Arc<Self>> {
        let Role::Server { config, clients, .. } = &self.role else { return None };
        let (config, identity) = (Arc::clone(config), Arc::clone(identity));
        Some(Arc::new(Self {
            role: Role::Server { config, identity, clients: clients.clone(), names },
            verified: self.verified,
            spoken: self.spoken,
            left_out: self.left_out.clone(),
            key_log: self.key_log.clone(),
            remarks: self.remarks.clone(),
            needs_system_roots: self.needs_system_roots,
            notices,
        }))
    }

    /// Whether it depends on the name that a client asks for how it is served.
    pub(super) fn looks_at_names(&self) -> bool {
        matches!(self.role, Role::Server { names: Some(_), .. })
    }

    /// Who serves a client that asks for this name, or for none.
    pub(super) fn choose(&self, asked: Option<&str>) -> Chosen<'_, Arc<Self>> {
        match &self.role {
            Role::Server { names: Some(names), .. } => names.choose(asked),
            _ => Chosen::Own,
        }
    }

    /// Whether a session may go on whose peer was verified when it began: what it showed then is
    /// judged anew, by the date of today. `name`: whom a client expects; of one that is refused
    /// nothing is resumed any more, since by now it may have another certificate.
    ///
    /// # Errors
    /// It is not believed any more.
    pub(super) fn judge_resumed(
        &self,
        chain: &[CertificateDer<'_>],
        name: Option<&ServerName<'static>>,
    ) -> Result<(), Error> {
        let Some((first, others)) = chain.split_first() else { return Ok(()) };
        let now = UnixTime::now();
        let judged = match (&self.role, name) {
            (Role::Client { servers, .. }, Some(name)) => {
                servers.verify_server_cert(first, others, name, &[], now).map(drop)
            }
            (Role::Server { clients: Some(clients), .. }, _) => {
                clients.verify_client_cert(first, others, now).map(drop)
            }
            _ => Ok(()),
        };
        let judged = judged.map_err(|error| verdict::of(&error));
        if let (Role::Client { sessions: Some(sessions), .. }, Some(name), Err(_)) =
            (&self.role, name, &judged)
        {
            sessions.remove_tls12_session(name);
            while sessions.take_tls13_ticket(name).is_some() {}
        }
        judged
    }

    /// Certificates of `ca` that could not be used, in words, if there are any.
    #[must_use]
    pub fn left_out(&self) -> Option<&str> {
        self.left_out.as_deref()
    }

    /// The same, and what is odd about revocation lists.
    #[must_use]
    pub fn remarks(&self) -> Option<&str> {
        self.remarks.as_deref()
    }

    /// What whoever runs the server should know of it, though it works.
    #[must_use]
    pub fn notices(&self) -> &[Error] {
        &self.notices
    }

    /// Why keys are missing in the key log; told once, to the first who asks.
    #[must_use]
    pub fn take_key_log_failure(&self) -> Option<Error> {
        self.key_log.as_ref()?.take_failure()
    }

    /// What a client would say to a server that shows `chain`, its own certificate first.
    ///
    /// # Errors
    /// It is not believed.
    pub fn judge(&self, chain: &[Vec<u8>], host: &str) -> Result<(), Error> {
        let Role::Client { servers, checks_name, .. } = &self.role else {
            return Err(verdict::said(Code::Internal, "a server's settings for a client"));
        };
        let name = match server_name(host) {
            Some(name) => name,
            None if !checks_name => ServerName::IpAddress(IpAddr::from(Ipv4Addr::UNSPECIFIED)),
            None => return Err(verdict::said(Code::TlsBadHostname, "the host has no name")),
        };
        let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let Some((first, others)) = chain.split_first() else {
            return Err(verdict::said(Code::TlsBadCertificate, "the peer showed no certificate"));
        };
        servers
            .verify_server_cert(first, others, &name, &[], UnixTime::now())
            .map(drop)
            .map_err(|error| verdict::of(&error))
    }

    /// Whether the sessions are those of a server.
    #[must_use]
    pub fn is_server(&self) -> bool {
        matches!(self.role, Role::Server { .. })
    }

    /// Whether sessions may begin: not while they need the system's roots and these are not loaded.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.needs_system_roots || roots::loaded().is_some()
    }

    /// Calls `call` once sessions may begin: at once, or later from another thread.
    pub fn when_ready(&self, call: Box<dyn FnOnce() + Send>) {
        if self.is_ready() {
            call();
        } else {
            roots::when_loaded(call);
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("verified", &self.verified).finish_non_exhaustive()
    }
}

const INCOMPLETE: &str = "a server needs a certificate and its key";

/// The end of a contradiction.
const UNVERIFIED: &str = "verify = false contradict each other";

/// Tickets that a client config remembers, at most eight a server.
const RESUMABLE: usize = 256;

/// A name or an address; its brackets and its zone mean nothing to the peer.
pub(super) fn server_name(host: &str) -> Option<ServerName<'static>> {
    let host = std::str::from_utf8(bare(host.as_bytes())).ok()?;
    let (address, _) = host.split_once('%').unwrap_or((host, ""));
    ServerName::try_from(address).ok().map(|name| name.to_owned())
}

/// What contradicts itself in either role.
fn check(settings: &Settings) -> Result<(), String> {
    if settings.fingerprints.is_some() && !settings.verify {
        return Err(
            "fingerprint and verify = false contradict each other; leave out 'verify': where a \
             fingerprint is given, nothing else of a certificate is looked at"
                .to_owned(),
        );
    }
    if settings.fingerprints.as_ref().is_some_and(Vec::is_empty) {
        return Err("fingerprint: an empty list lets nobody in".to_owned());
    }
    if settings.fingerprints.is_some() && settings.crl.is_some() {
        let text = "fingerprint and crl contradict each other; a certificate is taken back by \
                    leaving out its fingerprint, since nothing else of it is looked at";
        return Err(text.to_owned());
    }
    if spoken(settings) == (Version::Tls13, Version::Tls12) {
        return Err("max_version: \"1.2\" is below min_version, \"1.3\"".to_owned());
    }
    Ok(())
}

fn spoken(settings: &Settings) -> (Version, Version) {
    (settings.min_version, settings.max_version)
}

/// What a client has verified of a server whose handshake succeeds.
fn verified_by(settings: &Settings) -> Verified {
    match settings {
        Settings { fingerprints: Some(_), .. } => Verified::Fingerprint,
        Settings { verify: false, .. } => Verified::No,
        Settings { insecure_name: true, .. } => Verified::Chain,
        _ => Verified::Yes,
    }
}

fn trust(settings: &Settings) -> Result<Trust, String> {
    if let Some(known) = &settings.fingerprints {
        let trust = Trust::Fingerprints(known.clone());
        // What is no certificate is a mistake, also where nobody looks at it.
        return settings.ca.as_ref().map_or(Ok(()), |ca| ca.bundle().map(drop)).map(|()| trust);
    }
    match &settings.ca {
        None if settings.verify => Ok(Trust::System),
        Some(ca) if settings.verify => Given::new(ca).map(Trust::Given),
        None => Ok(Trust::Anyone),
        // What is no certificate is a mistake, also where nobody looks at it.
        Some(ca) => ca.bundle().map(|_| Trust::Anyone),
    }
}

fn client_verifier(
    settings: &Settings,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Clients>, String> {
    if settings.client_auth == ClientAuth::None {
        return Ok(None);
    }
    // Anybody can get a certificate from one of the system's roots.
    if settings.ca.is_none() && settings.fingerprints.is_none() {
        return Err("client_auth needs 'ca' or 'cafile': whose clients are accepted".to_owned());
    }
    if !settings.verify {
        return Err(format!("client_auth and {UNVERIFIED}"));
    }
    let given = settings.ca.as_ref().map_or_else(|| Ok(Given::default()), Given::new)?;
    let lists = settings.crl.as_ref().map(|crl| Lists::new(crl, provider)).transpose()?;
    let mut chains = None;
    if let Some(ca) = settings.ca.as_ref().filter(|_| !given.store.is_empty()) {
        let store = Arc::clone(&given.store);
        let judge = lists.as_ref().map_or_else(|| Arc::clone(provider), Lists::provider);
        let mut builder = WebPkiClientVerifier::builder_with_provider(store, judge);
        if let Some(lists) = &lists {
            builder = builder.with_crls(lists.all()).enforce_revocation_expiration();
        }
        chains = Some(builder.build().map_err(|error| format!("{}: {error}", ca.source))?);
    }
    Ok(Some(Clients {
        algorithms: provider.signature_verification_algorithms,
        hints: given.hints(),
        given,
        fingerprints: settings.fingerprints.clone(),
        chains,
        lists,
        is_required: settings.client_auth == ClientAuth::Require,
    }))
}

/// What is odd about the revocation lists of a server.
fn remarks_on(settings: &Settings, clients: Option<&Clients>) -> Option<String> {
    let crl = settings.crl.as_ref()?;
    let Some(clients) = clients else {
        let text = "has no effect on a server that asks clients for no certificate (client_auth)";
        return Some(format!("{} {text}", crl.source));
    };
    clients.lists.as_ref().and_then(|lists| lists.remarks(Some(&clients.given)))
}

fn joined(left_out: Option<&str>, more: Option<String>) -> Option<Arc<str>> {
    match (left_out, more) {
        (Some(one), Some(other)) => Some(format!("{one}; {other}").into()),
        (one, other) => one.map(Arc::from).or(other.map(Arc::from)),
    }
}

fn protocols(settings: &Settings) -> Result<Vec<Vec<u8>>, String> {
    match settings.alpn.iter().find(|name| name.is_empty() || name.len() > 255) {
        Some(name) => Err(format!("alpn: a name has 1 to 255 bytes, not {}", name.len())),
        None => Ok(settings.alpn.clone()),
    }
}
