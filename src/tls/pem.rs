//! PEM: certificates and keys from text, and a clear reason where there are none.
//!
//! Not here: whether what was found is any good; see `config`.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A text that should hold certificates or a key, and where it comes from.
#[derive(Clone, Debug)]
pub struct Pem {
    /// For messages: "cafile /etc/x.pem" or "option 'ca'".
    pub source: String,
    /// The text as it was read.
    pub text: Vec<u8>,
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";

struct Section<'a> {
    label: String,
    /// From its first line to its last.
    text: &'a [u8],
}

impl Pem {
    /// All certificates, in their order. Other sections are passed over if there is at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let sections = self.sections()?;
        let wanted: Vec<_> =
            sections.iter().filter(|section| section.label == "CERTIFICATE").collect();
        if wanted.is_empty() {
            return Err(self.lacks("certificate", &sections));
        }
        let mut found = Vec::with_capacity(wanted.len());
        for (index, section) in wanted.iter().enumerate() {
            let certificate =
                CertificateDer::from_pem_slice(section.text).map_err(|_| self.damaged(index))?;
            found.push(certificate);
        }
        Ok(found)
    }

    /// The first private key.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, String> {
        let sections = self.sections()?;
        let is_key = |section: &&Section| section.label.ends_with("PRIVATE KEY");
        let Some(section) = sections.iter().find(is_key) else {
            return Err(self.lacks("private key", &sections));
        };
        // PKCS #8 has a label of its own, the older format a line.
        if section.label.starts_with("ENCRYPTED")
            || memchr::memmem::find(section.text, b"Proc-Type: 4,ENCRYPTED").is_some()
        {
            return Err(format!("{}: the private key is encrypted; decrypt it first", self.source));
        }
        PrivateKeyDer::from_pem_slice(section.text)
            .map_err(|_| format!("{}: the private key is damaged", self.source))
    }

    /// Whether there is a private key besides the certificates.
    pub(super) fn has_key(&self) -> bool {
        self.sections().is_ok_and(|found| found.iter().any(|s| s.label.ends_with("PRIVATE KEY")))
    }

    /// Why the certificate of that index is none.
    pub(super) fn damaged(&self, index: usize) -> String {
        format!("{}: certificate {} is damaged", self.source, index + 1)
    }

    fn lacks(&self, wanted: &str, sections: &[Section]) -> String {
        let source = &self.source;
        match sections.first() {
            Some(first) => {
                let article =
                    if first.label.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
                let found = first.label.to_lowercase();
                format!("{source}: holds {article} {found} where a {wanted} is expected")
            }
            None if self.text.trim_ascii().is_empty() => format!("{source}: is empty"),
            None if self.text.first() == Some(&0x30) => {
                format!("{source}: no {wanted} in PEM format; it looks like DER")
            }
            None => format!("{source}: no {wanted} in PEM format"),
        }
    }

    fn sections(&self) -> Result<Vec<Section<'_>>, String> {
        let mut found = Vec::new();
        let mut open: Option<(String, usize)> = None;
        let mut at = 0;
        for line in self.text.split_inclusive(|byte| *byte == b'\n') {
            let begin = at;
            at += line.len();
            if let Some(label) = label_of(line, BEGIN) {
                open = Some((label, begin));
            } else if let Some(label) = label_of(line, END)
                && let Some((opened, begin)) = open.take()
            {
                if opened != label {
                    return Err(format!("{}: BEGIN {opened} ends with {label}", self.source));
                }
                found.push(Section { label, text: &self.text[begin..at] });
            }
        }
        match open {
            Some((label, _)) => Err(format!("{}: BEGIN {label} has no end", self.source)),
            None => Ok(found),
        }
    }
}

fn label_of(line: &[u8], mark: &[u8]) -> Option<String> {
    let label = line.trim_ascii().strip_prefix(mark)?.strip_suffix(b"-----")?;
    Some(String::from_utf8_lossy(label).trim().to_owned())
}
