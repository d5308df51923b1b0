//! The bytes of an encrypted stream, without a connection: what goes out, and reading what comes.

use bytes::{Buf, BytesMut};
use tradewind_core::UnixMillis;

use super::cipher::{FrameCipher, RandomError, Secrets, TAG, random};
use crate::Destination;
use crate::outbound::socks5::write_address;

/// The most that one frame carries: SIP004 has a bound of 14 bits, 2022 one of 16. Smaller ones cost a little more and hold
/// less memory.
pub(super) const FRAME: usize = 0x3fff;
/// A length with its tag.
const LENGTH: usize = 2 + TAG;
/// Clocks may differ by so much: SIP022 §3.1.3.
const CLOCKS: u64 = 30;
/// The most padding of a first frame without content.
const PADDING: u16 = 900;

/// What went wrong with what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    /// The tag does not fit: a wrong password, or bytes of somebody else.
    #[error("what came is not of this key: is the password right?")]
    NotGenuine,
    /// 2022: the server's clock.
    #[error("its clock and ours differ by more than {CLOCKS} s")]
    Clock,
    /// 2022: an answer to another stream.
    #[error("it answers another request")]
    OtherRequest,
    /// 2022: not an answer.
    #[error("it is no answer")]
    NoAnswer,
    /// A frame of no length.
    #[error("it sent an empty frame")]
    Empty,
}

/// Encrypts what goes out.
pub(super) struct Sealer {
    cipher: FrameCipher,
    /// What has to go out first, until it has.
    begin: Option<Begin>,
}

/// The beginning of a stream.
struct Begin {
    salt: Vec<u8>,
    identity: Vec<u8>,
    address: Vec<u8>,
    /// Of 2022, in seconds.
    time: Option<u64>,
}

impl Sealer {
    /// A stream to `to`; and the salt of its request.
    pub(super) fn new(secrets: &Secrets, to: &Destination, now: UnixMillis) -> Result<(Self, Vec<u8>), RandomError> {
        let salt = secrets.new_salt()?;
        let cipher = secrets.frames(&salt);
        let (mut identity, mut address) = (Vec::new(), Vec::new());
        secrets.identity_headers(&salt, &mut identity);
        write_address(to, &mut address);
        let time = secrets.is_2022().then_some(now.0 / 1000);
        let begin = Begin { salt: salt.clone(), identity, address, time };
        Ok((Self { cipher, begin: Some(begin) }, salt))
    }

    /// Whether nothing has gone out.
    pub(super) const fn is_new(&self) -> bool {
        self.begin.is_some()
    }

    /// Puts the beginning of `payload`, or of the stream itself, encrypted into `out`; how much of it was taken.
    pub(super) fn seal(&mut self, payload: &[u8], out: &mut BytesMut) -> Result<usize, RandomError> {
        let Some(begin) = self.begin.take() else {
            let taken = payload.len().min(FRAME);
            self.frame(&payload[..taken], out);
            return Ok(taken);
        };
        out.extend_from_slice(&begin.salt);
        let Some(time) = begin.time else {
            let taken = payload.len().min(FRAME - begin.address.len());
            let first = [&begin.address, &payload[..taken]].concat();
            self.frame(&first, out);
            return Ok(taken);
        };
        out.extend_from_slice(&begin.identity);
        // SIP022 §3.1.3: where there is no content yet, padding stands in for it, so that its lack cannot be seen.
        let mut padding = Vec::new();
        if payload.is_empty() {
            let mut length = [0; 2];
            random(&mut length)?;
            padding.resize(usize::from(u16::from_be_bytes(length) % PADDING) + 1, 0);
        }
        let room = FRAME - begin.address.len() - 2 - padding.len();
        let taken = payload.len().min(room);
        let mut header = begin.address;
        header.extend_from_slice(&(padding.len() as u16).to_be_bytes());
        header.extend_from_slice(&padding);
        header.extend_from_slice(&payload[..taken]);
        let mut fixed = vec![0];
        fixed.extend_from_slice(&time.to_be_bytes());
        fixed.extend_from_slice(&(header.len() as u16).to_be_bytes());
        self.sealed(&fixed, out);
        self.sealed(&header, out);
        Ok(taken)
    }

    /// A frame with its length.
    fn frame(&mut self, payload: &[u8], out: &mut BytesMut) {
        self.sealed(&(payload.len() as u16).to_be_bytes(), out);
        self.sealed(payload, out);
    }

    fn sealed(&mut self, bytes: &[u8], out: &mut BytesMut) {
        let start = out.len();
        out.reserve(bytes.len() + TAG);
        out.extend_from_slice(bytes);
        out.extend_from_slice(&[0; TAG]);
        self.cipher.seal(&mut out[start..]);
    }
}

/// Decrypts what comes.
pub(super) struct Opener {
    state: State,
    /// Of the request, which an answer of 2022 repeats.
    request: Option<Vec<u8>>,
}

enum State {
    Salt,
    /// The first header of 2022.
    Header(FrameCipher),
    Length(FrameCipher),
    Payload(FrameCipher, usize),
    /// Something was wrong, and nothing is read any more.
    Broken,
}

impl Opener {
    /// For the answer to the request with this salt.
    pub(super) fn new(secrets: &Secrets, salt: Vec<u8>) -> Self {
        Self { state: State::Salt, request: secrets.is_2022().then_some(salt) }
    }

    /// Takes the next frame out of `buffer`; `None` when more has to come first. What is given is decrypted in place, and
    /// never empty.
    pub(super) fn take(
        &mut self,
        buffer: &mut BytesMut,
        secrets: &Secrets,
        now: UnixMillis,
    ) -> Result<Option<BytesMut>, FrameError> {
        loop {
            match std::mem::replace(&mut self.state, State::Broken) {
                State::Salt => {
                    if buffer.len() < secrets.salt() {
                        self.state = State::Salt;
                        return Ok(None);
                    }
                    let cipher = secrets.frames(&buffer.split_to(secrets.salt()));
                    self.state = if self.request.is_some() { State::Header(cipher) } else { State::Length(cipher) };
                }
                State::Header(mut cipher) => {
                    let request = self.request.as_deref().unwrap_or_default();
                    let length = 1 + 8 + request.len() + 2;
                    if buffer.len() < length + TAG {
                        self.state = State::Header(cipher);
                        return Ok(None);
                    }
                    let mut header = buffer.split_to(length + TAG);
                    if !cipher.open(&mut header) {
                        return Err(FrameError::NotGenuine);
                    }
                    let payload = check_header(&header[..length], request, now)?;
                    // A server that has nothing to say yet may begin with an empty frame: a tag alone.
                    self.state = State::Payload(cipher, payload);
                }
                State::Length(mut cipher) => {
                    if buffer.len() < LENGTH {
                        self.state = State::Length(cipher);
                        return Ok(None);
                    }
                    let mut length = buffer.split_to(LENGTH);
                    if !cipher.open(&mut length) {
                        return Err(FrameError::NotGenuine);
                    }
                    let length = usize::from(length.get_u16());
                    // SIP004 has two bits more for itself, which have to be zero.
                    if length == 0 || (self.request.is_none() && length > FRAME) {
                        return Err(FrameError::Empty);
                    }
                    self.state = State::Payload(cipher, length);
                }
                State::Payload(mut cipher, length) => {
                    if buffer.len() < length + TAG {
                        self.state = State::Payload(cipher, length);
                        return Ok(None);
                    }
                    let mut payload = buffer.split_to(length + TAG);
                    if !cipher.open(&mut payload) {
                        return Err(FrameError::NotGenuine);
                    }
                    payload.truncate(length);
                    self.state = State::Length(cipher);
                    if !payload.is_empty() {
                        return Ok(Some(payload));
                    }
                }
                State::Broken => return Err(FrameError::NotGenuine),
            }
        }
    }

    /// Whether the stream may end here: not inside a frame.
    pub(super) fn may_end(&self, buffer: &BytesMut) -> bool {
        buffer.is_empty() && matches!(self.state, State::Length(_))
    }

    /// Whether nothing has come of the answer.
    pub(super) fn is_new(&self, buffer: &BytesMut) -> bool {
        buffer.is_empty() && matches!(self.state, State::Salt)
    }
}

/// The first header of an answer of 2022: type, time, salt of the request, length of what follows.
fn check_header(mut header: &[u8], request: &[u8], now: UnixMillis) -> Result<usize, FrameError> {
    if header.get_u8() != 1 {
        return Err(FrameError::NoAnswer);
    }
    if header.get_u64().abs_diff(now.0 / 1000) > CLOCKS {
        return Err(FrameError::Clock);
    }
    let (salt, mut length) = header.split_at(request.len());
    if salt != request {
        return Err(FrameError::OtherRequest);
    }
    Ok(usize::from(length.get_u16()))
}

/// What was read of a stream, for the fuzz target and the replay of its seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamOutline {
    /// What was in its frames.
    pub content: Vec<u8>,
    /// Whether something was wrong.
    pub refused: bool,
}

/// Reads the answer of a server with the cipher and password of the test in the pieces in which it comes. Not for use outside
/// tests.
#[must_use]
pub fn outline_stream(cipher: &str, password: &str, pieces: &[&[u8]]) -> StreamOutline {
    let mut outline = StreamOutline::default();
    let Ok(secrets) = Secrets::new(cipher, password) else { return outline };
    let mut opener = Opener::new(&secrets, vec![0; secrets.salt()]);
    let mut buffer = BytesMut::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match opener.take(&mut buffer, &secrets, UnixMillis(0)) {
                Ok(Some(content)) => outline.content.extend_from_slice(&content),
                Ok(None) => break,
                Err(_) => {
                    outline.refused = true;
                    return outline;
                }
            }
        }
    }
    outline
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODw==";

    /// What a server would say: the same frames, made by the ciphers of a server.
    fn answer(cipher: &str, password: &str, frames: &[&[u8]], time: u64) -> Vec<u8> {
        let secrets = Secrets::new(cipher, password).unwrap();
        let salt = vec![9; secrets.salt()];
        let mut sealer = Sealer { cipher: secrets.frames(&salt), begin: None };
        let mut out = BytesMut::from(&salt[..]);
        let mut frames = frames.iter();
        if secrets.is_2022() {
            let first = frames.next().unwrap();
            let mut header = vec![1];
            header.extend_from_slice(&time.to_be_bytes());
            header.extend_from_slice(&vec![0; secrets.salt()]);
            header.extend_from_slice(&(first.len() as u16).to_be_bytes());
            sealer.sealed(&header, &mut out);
            sealer.sealed(first, &mut out);
        }
        for frame in frames {
            sealer.frame(frame, &mut out);
        }
        out.to_vec()
    }

    #[test]
    fn answers_are_read_wherever_they_are_cut() {
        for (cipher, password) in [("chacha20-ietf-poly1305", "x"), ("2022-blake3-aes-128-gcm", KEY)] {
            let bytes = answer(cipher, password, &[b"hello", b", ", b"world"], 12);
            let whole = StreamOutline { content: b"hello, world".to_vec(), refused: false };
            for cut in 0..=bytes.len() {
                assert_eq!(outline_stream(cipher, password, &[&bytes[..cut], &bytes[cut..]]), whole, "{cipher} {cut}");
            }
            for place in [0, bytes.len() / 2, bytes.len() - 1] {
                let mut wrong = bytes.clone();
                wrong[place] ^= 1;
                assert!(outline_stream(cipher, password, &[&wrong]).refused, "{cipher} {place}");
            }
        }
        let late = answer("2022-blake3-aes-128-gcm", KEY, &[b"x"], 31);
        assert!(outline_stream("2022-blake3-aes-128-gcm", KEY, &[&late]).refused);
        let empty_first = answer("2022-blake3-aes-128-gcm", KEY, &[b"", b"x"], 0);
        assert_eq!(outline_stream("2022-blake3-aes-128-gcm", KEY, &[&empty_first]).content, b"x");
        let empty = answer("aes-128-gcm", "x", &[b"a", b""], 0);
        assert!(outline_stream("aes-128-gcm", "x", &[&empty]).refused);
    }

    #[test]
    fn large_writes_are_cut_into_frames() {
        for (cipher, password) in [("aes-256-gcm", "x"), ("2022-blake3-aes-128-gcm", KEY)] {
            let secrets = Secrets::new(cipher, password).unwrap();
            let (mut sealer, salt) =
                Sealer::new(&secrets, &Destination::new("example.com", 443), UnixMillis(0)).unwrap();
            let payload = vec![1; 100_000];
            let mut out = BytesMut::new();
            let first = sealer.seal(&payload, &mut out).unwrap();
            assert!(first < FRAME && out.starts_with(&salt));
            assert_eq!(sealer.seal(&payload[first..], &mut BytesMut::new()).unwrap(), FRAME);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for (cipher, password) in [("aes-128-gcm", "x"), ("2022-blake3-aes-128-gcm", KEY)] {
                prop_assert_eq!(outline_stream(cipher, password, &[&bytes]).content, b"");
            }
        }
    }
}
