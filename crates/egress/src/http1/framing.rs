//! Where a response body ends: RFC 9112 §6 and §7.1.

use bytes::{Buf, Bytes, BytesMut};

use crate::http1::connection::Broken;

/// The longest line with a chunk's size, its extensions included, and the longest trailer section.
const SIZE_LINE: usize = 1024;
const TRAILERS: usize = 16 * 1024;
/// Chunks that are in the buffer together are given as one piece of up to about this many bytes.
const PIECE: usize = 64 * 1024;

/// The framing of a body, and how far it has been read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes are left.
    Length(u64),
    /// In chunks.
    Chunked(Chunked),
    /// Up to the end of the connection.
    UntilClose,
}

/// Where in a chunked body the reader is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunked {
    /// Before the size of a chunk.
    Size,
    /// Inside a chunk, with so many bytes left.
    Data(u64),
    /// Before the line end after a chunk.
    AfterData,
    /// After the last chunk; so many bytes of trailers have been passed over.
    Trailers(usize),
    /// Behind it all.
    End,
}

impl Framing {
    pub(crate) const fn chunked() -> Self {
        Self::Chunked(Chunked::Size)
    }

    /// Whether the body is over.
    pub(crate) const fn is_end(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunked::End))
    }

    /// Takes what is there of the body out of `buffer`; `None` when more has to be read first, or the body is over.
    pub(crate) fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, Broken> {
        match self {
            Self::Length(left) => {
                let length = buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= length as u64;
                Ok((length > 0).then(|| buffer.split_to(length).freeze()))
            }
            Self::UntilClose => Ok((!buffer.is_empty()).then(|| buffer.split().freeze())),
            Self::Chunked(state) => state.take(buffer),
        }
    }
}

impl Chunked {
    fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, Broken> {
        let mut first: Option<Bytes> = None;
        let mut joined = BytesMut::new();
        while let Some(data) = self.step(buffer)? {
            if data.is_empty() {
                continue;
            }
            match first.take() {
                None if joined.is_empty() => first = Some(data),
                before => {
                    if let Some(before) = before {
                        joined.reserve(before.len() + data.len() + buffer.len());
                        joined.extend_from_slice(&before);
                    }
                    joined.extend_from_slice(&data);
                }
            }
            if joined.len() >= PIECE {
                break;
            }
        }
        Ok(if joined.is_empty() { first } else { Some(joined.freeze()) })
    }

    /// One step through the body: `None` when it is over, or more has to be read first.
    fn step(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, Broken> {
        match self {
            Self::Size => {
                let Some(line) = take_line(buffer, SIZE_LINE)? else { return Ok(None) };
                let size = chunk_size(&line)?;
                *self = if size == 0 { Self::Trailers(0) } else { Self::Data(size) };
                Ok(Some(Bytes::new()))
            }
            Self::Data(left) => {
                let length = buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                if length == 0 {
                    return Ok(None);
                }
                *left -= length as u64;
                if *left == 0 {
                    *self = Self::AfterData;
                }
                Ok(Some(buffer.split_to(length).freeze()))
            }
            Self::AfterData => {
                if buffer.len() < 2 {
                    return Ok(None);
                }
                if &buffer[..2] != b"\r\n" {
                    return Err(Broken::BadChunk);
                }
                buffer.advance(2);
                *self = Self::Size;
                Ok(Some(Bytes::new()))
            }
            Self::Trailers(seen) => {
                let Some(line) = take_line(buffer, TRAILERS - *seen)? else { return Ok(None) };
                *seen += line.len() + 2;
                if line.is_empty() {
                    *self = Self::End;
                }
                Ok(Some(Bytes::new()))
            }
            Self::End => Ok(None),
        }
    }
}

/// Takes a line without its CRLF; `None` when it is not complete. A bare line feed is refused: others may read it
/// differently.
fn take_line(buffer: &mut BytesMut, limit: usize) -> Result<Option<BytesMut>, Broken> {
    match memchr::memchr(b'\n', &buffer[..buffer.len().min(limit)]) {
        Some(end) if end > 0 && buffer[end - 1] == b'\r' => {
            let mut line = buffer.split_to(end + 1);
            line.truncate(end - 1);
            Ok(Some(line))
        }
        Some(_) => Err(Broken::BadChunk),
        None if buffer.len() >= limit => Err(Broken::BadChunk),
        None => Ok(None),
    }
}

/// The size in a chunk's first line: hexadecimal digits, then perhaps extensions.
fn chunk_size(line: &[u8]) -> Result<u64, Broken> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let rest = line[digits..].trim_ascii_start();
    if digits == 0 || digits > 15 || !(rest.is_empty() || rest[0] == b';') {
        return Err(Broken::BadChunk);
    }
    let text = std::str::from_utf8(&line[..digits]).map_err(|_| Broken::BadChunk)?;
    u64::from_str_radix(text, 16).map_err(|_| Broken::BadChunk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `pieces` one after the other; the body, and whether it came to its end.
    fn read(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool), Broken> {
        let (mut framing, mut buffer, mut body) = (Framing::chunked(), BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while let Some(data) = framing.take(&mut buffer)? {
                body.extend_from_slice(&data);
            }
        }
        Ok((body, framing.is_end()))
    }

    const BODY: &[u8] = b"5\r\nhello\r\n1;ext=\"a\"\r\n,\r\n6\r\n world\r\n0\r\nx-trailer: 1\r\n\r\n";

    #[test]
    fn chunks_are_read_wherever_they_are_cut() {
        assert_eq!(read(&[BODY]).unwrap(), (b"hello, world".to_vec(), true));
        for cut in 0..BODY.len() {
            assert_eq!(read(&[&BODY[..cut], &BODY[cut..]]).unwrap(), (b"hello, world".to_vec(), true), "{cut}");
        }
        let bytes: Vec<&[u8]> = BODY.chunks(1).collect();
        assert_eq!(read(&bytes).unwrap(), (b"hello, world".to_vec(), true));
        assert!(!read(&[&BODY[..BODY.len() - 2]]).unwrap().1);
    }

    #[test]
    fn broken_framing_is_refused() {
        let long = format!("5;{}\r\n", "x".repeat(2000));
        let table: [&[u8]; 8] = [
            b"xyz\r\n",
            b"\r\n",
            b"5\nhello\r\n",
            b"5\r\nhelloo\r\n",
            b"-5\r\nhello\r\n",
            b"5 5\r\nhello\r\n",
            b"ffffffffffffffff\r\n",
            long.as_bytes(),
        ];
        for body in table {
            assert!(read(&[body]).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_length_takes_no_byte_too_many() {
        let (mut framing, mut buffer) = (Framing::Length(3), BytesMut::from("abcdef"));
        assert_eq!(framing.take(&mut buffer).unwrap().unwrap(), "abc");
        assert!(framing.is_end());
        assert_eq!((framing.take(&mut buffer).unwrap(), &buffer[..]), (None, &b"def"[..]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b'5'), any::<u8>()], 0..200)) {
            let _ = read(&[&bytes]);
        }
    }
}
