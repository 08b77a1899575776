//! PEM: certificates and keys from text, and a clear reason where there are none.
//!
//! Text that was copied about is taken as long as it is plain what it says: without its line ends,
//! with those of any system, with a byte order mark, in UTF-16.
//! Not here: whether what was found is any good; see `config`. Invariant: no reason quotes the
//! text, but for labels of sections, which are at most [`LONGEST_LABEL`] bytes of `[A-Z0-9 ]`.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use memchr::memmem;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::locked::{self, Password};

/// A text that should hold certificates or a key, and where it comes from.
#[derive(Clone)]
pub struct Pem {
    /// For messages: "cafile /etc/x.pem" or "option 'ca'".
    pub source: String,
    /// The text as it was read.
    pub text: Vec<u8>,
}

/// Certificates of which each stands for itself: one that can't be read spoils no other.
#[derive(Debug, Default)]
pub(super) struct Bundle {
    /// Each with its place among all, from 0.
    pub(super) certificates: Vec<(usize, CertificateDer<'static>)>,
    /// What was left out, and why.
    pub(super) left_out: Vec<String>,
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
const LONGEST_LABEL: usize = 40;

struct Section<'a> {
    label: &'a str,
    /// Between its marks.
    body: &'a [u8],
}

/// How a key is locked.
enum Lock {
    /// By OpenSSL's own first way, whose key is one round of MD5.
    Old,
    /// As PKCS #8 has it.
    Pkcs8,
}

/// A section, or why what looks like one is none.
type Found<'a> = Result<Section<'a>, String>;

impl std::fmt::Debug for Pem {
    /// The text may be a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pem").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Pem {
    /// All certificates of a chain, in their order. Other sections are passed over if there is at
    /// least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let bundle = self.bundle()?;
        match bundle.left_out.into_iter().next() {
            Some(why) => Err(why),
            None => Ok(bundle.certificates.into_iter().map(|(_, der)| der).collect()),
        }
    }

    /// All certificates that can be read, at least one.
    pub(super) fn bundle(&self) -> Result<Bundle, String> {
        let text = self.plain();
        let sections = sections(&text);
        let mut bundle = Bundle::default();
        let mut index = 0;
        for section in &sections {
            match section {
                Ok(section) if is_certificate(section.label) => {
                    match section.certificate() {
                        Some(der) => bundle.certificates.push((index, der)),
                        None => bundle.left_out.push(self.damaged(index)),
                    }
                    index += 1;
                }
                Ok(_) => {}
                Err(why) => bundle.left_out.push(format!("{}: {why}", self.source)),
            }
        }
        match bundle.left_out.first() {
            Some(why) if bundle.certificates.is_empty() => Err(why.clone()),
            None if bundle.certificates.is_empty() => {
                Err(self.lacks("certificate", &text, &sections))
            }
            _ => Ok(bundle),
        }
    }

    /// All revocation lists in DER, at least one. Authorities publish each of theirs in DER, so that
    /// is taken, too.
    pub(super) fn lists(&self) -> Result<Vec<Vec<u8>>, String> {
        let text = self.plain();
        if element(&text) == Some(text.len()) {
            return Ok(vec![text.into_owned()]);
        }
        let sections = sections(&text);
        let mut lists = Vec::new();
        for section in &sections {
            let section = section.as_ref().map_err(|why| format!("{}: {why}", self.source))?;
            if is_list(section.label) {
                let number = lists.len() + 1;
                let damaged = || format!("{}: list {number} is damaged", self.source);
                lists.push(section.der().ok_or_else(damaged)?);
            }
        }
        if lists.is_empty() {
            return Err(self.lacks("list of revoked certificates", &text, &sections));
        }
        Ok(lists)
    }

    /// The first private key.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, String> {
        let text = self.plain();
        let mut sections = sections(&text);
        let broken = |found: &Found| found.is_err();
        if let Some(Err(why)) = sections.iter().position(broken).map(|at| sections.remove(at)) {
            return Err(format!("{}: {why}", self.source));
        }
        let Some(section) = sections.iter().flatten().find(|found| is_key(found.label)) else {
            return Err(self.lacks("private key", &text, &sections));
        };
        if let Some(lock) = section.lock() {
            return Err(format!("{}: {}", self.source, lock.advice()));
        }
        PrivateKeyDer::from_pem_slice(&section.rewritten(section.label))
            .map_err(|_| format!("{}: the private key is damaged", self.source))
    }

    /// The same with its key alone, opened by the password; none if its key is not locked.
    ///
    /// # Errors
    /// It is locked in a way that nobody here knows, or the password is another.
    pub(super) fn unlocked(&self, password: &Password) -> Result<Option<Self>, String> {
        let text = self.plain();
        let sections = sections(&text);
        let Some(section) = sections.iter().flatten().find(|found| is_key(found.label)) else {
            return Ok(None);
        };
        let der = match section.lock() {
            None => return Ok(None),
            Some(Lock::Old) => Err(Lock::Old.advice().to_owned()),
            Some(Lock::Pkcs8) => section
                .der()
                .ok_or_else(|| "the private key is damaged".to_owned())
                .and_then(|der| locked::open(&der, password)),
        };
        let der = der.map_err(|why| format!("{}: {why}", self.source))?;
        let open = Section { label: "PRIVATE KEY", body: BASE64.encode(der).as_bytes() }
            .rewritten("PRIVATE KEY");
        Ok(Some(Self { source: self.source.clone(), text: open }))
    }

    /// Whether there is a private key besides the certificates.
    pub(super) fn has_key(&self) -> bool {
        sections(&self.plain()).iter().flatten().any(|section| is_key(section.label))
    }

    /// Why the certificate of that index is none.
    pub(super) fn damaged(&self, index: usize) -> String {
        format!("{}: certificate {} is damaged", self.source, index + 1)
    }

    /// Without what editors put before the text, and in one byte a letter.
    fn plain(&self) -> Cow<'_, [u8]> {
        let wide = |text: &[u8], value: fn([u8; 2]) -> u16| {
            let pairs = text.chunks_exact(2);
            pairs.map(|pair| u8::try_from(value([pair[0], pair[1]])).unwrap_or(b'?')).collect()
        };
        match self.text.as_slice() {
            [0xff, 0xfe, text @ ..] => Cow::Owned(wide(text, u16::from_le_bytes)),
            [0xfe, 0xff, text @ ..] => Cow::Owned(wide(text, u16::from_be_bytes)),
            text => text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).into(),
        }
    }

    fn lacks(&self, wanted: &str, text: &[u8], sections: &[Found]) -> String {
        let source = &self.source;
        if let Some(Ok(first)) = sections.first() {
            let article = if first.label.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
            let found = first.label.to_lowercase();
            return format!("{source}: holds {article} {found} where a {wanted} is expected");
        }
        let text = text.trim_ascii();
        if text.is_empty() {
            return format!("{source}: is empty");
        }
        if let Some((mark, label)) = stray(text) {
            let lost = if mark == BEGIN { "BEGIN" } else { "END" };
            let other = if mark == BEGIN { "end" } else { "begin" };
            return format!("{source}: {lost} {label} has no {other}");
        }
        let hint = if text.first() == Some(&0x30) {
            "; it looks like DER"
        } else if is_path(text) {
            let option = source.trim_matches('\'');
            return format!(
                "{source}: no {wanted} in PEM format; it looks like a path, which '{option}file' takes"
            );
        } else if text.len() >= 32 && base64(text).iter().all(|byte| is_base64(*byte)) {
            "; the lines BEGIN and END are missing"
        } else {
            ""
        };
        format!("{source}: no {wanted} in PEM format{hint}")
    }
}

impl Lock {
    fn advice(&self) -> &'static str {
        match self {
            Self::Old => {
                "the private key is encrypted in the old way of OpenSSL; convert it with: openssl \
                 pkcs8 -topk8 -in OLD -out NEW, and give its 'password'"
            }
            Self::Pkcs8 => "the private key is encrypted; give its 'password'",
        }
    }
}

impl Section<'_> {
    fn certificate(&self) -> Option<CertificateDer<'static>> {
        let der = CertificateDer::from_pem_slice(&self.rewritten("CERTIFICATE")).ok()?;
        let length = element(&der)?;
        // What OpenSSL trusts it for comes behind the certificate, which is not the issuer's word.
        if self.label.starts_with("TRUSTED") {
            return Some(der[..length].to_vec().into());
        }
        (length == der.len()).then_some(der)
    }

    /// How it is locked, if it is a key that is. PKCS #8 has a label of its own, the older format a
    /// line.
    fn lock(&self) -> Option<Lock> {
        if self.label.starts_with("ENCRYPTED") {
            return Some(Lock::Pkcs8);
        }
        memmem::find(self.body, b"Proc-Type").map(|_| Lock::Old)
    }

    fn der(&self) -> Option<Vec<u8>> {
        BASE64.decode(base64(self.body)).ok()
    }

    /// As the standard has it (RFC 7468).
    fn rewritten(&self, label: &str) -> Vec<u8> {
        let end = format!("\n-----END {label}-----\n");
        let mut text = format!("-----BEGIN {label}-----\n").into_bytes();
        text.extend(base64(self.body));
        text.extend_from_slice(end.as_bytes());
        text
    }
}

fn is_certificate(label: &str) -> bool {
    ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"].contains(&label)
}

fn is_list(label: &str) -> bool {
    ["X509 CRL", "CRL"].contains(&label)
}

fn is_key(label: &str) -> bool {
    label.ends_with("PRIVATE KEY")
}

/// The length of the sequence that it begins with; none if that isn't whole.
fn element(der: &[u8]) -> Option<usize> {
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    let count = usize::from(first & 0x7f);
    let (header, length) = if first < 0x80 {
        (2, count)
    } else {
        let digits = rest.get(..count).filter(|_| (1..=4).contains(&count))?;
        (2 + count, digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)))
    };
    let end = header.checked_add(length)?;
    (tag == 0x30 && end <= der.len()).then_some(end)
}

/// All sections in their order. A mark amid a line may be of a text about PEM: it counts only as
/// part of a whole section.
fn sections(text: &[u8]) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    let mut open: Option<(&str, usize, bool)> = None;
    let mut at = 0;
    while let Some(mark) = memmem::find(&text[at..], DASHES).map(|offset| at + offset) {
        let in_front = is_line_start(text, mark);
        if let Some((label, end)) = label_at(text, mark, BEGIN) {
            if let Some((before, _, true)) = open {
                found.push(Err(format!("BEGIN {before} has no end")));
            }
            open = Some((label, end, in_front));
            at = end;
        } else if let Some((label, end)) = label_at(text, mark, END) {
            match open.take() {
                Some((opened, begin, _)) if opened == label => {
                    found.push(Ok(Section { label, body: &text[begin..mark] }));
                }
                Some((opened, ..)) => found.push(Err(format!("BEGIN {opened} ends with {label}"))),
                None if in_front => found.push(Err(format!("END {label} has no begin"))),
                None => {}
            }
            at = end;
        } else {
            at = mark + 1;
        }
    }
    if let Some((label, _, true)) = open {
        found.push(Err(format!("BEGIN {label} has no end")));
    }
    found
}

/// The first mark of a text without a whole section.
fn stray(text: &[u8]) -> Option<(&'static [u8], &str)> {
    memmem::find_iter(text, DASHES).find_map(|at| {
        let mark = |mark| label_at(text, at, mark).map(|(label, _)| (mark, label));
        mark(BEGIN).or_else(|| mark(END))
    })
}

fn is_line_start(text: &[u8], at: usize) -> bool {
    let before = text[..at].iter().rev().find(|byte| !matches!(byte, b' ' | b'\t'));
    // Behind the mark of a section before it, where line ends were lost.
    before.is_none_or(|byte| matches!(byte, b'\n' | b'\r' | b'-'))
}

/// The label of a mark, and where the mark ends.
fn label_at<'a>(text: &'a [u8], at: usize, mark: &[u8]) -> Option<(&'a str, usize)> {
    let rest = text[at..].strip_prefix(mark)?;
    let is_letter = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ';
    let length = rest.iter().take(LONGEST_LABEL + 1).take_while(|byte| is_letter(byte)).count();
    let (label, rest) = rest.split_at(length);
    let name = std::str::from_utf8(label).ok()?.trim();
    let is_mark = !name.is_empty() && length <= LONGEST_LABEL && rest.starts_with(DASHES);
    is_mark.then(|| (name, at + mark.len() + length + DASHES.len()))
}

/// Without white space, also where it is written as an escape of other languages.
fn base64(body: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(body.len());
    let mut bytes = body.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let is_escape = byte == b'\\' && matches!(bytes.peek(), Some(b'n' | b'r' | b't'));
        if is_escape {
            bytes.next();
        } else if !byte.is_ascii_whitespace() {
            kept.push(byte);
        }
    }
    kept
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)
}

/// Whether somebody took the option for the one that takes a path.
fn is_path(text: &[u8]) -> bool {
    let endings: [&[u8]; 6] = [b".pem", b".crt", b".cer", b".key", b".der", b".crl"];
    text.len() <= 1024
        && !text.iter().any(u8::is_ascii_control)
        && endings.iter().any(|ending| text.to_ascii_lowercase().ends_with(ending))
}
