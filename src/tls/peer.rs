//! The peer's certificate as a script sees it: in texts.
//!
//! Not here: whether it is believed (`verifier`), its parts as they stand there (`shown`). A text never
//! says two things: what separates parts of a name is escaped within them (RFC 4514, 2.4), and hosts are
//! told apart from all else that a certificate may list.

use std::fmt::Write;

use super::der::Certificate;
use super::fingerprint::{Fingerprint, hex};
use super::shown::{NamePart, Shown};

/// What the peer has shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerCertificate {
    /// The certificate itself.
    pub der: Vec<u8>,
    /// By which it can be known again.
    pub fingerprint: Fingerprint,
    /// What it says; nothing where nobody can read it.
    pub says: Option<Says>,
}

/// What a certificate says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Says {
    /// Whose it is: "C=DE, O=Example, CN=panel 3".
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// The hosts that it lists: names and addresses.
    pub names: Vec<String>,
    /// When it is in force, in seconds of Unix time.
    pub dates: Option<(i64, i64)>,
    /// Its number, in base 16.
    pub serial: String,
}

impl PeerCertificate {
    /// Of a certificate in DER, be it damaged or not.
    #[must_use]
    pub fn new(der: Vec<u8>) -> Self {
        let says = Shown::read(&der).map(|shown| {
            let hosts = Certificate::read(&der).and_then(|read| read.hosts()).unwrap_or_default();
            Says {
                subject: text_of(&shown.subject),
                issuer: text_of(&shown.issuer),
                names: hosts.iter().map(ToString::to_string).collect(),
                dates: shown.dates,
                serial: number(&shown.serial),
            }
        });
        Self { fingerprint: Fingerprint::of(&der), says, der }
    }
}

/// Without zeros in front, which are there for the sign.
fn number(serial: &[u8]) -> String {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    hex(&serial[zeros.min(serial.len().saturating_sub(1))..])
}

/// The parts in their order, as OpenSSL writes them.
fn text_of(name: &[NamePart]) -> String {
    let parts = name.iter().map(|part| {
        let kind = short(&part.kind).unwrap_or(&part.kind);
        format!("{kind}={}", escaped(&decoded(part)))
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// The names that people know of kinds of parts.
fn short(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.42" => "GN",
        "2.5.4.97" => "organizationIdentifier",
        _ => return None,
    })
}

/// The text of a part, from the alphabets that there are (X.690, 8.23).
fn decoded(part: &NamePart) -> String {
    const T61: u8 = 20;
    const UNIVERSAL: u8 = 28;
    const BMP: u8 = 30;
    let value = &part.value;
    let of_units = |width: usize| {
        let units = value
            .chunks(width)
            .map(|unit| unit.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
        units.map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match part.tag {
        T61 => of_units(1),
        BMP => of_units(2),
        UNIVERSAL => of_units(4),
        _ => String::from_utf8_lossy(value).into_owned(),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (place, letter) in text.chars().enumerate() {
        let is_edge = letter == ' ' && (place == 0 || place == last) || letter == '#' && place == 0;
        if letter.is_control() {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                // A text takes everything.
                let _ = write!(out, "\\{byte:02X}");
            }
            continue;
        }
        if is_edge || matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: &str, tag: u8, value: &[u8]) -> NamePart {
        NamePart { kind: kind.to_owned(), tag, value: value.to_vec() }
    }

    #[test]
    fn a_name_is_one_text_that_can_be_read_in_one_way_only() {
        let name = [
            part("2.5.4.6", 19, b"DE"),
            part("2.5.4.10", 12, "Läden, O=Bank".as_bytes()),
            part("2.5.4.3", 30, &[0, b'p', 0x20, 0xac]),
            part("2.5.4.3", 20, &[b'#', 0xe4, b'\n', b' ']),
            part("1.2.3", 12, b"\xff"),
        ];
        let text = "C=DE, O=Läden\\, O=Bank, CN=p€, CN=\\#ä\\0A\\ , 1.2.3=\u{fffd}";
        assert_eq!(text_of(&name), text);
        assert_eq!(text_of(&[]), "");
        assert_eq!(text_of(&[part("2.5.4.3", 28, &[0, 1, 0xf4, 0x4b])]), "CN=\u{1f44b}");
        assert_eq!(text_of(&[part("2.5.4.3", 12, b" ")]), "CN=\\ ");
    }

    #[test]
    fn a_number_has_no_zeros_in_front() {
        for (serial, text) in
            [(&[0, 0x9a, 0xbc][..], "9abc"), (&[1], "01"), (&[0], "00"), (&[], "")]
        {
            assert_eq!(number(serial), text);
        }
    }

    #[test]
    fn what_is_no_certificate_still_has_a_fingerprint() {
        let peer = PeerCertificate::new(b"abc".to_vec());
        assert_eq!(peer.fingerprint, Fingerprint::of(b"abc"));
        assert_eq!((peer.says, peer.der), (None, b"abc".to_vec()));
    }
}
