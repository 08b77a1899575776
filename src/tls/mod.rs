//! Floor 2: TLS as bytes in, bytes out.
//!
//! Not here: sockets, deadlines and queues; `net` has them. No other module names rustls.
//! Invariants: no payload is given out or taken before the peer is verified as the settings ask
//! (I3); whatever a peer sends ends in an error with its code, never in a panic.

mod config;
mod der;
mod engine;
mod facts;
mod fingerprint;
mod given;
mod hello;
mod identity;
mod issuers;
mod kept;
mod key_log;
mod lists;
mod locked;
mod names;
mod peer;
mod pem;
mod proof;
pub mod roots;
mod session;
mod settings;
mod shown;
mod signed;
mod suites;
mod trust;
mod verdict;
mod verifier;

pub use config::Config;
pub use facts::{Facts, Verified};
pub use fingerprint::Fingerprint;
pub use kept::Kept;
pub use key_log::KeyLog;
pub use locked::Password;
pub use peer::{PeerCertificate, Says};
pub use pem::Pem;
pub use session::Session;
pub use settings::{Choices, ClientAuth, Settings, Version};
pub use shown::{NamePart, Shown};
