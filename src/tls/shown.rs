//! What a certificate says, for those who look into it: names, dates, its key.
//!
//! Not here: whether it is believed (`verifier`), how any of that is written for people. Texts stay the bytes
//! that they are, with the tag that says in which alphabet.

use super::der::{ALTERNATIVE_NAMES, Certificate, OID, Reader, SEQUENCE, SET, framed};
use super::pem::Pem;

/// One part of a name: what it is, and its value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamePart {
    /// "2.5.4.3".
    pub kind: String,
    /// The tag of the value in DER.
    pub tag: u8,
    /// The value.
    pub value: Vec<u8>,
}

/// What a certificate says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shown {
    /// Big-endian.
    pub serial: Vec<u8>,
    /// How it was signed: "1.2.840.113549.1.1.11".
    pub signature: String,
    /// Who issued it.
    pub issuer: Vec<NamePart>,
    /// Whose it is.
    pub subject: Vec<NamePart>,
    /// When it is in force, in seconds of Unix time.
    pub dates: Option<(i64, i64)>,
    /// The key, as a `SubjectPublicKeyInfo` in DER.
    pub key: Vec<u8>,
    /// The kind of the key: "1.2.840.113549.1.1.1".
    pub key_kind: String,
    /// The curve of a key of ECDSA.
    pub curve: Option<String>,
    /// The length of a key of RSA.
    pub rsa_bits: Option<usize>,
    /// Alternative names of the subject: the tag of each in DER, and its content.
    pub names: Vec<(u8, Vec<u8>)>,
}

impl Shown {
    /// Reads a certificate; none if it isn't made like one.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let read = Certificate::read(der)?;
        let mut algorithm = Reader(Reader(read.key).expect(SEQUENCE)?);
        let key_kind = dotted(algorithm.expect(OID)?)?;
        Some(Self {
            serial: read.serial.to_vec(),
            signature: dotted(Reader(read.signature).expect(OID)?)?,
            issuer: parts(read.issuer)?,
            subject: parts(read.subject)?,
            dates: read.dates(),
            key: framed(SEQUENCE, read.key),
            key_kind,
            curve: algorithm.expect(OID).and_then(dotted),
            rsa_bits: read.rsa_bits(),
            names: names(&read),
        })
    }

    /// All certificates of a text in PEM, in DER.
    ///
    /// # Errors
    /// There is none, or one of them is damaged.
    pub fn in_pem(pem: &Pem) -> Result<Vec<Vec<u8>>, String> {
        Ok(pem.certificates()?.iter().map(|certificate| certificate.to_vec()).collect())
    }
}

fn parts(name: &[u8]) -> Option<Vec<NamePart>> {
    let mut found = Vec::new();
    let mut sets = Reader(name);
    while let Some(set) = sets.expect(SET) {
        let mut set = Reader(set);
        while let Some(pair) = set.expect(SEQUENCE) {
            let mut pair = Reader(pair);
            let kind = dotted(pair.expect(OID)?)?;
            let (tag, value) = pair.next()?;
            found.push(NamePart { kind, tag, value: value.to_vec() });
        }
    }
    Some(found)
}

fn names(certificate: &Certificate<'_>) -> Vec<(u8, Vec<u8>)> {
    let extension = certificate.extension(ALTERNATIVE_NAMES).flatten();
    let Some(list) = extension.and_then(|value| Reader(value).expect(SEQUENCE)) else {
        return Vec::new();
    };
    let mut list = Reader(list);
    std::iter::from_fn(|| list.next()).map(|(tag, value)| (tag, value.to_vec())).collect()
}

/// The text of an object identifier (X.690, 8.19).
fn dotted(content: &[u8]) -> Option<String> {
    let mut numbers = Vec::new();
    let mut number: u64 = 0;
    for byte in content {
        number = number.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    let first = *numbers.first()?;
    let top = (first / 40).min(2);
    let mut texts = vec![top.to_string(), (first - top * 40).to_string()];
    texts.extend(numbers[1..].iter().map(ToString::to_string));
    Some(texts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_written_as_standards_write_them() {
        for (content, text) in [
            (&[0x55, 0x04, 0x03][..], "2.5.4.3"),
            (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b], "1.2.840.113549.1.1.11"),
            (&[0x2b, 0x65, 0x70], "1.3.101.112"),
            (&[0x88, 0x37, 0x03], "2.999.3"),
        ] {
            assert_eq!(dotted(content).as_deref(), Some(text));
        }
        assert_eq!(dotted(&[]), None);
        assert_eq!(dotted(&[0xff; 12]), None);
    }

    #[test]
    fn a_frame_has_the_shortest_length() {
        for size in [0, 1, 127, 128, 255, 256, 65_536] {
            let value = vec![7; size];
            let der = framed(SEQUENCE, &value);
            assert_eq!(Reader(&der).expect(SEQUENCE), Some(&value[..]));
            let head = der.len() - size;
            assert_eq!(
                head,
                if size < 128 {
                    2
                } else if size < 256 {
                    3
                } else if size < 65_536 {
                    4
                } else {
                    5
                }
            );
        }
    }
}
