//! Settings, checked once and compiled into what rustls works with.
//!
//! Not here: reading files, and which option is whose; the reasons name the source they were given.
//! Invariant: a [`Config`] that exists can be used; nothing about it fails later but the peer.

use std::fmt;
use std::net::Ipv4Addr;

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, IpAddr, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ServerConfig};

use super::facts::Verified;
use super::given::Given;
use super::identity::Identity;
use super::lists::Lists;
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
    },
    Server {
        config: Arc<ServerConfig>,
        identity: Arc<CertifiedKey>,
        /// What those get who ask for such a name.
        named: Arc<Named>,
    },
}

/// The certificates that a server has beside its own, by the name that a client asks for.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) identities: Vec<(String, Arc<CertifiedKey>)>,
    /// Whoever asks for another name is refused.
    pub(super) is_strict: bool,
}

/// Checked settings, for any number of sessions at a time.
///
/// Sessions of the same config resume each other's; others never do.
pub struct Config {
    pub(super) role: Role,
    pub(super) verified: Verified,
    pub(super) least: Version,
    /// See [`Config::left_out`].
    pub(super) left_out: Option<Arc<str>>,
    remarks: Option<Arc<str>>,
    needs_system_roots: bool,
    notice: Option<Error>,
}

impl Config {
    /// For the end that connects.
    ///
    /// # Errors
    /// The reason, which names the source of what is wrong.
    pub fn client(settings: &Settings) -> Result<Arc<Self>, String> {
        let least = settings.min_version;
        let name = settings.server_name.as_deref().map(|text| {
            let why = || format!("server_name: {} is no host name", named(text.as_bytes()));
            server_name(text).ok_or_else(why)
        });
        let name = name.transpose()?;
        let trust = trust(settings)?;
        let left_out = trust.given().and_then(|given| given.left_out.clone());
        let needs_system_roots = matches!(trust, Trust::System);
        let checks_name = settings.verify && !settings.insecure_name;
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
        config.resumption = if settings.choices.resumes {
            Resumption::in_memory_sessions(RESUMABLE)
        } else {
            Resumption::disabled()
        };
        let verified = match (settings.verify, settings.insecure_name) {
            (false, _) => Verified::No,
            (true, true) => Verified::Chain,
            (true, false) => Verified::Yes,
        };
        let role = Role::Client { config: Arc::new(config), name, checks_name, servers };
        let notice = None;
        Ok(Arc::new(Self { role, verified, least, left_out, remarks, needs_system_roots, notice }))
    }

    /// For the end that accepts; needs a certificate and its key.
    ///
    /// # Errors
    /// The reason, which names the source of what is wrong.
    pub fn server(settings: &Settings) -> Result<Arc<Self>, String> {
        let provider = chosen(provider(), &settings.choices)?;
        let Some(Identity { key, notice }) = Identity::new(settings, &provider)? else {
            return Err("a server needs a certificate and its key".to_owned());
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions(settings))
            .map_err(|error| error.to_string())?;
        let clients = client_verifier(settings, &provider)?;
        let left_out = clients.as_ref().and_then(|clients| clients.given.left_out.clone());
        let remarks = joined(left_out.as_deref(), remarks_on(settings, clients.as_ref()));
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(Arc::new(verifier)),
        };
        let identity = Arc::new(key);
        let resolver = SingleCertAndKey::from(Arc::clone(&identity));
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = protocols(settings)?;
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
            ClientAuth::Request | ClientAuth::Require => Verified::Yes,
        };
        let role = Role::Server { config: Arc::new(config), identity, named: Arc::default() };
        let skipped = remarks.as_ref().map(|text| Error::new(Code::TlsBadCertificate, &**text));
        let notice = notice.or(skipped);
        let least = settings.min_version;
        let needs_system_roots = false;
        Ok(Arc::new(Self { role, verified, least, left_out, remarks, needs_system_roots, notice }))
    }

    /// A server's, where those who ask for such a name are shown the certificate of that server's.
    /// `is_strict`: whoever asks for another name is refused. None unless all are of servers.
    #[must_use]
    pub fn with_names(&self, others: &[(String, Arc<Self>)], is_strict: bool) -> Option<Arc<Self>> {
        let Role::Server { config, identity, .. } = &self.role else { return None };
        let mut identities = Vec::with_capacity(others.len());
        for (name, other) in others {
            let Role::Server { identity, .. } = &other.role else { return None };
            identities.push((name.clone(), Arc::clone(identity)));
        }
        let named = Arc::new(Named { identities, is_strict });
        let (config, identity) = (Arc::clone(config), Arc::clone(identity));
        Some(Arc::new(Self {
            role: Role::Server { config, identity, named },
            verified: self.verified,
            least: self.least,
            left_out: self.left_out.clone(),
            remarks: self.remarks.clone(),
            needs_system_roots: self.needs_system_roots,
            notice: self.notice.clone(),
        }))
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
    pub fn notice(&self) -> Option<&Error> {
        self.notice.as_ref()
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

/// The end of a contradiction.
const UNVERIFIED: &str = "verify = false contradict each other";

/// Servers of which a client config remembers a session.
const RESUMABLE: usize = 256;

/// A name or an address; its brackets and its zone mean nothing to the peer.
pub(super) fn server_name(host: &str) -> Option<ServerName<'static>> {
    let host = std::str::from_utf8(bare(host.as_bytes())).ok()?;
    let (address, _) = host.split_once('%').unwrap_or((host, ""));
    ServerName::try_from(address).ok().map(|name| name.to_owned())
}

fn trust(settings: &Settings) -> Result<Trust, String> {
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
    let Some(ca) = &settings.ca else {
        return Err("client_auth needs 'ca' or 'cafile': whose clients are accepted".to_owned());
    };
    if !settings.verify {
        return Err(format!("client_auth and {UNVERIFIED}"));
    }
    let given = Given::new(ca)?;
    let lists = settings.crl.as_ref().map(|crl| Lists::new(crl, provider)).transpose()?;
    let mut chains = None;
    if !given.store.is_empty() {
        let store = Arc::clone(&given.store);
        let mut builder = WebPkiClientVerifier::builder_with_provider(store, Arc::clone(provider));
        if let Some(lists) = &lists {
            builder = builder.with_crls(lists.all()).enforce_revocation_expiration();
        }
        chains = Some(builder.build().map_err(|error| format!("{}: {error}", ca.source))?);
    }
    Ok(Some(Clients {
        algorithms: provider.signature_verification_algorithms,
        hints: given.hints(),
        given,
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
