//! Which process of this machine owns a socket: for rules by process.
//!
//! On Linux out of `/proc`: the socket's inode by its address, then the process that has it open. That takes milliseconds on
//! a machine with many processes, so it is asked only where a rule needs it. Processes of other users are found only by root;
//! the user of a socket is always known. Elsewhere nothing is found.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Who owns a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The path of the executable; `None` when the process belongs to somebody else, or has gone.
    pub path: Option<PathBuf>,
}

/// A kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Who owns the socket of this machine whose own end is `local`.
#[must_use]
pub fn owner(protocol: Protocol, local: SocketAddr) -> Option<Owner> {
    imp::owner(protocol, local)
}

#[cfg(target_os = "linux")]
mod imp {
    use std::fs::{self, File};
    use std::io::{BufRead as _, BufReader};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
    use std::path::{Path, PathBuf};

    use super::{Owner, Protocol};

    pub(super) fn owner(protocol: Protocol, local: SocketAddr) -> Option<Owner> {
        let tables = match protocol {
            Protocol::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
            Protocol::Udp => ["/proc/net/udp", "/proc/net/udp6"],
        };
        let found = tables.into_iter().find_map(|table| {
            let lines = BufReader::new(File::open(table).ok()?).lines().map_while(Result::ok).skip(1);
            find(lines, protocol, local)
        })?;
        Some(Owner { uid: found.uid, path: executable(found.inode) })
    }

    /// The first socket with this end that somebody has open. A connection that was closed goes on for a while without a
    /// process, a user or an inode, and another one may have the same end meanwhile.
    fn find(mut lines: impl Iterator<Item = String>, protocol: Protocol, local: SocketAddr) -> Option<Entry> {
        lines.find_map(|line| read(&line).filter(|entry| entry.inode != 0 && entry.is(protocol, local)))
    }

    /// A line of a table.
    #[derive(Debug, PartialEq, Eq)]
    struct Entry {
        local: SocketAddr,
        uid: u32,
        inode: u64,
    }

    impl Entry {
        fn is(&self, protocol: Protocol, local: SocketAddr) -> bool {
            let (own, ip) = (self.local.ip().to_canonical(), local.ip().to_canonical());
            // A socket for datagrams is seldom bound to an address.
            self.local.port() == local.port() && (own == ip || (protocol == Protocol::Udp && own.is_unspecified()))
        }
    }

    /// Reads `  0: 0100007F:1F90 …`, proc_net_tcp(5): addresses are words in the order of this machine's bytes.
    fn read(line: &str) -> Option<Entry> {
        let mut fields = line.split_ascii_whitespace();
        let (local, uid, inode) = (fields.nth(1)?, fields.nth(5)?, fields.nth(1)?);
        let (address, port) = local.split_once(':')?;
        let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
        let ip = match address.len() {
            8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
            32 => {
                let words = [word(0)?, word(8)?, word(16)?, word(24)?];
                let octets: [u8; 16] = words.concat().try_into().ok()?;
                IpAddr::V6(Ipv6Addr::from(octets))
            }
            _ => return None,
        };
        let port = u16::from_str_radix(port, 16).ok()?;
        Some(Entry { local: SocketAddr::new(ip, port), uid: uid.parse().ok()?, inode: inode.parse().ok()? })
    }

    /// The executable of the process that has this socket open.
    fn executable(inode: u64) -> Option<PathBuf> {
        let wanted = PathBuf::from(format!("socket:[{inode}]"));
        for process in fs::read_dir("/proc").ok()?.filter_map(Result::ok) {
            let path = process.path();
            let is_process = process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
            if is_process && has_open(&path, &wanted) {
                return fs::read_link(path.join("exe")).ok();
            }
        }
        None
    }

    fn has_open(process: &Path, wanted: &Path) -> bool {
        let Ok(open) = fs::read_dir(process.join("fd")) else { return false };
        open.filter_map(Result::ok).any(|file| fs::read_link(file.path()).is_ok_and(|link| link == wanted))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn lines_of_the_tables() {
            let line = "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0";
            let entry = Entry { local: "127.0.0.1:8080".parse().unwrap(), uid: 1000, inode: 4711 };
            assert_eq!(read(line), Some(entry));
            let line = "   0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 12 1";
            assert_eq!(read(line).unwrap().local.to_string(), "[::1]:80");
            for wrong in
                ["", "  sl  local_address rem_address", "0: 0100007F 0 0 0 0 0 0 0 0", "0: é100007F:50 0 0 0 0 0 1 0 2"]
            {
                assert_eq!(read(wrong), None, "{wrong}");
            }
        }

        #[test]
        fn a_connection_that_was_closed_is_nobody_s() {
            let closed =
                "0: 0100007F:1F90 0100007F:1234 06 00000000:00000000 03:0000176A 00000000     0        0 0 3 0";
            let open =
                "1: 0100007F:1F90 0100007F:2345 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0";
            let found = |lines: &[&str]| {
                let lines = lines.iter().map(ToString::to_string);
                find(lines, Protocol::Tcp, "127.0.0.1:8080".parse().unwrap()).map(|entry| entry.inode)
            };
            assert_eq!(found(&[closed, open]), Some(4711));
            assert_eq!(found(&[closed]), None);
        }

        #[test]
        fn our_own_sockets_are_found() {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let caller = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let own = std::env::current_exe().unwrap();
            let found = owner(Protocol::Tcp, caller.local_addr().unwrap()).unwrap();
            assert_eq!(found.path, Some(own.clone()));
            let datagrams = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            let local = SocketAddr::from((Ipv4Addr::LOCALHOST, datagrams.local_addr().unwrap().port()));
            assert_eq!(owner(Protocol::Udp, local).unwrap().path, Some(own));
            assert_eq!(owner(Protocol::Tcp, "192.0.2.1:1".parse().unwrap()), None);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::net::SocketAddr;

    use super::{Owner, Protocol};

    pub(super) fn owner(_: Protocol, _: SocketAddr) -> Option<Owner> {
        None
    }
}
