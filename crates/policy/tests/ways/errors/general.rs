//! The keys at the top of the document. Each with its place, code, path, message and hint.

use super::check;

#[test]
fn top_level_keys_are_checked() {
    for (text, refusals) in [
        (
            "mode: foo\n",
            &["1:7 TW4003 mode: invalid mode: expected one of rule, global, direct, found the text `foo`"][..],
        ),
        (
            "mode: script\n",
            &["1:7 TW4003 mode: invalid mode: expected one of rule, global, direct, found the text `script`"][..],
        ),
        ("port: abc\n", &["1:7 TW4003 port: expected a whole number from 0 to 65535, found the text `abc`"][..]),
        (
            "mixed-port: 70000\n",
            &["1:13 TW4003 mixed-port: expected a whole number from 0 to 65535, found the number 70000"][..],
        ),
        ("allow-lan: maybe\n", &["1:12 TW4003 allow-lan: expected true or false, found the text `maybe`"][..]),
        (
            "bind-address: foo\n",
            &["1:15 TW4003 bind-address: expected an IP address, found the text `foo` (* for all addresses)"][..],
        ),
        ("authentication: [a]\n", &["1:18 TW4003 authentication[0]: a user is written name:password"][..]),
        ("authentication: [\":b\"]\n", &["1:18 TW4003 authentication[0]: the user name is empty"][..]),
        ("authentication: [\"a:b\", \"a:c\"]\n", &["1:25 TW4003 authentication[1]: this user is there already"][..]),
        ("authentication: a\n", &["1:17 TW4003 authentication: expected a list, found text"][..]),
        (
            "skip-auth-prefixes: [127.0.0.1]\n",
            &[
                "1:22 TW4003 skip-auth-prefixes[0]: not a range of IP addresses such as 10.0.0.0/24 (write a single address as 192.0.2.1/32)",
            ][..],
        ),
        (
            "lan-allowed-ips: [foo]\n",
            &[
                "1:19 TW4003 lan-allowed-ips[0]: not a range of IP addresses such as 10.0.0.0/24 (write a single address as 192.0.2.1/32)",
            ][..],
        ),
        ("ipv6: maybe\n", &["1:7 TW4003 ipv6: expected true or false, found the text `maybe`"][..]),
        (
            "external-controller: foo\n",
            &[
                "1:22 TW4003 external-controller: expected an address and a port, found the text `foo` (like 127.0.0.1:9090, or :9090 for all addresses)",
            ][..],
        ),
        (
            "external-controller: 9090\n",
            &[
                "1:22 TW4003 external-controller: expected an address and a port, found the number 9090 (like 127.0.0.1:9090, or :9090 for all addresses)",
            ][..],
        ),
        (
            "external-controller: 127.0.0.1\n",
            &[
                "1:22 TW4003 external-controller: expected an address and a port, found the text `127.0.0.1` (like 127.0.0.1:9090, or :9090 for all addresses)",
            ][..],
        ),
        (
            "external-controller: 127.0.0.1:1\nexternal-ui: ../x\n",
            &[
                "2:14 TW4003 external-ui: external-ui: path is not subpath of home directory (a path below the directory of the configuration, without ..)",
            ][..],
        ),
        (
            "external-controller-cors: {allow-origin: [\"*\"]}\n",
            &[
                "1:28 TW4002 external-controller-cors.allow-origin: unknown key `allow-origin` (did you mean `allow-origins`?)",
            ][..],
        ),
        (
            "profile: {store-selection: false}\n",
            &["1:11 TW4002 profile.store-selection: unknown key `store-selection` (did you mean `store-selected`?)"][..],
        ),
        (
            "hosts: {a.com: foo bar}\n",
            &["1:16 TW4003 hosts.a.com: expected an IP address, or a list of them, found the text `foo bar`"][..],
        ),
        (
            "hosts: {a.com: [1.2.3.4, b.com]}\n",
            &["1:16 TW4003 hosts.a.com: expected an IP address, or a list of them, found a list"][..],
        ),
        (
            "hosts: {a.com: 1}\n",
            &["1:16 TW4003 hosts.a.com: expected an IP address, or a list of them, found the number 1"][..],
        ),
        (
            "hosts: {a.com: []}\n",
            &["1:16 TW4003 hosts.a.com: expected an IP address, or a list of them, found a list"][..],
        ),
        (
            "hosts: {a.com: ~}\n",
            &["1:9 TW4003 hosts.a.com: expected an IP address, or a list of them, found nothing"][..],
        ),
        (
            "hosts: {a..com: 1.2.3.4}\n",
            &["1:9 TW4003 hosts.a..com: `a..com` is not a name (like example.com, or *.example.com)"][..],
        ),
        ("hosts: [a]\n", &["1:8 TW4003 hosts: expected a map, found a list"][..]),
        (
            "dns: {nameservers: [8.8.8.8]}\n",
            &["1:7 TW4002 dns.nameservers: unknown key `nameservers` (did you mean `nameserver`?)"][..],
        ),
        (
            "dns: {nameserver: [\"foo://x\"]}\n",
            &[
                "1:20 TW4003 dns.nameserver[0]: DNS NameServer unsupport scheme: foo (udp://, tcp://, tls://, https://, or system)",
            ][..],
        ),
        (
            "dns: {nameserver: [\"8.8.8.8:abc\"]}\n",
            &[
                "1:20 TW4003 dns.nameserver[0]: DNS NameServer format error: this is no server (an address like 192.0.2.1 or 192.0.2.1:53, or a URL)",
            ][..],
        ),
        (
            "dns: {nameserver: [\"\"]}\n",
            &[
                "1:20 TW4003 dns.nameserver[0]: DNS NameServer format error: this is no server (an address like 192.0.2.1 or 192.0.2.1:53, or a URL)",
            ][..],
        ),
        (
            "dns: {default-nameserver: [dns.google]}\n",
            &[
                "1:28 TW4003 dns.default-nameserver[0]: default nameserver should be pure IP (it is what the names of other servers are resolved with)",
            ][..],
        ),
        (
            "dns: {default-nameserver: [\"https://dns.google/dns-query\"]}\n",
            &[
                "1:28 TW4003 dns.default-nameserver[0]: default nameserver should be pure IP (it is what the names of other servers are resolved with)",
            ][..],
        ),
        (
            "dns: {enhanced-mode: foo}\n",
            &[
                "1:22 TW4003 dns.enhanced-mode: invalid mode: expected one of normal, redir-host, fake-ip, found the text `foo`",
            ][..],
        ),
        (
            "dns: {nameserver: 8.8.8.8}\n",
            &["1:19 TW4003 dns.nameserver: expected a list, found the text `8.8.8.8`"][..],
        ),
        ("dns: a\n", &["1:6 TW4003 dns: expected a map, found the text `a`"][..]),
        ("tunn: {enable: true}\n", &["1:1 TW4002 tunn: unknown key `tunn` (did you mean `tun`?)"][..]),
        ("mixed-prot: 1\n", &["1:1 TW4002 mixed-prot: unknown key `mixed-prot` (did you mean `mixed-port`?)"][..]),
        (
            "proxy-group: []\n",
            &["1:1 TW4002 proxy-group: unknown key `proxy-group` (did you mean `proxy-groups`?)"][..],
        ),
        ("Proxy: []\n", &["1:1 TW4002 Proxy: unknown key `Proxy` (did you mean `proxy-groups`?)"][..]),
        ("rule: []\n", &["1:1 TW4002 rule: unknown key `rule` (did you mean `rules`?)"][..]),
        ("proxeis: &p [a]\n", &["1:1 TW4002 proxeis: unknown key `proxeis` (did you mean `proxies`?)"][..]),
    ] {
        check(text, refusals);
    }
}
