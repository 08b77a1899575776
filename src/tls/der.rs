//! What a certificate says, as far as messages need it: names, dates, the kind of key.
//!
//! Not here: judgement. Whether a certificate is valid is decided by rustls; this only explains.

/// The parts of a certificate (RFC 5280, 4.1) that are looked at.
#[derive(Debug)]
pub(super) struct Certificate<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    /// Seconds of Unix time.
    pub(super) not_before: i64,
    /// Seconds of Unix time.
    pub(super) not_after: i64,
    key: &'a [u8],
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const UTC_TIME: u8 = 0x17;
const EXPLICIT_VERSION: u8 = 0xa0;
const DAY: i64 = 86_400;

impl<'a> Certificate<'a> {
    /// Reads one; none if it isn't made like a certificate.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let mut whole = Reader(Reader(der).expect(SEQUENCE)?);
        let mut body = Reader(whole.expect(SEQUENCE)?);
        if body.0.first() == Some(&EXPLICIT_VERSION) {
            body.next()?;
        }
        body.expect(INTEGER)?;
        body.expect(SEQUENCE)?;
        let issuer = body.expect(SEQUENCE)?;
        let mut validity = Reader(body.expect(SEQUENCE)?);
        let (not_before, not_after) = (validity.moment()?, validity.moment()?);
        let subject = body.expect(SEQUENCE)?;
        let key = body.expect(SEQUENCE)?;
        Some(Self { issuer, subject, not_before, not_after, key })
    }

    /// Whether it names itself as its issuer.
    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// The length of its key if that is one of RSA.
    pub(super) fn rsa_bits(&self) -> Option<usize> {
        // 1.2.840.113549.1.1.1, rsaEncryption.
        const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
        let mut key = Reader(self.key);
        let (_, algorithm) = Reader(key.expect(SEQUENCE)?).next()?;
        if algorithm != RSA {
            return None;
        }
        let bits = key.expect(BIT_STRING)?.get(1..)?;
        let modulus = Reader(Reader(bits).expect(SEQUENCE)?).expect(INTEGER)?;
        let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
        let significant = &modulus[zeros..];
        let unused = significant.first()?.leading_zeros();
        (significant.len() * 8).checked_sub(usize::try_from(unused).ok()?)
    }
}

/// Takes tag, length and value from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 3 {
                return None;
            }
            let (digits, rest) = rest.split_at_checked(count)?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, value)| value)
    }

    /// A `UTCTime` or `GeneralizedTime`, which always end in Z.
    fn moment(&mut self) -> Option<i64> {
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
        Some(days * DAY + pair(rest + 4)? * 3600 + pair(rest + 6)? * 60 + pair(rest + 8)?)
    }
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
        for bad in [&b"2402290000Z"[..], b"24022900000", b"", b"Z", b"2402290000x0Z"] {
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
