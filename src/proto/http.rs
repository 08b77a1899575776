//! What a client reads of HTTP/1.1 beside bodies: the head of an answer, how its body ends, sizes of chunks.
//!
//! Not here: requests, redirects, credentials (a dialect's). Invariants: a head that could be read in two
//! ways is refused, and so is what is longer or has more fields than `limits` allows.

use crate::limits;

/// The head of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    /// 100 to 999.
    pub status: u16,
    /// Names and values in their order, as they came.
    pub fields: Vec<(String, Vec<u8>)>,
    /// How the body ends.
    pub body: Body,
}

/// How the body of an answer ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Body {
    /// There is none.
    Nothing,
    /// Chunk by chunk.
    Chunked,
    /// After so many bytes.
    Length(u64),
    /// With the connection.
    UntilClose,
}

/// Reads a whole head, with the empty line behind it.
///
/// # Errors
/// What is wrong with it.
pub fn read_head(bytes: &[u8]) -> Result<Head, &'static str> {
    if bytes.len() > limits::HTTP_HEAD {
        return Err("its head is too long");
    }
    let mut room = [httparse::EMPTY_HEADER; limits::HTTP_FIELDS];
    let mut answer = httparse::Response::new(&mut room);
    let read = httparse::ParserConfig::default()
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .parse_response(&mut answer, bytes);
    match read {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err("its head is incomplete"),
        Err(httparse::Error::TooManyHeaders) => return Err("its head has too many fields"),
        Err(_) => return Err("this is not HTTP"),
    }
    let status = answer.code.filter(|code| *code >= 100).ok_or("its status is none of HTTP")?;
    let fields: Vec<(String, Vec<u8>)> =
        answer.headers.iter().map(|field| (field.name.to_owned(), unfolded(field.value))).collect();
    let body = body_of(status, &fields)?;
    Ok(Head { status, fields, body })
}

/// A value of one line: the old way of writing had it go on in the next.
fn unfolded(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect()
}

/// RFC 9112, 6.3; an answer to a HEAD or CONNECT is not asked for.
fn body_of(status: u16, fields: &[(String, Vec<u8>)]) -> Result<Body, &'static str> {
    let all = |name: &'static str| {
        fields
            .iter()
            .filter(move |field| field.0.eq_ignore_ascii_case(name))
            .flat_map(|field| field.1.split(|byte| *byte == b',').map(<[u8]>::trim_ascii))
    };
    if status < 200 || status == 204 || status == 304 {
        return Ok(Body::Nothing);
    }
    let mut codings = all("Transfer-Encoding").filter(|coding| !coding.is_empty());
    if let Some(coding) = codings.next() {
        let is_chunked = coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
        return is_chunked.then_some(Body::Chunked).ok_or("its transfer coding is not 'chunked'");
    }
    let mut length = None;
    for text in all("Content-Length") {
        let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        let number =
            str::from_utf8(text).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        let number: u64 = number.ok_or("its length is no number")?;
        if length.is_some_and(|before| before != number) {
            return Err("it has two lengths");
        }
        length = Some(number);
    }
    Ok(length.map_or(Body::UntilClose, Body::Length))
}

/// The size that begins a chunk: its line without the line's end.
#[must_use]
pub fn chunk_size(line: &[u8]) -> Option<u64> {
    line.first().filter(|first| first.is_ascii_hexdigit())?;
    match httparse::parse_chunk_size(&[line, b"\r\n"].concat()) {
        Ok(httparse::Status::Complete((_, size))) => Some(size),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn body(head: &str) -> Result<Body, &'static str> {
        let whole = head.replace('\n', "\r\n") + "\r\n\r\n";
        read_head(whole.as_bytes()).map(|head| head.body)
    }

    #[test]
    fn a_body_ends_as_its_head_says() {
        for (head, wanted) in [
            ("HTTP/1.1 200 OK\nContent-Length: 5", Body::Length(5)),
            ("HTTP/1.1 200\ncontent-length: 5, 5\nContent-Length:5", Body::Length(5)),
            ("HTTP/1.1 200 OK\nTransfer-Encoding: Chunked\nContent-Length: 5", Body::Chunked),
            ("HTTP/1.0 200 OK", Body::UntilClose),
            ("HTTP/1.1 204 No Content\nContent-Length: 5", Body::Nothing),
            ("HTTP/1.1 304 Not Modified\nContent-Length: 5", Body::Nothing),
            ("HTTP/1.1 100 Continue", Body::Nothing),
        ] {
            assert_eq!(body(head), Ok(wanted), "{head}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for head in [
            "HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 6",
            "HTTP/1.1 200 OK\nContent-Length: +5",
            "HTTP/1.1 200 OK\nContent-Length:",
            "HTTP/1.1 200 OK\nContent-Length: 99999999999999999999",
            "HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked",
            "HTTP/1.1 200 OK\nTransfer-Encoding: chunked, chunked",
            "HTTP/1.1 099 Odd",
            "HTTP/2 200",
            "SSH-2.0-device",
            "",
        ] {
            assert!(body(head).is_err(), "{head}");
        }
        assert_eq!(read_head(b"HTTP/1.1 200 OK\r\nA: b\r\n"), Err("its head is incomplete"));
    }

    #[test]
    fn a_value_is_of_one_line() {
        let head = read_head(b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n").unwrap();
        assert_eq!(head.fields, [("A".to_owned(), b"b   c".to_vec())]);
    }

    #[test]
    fn a_head_has_its_bounds() {
        let field = "A: b\r\n";
        let fields = |count| format!("HTTP/1.1 200 OK\r\n{}\r\n", field.repeat(count));
        assert!(read_head(fields(limits::HTTP_FIELDS).as_bytes()).is_ok());
        assert!(read_head(fields(limits::HTTP_FIELDS + 1).as_bytes()).is_err());
        let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(limits::HTTP_HEAD));
        assert_eq!(read_head(long.as_bytes()), Err("its head is too long"));
    }

    #[test]
    fn chunks_begin_with_their_size() {
        for (line, size) in [
            ("0", Some(0)),
            ("1a;name=value", Some(26)),
            ("FF", Some(255)),
            ("", None),
            (";a", None),
            ("x", None),
            ("-1", None),
            ("fffffffffffffffff", None),
        ] {
            assert_eq!(chunk_size(line.as_bytes()), size, "{line}");
        }
    }
}
