//! What the tests of the source share: its files, its text without comments, its words.
//!
//! Not here: the rules that are checked (`floors.rs`, `words.rs`).
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

use std::fs;
use std::path::{Path, PathBuf};

/// A word or a single sign, and its line (from 1).
#[derive(Debug)]
pub struct Piece<'a> {
    pub text: &'a str,
    pub line: usize,
}

pub fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

/// Blanks what stands under `#[cfg(test)]`: an item with a body, or up to a semicolon.
pub fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut rest = code;
    let mut kept = String::new();
    while let Some(start) = rest.find(MARK) {
        kept.push_str(&rest[..start]);
        let after = &rest[start..];
        let mut depth = 0;
        let length = after
            .char_indices()
            .find(|(_, sign)| {
                match sign {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                depth == 0 && (*sign == '}' || *sign == ';')
            })
            .map_or(after.len(), |(index, _)| index + 1);
        kept.extend(after[..length].chars().filter(|sign| *sign == '\n'));
        rest = &after[length..];
    }
    kept + rest
}

/// Comments become blanks; the inside of strings and characters becomes quotes, so that a line of a
/// long string still counts as code. Line breaks stay.
pub fn mask_rust(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, filler) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), ' ')
        } else if rest.starts_with("/*") {
            (block_comment(rest), ' ')
        } else if let Some(length) = raw_string(rest, &masked) {
            (length, '"')
        } else if first == '"' {
            (quoted(rest, '"'), '"')
        } else if first == '\'' && is_character(rest) {
            (quoted(rest, '\''), '"')
        } else {
            masked.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        let hidden = rest[..length].chars();
        masked.extend(hidden.map(|sign| if sign == '\n' { '\n' } else { filler }));
        rest = &rest[length..];
    }
    masked
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of `r"..."` or `r#"..."#` at the start of `text`, unless the r ends a word.
fn raw_string(text: &str, before: &str) -> Option<usize> {
    let body = text.strip_prefix('r')?;
    let inside_word = before.ends_with(|sign: char| sign != 'b' && is_word_sign(sign));
    let hashes = body.len() - body.trim_start_matches('#').len();
    if inside_word || !body[hashes..].starts_with('"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let from = 1 + hashes + 1;
    Some(text[from..].find(&end).map_or(text.len(), |index| from + index + end.len()))
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, sign) in text.char_indices().skip(1) {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if sign == quote => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character, not a lifetime.
fn is_character(text: &str) -> bool {
    let mut signs = text.chars().skip(1);
    signs.next() == Some('\\') || signs.next() == Some('\'')
}

/// Comments become blanks; with `strings` the inside of strings becomes quotes.
pub fn mask_lua(text: &str, strings: bool) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let comment = rest.starts_with("--");
        let bracket = long_bracket(&rest[if comment { 2 } else { 0 }..]);
        let (length, hide) = match (comment, bracket) {
            (true, Some(length)) => (length + 2, true),
            (true, None) => (rest.find('\n').unwrap_or(rest.len()), true),
            (false, Some(length)) => (length, strings),
            (false, None) if first == '"' || first == '\'' => (quoted(rest, first), strings),
            (false, None) => (first.len_utf8(), false),
        };
        let filler = if comment { ' ' } else { '"' };
        for sign in rest[..length].chars() {
            masked.push(if sign == '\n' || !hide { sign } else { filler });
        }
        rest = &rest[length..];
    }
    masked
}

/// The length of `[[...]]` or `[==[...]==]` at the start of `text`.
fn long_bracket(text: &str) -> Option<usize> {
    let body = text.strip_prefix('[')?;
    let level = body.len() - body.trim_start_matches('=').len();
    body[level..].strip_prefix('[')?;
    let end = format!("]{}]", "=".repeat(level));
    Some(text.find(&end).map_or(text.len(), |index| index + end.len()))
}

pub fn is_word_sign(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

pub fn is_word(text: &str) -> bool {
    text.starts_with(|sign: char| sign.is_alphabetic() || sign == '_')
}

pub fn pieces(code: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line;
        while let Some(sign) = rest.chars().next() {
            let word = rest.find(|sign| !is_word_sign(sign)).unwrap_or(rest.len());
            let length = if word > 0 { word } else { sign.len_utf8() };
            if !sign.is_whitespace() && sign != '"' {
                found.push(Piece { text: &rest[..length], line: index + 1 });
            }
            rest = &rest[length..];
        }
    }
    found
}

/// Every file of src/ in Rust or Lua: its path below src/, with slashes, and its text.
pub fn sources() -> Vec<(String, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&source, &mut found);
    found.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&source).unwrap().to_str().unwrap().replace('\\', "/");
        (name, fs::read_to_string(path).unwrap())
    };
    found.iter().map(read).collect()
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|name| name == "rs" || name == "lua") {
            found.push(path);
        }
    }
}
