//! Questions to the name servers of resolv.conf, one by one: the system's answer may come from elsewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::net::UdpSocket;
use tradewind_runtime::files;

/// The most name servers that count, as in the resolver of libc and in Go.
const MOST_SERVERS: usize = 3;
/// Where they stand.
pub(crate) const RESOLV_CONF: &str = "/etc/resolv.conf";
const MOST_BYTES: u64 = 64 << 10;

/// What a name server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// These addresses.
    Addresses(Vec<IpAddr>),
    /// There is no such name, or it has no address.
    NoSuchName,
    /// It does not want to, or cannot: the code (RFC 1035, section 4.1.1).
    Failed(u8),
    /// Nothing, within the limit.
    Nothing,
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Addresses(addresses) => {
                let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                f.write_str(&all.join(", "))
            }
            Self::NoSuchName => f.write_str("no such name"),
            Self::Failed(5) => f.write_str("it refuses to answer"),
            Self::Failed(code) => write!(f, "it fails (code {code})"),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

/// The name servers of this machine.
pub(crate) fn servers() -> Vec<IpAddr> {
    files::read_text(Path::new(RESOLV_CONF), MOST_BYTES).map(|text| servers_in(&text)).unwrap_or_default()
}

fn servers_in(text: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split(['#', ';']).next().unwrap_or_default());
    let servers = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let server = (words.next() == Some("nameserver")).then(|| words.next())??;
        server.split('%').next()?.parse().ok()
    });
    servers.take(MOST_SERVERS).collect()
}

/// Asks `server` for the IPv4 addresses of `name`, over UDP.
pub(crate) async fn ask(server: IpAddr, name: &str, limit: Duration) -> Said {
    ask_at(SocketAddr::new(server, 53), name, limit).await
}

async fn ask_at(server: SocketAddr, name: &str, limit: Duration) -> Said {
    // The number only tells answers of one socket apart, which has one question.
    const ID: u16 = 0x7477;
    let Some(question) = question(ID, name) else { return Said::NoSuchName };
    let asked = tokio::time::timeout(limit, async {
        let own: SocketAddr =
            if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let socket = UdpSocket::bind(own).await.ok()?;
        socket.connect(server).await.ok()?;
        socket.send(&question).await.ok()?;
        let mut packet = [0; 4096];
        loop {
            let length = socket.recv(&mut packet).await.ok()?;
            if let Some(said) = answer(ID, &packet[..length]) {
                return Some(said);
            }
        }
    });
    asked.await.ok().flatten().unwrap_or(Said::Nothing)
}

/// A question for the IPv4 addresses of `name`; `None` when that is no name.
fn question(id: u16, name: &str) -> Option<Vec<u8>> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend_from_slice(&[0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        packet.push(length);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    (packet.len() <= 12 + 255 + 4).then_some(packet)
}

/// What `packet` answers; `None` when it is no answer to the question.
fn answer(id: u16, packet: &[u8]) -> Option<Said> {
    let number = |place: usize| Some(u16::from_be_bytes([*packet.get(place)?, *packet.get(place + 1)?]));
    if number(0)? != id || packet.get(2)? & 0x80 == 0 {
        return None;
    }
    match packet.get(3)? & 0x0f {
        0 => {}
        3 => return Some(Said::NoSuchName),
        code => return Some(Said::Failed(code)),
    }
    let (questions, answers) = (number(4)?, number(6)?);
    let mut place = 12;
    for _ in 0..questions {
        place = after_name(packet, place)? + 4;
    }
    let mut addresses = Vec::new();
    for _ in 0..answers {
        place = after_name(packet, place)?;
        let (kind, length) = (number(place)?, usize::from(number(place + 8)?));
        let data = packet.get(place + 10..place + 10 + length)?;
        if let (1, [a, b, c, d]) = (kind, data) {
            addresses.push(IpAddr::from([*a, *b, *c, *d]));
        }
        place += 10 + length;
    }
    Some(if addresses.is_empty() { Said::NoSuchName } else { Said::Addresses(addresses) })
}

/// Where what follows a name begins. Names end at a pointer, which is not followed.
fn after_name(packet: &[u8], mut place: usize) -> Option<usize> {
    loop {
        match *packet.get(place)? {
            0 => return Some(place + 1),
            length if length & 0xc0 == 0xc0 => return Some(place + 2),
            length => place += usize::from(length) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn servers_are_those_of_the_file() {
        let text = "# nameserver 9.9.9.9\nsearch corp\nnameserver 10.0.0.1\nnameserver fe80::1%eth0 ; x\noptions ndots:1\n\
                    nameserver 10.0.0.2\nnameserver 10.0.0.3\n";
        let expected: Vec<IpAddr> = ["10.0.0.1", "fe80::1", "10.0.0.2"].map(|text| text.parse().unwrap()).to_vec();
        assert_eq!(servers_in(text), expected);
        assert!(servers_in("nameserver\nnameserver x").is_empty());
    }

    /// An answer with these records behind the question.
    fn reply(question: &[u8], code: u8, addresses: &[[u8; 4]]) -> Vec<u8> {
        let mut packet = question.to_vec();
        packet[2] |= 0x80;
        packet[3] = code;
        packet[7] = u8::try_from(addresses.len()).unwrap();
        for address in addresses {
            packet.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            packet.extend_from_slice(address);
        }
        packet
    }

    #[tokio::test]
    async fn servers_are_asked() {
        for (code, addresses, expected) in [
            (0, vec![[10, 1, 2, 3], [10, 1, 2, 4]], "10.1.2.3, 10.1.2.4"),
            (0, vec![], "no such name"),
            (3, vec![], "no such name"),
            (2, vec![], "it fails (code 2)"),
            (5, vec![], "it refuses to answer"),
        ] {
            let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let place = server.local_addr().unwrap();
            let serve = async {
                let mut packet = [0; 512];
                let (length, from) = server.recv_from(&mut packet).await.unwrap();
                server.send_to(b"noise", from).await.unwrap();
                server.send_to(&reply(&packet[..length], code, &addresses), from).await.unwrap();
            };
            let (said, ()) = tokio::join!(ask_at(place, "proxy.example.com", Duration::from_secs(5)), serve);
            assert_eq!(said.to_string(), expected);
        }
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let said = ask_at(silent.local_addr().unwrap(), "a.example.com", Duration::from_millis(50)).await;
        assert_eq!(said, Said::Nothing);
        assert_eq!(ask_at(silent.local_addr().unwrap(), "a..b", Duration::from_secs(5)).await, Said::NoSuchName);
    }

    proptest! {
        #[test]
        fn no_packet_is_too_strange(
            name in "[a-z.]{1,30}", place in 0_usize..80, byte: u8, noise in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            if let Some(question) = question(1, &name) {
                let mut packet = reply(&question, 0, &[[1, 2, 3, 4]]);
                let place = place % packet.len();
                packet[place] = byte;
                let _ = answer(1, &packet);
            }
            let _ = answer(0, &noise);
        }
    }
}
