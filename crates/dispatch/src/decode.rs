//! Undoes gzip when a provider compresses although it was asked not to. Other encodings are refused.

use std::io::Write;

use bytes::Bytes;
use flate2::write::GzDecoder;
use http::{HeaderMap, header};
use tradewind_core::{Fault, FaultKind};

/// Undoes the content encoding of one answer.
pub enum Decoder {
    /// Nothing to undo.
    Identity,
    /// gzip.
    Gzip(Box<GzDecoder<Bounded>>),
}

impl Decoder {
    /// The decoder that the headers of a response ask for. `limit` bounds what one chunk may grow to, in bytes.
    ///
    /// # Errors
    /// When the encoding is neither identity nor gzip.
    pub fn for_headers(headers: &HeaderMap, limit: usize) -> Result<Self, Fault> {
        let Some(encoding) = headers.get(header::CONTENT_ENCODING) else { return Ok(Self::Identity) };
        match encoding.as_bytes() {
            b"" | b"identity" => Ok(Self::Identity),
            b"gzip" | b"x-gzip" => Ok(Self::Gzip(Box::new(GzDecoder::new(Bounded { bytes: Vec::new(), limit })))),
            other => {
                let name = String::from_utf8_lossy(&other[..other.len().min(40)]).into_owned();
                let detail = format!("the answer is encoded as `{name}`, which was not asked for");
                Err(Fault::new(FaultKind::BadEncoding, detail))
            }
        }
    }

    /// Decodes one chunk.
    ///
    /// # Errors
    /// When it is not valid, or grows beyond the limit.
    pub fn push(&mut self, chunk: Bytes) -> Result<Bytes, Fault> {
        let Self::Gzip(decoder) = self else { return Ok(chunk) };
        let written = decoder.write_all(&chunk).and_then(|()| decoder.flush());
        if let Err(error) = written {
            if error.kind() == std::io::ErrorKind::FileTooLarge {
                return Err(Fault::new(FaultKind::TooLarge, format!("the gzip answer is a bomb: {error}")));
            }
            return Err(Fault::new(FaultKind::BadEncoding, format!("the answer is not valid gzip: {error}")));
        }
        Ok(Bytes::from(std::mem::take(&mut decoder.get_mut().bytes)))
    }

    /// The body has ended.
    ///
    /// # Errors
    /// When the encoding had not: the answer was cut.
    pub fn end(&mut self) -> Result<Bytes, Fault> {
        let Self::Gzip(decoder) = self else { return Ok(Bytes::new()) };
        match decoder.try_finish() {
            Ok(()) => Ok(Bytes::from(std::mem::take(&mut decoder.get_mut().bytes))),
            Err(error) => Err(Fault::new(FaultKind::BadEncoding, format!("the gzip answer was cut: {error}"))),
        }
    }
}

/// A buffer that refuses to grow beyond a limit between two looks at it.
pub struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            let message = format!("one chunk decodes to more than {} bytes", self.limit);
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::HeaderValue;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        Bytes::from(encoder.finish().unwrap())
    }

    fn decoder(limit: usize) -> Decoder {
        let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        Decoder::for_headers(&headers, limit).unwrap()
    }

    #[test]
    fn gzip_is_undone_chunk_by_chunk() {
        let packed = gzip(b"data: hello\n\ndata: world\n\n");
        let mut decoder = decoder(1024);
        let mut plain = Vec::new();
        for byte in packed {
            plain.extend_from_slice(&decoder.push(Bytes::from(vec![byte])).unwrap());
        }
        plain.extend_from_slice(&decoder.end().unwrap());
        assert_eq!(plain, b"data: hello\n\ndata: world\n\n");
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let fault = decoder(1000).push(gzip(&vec![b'a'; 1_000_000])).unwrap_err();
        assert_eq!(fault.kind, FaultKind::TooLarge);
    }

    #[test]
    fn nonsense_and_cuts_are_faults() {
        assert_eq!(
            decoder(1000).push(Bytes::from_static(b"not gzip at all")).unwrap_err().kind,
            FaultKind::BadEncoding
        );
        let packed = gzip(b"data: hello\n\n");
        let mut decoder = decoder(1000);
        decoder.push(packed.slice(..packed.len() - 9)).unwrap();
        assert_eq!(decoder.end().unwrap_err().kind, FaultKind::BadEncoding);
    }
}
