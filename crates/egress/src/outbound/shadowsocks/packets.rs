//! Encrypted datagrams: SIP004 and SIP022 §3.2, each on its own; the latter with a session, whose packets are counted.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use shadowsocks_crypto::CipherKind;
use shadowsocks_crypto::v1::Cipher;
use shadowsocks_crypto::v2::udp::UdpCipher;
use tradewind_core::UnixMillis;

use super::cipher::{Secrets, TAG, decrypt_block, encrypt_block, random};
use crate::Destination;
use crate::datagrams::{Carrier, LONGEST_DATAGRAM};
use crate::outbound::socks5::{Parsed, parse_address, write_address};
use crate::resolve::Resolver;

/// SIP022 §3.2.4.
const CLOCKS: u64 = 30;
/// The nonce of XChaCha20, which the datagrams of 2022 with ChaCha20 begin with.
const LONG_NONCE: usize = 24;
/// Session and number.
const HEAD: usize = 16;

/// Datagrams to and from one server.
pub(crate) struct Session {
    carrier: Carrier,
    secrets: Arc<Secrets>,
    clock: Arc<Resolver>,
    state: Mutex<State>,
}

/// The session of 2022.
#[derive(Default)]
struct State {
    /// Ours; none before the first datagram.
    own: Option<u64>,
    sent: u64,
    /// The server's, the present one and the one before.
    servers: [Option<Seen>; 2],
}

/// The packets of one session of the server that have been seen.
#[derive(Clone, Copy)]
struct Seen {
    session: u64,
    window: Window,
}

/// Which numbers have come: the highest, and those of the 64 up to it.
#[derive(Clone, Copy, Default)]
struct Window {
    highest: u64,
    /// Bit n: the number `highest - n` has come.
    bits: u64,
}

impl Window {
    /// Notes a number; whether it is new.
    fn note(&mut self, number: u64) -> bool {
        if self.bits == 0 || number > self.highest {
            let ahead = if self.bits == 0 { 64 } else { number - self.highest };
            self.bits = if ahead >= 64 { 1 } else { (self.bits << ahead) | 1 };
            self.highest = number;
            return true;
        }
        let behind = self.highest - number;
        let is_new = behind < 64 && self.bits & (1 << behind) == 0;
        if is_new {
            self.bits |= 1 << behind;
        }
        is_new
    }
}

impl Session {
    pub(super) fn new(carrier: Carrier, secrets: Arc<Secrets>, clock: Arc<Resolver>) -> Self {
        Self { carrier, secrets, clock, state: Mutex::default() }
    }

    pub(crate) async fn send_to(&self, to: &Destination, payload: &[u8]) -> io::Result<()> {
        let datagram = self.seal(to, payload)?;
        self.carrier.send(&datagram).await
    }

    /// The next genuine datagram; others are passed over, as anybody may send some.
    pub(crate) async fn recv_from(&self, payload: &mut [u8]) -> io::Result<(usize, Destination)> {
        let mut datagram = vec![0; LONGEST_DATAGRAM];
        loop {
            let received = self.carrier.recv(&mut datagram).await?;
            if let Some((from, content)) = self.open(&mut datagram[..received]) {
                let length = content.len().min(payload.len());
                payload[..length].copy_from_slice(&content[..length]);
                return Ok((length, from));
            }
        }
    }

    fn seal(&self, to: &Destination, payload: &[u8]) -> io::Result<Vec<u8>> {
        let secrets = &*self.secrets;
        if !secrets.is_2022() {
            let mut out = secrets.new_salt().map_err(io::Error::other)?;
            let mut cipher = Cipher::new(secrets.kind, secrets.own(), &out);
            let start = out.len();
            write_address(to, &mut out);
            out.extend_from_slice(payload);
            out.extend_from_slice(&[0; TAG]);
            cipher.encrypt_packet(&mut out[start..]);
            return Ok(out);
        }
        let (session, number) = self.next()?;
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&session.to_be_bytes());
        head[8..].copy_from_slice(&number.to_be_bytes());
        let mut body = vec![0];
        body.extend_from_slice(&(self.clock.wall().0 / 1000).to_be_bytes());
        body.extend_from_slice(&[0; 2]); // no padding
        write_address(to, &mut body);
        body.extend_from_slice(payload);
        body.extend_from_slice(&[0; TAG]);
        let cipher = UdpCipher::new(secrets.kind, secrets.own(), session);
        if is_chacha(secrets) {
            let mut nonce = [0; LONG_NONCE];
            random(&mut nonce).map_err(io::Error::other)?;
            let mut sealed = [&head[..], &body].concat();
            cipher.encrypt_packet(&nonce, &mut sealed);
            return Ok([&nonce[..], &sealed].concat());
        }
        cipher.encrypt_packet(&head[4..], &mut body);
        let mut identity = Vec::new();
        secrets.datagram_identity_headers(&head, &mut identity);
        encrypt_block(secrets.first(), &mut head);
        Ok([&head[..], &identity, &body].concat())
    }

    /// Our session, and the number of its next packet.
    fn next(&self) -> io::Result<(u64, u64)> {
        let mut state = self.state.lock();
        let session = match state.own {
            Some(session) => session,
            None => {
                let mut bytes = [0; 8];
                random(&mut bytes).map_err(io::Error::other)?;
                *state.own.insert(u64::from_be_bytes(bytes))
            }
        };
        let number = state.sent;
        state.sent += 1;
        Ok((session, number))
    }

    /// Sender and content of a genuine datagram that has not come before.
    fn open<'a>(&self, datagram: &'a mut [u8]) -> Option<(Destination, &'a [u8])> {
        let secrets = &*self.secrets;
        if secrets.is_2022() {
            return self.open_2022(datagram);
        }
        let (salt, body) = datagram.split_at_mut_checked(secrets.salt())?;
        if body.len() < TAG || !Cipher::new(secrets.kind, secrets.own(), salt).decrypt_packet(body) {
            return None;
        }
        let content = &body[..body.len() - TAG];
        addressed(content)
    }

    fn open_2022<'a>(&self, datagram: &'a mut [u8]) -> Option<(Destination, &'a [u8])> {
        let secrets = &*self.secrets;
        let mut head = [0; HEAD];
        let body = if is_chacha(secrets) {
            let (nonce, sealed) = datagram.split_at_mut_checked(LONG_NONCE)?;
            if sealed.len() < HEAD + TAG
                || !UdpCipher::new(secrets.kind, secrets.own(), 0).decrypt_packet(nonce, sealed)
            {
                return None;
            }
            let (plain, body) = sealed.split_at(HEAD);
            head.copy_from_slice(plain);
            body
        } else {
            let (sealed_head, body) = datagram.split_at_mut_checked(HEAD)?;
            head.copy_from_slice(sealed_head);
            // The server answers with the user's own key.
            decrypt_block(secrets.own(), &mut head);
            let session = u64::from_be_bytes(head[..8].try_into().ok()?);
            if body.len() < TAG
                || !UdpCipher::new(secrets.kind, secrets.own(), session).decrypt_packet(&head[4..], body)
            {
                return None;
            }
            &*body
        };
        let content = checked(&body[..body.len() - TAG], self.state.lock().own?, self.clock.wall())?;
        let session = u64::from_be_bytes(head[..8].try_into().ok()?);
        let number = u64::from_be_bytes(head[8..].try_into().ok()?);
        self.is_new(session, number).then(|| addressed(content)).flatten()
    }

    /// Notes a packet of the server; false when it has come before, or is of a session that is over.
    fn is_new(&self, session: u64, number: u64) -> bool {
        let mut state = self.state.lock();
        if let Some(seen) = state.servers.iter_mut().flatten().find(|seen| seen.session == session) {
            return seen.window.note(number);
        }
        let mut window = Window::default();
        window.note(number);
        state.servers = [Some(Seen { session, window }), state.servers[0]];
        true
    }
}

fn is_chacha(secrets: &Secrets) -> bool {
    matches!(secrets.kind, CipherKind::AEAD2022_BLAKE3_CHACHA20_POLY1305)
}

/// The body of an answer of 2022 without what is before the address: type, time, our session, padding.
fn checked(body: &[u8], session: u64, now: UnixMillis) -> Option<&[u8]> {
    let (fixed, rest) = body.split_at_checked(1 + 8 + 8 + 2)?;
    let time = u64::from_be_bytes(fixed[1..9].try_into().ok()?);
    let named = u64::from_be_bytes(fixed[9..17].try_into().ok()?);
    let padding = usize::from(u16::from_be_bytes([fixed[17], fixed[18]]));
    let is_ours = fixed[0] == 1 && named == session && time.abs_diff(now.0 / 1000) <= CLOCKS;
    is_ours.then(|| rest.get(padding..)).flatten()
}

/// An address, and what follows it.
fn addressed(content: &[u8]) -> Option<(Destination, &[u8])> {
    match parse_address(content) {
        Ok(Parsed::Done(from, length)) => Some((from, &content[length..])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_taken_once() {
        let mut window = Window::default();
        let noted = [0, 0, 5, 3, 3, 5, 70, 6, 7, 69, 69, 5, u64::MAX, u64::MAX, 71].map(|number| window.note(number));
        assert_eq!(
            noted,
            [true, false, true, true, false, false, true, false, true, true, false, false, true, false, false]
        );
    }

    #[test]
    fn a_body_of_another_session_or_time_is_passed_over() {
        let body = |kind: u8, time: u64, session: u64, padding: u16| {
            let mut body = vec![kind];
            body.extend_from_slice(&time.to_be_bytes());
            body.extend_from_slice(&session.to_be_bytes());
            body.extend_from_slice(&padding.to_be_bytes());
            body.extend_from_slice(b"__rest");
            body
        };
        let now = UnixMillis(100_000);
        assert_eq!(checked(&body(1, 100, 7, 2), 7, now), Some(&b"rest"[..]));
        assert_eq!(checked(&body(1, 130, 7, 0), 7, now), Some(&b"__rest"[..]));
        for wrong in [body(0, 100, 7, 0), body(1, 131, 7, 0), body(1, 100, 8, 0), body(1, 100, 7, 7)] {
            assert_eq!(checked(&wrong, 7, now), None);
        }
        assert_eq!(checked(&[1; 18], 7, now), None);
    }
}
