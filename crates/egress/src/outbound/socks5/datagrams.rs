//! Datagrams through a SOCKS5 proxy: RFC 1928 §7. The association ends with the stream that it was asked for on.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;

use super::wire::{Parsed, parse_address, write_address};
use crate::datagrams::{Carrier, LONGEST_DATAGRAM};
use crate::{Destination, Stream};

/// An association for datagrams.
pub(crate) struct Association {
    /// Nothing is ever said on it; its end is the association's.
    control: Mutex<Stream>,
    carrier: Carrier,
    label: Arc<str>,
}

impl Association {
    pub(crate) fn new(control: Stream, carrier: Carrier, label: Arc<str>) -> Self {
        Self { control: Mutex::new(control), carrier, label }
    }

    pub(crate) async fn send_to(&self, to: &Destination, payload: &[u8]) -> io::Result<()> {
        let mut datagram = Vec::with_capacity(payload.len() + 24);
        datagram.extend_from_slice(&[0, 0, 0]);
        write_address(to, &mut datagram);
        datagram.extend_from_slice(payload);
        self.carrier.send(&datagram).await
    }

    /// The next datagram that can be read; others are passed over, as their sender may be anybody.
    pub(crate) async fn recv_from(&self, payload: &mut [u8]) -> io::Result<(usize, Destination)> {
        let mut datagram = vec![0; LONGEST_DATAGRAM];
        loop {
            let received = tokio::select! {
                received = self.carrier.recv(&mut datagram) => received?,
                () = self.ended() => {
                    let what = format!("{} has ended the association", self.label);
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, what));
                }
            };
            if let Some((from, data)) = parse(&datagram[..received]) {
                let length = data.len().min(payload.len());
                payload[..length].copy_from_slice(&data[..length]);
                return Ok((length, from));
            }
        }
    }

    async fn ended(&self) {
        let mut control = self.control.lock().await;
        let mut byte = [0];
        // What a proxy says here means nothing.
        while matches!(control.read(&mut byte).await, Ok(1..)) {}
    }
}

/// Sender and content of a datagram; fragments are passed over, which RFC 1928 §7 allows.
fn parse(datagram: &[u8]) -> Option<(Destination, &[u8])> {
    let [0, 0, 0, rest @ ..] = datagram else { return None };
    match parse_address(rest) {
        Ok(Parsed::Done(from, length)) => Some((from, &rest[length..])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_of_the_proxy_are_read_and_others_passed_over() {
        let whole = [0, 0, 0, 1, 192, 0, 2, 7, 0, 53, b'h', b'i'];
        let (from, data) = parse(&whole).unwrap();
        assert_eq!((from.to_string().as_str(), data), ("192.0.2.7:53", &b"hi"[..]));
        let fragment = [0, 0, 1, 1, 192, 0, 2, 7, 0, 53, b'h', b'i'];
        assert_eq!(parse(&fragment), None);
        for cut in 0..10 {
            assert_eq!(parse(&whole[..cut]), None);
        }
    }
}
