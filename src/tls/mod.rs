//! Floor 2: TLS as bytes in, bytes out.
//!
//! Not here: sockets, deadlines and queues; `net` has them. No other module names rustls.
//! Invariants: no payload is given out or taken before the peer is verified as the settings ask
//! (I3); whatever a peer sends ends in an error with its code, never in a panic.

mod config;
mod der;
mod engine;
mod facts;
mod given;
mod identity;
mod issuers;
mod lists;
mod locked;
mod pem;
mod proof;
pub mod roots;
mod session;
mod settings;
mod shown;
mod suites;
mod trust;
mod verdict;
mod verifier;

pub use config::Config;
pub use facts::{Facts, Verified};
pub use locked::Password;
pub use pem::Pem;
pub use session::Session;
pub use settings::{Choices, ClientAuth, Settings, Version};
pub use shown::{NamePart, Shown};
