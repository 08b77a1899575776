//! Line ends and delimiters: where a line or a block ends.
//!
//! Not here: buffers and what was scanned before; that is `proto::read_buffer`. Every function is pure.
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

    /// How many bytes it takes to know where a line ends, of its length without and with its end: of a
    /// run or pair that may go on the first.
    #[inline]
    #[must_use]
    pub fn told_after(self, line: usize, whole: usize) -> usize {
        match self {
            Self::Any | Self::Each => line + 1,
            Self::CrLf | Self::CrLfStrict | Self::Lf | Self::Null => whole,
        }
    }
}

/// The first line of `haystack`: its length without and with its end.
///
/// The line begins at 0; no line end may start before `from`. A run of [`LineEnd::Any`] that
/// reaches the end of `haystack` is reported as far as it is there, and so is a CR of [`LineEnd::Each`].
#[inline]
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

/// The lines of `haystack` one after another, as [`find_line`] finds them in what the one before has
/// left, up to one that takes more than `longest` bytes, and but for one whose end is the last of the
/// bytes. `note` is told where each begins and its length, and says whether to go on. Returns where the
/// last line's end ends.
///
/// No line end may start before `from`. `places_in` is [`places_in`], or what is faster here.
pub fn find_lines(
    haystack: &[u8],
    end: LineEnd,
    (from, longest): (usize, usize),
    places_in: impl Fn(&[u8; CHUNK], u8) -> u64,
    mut note: impl FnMut(usize, usize) -> bool,
) -> usize {
    let byte = match end {
        LineEnd::Any | LineEnd::Each => return find_runs(haystack, end, (from, longest), note),
        LineEnd::CrLf | LineEnd::CrLfStrict | LineEnd::Lf => b'\n',
        LineEnd::Null => 0,
    };
    let takes_return = matches!(end, LineEnd::CrLf | LineEnd::CrLfStrict);
    let mut total = 0;
    each_place(haystack, byte, from, places_in, |place| {
        if place + 1 == haystack.len() {
            return false;
        }
        let pair = takes_return && place > total && follows_return(haystack, place);
        if end == LineEnd::CrLfStrict && !pair {
            return true;
        }
        if place + 1 - total > longest {
            return false;
        }
        let start = total;
        total = place + 1;
        note(start, place - usize::from(pair) - start)
    });
    total
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

/// [`find_lines`] for ends that are not told by one byte.
fn find_runs(
    haystack: &[u8],
    end: LineEnd,
    (mut from, longest): (usize, usize),
    mut note: impl FnMut(usize, usize) -> bool,
) -> usize {
    let mut total = 0;
    while let Some(rest) = haystack.get(total..)
        && let Some((line, whole)) = find_line(rest, end, from)
        && total + whole < haystack.len()
        && line < longest
    {
        let start = total;
        (from, total) = (0, total + whole);
        if !note(start, line) {
            break;
        }
    }
    total
}

/// How many bytes are compared at once.
pub const CHUNK: usize = 64;

/// Tells `found` every place of `byte` at or after `from`, until it says no.
///
/// A searcher that begins anew for each would take half of the time in which lines of 60 bytes are cut.
fn each_place(
    haystack: &[u8],
    byte: u8,
    from: usize,
    places_in: impl Fn(&[u8; CHUNK], u8) -> u64,
    mut found: impl FnMut(usize) -> bool,
) {
    let (chunks, last) = haystack.get(from..).unwrap_or_default().as_chunks::<CHUNK>();
    let mut rest = [!byte; CHUNK];
    rest.iter_mut().zip(last).for_each(|(to, from)| *to = *from);
    for (chunk, base) in chunks.iter().chain([&rest]).zip((from..).step_by(CHUNK)) {
        let mut places = places_in(chunk, byte);
        while places != 0 {
            if !found(base + places.trailing_zeros() as usize) {
                return;
            }
            places &= places - 1;
        }
    }
}

/// A bit for each place of `byte`, the lowest for the first.
#[must_use]
pub fn places_in(chunk: &[u8; CHUNK], byte: u8) -> u64 {
    // Moves the lowest bits of eight bytes into the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    // The compiler makes vectors of it.
    let equal = chunk.map(|other| u8::from(other == byte));
    let (words, _) = equal.as_chunks::<8>();
    words
        .iter()
        .rev()
        .fold(0, |places, word| places << 8 | u64::from_le_bytes(*word).wrapping_mul(GATHER) >> 56)
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
