//! How name servers are written.

use super::*;

fn read(text: &str) -> String {
    match nameserver(text) {
        Ok(Read { server, ignored }) => {
            format!("{server:?}{}", ignored.map(|text| format!(" #{text}")).unwrap_or_default())
        }
        Err(Flaw::NotBuilt(scheme)) => format!("not built {scheme}"),
        Err(Flaw::Scheme(scheme)) => format!("scheme {scheme}"),
        Err(Flaw::Format) => "format".to_owned(),
    }
}

#[test]
fn name_servers_are_read_as_mihomo_writes_them() {
    for (text, server) in [
        ("8.8.8.8", "Udp(\"8.8.8.8\", 53)"),
        ("8.8.8.8:5353", "Udp(\"8.8.8.8\", 5353)"),
        ("::1", "Udp(\"::1\", 53)"),
        ("[::1]:54", "Udp(\"::1\", 54)"),
        ("[::1]", "Udp(\"::1\", 53)"),
        ("udp://dns.example.com", "Udp(\"dns.example.com\", 53)"),
        ("tcp://8.8.8.8", "Tcp(\"8.8.8.8\", 53)"),
        ("TLS://dns.google", "Tls(\"dns.google\", 853)"),
        ("tls://dns.google:8853/", "Tls(\"dns.google\", 8853)"),
        ("https://dns.google/dns-query", "Https(\"https://dns.google/dns-query\")"),
        ("https://1.1.1.1/dns-query#way&h3=true", "Https(\"https://1.1.1.1/dns-query\") #way&h3=true"),
        ("system", "System"),
        ("system://", "System"),
        ("quic://dns.adguard.com:784", "not built quic"),
        ("dhcp://eth0", "not built dhcp"),
        ("rcode://success", "not built rcode"),
        ("ftp://x", "scheme ftp"),
        ("8.8.8.8:abc", "format"),
        ("8.8.8.8:99999", "format"),
        ("", "format"),
        ("a b", "format"),
        ("tls://", "format"),
        ("https://", "format"),
        ("https:///dns-query", "format"),
        ("https://me:pw@dns.google/", "format"),
        ("https://dns.google:x/", "format"),
    ] {
        assert_eq!(read(text), server, "{text}");
    }
}

#[test]
fn addresses_are_told_from_names() {
    for (text, is) in [
        ("8.8.8.8", true),
        ("dns.google", false),
        ("system", true),
        ("tls://[::1]:853", true),
        ("https://1.1.1.1/dns-query", true),
        ("https://[::1]/dns-query", true),
        ("https://dns.google/dns-query", false),
    ] {
        let Ok(read) = nameserver(text) else { panic!("{text}") };
        assert_eq!(is_address(&read.server), is, "{text}");
    }
}
