//! The sampler of Linux in network namespaces of its own, with real links, addresses, routes and neighbours. Needs root.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::future::Future;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tradewind_host::network::{Change, Changes, MOST_INTERFACES, Sample, Sampler, system};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// The hardware address of the other side of `lan0`.
const PEER_MAC: &str = "02:00:00:00:00:01";

/// Runs `test` on a thread in network and mount namespaces of its own, which go with it.
fn in_namespace(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            #[expect(unsafe_code, reason = "std has no namespaces")]
            // SAFETY: takes no memory, and concerns this thread only, on which nothing has happened yet.
            let left = unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) };
            assert_eq!(left, 0, "this test needs root, for namespaces: {}", std::io::Error::last_os_error());
            run("mount --make-rprivate /");
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Runs a command, which has to succeed, in the namespaces of this thread.
fn run(command: &str) {
    let mut words = command.split_ascii_whitespace();
    let done = Command::new(words.next().expect("a command")).args(words).output().expect("can be started");
    assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Another network namespace: the other side of the cables.
struct Peer(Child);

impl Peer {
    fn new() -> Self {
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo ready; exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is there");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("is piped")).read_line(&mut line).expect("can be read");
        assert_eq!(line, "ready\n", "this test needs root, for namespaces");
        Self(child)
    }

    /// A cable between `name` here and `peer` there, with these addresses, both up.
    fn cable(&self, name: &str, address: &str, peer: &str, peer_address: &str) {
        run(&format!("ip link add {name} type veth peer name {peer}"));
        run(&format!("ip link set {peer} netns {}", self.0.id()));
        self.run(&format!("ip link set {peer} address {PEER_MAC}"));
        self.run(&format!("ip addr add {peer_address} dev {peer}"));
        self.run(&format!("ip link set {peer} up"));
        run(&format!("ip addr add {address} dev {name}"));
        run(&format!("ip link set {name} up"));
    }

    fn run(&self, command: &str) {
        run(&format!("nsenter --target {} --net {command}", self.0.id()));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sample() -> Sample {
    system().expect("Linux has one").sample().expect("the kernel answers")
}

/// The interfaces of the body that would be pushed.
fn interfaces() -> Value {
    let body: Value = serde_json::from_slice(&sample().body(Some(60))).expect("is JSON");
    assert_eq!((&body["version"], &body["ttl"]), (&json!(1), &json!(60)));
    body["interfaces"].clone()
}

/// Waits until these interfaces are told of: a carrier takes the kernel a moment, after which it tells of the link again.
fn settle(names: &[&str]) {
    waiting(async {
        let mut changes = system().expect("Linux has one").changes().expect("the kernel tells");
        let wait = async {
            while names.iter().any(|name| interface(name).is_null()) {
                changes.next().await.expect("the kernel goes on telling");
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("not all of {names:?} came up"));
    });
}

/// The interface of this name, as it would be pushed; null when there is none.
fn interface(name: &str) -> Value {
    interfaces().as_array().expect("a list").iter().find(|one| one["name"] == name).cloned().unwrap_or_default()
}

fn gateway(name: &str) -> Option<String> {
    interface(name)["gateway_ip"].as_str().map(str::to_owned)
}

/// A file with this in it, which goes with the value.
fn file(content: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("can be made");
    file.write_all(content.as_bytes()).expect("can be written");
    file
}

#[test]
fn what_is_there_is_sampled() {
    in_namespace(|| {
        let file = file("search corp.example.com lan.\nnameserver 10.9.0.1\n");
        run(&format!("mount --bind {} /etc/resolv.conf", file.path().display()));
        assert_eq!(interfaces(), json!([]), "a new namespace has only a loopback, which is down");
        run("ip link set lo up");
        let peer = Peer::new();
        peer.cable("lan0", "10.9.0.17/24", "peer0", "10.9.0.1/24");
        run("ip addr add 2001:db8:9::17/64 dev lan0 nodad");
        run("ip route add default via 10.9.0.1");
        settle(&["lo", "lan0"]);

        let before = sample();
        let missing: Vec<_> = before.notes.iter().map(|note| (&*note.interface, note.field)).collect();
        assert_eq!(missing, [("lan0", "gateway_mac")], "nothing was sent to the gateway yet");
        // Refused by the gateway itself, so that its hardware address is known afterwards.
        let refused = TcpStream::connect_timeout(&([10, 9, 0, 1], 9).into(), PATIENCE).expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

        let after = sample();
        assert_eq!(after.notes, []);
        assert_eq!(after.dns_suffix, ["corp.example.com", "lan"]);
        let lan = json!({"name": "lan0", "iface_type": "ethernet", "gateway_ip": "10.9.0.1", "gateway_mac": PEER_MAC,
            "subnets": ["10.9.0.17/24", "2001:db8:9::17/64"]});
        let loopback = json!({"name": "lo", "iface_type": "loopback", "subnets": ["127.0.0.1/8", "::1/128"]});
        assert_eq!(interfaces(), json!([loopback, lan]));
    });
}

#[test]
fn each_interface_has_the_gateway_that_is_used_there() {
    in_namespace(|| {
        let peer = Peer::new();
        peer.cable("lan0", "10.9.0.17/24", "peer0", "10.9.0.1/24");
        peer.cable("lan1", "10.8.0.17/24", "peer1", "10.8.0.1/24");
        settle(&["lan0", "lan1"]);
        assert_eq!((gateway("lan0"), gateway("lan1")), (None, None));
        // Straight to the link, of another table, or into nothing: no gateway.
        run("ip route add default dev lan1 metric 5");
        run("ip route add default via 10.8.0.1 dev lan1 table 100");
        run("ip route add blackhole default metric 9000");
        run("ip route add 192.168.0.0/16 via 10.8.0.1");
        assert_eq!((gateway("lan0"), gateway("lan1")), (None, None));
        // The lowest metric.
        run("ip route add default via 10.9.0.3 dev lan0 metric 300");
        run("ip route add default via 10.9.0.2 dev lan0 metric 200");
        assert_eq!(gateway("lan0").as_deref(), Some("10.9.0.2"));
        run("ip route del default via 10.9.0.2");
        assert_eq!(gateway("lan0").as_deref(), Some("10.9.0.3"));
        // Several at once, each on its own interface.
        run("ip route add default metric 100 nexthop via 10.9.0.4 dev lan0 nexthop via 10.8.0.4 dev lan1");
        assert_eq!((gateway("lan0").as_deref(), gateway("lan1").as_deref()), (Some("10.9.0.4"), Some("10.8.0.4")));
        // IPv6 where there is no other one.
        run("ip route flush default");
        run("ip -6 route add default via fe80::1 dev lan1 metric 7");
        run("ip -6 route add default via fe80::2 dev lan0 metric 8");
        assert_eq!((gateway("lan0").as_deref(), gateway("lan1").as_deref()), (Some("fe80::2"), Some("fe80::1")));
        run("ip route add default via 10.9.0.1 dev lan0 metric 999");
        assert_eq!(gateway("lan0").as_deref(), Some("10.9.0.1"));
        // IPv4 by way of IPv6 is IPv4.
        run("ip route flush default");
        run("ip -4 route add default via inet6 fe80::5 dev lan0 metric 999");
        assert_eq!(gateway("lan0").as_deref(), Some("fe80::5"));
    });
}

/// Makes a tunnel that is there as long as the file is open.
fn tunnel(name: &str) -> File {
    /// `IFF_TUN | IFF_NO_PI`, and `TUNSETIFF` of linux/if_tun.h.
    const TUNNEL: libc::c_short = 0x0001 | 0x1000;
    const SET: libc::Ioctl = 0x4004_54ca;
    let file = File::options().read(true).write(true).open("/dev/net/tun").expect("the kernel has tunnels");
    #[expect(unsafe_code, reason = "std has no tunnels")]
    // SAFETY: all zeros is a request without a name, and the kernel reads and writes one request while it is borrowed.
    let made = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *place = byte.cast_signed();
        }
        request.ifr_ifru.ifru_flags = TUNNEL;
        libc::ioctl(file.as_raw_fd(), SET, &mut request)
    };
    assert_eq!(made, 0, "{}", std::io::Error::last_os_error());
    file
}

#[test]
fn interfaces_are_what_they_are() {
    in_namespace(|| {
        let _tunnel = tunnel("tun7");
        for command in [
            "ip addr add 100.64.0.2/32 dev tun7",
            "ip link set tun7 up",
            "ip link add br0 type bridge",
            "ip link add docker0 type bridge",
            "ip link add ifb7 type ifb",
            "ip link add vethabc type veth peer name eth7",
            "ip link add down0 type veth peer name down1",
            "ip link set ifb7 up",
            "ip link set vethabc up",
            "ip link set eth7 up",
            "ip link set down0 up",
        ] {
            run(command);
        }
        settle(&["tun7", "ifb7", "eth7"]);
        let seen = interfaces();
        let kinds: Vec<(&str, &str)> = (seen.as_array().expect("a list").iter())
            .map(|one| (one["name"].as_str().expect("a name"), one["iface_type"].as_str().expect("a type")))
            .collect();
        // Without a carrier: br0, down0. Of containers: docker0, vethabc.
        assert_eq!(kinds, [("tun7", "vpn"), ("ifb7", "other"), ("eth7", "ethernet")]);
        assert_eq!(interface("tun7")["subnets"], json!(["100.64.0.2/32"]));
    });
}

#[test]
fn of_many_interfaces_the_physical_ones_are_told() {
    in_namespace(|| {
        for number in 0..40 {
            run(&format!("ip link add ifb{number} type ifb"));
            run(&format!("ip link set ifb{number} up"));
        }
        let peer = Peer::new();
        peer.cable("lan0", "10.9.0.17/24", "peer0", "10.9.0.1/24");
        settle(&["lan0"]);
        let seen = sample().interfaces;
        assert_eq!(seen.len(), MOST_INTERFACES);
        assert!(seen.iter().any(|interface| interface.name == "lan0"));
    });
}

#[test]
fn what_cannot_be_read_is_an_error_and_never_an_empty_sample() {
    in_namespace(|| {
        // Memory at address 0, which cannot be read.
        run("mount --bind /proc/self/mem /etc/resolv.conf");
        let error = system().expect("Linux has one").sample().expect_err("the domains cannot be read").to_string();
        assert!(error.starts_with("could not read the domains of /etc/resolv.conf: "), "{error}");
    });
}

/// Runs `test` where changes can be waited for.
fn waiting<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("can be made");
    runtime.block_on(test)
}

/// Waits until a change is told that is `wanted`; others may come before.
async fn until(changes: &mut dyn Changes, wanted: &[Change]) -> Change {
    let wait = async {
        loop {
            let change = changes.next().await.expect("the kernel goes on telling");
            if wanted.contains(&change) {
                return change;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("nobody told of {wanted:?}"))
}

/// Takes what is told until nothing more is there.
async fn drain(changes: &mut dyn Changes) {
    while tokio::time::timeout(Duration::from_millis(300), changes.next()).await.is_ok() {}
}

#[test]
fn changes_are_told() {
    in_namespace(|| {
        waiting(async {
            let sampler: Box<dyn Sampler> = system().expect("Linux has one");
            let mut changes = sampler.changes().expect("the kernel tells");
            let peer = Peer::new();
            peer.cable("lan0", "10.9.0.17/24", "peer0", "10.9.0.1/24");
            until(&mut *changes, &[Change::Link]).await;
            until(&mut *changes, &[Change::Address]).await;
            for (command, wanted) in [
                ("ip addr add 10.7.0.17/24 dev lan0", Change::Address),
                ("ip addr del 10.7.0.17/24 dev lan0", Change::Address),
                ("ip addr add 2001:db8::17/64 dev lan0 nodad", Change::Address),
                ("ip route add default via 10.9.0.1", Change::Route),
                ("ip route del default via 10.9.0.1", Change::Route),
                ("ip -6 route add default via fe80::1 dev lan0", Change::Route),
                ("ip link set lan0 down", Change::Link),
                ("ip link set lan0 up", Change::Link),
                ("ip link del lan0", Change::Link),
            ] {
                drain(&mut *changes).await;
                run(command);
                until(&mut *changes, &[wanted]).await;
            }
            // What happens elsewhere is not told.
            drain(&mut *changes).await;
            peer.run("ip link set lo up");
            let silence = tokio::time::timeout(Duration::from_millis(300), changes.next()).await;
            assert!(silence.is_err(), "{silence:?}");
        });
    });
}

#[test]
fn changes_that_were_lost_are_told_as_any() {
    in_namespace(|| {
        waiting(async {
            let mut changes = system().expect("Linux has one").changes().expect("the kernel tells");
            run("ip link set lo up");
            let lines: String = (0..4000)
                .map(|number| format!("route add 10.{}.{}.0/24 dev lo\n", number / 250, number % 250))
                .collect();
            let batch = file(&lines);
            run(&format!("ip -batch {}", batch.path().display()));
            until(&mut *changes, &[Change::Any]).await;
            // And it goes on.
            drain(&mut *changes).await;
            run("ip addr add 10.99.0.1/24 dev lo");
            until(&mut *changes, &[Change::Address]).await;
        });
    });
}
