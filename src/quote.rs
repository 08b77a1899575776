//! What others gave us, as it may stand in a message: short, printable, and never a key.
//!
//! Not here: the messages. Invariant: what comes out has at most [`LONGEST`] bytes, holds no
//! character that a terminal or a log obeys, and nothing of PEM.

/// Bytes of one quoted text.
pub const LONGEST: usize = 60;

const CUT: &str = "…";

/// The text with escapes for what can't be seen, and cut where it is too long.
#[must_use]
pub fn shown(text: &[u8]) -> String {
    if is_pem(text) {
        return "(text in PEM format)".to_owned();
    }
    let mut whole = String::new();
    let mut fits = 0;
    for piece in text.utf8_chunks() {
        for letter in piece.valid().chars() {
            if is_seen(letter) {
                whole.push(letter);
            } else if matches!(letter, '"' | '\\') || letter.is_ascii_control() {
                whole.extend(
                    u8::try_from(letter).unwrap_or_default().escape_ascii().map(char::from),
                );
            } else {
                whole.extend(letter.escape_unicode());
            }
            if whole.len() > LONGEST {
                break;
            }
            fits = if whole.len() + CUT.len() <= LONGEST { whole.len() } else { fits };
        }
        for byte in piece.invalid() {
            whole.extend(byte.escape_ascii().map(char::from));
            fits = if whole.len() + CUT.len() <= LONGEST { whole.len() } else { fits };
        }
        if whole.len() > LONGEST {
            whole.truncate(fits);
            whole.push_str(CUT);
            break;
        }
    }
    whole
}

/// The same for what is quoted only to be recognised: text too long to be shown whole is counted.
#[must_use]
pub fn named(text: &[u8]) -> String {
    if is_pem(text) || text.len() > LONGEST {
        format!("a text of {} bytes", text.len())
    } else {
        format!("'{}'", shown(text))
    }
}

/// Whether it holds a line that begins or ends a section of PEM.
#[must_use]
pub fn is_pem(text: &[u8]) -> bool {
    let has = |mark: &[u8]| memchr::memmem::find(text, mark).is_some();
    has(b"-----BEGIN") || has(b"-----END")
}

/// Letters, digits and signs that are written from left to right and take room.
fn is_seen(letter: char) -> bool {
    let obeyed = matches!(u32::from(letter),
        0x7f..=0x9f | 0xad | 0x061c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff
        | 0xfff0..=0xfffb | 0xe0000..=0xe0fff);
    letter >= ' ' && !obeyed && !matches!(letter, '"' | '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_stays_as_it_is() {
        for text in ["a.example", "bücher.example", "10.0.0.9", "/run/o'clock x", "[::1]", ""] {
            assert_eq!(shown(text.as_bytes()), text);
        }
    }

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        for (text, seen) in [
            (&b"a\"b\\"[..], "a\\\"b\\\\"),
            (b"\x1b[31m\r\n\t\0", "\\x1b[31m\\r\\n\\t\\x00"),
            (b"\xff\xc3", "\\xff\\xc3"),
            ("\u{202e}a\u{9b}".as_bytes(), "\\u{202e}a\\u{9b}"),
        ] {
            assert_eq!(shown(text), seen);
        }
    }

    #[test]
    fn nothing_is_longer_than_the_bound() {
        assert_eq!(shown(&[b'a'; 60]), "a".repeat(60));
        assert_eq!(shown(&[b'a'; 61]), format!("{}…", "a".repeat(57)));
        for letter in ["ü", "\0", "\"", "\u{202e}", "€"] {
            for length in 0..300 {
                let mut text = "x".repeat(length % 7);
                text.push_str(&letter.repeat(length));
                assert!(shown(text.as_bytes()).len() <= LONGEST);
            }
        }
        for length in 0..300 {
            assert!(shown(&vec![0xff; length]).len() <= LONGEST);
        }
        assert_eq!(named(&[b'a'; 61]), "a text of 61 bytes");
        assert_eq!(named(b"a b"), "'a b'");
    }

    #[test]
    fn pem_is_never_shown() {
        let key = b"x -----BEGIN PRIVATE KEY-----\nMIGH";
        assert!(!shown(key).contains("MIGH") && !named(key).contains("MIGH"));
    }
}
