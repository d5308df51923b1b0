//! What is made of what the kernel says.

use std::net::Ipv6Addr;

use super::*;
use crate::network::Mac;

fn link(index: u32, name: &str, hardware: u16, kind: &str) -> Link {
    Link { index, name: name.into(), hardware, kind: kind.into(), is_running: true }
}

fn nothing() -> Seen<'static> {
    Seen {
        addresses: HashMap::new(),
        gateways: Vec::new(),
        neighbours: HashMap::new(),
        radios: Ok(HashMap::new()),
        classes: Path::new("/nowhere"),
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

#[test]
fn links_are_what_they_say() {
    for (name, hardware, said, expected) in [
        ("lo", hardware::LOOPBACK, "", Kind::Loopback),
        ("enp3s0", hardware::ETHERNET, "", Kind::Ethernet),
        ("lan0", hardware::ETHERNET, "veth", Kind::Ethernet),
        ("eth0.5", hardware::ETHERNET, "vlan", Kind::Ethernet),
        ("bond0", hardware::ETHERNET, "bond", Kind::Ethernet),
        ("br0", hardware::ETHERNET, "bridge", Kind::Ethernet),
        ("wg0", hardware::NONE, "wireguard", Kind::Vpn),
        ("tun0", hardware::NONE, "tun", Kind::Vpn),
        ("tap0", hardware::ETHERNET, "tun", Kind::Other),
        ("ppp0", hardware::PPP, "ppp", Kind::Vpn),
        ("ipsec0", hardware::NONE, "xfrm", Kind::Vpn),
        ("wwan0", hardware::NONE, "wwan", Kind::Wwan),
        ("wwp0s20", hardware::ETHERNET, "", Kind::Wwan),
        ("wwp0s20", hardware::RAW_IP, "", Kind::Wwan),
        ("dummy0", hardware::ETHERNET, "dummy", Kind::Other),
        ("ifb0", hardware::ETHERNET, "ifb", Kind::Other),
        ("can0", 280, "", Kind::Other),
    ] {
        assert_eq!(kind(&link(1, name, hardware, said)), expected, "{name}");
    }
}

#[test]
fn links_that_are_down_or_of_containers_are_left_out() {
    let mut down = link(2, "eth1", hardware::ETHERNET, "");
    down.is_running = false;
    let links = vec![link(1, "eth0", hardware::ETHERNET, ""), down, link(3, "docker0", hardware::ETHERNET, "bridge")];
    let (interfaces, notes) = describe(links, &nothing());
    assert_eq!(interfaces, [Interface::new("eth0", Kind::Ethernet)]);
    assert_eq!(notes, []);
}

#[test]
fn the_gateway_is_the_one_that_is_used() {
    let gateway =
        |link, address: &str, metric| Gateway { link, address: ip(address), rank: (address.contains(':'), metric) };
    let mac = Mac([1, 2, 3, 4, 5, 6]);
    let seen = Seen {
        gateways: vec![
            gateway(1, "fe80::1", 100),
            gateway(1, "10.0.0.2", 600),
            gateway(1, "10.0.0.1", 100),
            gateway(1, "10.0.0.3", 100),
            gateway(2, "fe80::2", 1024),
        ],
        neighbours: HashMap::from([((1, ip("10.0.0.1")), mac), ((1, ip("fe80::2")), mac)]),
        addresses: HashMap::from([(
            1,
            vec![
                Range { address: ip("10.0.0.17"), length: 24 },
                Range { address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7).into(), length: 64 },
                Range { address: ip("2001:db8::17"), length: 64 },
            ],
        )]),
        ..nothing()
    };
    let links = vec![
        link(1, "eth0", hardware::ETHERNET, ""),
        link(2, "eth1", hardware::ETHERNET, ""),
        link(3, "wg0", hardware::NONE, "wireguard"),
    ];
    let (interfaces, notes) = describe(links, &seen);
    let shown = String::from_utf8(Sample { interfaces, ..Sample::default() }.body(None)).expect("is text");
    assert_eq!(
        shown,
        concat!(
            r#"{"version":1,"interfaces":[{"name":"eth0","iface_type":"ethernet","gateway_ip":"10.0.0.1","#,
            r#""gateway_mac":"01:02:03:04:05:06","subnets":["10.0.0.17/24","2001:db8::17/64"]},"#,
            r#"{"name":"eth1","iface_type":"ethernet","gateway_ip":"fe80::2"},{"name":"wg0","iface_type":"vpn"}]}"#
        )
    );
    assert_eq!(notes.iter().map(|note| (&*note.interface, note.field)).collect::<Vec<_>>(), [("eth1", "gateway_mac")]);
}

#[test]
fn a_radio_says_its_network_or_why_not() {
    let radio = |ssid: Option<&[u8]>, is_station| Radio { ssid: ssid.map(<[u8]>::to_vec), bssid: None, is_station };
    let bssid = Some(Mac([1, 2, 3, 4, 5, 6]));
    let radios = HashMap::from([
        (1, Radio { bssid, ..radio(Some(b"corp"), true) }),
        (2, Radio { bssid, ..radio(Some(b"\xff\xfe"), true) }),
        (3, radio(None, true)),
        (4, radio(None, false)),
        (5, radio(None, true)),
    ]);
    let mut links: Vec<Link> =
        (1..=5).map(|index| link(index, &format!("radio{index}"), hardware::ETHERNET, "")).collect();
    links[4].is_running = false;
    let (interfaces, notes) = describe(links, &Seen { radios: Ok(radios), ..nothing() });
    assert_eq!(interfaces.iter().map(|one| one.ssid.as_deref()).collect::<Vec<_>>(), [Some("corp"), None, None, None]);
    assert!(interfaces.iter().all(|one| one.iface_type == Kind::Wifi));
    assert_eq!(interfaces[0].bssid, bssid);
    let told: Vec<String> =
        notes.iter().map(|note| format!("{} {}: {}", note.interface, note.field, note.why)).collect();
    let because = |interface: &str, why: &str| {
        [("ssid", "SSID"), ("bssid", "BSSID")]
            .map(|(field, what)| format!("{interface} {field}: the {what} could not be read, because {why}"))
    };
    let mut expected = vec!["radio2 ssid: the SSID could not be read, because the name is no UTF-8".to_owned()];
    expected.extend(because("radio3", "the driver does not say it"));
    expected.extend(because("radio4", "the interface is no client of a wireless network"));
    expected.extend(because("radio5", "the interface is not connected"));
    assert_eq!(told, expected);
}

#[test]
fn without_nl80211_a_radio_is_known_by_sysfs() {
    let classes = tempfile::tempdir().expect("a folder");
    for folder in ["wlan0/wireless", "wlan1/phy80211", "eth0"] {
        std::fs::create_dir_all(classes.path().join(folder)).expect("can be made");
    }
    let seen = Seen { radios: Err(io::Error::from_raw_os_error(libc::ENOENT)), classes: classes.path(), ..nothing() };
    let (interfaces, notes) = describe(vec![link(1, "wlan0", hardware::ETHERNET, "")], &seen);
    assert_eq!(interfaces, [Interface::new("wlan0", Kind::Wifi)]);
    let why = "the SSID could not be read, because the kernel does not answer by nl80211: No such file or directory (os error 2)";
    assert_eq!((notes.len(), &*notes[0].why), (2, why));
    for (name, expected) in [("wlan0", true), ("wlan1", true), ("eth0", false), ("none", false), ("../wlan0", false)] {
        assert_eq!(has_radio(classes.path(), name), expected, "{name}");
    }
}
