//! Where a line or a block ends.
//!
//! Not here: buffers and what was scanned before; that is `proto::buffer`. Every function is pure.
//! Invariant: searching from `from` finds what searching from 0 finds, provided that no delimiter
//! starts before `from`.

use memchr::{memchr, memchr_iter, memchr2, memmem};

/// What ends a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LineEnd {
    /// A run of any number of CR and LF.
    Any,
    /// LF with an optional CR before it; a lone CR is data.
    CrLf,
    /// CR LF; a lone CR and a lone LF are data.
    CrLfStrict,
    /// LF, CR LF or CR, one each.
    Each,
    /// LF; a CR before it is data.
    Lf,
    /// The byte 0.
    Null,
}

impl LineEnd {
    /// How many bytes a line end needs before it is recognised.
    #[must_use]
    pub fn shortest(self) -> usize {
        match self {
            Self::CrLfStrict => 2,
            Self::Any | Self::CrLf | Self::Each | Self::Lf | Self::Null => 1,
        }
    }
}

/// The first line of `haystack`: its length without and with its end.
///
/// The line begins at 0; no line end may start before `from`. A run of [`LineEnd::Any`] that
/// reaches the end of `haystack` is reported as far as it is there, and so is a CR of [`LineEnd::Each`].
#[must_use]
pub fn find_line(haystack: &[u8], end: LineEnd, from: usize) -> Option<(usize, usize)> {
    let rest = haystack.get(from..)?;
    match end {
        LineEnd::Any => {
            let line = from + memchr2(b'\r', b'\n', rest)?;
            Some((line, line + run_length(haystack.get(line..)?)))
        }
        LineEnd::CrLf => {
            let feed = from + memchr(b'\n', rest)?;
            Some((feed - usize::from(follows_return(haystack, feed)), feed + 1))
        }
        LineEnd::CrLfStrict => memchr_iter(b'\n', rest)
            .map(|offset| from + offset)
            .find(|&feed| follows_return(haystack, feed))
            .map(|feed| (feed - 1, feed + 1)),
        LineEnd::Each => {
            let line = from + memchr2(b'\r', b'\n', rest)?;
            let pair = haystack.get(line..)?.starts_with(b"\r\n");
            Some((line, line + 1 + usize::from(pair)))
        }
        LineEnd::Lf => single(b'\n', rest, from),
        LineEnd::Null => single(0, rest, from),
    }
}

/// Where `needle` begins in `haystack`, at or after `from`; an empty needle is found at once.
#[must_use]
pub fn find(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let rest = haystack.get(from..)?;
    // A searcher costs a pass over the needle: not worth it when it cannot fit.
    if rest.len() < needle.len() {
        return None;
    }
    let offset = match needle {
        [] => Some(0),
        [byte] => memchr(*byte, rest),
        _ => memmem::find(rest, needle),
    };
    Some(from + offset?)
}

/// How many CR and LF `bytes` begins with.
#[must_use]
pub fn run_length(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| byte == b'\r' || byte == b'\n').count()
}

fn single(byte: u8, rest: &[u8], from: usize) -> Option<(usize, usize)> {
    let line = from + memchr(byte, rest)?;
    Some((line, line + 1))
}

fn follows_return(haystack: &[u8], index: usize) -> bool {
    index.checked_sub(1).and_then(|before| haystack.get(before)) == Some(&b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: [LineEnd; 6] = [
        LineEnd::Any,
        LineEnd::CrLf,
        LineEnd::CrLfStrict,
        LineEnd::Lf,
        LineEnd::Null,
        LineEnd::Each,
    ];

    #[test]
    fn each_kind_ends_a_line_as_its_table_says() {
        type Found = [Option<(usize, usize)>; 6];
        let table: [(&[u8], Found); 12] = [
            (b"", [None; 6]),
            (b"abc", [None; 6]),
            (b"a\nb", [Some((1, 2)), Some((1, 2)), None, Some((1, 2)), None, Some((1, 2))]),
            (
                b"a\r\nb",
                [Some((1, 3)), Some((1, 3)), Some((1, 3)), Some((2, 3)), None, Some((1, 3))],
            ),
            (b"a\rb", [Some((1, 2)), None, None, None, None, Some((1, 2))]),
            (b"a\rb\n", [Some((1, 2)), Some((3, 4)), None, Some((3, 4)), None, Some((1, 2))]),
            (
                b"a\r\r\nb",
                [Some((1, 4)), Some((2, 4)), Some((2, 4)), Some((3, 4)), None, Some((1, 2))],
            ),
            (
                b"a\nb\r\n",
                [Some((1, 2)), Some((1, 2)), Some((3, 5)), Some((1, 2)), None, Some((1, 2))],
            ),
            (b"\n", [Some((0, 1)), Some((0, 1)), None, Some((0, 1)), None, Some((0, 1))]),
            (b"\r\n", [Some((0, 2)), Some((0, 2)), Some((0, 2)), Some((1, 2)), None, Some((0, 2))]),
            (
                b"\n\r\n\n\rx",
                [Some((0, 5)), Some((0, 1)), Some((1, 3)), Some((0, 1)), None, Some((0, 1))],
            ),
            (b"a\0b\0", [None, None, None, None, Some((1, 2)), None]),
        ];
        for (text, expected) in table {
            for (end, expected) in ENDS.into_iter().zip(expected) {
                assert_eq!(find_line(text, end, 0), expected, "{end:?} in {text:?}");
            }
        }
    }

    #[test]
    fn searching_from_later_counts_from_the_beginning() {
        assert_eq!(find_line(b"abc\r\ndef", LineEnd::CrLf, 4), Some((3, 5)));
        assert_eq!(find_line(b"abc\r\ndef", LineEnd::CrLfStrict, 3), Some((3, 5)));
        assert_eq!(find_line(b"abc\r\ndef", LineEnd::Any, 2), Some((3, 5)));
        assert_eq!(find(b"abcabc", b"abc", 1), Some(3));
        assert_eq!(find(b"abcabc", b"c", 3), Some(5));
    }

    #[test]
    fn a_start_beyond_the_end_finds_nothing() {
        for end in ENDS {
            assert_eq!(find_line(b"\r\n\0", end, 4), None);
        }
        assert_eq!(find(b"abc", b"a", 4), None);
        assert_eq!(find(b"abc", b"", 3), Some(3));
        assert_eq!(find(b"abc", b"", 4), None);
    }

    #[test]
    fn a_needle_longer_than_the_rest_is_not_found() {
        assert_eq!(find(b"abc", b"abcd", 0), None);
        assert_eq!(find(b"abc", b"abc", 1), None);
    }
}
