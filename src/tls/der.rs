//! What a certificate says: names, dates, the key, whether it may vouch for others.
//!
//! Not here: judgement of chains, which is rustls'. This explains its answers, and serves where rustls
//! has none: for certificates that are known by themselves (`given`), and for those that nobody
//! verifies (`proof`). So it takes every version, and lengths as BER has them, too.

use std::fmt;
use std::net::IpAddr;

/// The parts of a certificate (RFC 5280, 4.1) that are looked at.
#[derive(Debug)]
pub(super) struct Certificate<'a> {
    /// 1, 2 or 3.
    version: u8,
    /// Big-endian, with a leading zero where the highest bit is set.
    pub(super) serial: &'a [u8],
    /// The content of the identifier of how it was signed.
    pub(super) signature: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    validity: &'a [u8],
    /// The content of a `SubjectPublicKeyInfo`.
    pub(super) key: &'a [u8],
    extensions: &'a [u8],
}

/// A public key: what kind it is, as its certificate says that, and the key itself.
#[derive(Debug)]
pub(super) struct PublicKey<'a> {
    /// The content of an `AlgorithmIdentifier`.
    pub(super) algorithm: &'a [u8],
    pub(super) bits: &'a [u8],
}

/// A host that a certificate is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Host {
    Address(IpAddr),
    Name(String),
}

const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
const EXPLICIT_VERSION: u8 = 0xa0;
const EXPLICIT_EXTENSIONS: u8 = 0xa3;
const DAY: i64 = 86_400;

/// 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.29.15, 17 and 19.
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
pub(super) const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// Content of the identifier of `rsaEncryption` (1.2.840.113549.1.1.1), whose NULL some leave out.
const RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const NULL: &[u8] = &[0x05, 0x00];
/// The same of `ecPublicKey` (1.2.840.10045.2.1), which the curve follows.
const ELLIPTIC: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

impl<'a> Certificate<'a> {
    /// Reads one; none if it isn't made like a certificate.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let mut whole = Reader(Reader(der).expect(SEQUENCE)?);
        let mut body = Reader(whole.expect(SEQUENCE)?);
        let mut version = 1;
        if body.0.first() == Some(&EXPLICIT_VERSION) {
            let number = Reader(body.expect(EXPLICIT_VERSION)?).expect(INTEGER)?;
            version = number.last()?.checked_add(1)?;
        }
        let serial = body.expect(INTEGER)?;
        let signature = body.expect(SEQUENCE)?;
        let issuer = body.expect(SEQUENCE)?;
        let validity = body.expect(SEQUENCE)?;
        let subject = body.expect(SEQUENCE)?;
        let key = body.expect(SEQUENCE)?;
        let mut extensions: &[u8] = &[];
        while let Some((tag, value)) = body.next() {
            if tag == EXPLICIT_EXTENSIONS {
                extensions = Reader(value).expect(SEQUENCE)?;
            }
        }
        Some(Self { version, serial, signature, issuer, subject, validity, key, extensions })
    }

    /// Whether it names itself as its issuer.
    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// When it is in force, in seconds of Unix time: from, to.
    pub(super) fn dates(&self) -> Option<(i64, i64)> {
        let mut validity = Reader(self.validity);
        Some((validity.moment()?, validity.moment()?))
    }

    /// Whether it may vouch for others (RFC 5280, 4.2.1.3 and 4.2.1.9). Version 1 could not say so;
    /// of these only such are taken for authorities that nobody else vouches for.
    pub(super) fn is_authority(&self) -> bool {
        match self.version {
            1 => self.is_self_issued(),
            3 => self.says_authority().unwrap_or(false),
            _ => false,
        }
    }

    fn says_authority(&self) -> Option<bool> {
        let Some(constraints) = self.extension(BASIC_CONSTRAINTS)? else { return Some(false) };
        let flag = Reader(Reader(constraints).expect(SEQUENCE)?).expect(BOOLEAN);
        let says = flag.is_some_and(|value| value.iter().any(|byte| *byte != 0));
        Some(says && !self.is_unable())
    }

    /// Whether the usages of its key are listed, and signing certificates is not one of them.
    pub(super) fn is_unable(&self) -> bool {
        const SIGNS_CERTIFICATES: u8 = 0x04;
        let usage = self.extension(KEY_USAGE).flatten();
        usage.is_some_and(|usage| {
            let bits = Reader(usage).expect(BIT_STRING).and_then(|bits| bits.get(1).copied());
            bits.is_none_or(|bits| bits & SIGNS_CERTIFICATES == 0)
        })
    }

    /// The hosts that it lists; none if it has no such list.
    pub(super) fn hosts(&self) -> Option<Vec<Host>> {
        const DNS: u8 = 0x82;
        const ADDRESS: u8 = 0x87;
        let mut list = Reader(Reader(self.extension(ALTERNATIVE_NAMES)??).expect(SEQUENCE)?);
        let mut hosts = Vec::new();
        while let Some((tag, value)) = list.next() {
            let host = match tag {
                DNS if value.is_empty() => None,
                DNS => String::from_utf8(value.to_vec()).ok().map(Host::Name),
                ADDRESS => address(value).map(Host::Address),
                _ => None,
            };
            hosts.extend(host);
        }
        Some(hosts)
    }

    /// The name of its subject.
    pub(super) fn common_name(&self) -> Option<&'a str> {
        common_name(self.subject)
    }

    pub(super) fn public_key(&self) -> Option<PublicKey<'a>> {
        PublicKey::read(self.key)
    }

    /// The length of its key if that is one of RSA.
    pub(super) fn rsa_bits(&self) -> Option<usize> {
        self.public_key()?.rsa_bits()
    }

    /// The value of an extension. The outer is none if the list is not made like one.
    #[allow(clippy::option_option)]
    pub(super) fn extension(&self, wanted: &[u8]) -> Option<Option<&'a [u8]>> {
        let mut found = None;
        let mut list = Reader(self.extensions);
        while !list.0.is_empty() {
            let mut extension = Reader(list.expect(SEQUENCE)?);
            let name = extension.expect(OID)?;
            if extension.0.first() == Some(&BOOLEAN) {
                extension.next()?;
            }
            let value = extension.expect(OCTET_STRING)?;
            if name == wanted {
                found = Some(value);
            }
        }
        Some(found)
    }
}

impl<'a> PublicKey<'a> {
    /// `key`: the content of a `SubjectPublicKeyInfo`.
    pub(super) fn read(key: &'a [u8]) -> Option<Self> {
        let mut key = Reader(key);
        let algorithm = key.expect(SEQUENCE)?;
        let bits = key.expect(BIT_STRING)?.get(1..)?;
        Some(Self { algorithm, bits })
    }

    /// The same, with its frame.
    pub(super) fn read_framed(key: &'a [u8]) -> Option<Self> {
        Self::read(Reader(key).expect(SEQUENCE)?)
    }

    /// Whether it is of the kind with that identifier (the content of one).
    pub(super) fn is_of(&self, algorithm: &[u8]) -> bool {
        let bare = algorithm.strip_suffix(NULL).filter(|bare| *bare == RSA);
        self.algorithm == algorithm || bare == Some(self.algorithm)
    }

    /// Whether both are the same key.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.bits == other.bits && (self.is_of(other.algorithm) || other.is_of(self.algorithm))
    }

    /// Whether it is one of ECDSA, on whatever curve.
    pub(super) fn is_elliptic(&self) -> bool {
        self.algorithm.starts_with(ELLIPTIC)
    }

    /// Its length if it is one of RSA.
    pub(super) fn rsa_bits(&self) -> Option<usize> {
        if !self.algorithm.starts_with(RSA) {
            return None;
        }
        let modulus = Reader(Reader(self.bits).expect(SEQUENCE)?).expect(INTEGER)?;
        let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
        let significant = &modulus[zeros..];
        let unused = significant.first()?.leading_zeros();
        (significant.len() * 8).checked_sub(usize::try_from(unused).ok()?)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// The name in a distinguished name, in the last and most specific place that has one.
pub(super) fn common_name(name: &[u8]) -> Option<&str> {
    let mut found = None;
    let mut names = Reader(name);
    while let Some(set) = names.expect(SET) {
        let mut pair = Reader(Reader(set).expect(SEQUENCE)?);
        let kind = pair.expect(OID)?;
        let (_, text) = pair.next()?;
        if kind == COMMON_NAME {
            found = std::str::from_utf8(text).ok();
        }
    }
    found
}

/// The hash of a kind of signature (the content of an `AlgorithmIdentifier`) if nobody relies on it
/// any more.
pub(super) fn old_hash(algorithm: &[u8]) -> Option<&'static str> {
    // md5WithRSAEncryption, sha1WithRSAEncryption and ecdsa-with-SHA1.
    const WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const WITH_ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
    let name = Reader(algorithm).expect(OID)?;
    match name.strip_prefix(WITH_RSA) {
        Some([4]) => Some("MD5"),
        Some([5]) => Some("SHA-1"),
        _ => (name == WITH_ECDSA).then_some("SHA-1"),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// Takes tag, length and value from the front.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let count = usize::from(first & 0x7f);
            let (digits, rest) = rest.split_at_checked(count)?;
            if count == 0 || count > 4 || digits.len() > 3 && digits[0] != 0 {
                return None;
            }
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    pub(super) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, value)| value)
    }

    /// A `UTCTime` or `GeneralizedTime`, which always end in Z.
    pub(super) fn moment(&mut self) -> Option<i64> {
        let (tag, text) = self.next()?;
        let digits = text.strip_suffix(b"Z")?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let pair = |at: usize| {
            let two = digits.get(at..at + 2)?;
            Some(i64::from(two[0] - b'0') * 10 + i64::from(two[1] - b'0'))
        };
        let (year, rest) = if tag == UTC_TIME {
            let short = pair(0)?;
            (if short < 50 { 2000 + short } else { 1900 + short }, 2)
        } else {
            (pair(0)? * 100 + pair(2)?, 4)
        };
        let days = days_of(year, pair(rest)?, pair(rest + 2)?);
        // Only DER asks for the seconds.
        let second = if digits.len() == rest + 8 { 0 } else { pair(rest + 8)? };
        Some(days * DAY + pair(rest + 4)? * 3600 + pair(rest + 6)? * 60 + second)
    }
}

/// A value behind its tag and its length.
pub(super) fn framed(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    let length = value.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    match u8::try_from(value.len()) {
        Ok(short) if short < 0x80 => der.push(short),
        _ => {
            let digits = &length[zeros..];
            der.push(0x80 | u8::try_from(digits.len()).unwrap_or_default());
            der.extend_from_slice(digits);
        }
    }
    der.extend_from_slice(value);
    der
}

/// Days from 1970-01-01, in the Gregorian calendar. Years begin in March, so that the day that is
/// there only sometimes is the last.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A moment of Unix time as "2031-05-09 14:00 UTC".
pub(super) fn date(seconds: i64) -> String {
    let days = seconds.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (seconds.rem_euclid(DAY) / 3600, seconds.rem_euclid(3600) / 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_the_calendar_has_it() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_868_799, "2000-02-29 23:59 UTC"),
            (1_709_164_800, "2024-02-29 00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
            (-1, "1969-12-31 23:59 UTC"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }

    #[test]
    fn a_moment_is_read_in_both_its_forms() {
        let read = |tag, text: &[u8]| {
            let mut der = vec![tag, u8::try_from(text.len()).unwrap()];
            der.extend_from_slice(text);
            Reader(&der).moment()
        };
        assert_eq!(read(UTC_TIME, b"240229000000Z"), Some(1_709_164_800));
        assert_eq!(read(0x18, b"21000301000000Z"), Some(4_107_542_400));
        assert_eq!(read(UTC_TIME, b"700101000001Z"), Some(1));
        assert_eq!(read(UTC_TIME, b"2402290000Z"), Some(1_709_164_800));
        for bad in [&b"24022900Z"[..], b"24022900000", b"", b"Z", b"2402290000x0Z"] {
            assert_eq!(read(UTC_TIME, bad), None, "{bad:?}");
        }
    }

    #[test]
    fn days_and_dates_agree() {
        for day in (-200_000..200_000).step_by(97) {
            let text = date(day * DAY);
            let part = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
            assert_eq!(days_of(part(0..4), part(5..7), part(8..10)), day, "{text}");
        }
    }
}
