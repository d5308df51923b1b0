//! Netlink, as far as a sample needs it: requests that answer with a list, and messages made of attributes
//! (netlink(7), Linux `Documentation/userspace-api/netlink/intro.rst`).
//!
//! By hand over `netlink-sys`, which has the system calls. `rtnetlink` and `wl-nl80211` were refused: they bring two
//! versions of `netlink-proto` and a task to drive each, and `netlink-packet-route` reads every attribute of every message
//! strictly, so that one that a newer kernel writes otherwise would cost the whole sample. Here what is not asked for is
//! passed over.

use std::io;
use std::time::Duration;

use netlink_sys::{Socket, SocketAddr};

/// The longest wait for the kernel, which answers in microseconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// The largest datagram that the kernel makes of a list is 32 KiB.
const BUFFER: usize = 64 * 1024;
/// How often a list is asked for again that changed while it was read.
const MOST_TRIES: usize = 3;

const HEADER: usize = 16;
const FLAG_REQUEST: u16 = 0x1;
const FLAG_ACK: u16 = 0x4;
const FLAG_DUMP: u16 = 0x300;
const FLAG_DUMP_INTERRUPTED: u16 = 0x10;
const KIND_ERROR: u16 = 2;
const KIND_DONE: u16 = 3;
const KIND_OVERRUN: u16 = 4;

/// The high bits of an attribute's type say how it is made, not what it is.
const KIND_MASK: u16 = 0x3fff;

/// Numbers as the kernel writes them, in the machine's own order; `None` when they are not there.
pub(super) fn u16_at(bytes: &[u8], place: usize) -> Option<u16> {
    bytes.get(place..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

/// As [`u16_at`].
pub(super) fn u32_at(bytes: &[u8], place: usize) -> Option<u32> {
    bytes.get(place..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

/// One message of a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    flags: u16,
    sequence: u32,
    pub(super) payload: &'a [u8],
}

/// The messages of a datagram; what is cut off at its end is left out.
pub(super) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = u32_at(datagram, 0)? as usize;
        let payload = datagram.get(HEADER..length)?;
        let (kind, flags, sequence) = (u16_at(datagram, 4)?, u16_at(datagram, 6)?, u32_at(datagram, 8)?);
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind, flags, sequence, payload })
    })
}

/// The attributes in `bytes`, each with its type; what is cut off at the end is left out.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let (kind, value) = (u16_at(bytes, 2)? & KIND_MASK, bytes.get(4..length)?);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The first attribute of this type.
pub(super) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// Text that ends with a zero byte.
pub(super) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// Adds an attribute to a request.
pub(super) fn push_attribute(request: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).expect("requests are small");
    request.extend_from_slice(&length.to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(value);
    request.resize(request.len().next_multiple_of(4), 0);
}

/// A socket to ask the kernel, of the network namespace in which it was opened.
pub(super) struct Netlink {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    pub(super) fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket2::SockRef::from(&socket).set_read_timeout(Some(PATIENCE))?;
        // Lets the kernel leave out what was not asked for; one that is too old to know it sends everything.
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(Self { socket, sequence: 0, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Asks for a list, of which `each` adds an entry to what was read so far. Reads it again when it changed meanwhile; after
    /// [`MOST_TRIES`] what was read last has to do.
    pub(super) fn list<T>(
        &mut self,
        kind: u16,
        request: &[u8],
        each: impl Fn(&mut Vec<T>, &[u8]),
    ) -> io::Result<Vec<T>> {
        let mut tries = 0;
        loop {
            let mut list = Vec::new();
            let is_whole = self.exchange(kind, FLAG_DUMP, request, |entry| each(&mut list, entry))?;
            tries += 1;
            if is_whole || tries == MOST_TRIES {
                return Ok(list);
            }
        }
    }

    /// Asks for one thing, the payload of which is given to `each`.
    pub(super) fn ask(&mut self, kind: u16, request: &[u8], each: impl FnMut(&[u8])) -> io::Result<()> {
        self.exchange(kind, FLAG_ACK, request, each).map(|_| ())
    }

    /// One request and all of its answer; whether the answer is of one moment.
    fn exchange(&mut self, kind: u16, flags: u16, request: &[u8], mut each: impl FnMut(&[u8])) -> io::Result<bool> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = Vec::with_capacity(HEADER + request.len());
        message.extend_from_slice(&u32::try_from(HEADER + request.len()).expect("requests are small").to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&(FLAG_REQUEST | flags).to_ne_bytes());
        message.extend_from_slice(&self.sequence.to_ne_bytes());
        message.extend_from_slice(&[0; 4]);
        message.extend_from_slice(request);
        self.socket.send_to(&message, &SocketAddr::new(0, 0), 0)?;
        let mut is_whole = true;
        loop {
            receive(&self.socket, &mut self.buffer)?;
            for message in messages(&self.buffer).filter(|message| message.sequence == self.sequence) {
                is_whole &= message.flags & FLAG_DUMP_INTERRUPTED == 0;
                match message.kind {
                    KIND_DONE | KIND_ERROR => {
                        match i32::from_ne_bytes(*message.payload.first_chunk().unwrap_or(&[0; 4])) {
                            0.. => return Ok(is_whole),
                            number => return Err(io::Error::from_raw_os_error(-number)),
                        }
                    }
                    KIND_OVERRUN => return Err(io::Error::other("the kernel lost a part of its answer")),
                    _ => each(message.payload),
                }
            }
        }
    }
}

/// Receives one datagram of the kernel into `buffer`; those of others are passed over.
pub(super) fn receive(socket: &Socket, buffer: &mut Vec<u8>) -> io::Result<()> {
    loop {
        buffer.clear();
        buffer.reserve(BUFFER);
        match socket.recv_from(buffer, libc::MSG_TRUNC) {
            Ok((length, _)) if length > buffer.len() => {
                return Err(io::Error::other(format!("the kernel sent {length} bytes at once")));
            }
            Ok((_, sender)) if sender.port_number() != 0 => {}
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_are_written() {
        let mut bytes = Vec::new();
        push_attribute(&mut bytes, 3, b"eth0\0");
        push_attribute(&mut bytes, 0x8000 | 18, &[1, 2, 3, 4]);
        push_attribute(&mut bytes, 7, &[]);
        assert_eq!(bytes.len(), 12 + 8 + 4);
        let read: Vec<(u16, &[u8])> = attributes(&bytes).collect();
        assert_eq!(read, [(3, &b"eth0\0"[..]), (18, &[1, 2, 3, 4]), (7, &[])]);
        assert_eq!(attribute(&bytes, 18), Some(&[1, 2, 3, 4][..]));
        assert_eq!(attribute(&bytes, 4), None);
        assert_eq!((text(b"eth0\0"), text(b"eth0"), text(b"")), ("eth0".into(), "eth0".into(), String::new()));
    }

    #[test]
    fn what_is_cut_off_is_left_out() {
        let mut bytes = Vec::new();
        push_attribute(&mut bytes, 1, &[1, 2, 3, 4]);
        push_attribute(&mut bytes, 2, &[5, 6, 7, 8]);
        for length in 0..bytes.len() {
            assert_eq!(attributes(&bytes[..length]).count(), length / 8);
        }
        // A length that is shorter than its own header ends the list, it does not turn in circles.
        assert_eq!(attributes(&[0, 0, 1, 0, 9, 9, 9, 9]).count(), 0);
        assert_eq!(attributes(&[3, 0, 1, 0, 9, 9, 9, 9]).count(), 0);
        let mut message = vec![0; 20];
        for length in [0_u32, 15, 21, u32::MAX] {
            message[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(messages(&message).count(), 0, "{length}");
        }
        message[..4].copy_from_slice(&18_u32.to_ne_bytes());
        assert_eq!(messages(&message).map(|message| message.payload.len()).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn the_kernel_says_why_it_refuses() {
        let mut netlink = Netlink::open(netlink_sys::protocols::NETLINK_ROUTE).expect("every Linux has it");
        let error = netlink.ask(9999, &[], |_| {}).expect_err("no such request");
        assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP));
        // And the socket goes on.
        let links = netlink.list(libc::RTM_GETLINK, &[0; 16], |list, entry| list.push(entry.len()));
        assert!(!links.expect("can be listed").is_empty());
    }
}
