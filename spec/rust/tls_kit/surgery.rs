//! Certificates that no library makes: their DER is taken apart and put together otherwise. Nobody
//! signs them anew, so no chain holds with them.

use super::Identity;
use super::raw::chain_of;

/// A value with its tag and length.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length) if length < 0x80 => der.push(length),
        Ok(length) => der.extend([0x81, length]),
        _ => {
            der.push(0x82);
            der.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        }
    }
    der.extend(content);
    der
}

/// The same with its length in five bytes, as only BER has it.
pub fn loose(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag, 0x84];
    der.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
    der.extend(content);
    der
}

fn header(der: &[u8]) -> (usize, usize) {
    let long = usize::from(der[1] & 0x7f);
    if der[1] < 0x80 {
        return (2, long);
    }
    (2 + long, der[2..2 + long].iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)))
}

/// What is in a value.
pub fn content(der: &[u8]) -> &[u8] {
    let (start, length) = header(der);
    &der[start..start + length]
}

/// The values in a value.
pub fn parts(der: &[u8]) -> Vec<Vec<u8>> {
    let (mut rest, mut found) = (content(der), Vec::new());
    while !rest.is_empty() {
        let (start, length) = header(rest);
        found.push(rest[..start + length].to_vec());
        rest = &rest[start + length..];
    }
    found
}

/// A sequence.
pub fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// Its certificate with other parts: of the body (version, serial, algorithm, issuer, dates, subject,
/// key, extensions).
pub fn operated(identity: &Identity, operate: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let mut whole = parts(&chain_of(identity)[0]);
    let mut body = parts(&whole[0]);
    operate(&mut body);
    whole[0] = sequence(&body);
    sequence(&whole)
}

/// Changes the extensions of a body.
pub fn extensions(body: &mut [Vec<u8>], change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let mut list = parts(content(&body[7]));
    change(&mut list);
    body[7] = tlv(0xa3, &sequence(&list));
}

/// One extension.
pub fn extension(name: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let flag = if critical { vec![1, 1, 0xff] } else { vec![] };
    sequence(&[tlv(6, name), flag, tlv(4, value)])
}

/// The certificate as text.
pub fn pem_text(der: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for (index, three) in der.chunks(3).enumerate() {
        let bits = (0..3).fold(0_usize, |sum, at| {
            sum << 8 | usize::from(three.get(at).copied().unwrap_or_default())
        });
        for at in 0..4 {
            let letter = char::from(LETTERS[bits >> (18 - 6 * at) & 63]);
            text.push(if at > three.len() { '=' } else { letter });
        }
        if index % 16 == 15 {
            text.push('\n');
        }
    }
    text.push_str("\n-----END CERTIFICATE-----\n");
    text
}
