//! Files that are made here, byte by byte; real ones are read by `tests/rules/geodata.rs`.

use super::*;

fn geo_country(bytes: Vec<u8>) -> Geo {
    let mut geo = Geo::default();
    geo.set_countries(bytes).unwrap();
    geo
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn addresses_of_the_house_need_no_file() {
    let lan = Geo::default().country("lan", false).unwrap();
    for (text, fits) in [
        ("10.1.1.1", true),
        ("127.0.0.1", true),
        ("169.254.1.1", true),
        ("224.0.0.1", true),
        ("0.0.0.0", true),
        ("fd00::1", true),
        ("fe80::1", true),
        ("::1", true),
        ("100.64.0.1", false),
        ("198.18.0.1", false),
        ("255.255.255.255", false),
        ("2001:db8::1", false),
    ] {
        assert_eq!(lan.fits(address(text)), fits, "{text}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let geo = Geo::default();
    let told = [
        geo.site("cn", false).unwrap_err(),
        geo.country("cn", false).unwrap_err(),
        geo.asn("13335").unwrap_err(),
        geo.country("lan", true).unwrap_err(),
    ];
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    for (told, file) in told.iter().zip(["geosite.dat", "country.mmdb", "ASN.mmdb", "country.mmdb"]) {
        assert!(told.contains(file) && told.contains("folder of the configuration"), "{told}");
    }
}

/// A file in MaxMind's format: prefixes, written as IPv6 where the file is of version 6, with the place of their data.
fn mmdb(record: usize, version: u8, prefixes: &[(&str, u8, u32)], data: &[u8]) -> Vec<u8> {
    // A child is a node, nothing, or data.
    #[derive(Clone, Copy)]
    enum Child {
        Nothing,
        Node(usize),
        Data(u32),
    }
    let mut nodes = vec![[Child::Nothing; 2]];
    for (prefix, length, place) in prefixes {
        let bits = match address(prefix) {
            IpAddr::V4(four) => u128::from(four.to_bits()) << 96,
            IpAddr::V6(six) => six.to_bits(),
        };
        let mut node = 0;
        for bit in 0..*length {
            let side = (bits >> (127 - bit) & 1) as usize;
            if bit + 1 == *length {
                nodes[node][side] = Child::Data(*place);
            } else if let Child::Node(next) = nodes[node][side] {
                node = next;
            } else {
                nodes.push([Child::Nothing; 2]);
                nodes[node][side] = Child::Node(nodes.len() - 1);
                node = nodes.len() - 1;
            }
        }
    }
    let count = nodes.len() as u32;
    let number = |child: Child| match child {
        Child::Nothing => count,
        Child::Node(node) => node as u32,
        Child::Data(place) => count + 16 + place,
    };
    let mut file = Vec::new();
    for node in &nodes {
        let [left, right] = node.map(number).map(u32::to_be_bytes);
        match record {
            24 => file.extend([&left[1..], &right[1..]].concat()),
            28 => {
                file.extend(&left[1..]);
                file.push(left[0] << 4 | right[0]);
                file.extend(&right[1..]);
            }
            _ => file.extend([left, right].concat()),
        }
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    file.push(7 << 5 | 3);
    for (key, value) in [("node_count", count), ("record_size", record as u32), ("ip_version", version.into())] {
        file.extend(text(key));
        file.push(6 << 5 | 4);
        file.extend(value.to_be_bytes());
    }
    file
}

fn text(text: &str) -> Vec<u8> {
    [&[2 << 5 | text.len() as u8], text.as_bytes()].concat()
}

/// `{names: [{en: 1}, true], country: POINTER}` at 0, what the pointer leads to, and the data of other kinds of files.
fn data() -> (Vec<u8>, [u32; 4]) {
    let mut data = vec![7 << 5 | 2];
    data.extend(text("names"));
    // An array of two, whose type does not fit into three bits: a map and a boolean.
    data.extend([2, 4, 7 << 5 | 1]);
    data.extend(text("en"));
    data.extend([5 << 5 | 1, 1]);
    data.extend([1, 7]);
    data.extend(text("country"));
    let pointer = data.len();
    data.extend([1 << 5, 0]);
    data[pointer + 1] = data.len() as u8;
    data.push(7 << 5 | 2);
    data.extend(text("geoname_id"));
    data.extend([6 << 5 | 4, 0, 27, 183, 40]);
    data.extend(text("iso_code"));
    data.extend(text("CN"));
    let one = data.len() as u32;
    data.extend(text("us"));
    let several = data.len() as u32;
    data.extend([2, 4]);
    data.extend(text("jp"));
    data.extend(text("telegram"));
    let asn = data.len() as u32;
    data.push(7 << 5 | 1);
    data.extend(text("autonomous_system_number"));
    data.extend([6 << 5 | 2, 0x34, 0x17]);
    (data, [0, one, several, asn])
}

#[test]
fn maxminds_format_is_read_in_all_its_sizes() {
    let (data, [whole, one, several, asn]) = data();
    for record in [24, 28, 32] {
        let prefixes = [("::1.2.3.0", 120, whole), ("::8.0.0.0", 104, one), ("2001:db8::", 32, several)];
        let geo = geo_country(mmdb(record, 6, &prefixes, &data));
        for (country, text, fits) in [
            ("cn", "1.2.3.4", true),
            ("cn", "1.2.4.4", false),
            ("us", "8.8.8.8", true),
            ("us", "1.2.3.4", false),
            ("us", "::ffff:8.8.8.8", true),
            ("jp", "2001:db8::1", true),
            ("telegram", "2001:db8::1", true),
            ("cn", "2001:db8::1", false),
            ("cn", "::", false),
        ] {
            assert_eq!(geo.country(country, false).unwrap().fits(address(text)), fits, "{country} {text} {record}");
        }
        // With a file of countries there is no country of this name, as with mihomo.
        assert!(!geo.country("cn", true).unwrap().fits(address("8.8.8.8")));
        let mut geo = Geo::default();
        geo.set_asn(mmdb(record, 4, &[("1.0.0.0", 8, asn)], &data)).unwrap();
        assert!(geo.asn("13335").unwrap().fits(address("1.1.1.1")));
        assert!(!geo.asn("13335").unwrap().fits(address("2.1.1.1")));
        assert!(!geo.asn("13336").unwrap().fits(address("1.1.1.1")));
        assert!(!geo.asn("AS13335").unwrap().fits(address("1.1.1.1")));
        assert!(!geo.asn("13335").unwrap().fits(address("2001:db8::1")), "the file has no such addresses");
    }
}

#[test]
fn a_broken_file_of_countries_is_refused_or_says_no() {
    let (data, [whole, ..]) = data();
    let file = mmdb(24, 6, &[("::1.2.3.0", 120, whole)], &data);
    for length in 0..file.len() {
        let mut geo = Geo::default();
        assert!(geo.set_countries(file[..length].to_vec()).is_err(), "{length}");
    }
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..20_000 {
        let mut broken = file.clone();
        for _ in 0..3 {
            let place = random.usize(..broken.len());
            broken[place] = random.u8(..);
        }
        let mut geo = Geo::default();
        if geo.set_countries(broken).is_ok() {
            let _ = geo.country("cn", false).map(|country| country.fits(address("1.2.3.4")));
        }
    }
    // Data that leads to itself.
    let circle = [7 << 5 | 1, 1 << 5, 0];
    let geo = geo_country(mmdb(24, 6, &[("::", 96, 0)], &circle));
    assert!(!geo.country("cn", false).unwrap().fits(address("1.2.3.4")));
}

/// A field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 128 {
        field.push(length as u8 | 128);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend(bytes);
    field
}

#[test]
fn lists_of_addresses_are_read() {
    let range = |address: &[u8], length: u8| field(2, &[field(1, address), vec![2 << 3, length]].concat());
    let cn = [
        field(1, b"CN"),
        range(&[1, 2, 0, 0], 16),
        range(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 32),
    ];
    let not = [field(1, b"NOT-US"), range(&[8, 0, 0, 0], 8), vec![3 << 3, 1]];
    let file = [field(1, &cn.concat()), field(1, &not.concat())].concat();
    let geo = geo_country(file.clone());
    for (country, negated, text, fits) in [
        ("cn", false, "1.2.3.4", true),
        ("cn", false, "1.3.3.4", false),
        ("cn", false, "2001:db8:1::", true),
        ("cn", true, "1.2.3.4", false),
        ("cn", true, "8.8.8.8", true),
        ("not-us", false, "8.8.8.8", false),
        ("not-us", false, "9.8.8.8", true),
        ("not-us", true, "8.8.8.8", true),
    ] {
        assert_eq!(geo.country(country, negated).unwrap().fits(address(text)), fits, "{country} {negated} {text}");
    }
    assert_eq!(geo.country("cn", false).unwrap().size(), 2);
    assert_eq!(geo.country("zz", false).unwrap_err().to_string(), "list zz not found in geoip.dat");
    for length in 0..file.len() {
        let mut geo = Geo::default();
        if geo.set_countries(file[..length].to_vec()).is_ok() {
            assert!(geo.country("cn", false).is_ok(), "whole lists only: {length}");
        }
    }
}

#[test]
fn categories_of_sites_are_read_with_their_attributes() {
    let site = |kind: u8, value: &str, attributes: &[&str]| {
        let attributes = attributes.iter().map(|key| field(3, &[field(1, key.as_bytes()), vec![2 << 3, 1]].concat()));
        let all = [vec![1 << 3, kind], field(2, value.as_bytes())].into_iter().chain(attributes).collect::<Vec<_>>();
        field(2, &all.concat())
    };
    let sites = [
        field(1, b"GOOGLE"),
        site(2, "google.com", &[]),
        site(2, "google.cn", &["cn"]),
        site(3, "www.exact.com", &["cn", "ads"]),
        site(0, "keyword", &[]),
        site(1, "^r\\d+\\.net$", &[]),
    ];
    let bad = [field(1, b"BAD"), site(1, "(?!x)", &[])];
    let file = [field(1, &sites.concat()), field(1, &bad.concat())].concat();
    let mut geo = Geo::default();
    geo.set_sites(file).unwrap();
    for (category, host, fits) in [
        ("google", "google.com", true),
        ("google", "a.google.com", true),
        ("google", "agoogle.com", false),
        ("google", "www.exact.com", true),
        ("google", "a.www.exact.com", false),
        ("google", "my-keyword.org", true),
        ("google", "r12.net", true),
        ("google", "r.net", false),
        ("google@cn", "google.cn", true),
        ("google@cn", "google.com", false),
        ("google@cn@ads", "www.exact.com", true),
        ("google@cn@ads", "google.cn", false),
        ("google@", "google.com", true),
        ("google@zz", "google.com", false),
    ] {
        assert_eq!(geo.site(category, false).unwrap().fits(&Host::new(host)), fits, "{category} {host}");
        assert_eq!(geo.site(category, true).unwrap().fits(&Host::new(host)), !fits, "!{category} {host}");
    }
    assert_eq!(geo.site("google", false).unwrap().size(), 5);
    assert_eq!(geo.site("google@zz", false).unwrap().size(), 0);
    let told = |category: &str| geo.site(category, false).unwrap_err().to_string();
    assert_eq!(told("zz"), "list zz not found in geosite.dat");
    assert_eq!(told("@cn"), "empty listname in rule: @cn");
    assert_eq!(told("bad"), "geosite.dat cannot be read: an expression in it looks around, or is too big");
    // Two rules about one category share its names.
    let (one, other) = (geo.site("google", false).unwrap(), geo.site("google", true).unwrap());
    assert!(Arc::ptr_eq(&one.sites, &other.sites));
}
