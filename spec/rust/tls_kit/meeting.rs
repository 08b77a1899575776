//! How one of our ends and a peer that is rustls' own end up with each other, and that nothing of the
//! application passes before that.

use evsock::error::Code;
use evsock::tls::{ClientAuth, Config, Session, Settings, Verified};
use rustls::sign::CertifiedKey;

use super::raw::{BOTH, Raw, certified};
use super::{Ca, End, Identity, pem, server_of};

pub const HOST: &str = "a.example";
const SECRET: &[u8] = b"what only a verified peer may see";

pub fn begin(settings: &Settings, host: &str) -> End {
    let mut end = End::new(Session::client(&Config::client(settings).unwrap(), host).unwrap());
    end.session.start(&mut end.out).unwrap();
    end
}

/// How a client ends up with a server that sends data as early as it may.
#[track_caller]
pub fn meet(settings: &Settings, mut server: Raw, host: &str) -> Result<Verified, Code> {
    let mut client = begin(settings, host);
    server.say(SECRET);
    server.join(&mut client);
    if let Some(failure) = client.failure {
        assert!(!client.session.is_secured());
        assert_eq!(client.plain, b"", "payload of a stranger");
        let before = client.out.len();
        assert!(client.session.encrypt(&[SECRET], &mut client.out).is_err());
        client.session.close(&mut client.out);
        assert_eq!((client.out.len(), server.plain.len()), (before, 0), "said to a stranger");
        assert!(server.failure.is_some(), "the server was not told");
        assert!(failure.message().starts_with("tls: "), "{failure}");
        return Err(failure.code());
    }
    assert!(client.session.is_secured(), "the peer: {:?}", server.failure);
    assert_eq!(client.plain, SECRET);
    client.session.encrypt(&[SECRET], &mut client.out).unwrap();
    server.join(&mut client);
    assert_eq!(server.plain, SECRET);
    Ok(client.session.facts().verified)
}

/// A server with that certificate, met by `settings`, in both versions.
#[track_caller]
pub fn verdicts(settings: &Settings, identity: &Identity, host: &str) -> Result<Verified, Code> {
    let [old, new] =
        BOTH.map(|version| meet(settings, Raw::server(version, certified(identity)), host));
    assert_eq!(old, new, "versions differ");
    new
}

/// How a server that asks for certificates ends up with a client.
#[track_caller]
pub fn serve(auth: ClientAuth, ca: &str, client: Option<&CertifiedKey>) -> Result<Verified, Code> {
    let asks = Settings { ca: Some(pem("cafile", ca)), client_auth: auth, ..Settings::default() };
    serve_as(&asks, client)
}

/// The same by whatever asks for them.
#[track_caller]
pub fn serve_as(asks: &Settings, client: Option<&CertifiedKey>) -> Result<Verified, Code> {
    let server_ca = Ca::new("server root");
    let Settings { cert, key, .. } = server_of(&server_ca.leaf(&[HOST]));
    let settings = Settings { cert, key, ..asks.clone() };
    let results = BOTH.map(|version| {
        let mut server = End::new(Session::server(&Config::server(&settings).unwrap()).unwrap());
        let mut client = Raw::client(version, &server_ca, client.cloned(), HOST);
        client.say(SECRET);
        client.join(&mut server);
        if let Some(failure) = server.failure {
            assert!(!server.session.is_secured());
            assert_eq!((&server.plain[..], &client.plain[..]), (&b""[..], &b""[..]));
            assert!(server.session.encrypt(&[SECRET], &mut server.out).is_err());
            assert!(client.failure.is_some(), "the client was not told");
            return Err(failure.code());
        }
        assert_eq!(server.plain, SECRET);
        Ok(server.session.facts().verified)
    });
    assert_eq!(results[0], results[1], "versions differ");
    results[1]
}
