//! The places of a byte in a chunk, found with the processor's instructions for that.
//!
//! Not here: what the byte is (`proto::framing`). It stands in this folder because the instructions are
//! `unsafe`. Invariant: the answer is that of `framing::places_in`, which runs on every processor and takes
//! twice the time.

#[cfg(not(target_arch = "x86_64"))]
pub(in crate::lua) use crate::proto::framing::places_in;

#[cfg(target_arch = "x86_64")]
use crate::proto::framing::CHUNK;

/// A bit for each place of `byte`, the lowest for the first.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(in crate::lua) fn places_in(chunk: &[u8; CHUNK], byte: u8) -> u64 {
    // SAFETY: every such processor has these instructions.
    unsafe { compared(chunk, byte) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[inline]
fn compared(chunk: &[u8; CHUNK], byte: u8) -> u64 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};

    let wanted = _mm_set1_epi8(byte.cast_signed());
    let (words, _) = chunk.as_chunks::<8>();
    let (pairs, _) = words.as_chunks::<2>();
    pairs.iter().rev().fold(0, |places, [low, high]| {
        let bytes = _mm_set_epi64x(i64::from_le_bytes(*high), i64::from_le_bytes(*low));
        let equal = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, wanted));
        places << 16 | u64::from(equal.cast_unsigned())
    })
}
