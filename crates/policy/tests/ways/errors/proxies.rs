//! Proxies that cannot be used. Each with its place, code, path, message and hint.

use super::check;

#[test]
fn proxies_that_cannot_be_used_are_refused() {
    for (text, refusals) in [
        (
            "proxies: [{name: a, type: http, server: h, port: 1}, {name: a, type: socks5, server: h, port: 1}]\n",
            &[
                "1:61 TW4003 proxies[1].name: proxy a is the duplicate name (give it another name; the first is on line 1)",
            ][..],
        ),
        (
            "proxies: [{name: DIRECT, type: http, server: h, port: 1}]\n",
            &[
                "1:18 TW4003 proxies[0].name: proxy DIRECT is the duplicate name (give it another name: this one is built in)",
            ][..],
        ),
        (
            "proxies: [{name: GLOBAL, type: direct}]\n",
            &[
                "1:18 TW4003 proxies[0].name: proxy GLOBAL is the duplicate name (give it another name: this one is built in)",
            ][..],
        ),
        ("proxies: [{name: a}]\n", &["1:11 TW4003 proxies[0]: proxy 0: missing type"][..]),
        (
            "proxies: [{name: a, type: foo}]\n",
            &[
                "1:27 TW4003 proxies[0].type: proxy 0: unsupport proxy type: foo (the types are http, socks5, ss, direct, reject, pac)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: htp}]\n",
            &["1:27 TW4003 proxies[0].type: proxy 0: unsupport proxy type: htp (did you mean `http`?)"][..],
        ),
        ("proxies: [{name: a, type: 1}]\n", &["1:27 TW4003 proxies[0]: proxy 0: missing type"][..]),
        (
            "proxies: [{type: http}]\n",
            &[
                "1:11 TW4003 proxies[0]: proxy 0: missing name",
                "1:11 TW4003 proxies[0]: proxy 0: unset fields: server, port",
            ][..],
        ),
        ("proxies: [{name: a, type: http}]\n", &["1:11 TW4003 proxies[0]: proxy 0: unset fields: server, port"][..]),
        (
            "proxies: [{name: a, type: ss, server: h, port: 1}]\n",
            &["1:11 TW4003 proxies[0]: proxy 0: unset fields: cipher, password"][..],
        ),
        ("proxies: [{name: a, type: pac}]\n", &["1:11 TW4003 proxies[0]: proxy 0: unset fields: url"][..]),
        (
            "proxies: [{name: a, type: http, server: h, port: abc}]\n",
            &["1:50 TW4003 proxies[0].port: expected a whole number from 1 to 65535, found the text `abc`"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 0}]\n",
            &["1:50 TW4003 proxies[0].port: expected a whole number from 1 to 65535, found the number 0"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 70000}]\n",
            &["1:50 TW4003 proxies[0].port: expected a whole number from 1 to 65535, found the number 70000"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1.5}]\n",
            &["1:50 TW4003 proxies[0].port: expected a whole number from 1 to 65535, found the number 1.5"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: \"\", port: 1}]\n",
            &["1:41 TW4003 proxies[0].server: the server is empty (a host name or an IP address)"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: \"http://h\", port: 1}]\n",
            &[
                "1:41 TW4003 proxies[0].server: a server is a host name or an IP address (without scheme, user name and path; the port has a key of its own)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1, tls: maybe}]\n",
            &["1:58 TW4003 proxies[0].tls: expected true or false, found the text `maybe`"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1, tsl: true}]\n",
            &["1:53 TW4002 proxies[0].tsl: unknown key `tsl` (did you mean `tls`?)"][..],
        ),
        (
            "proxies: [{name: \"\", type: http, server: h, port: 1}]\n",
            &["1:18 TW4003 proxies[0].name: proxy 0: the name is empty"][..],
        ),
        (
            "proxies: [{name: [a], type: http, server: h, port: 1}]\n",
            &["1:18 TW4003 proxies[0].name: expected text, found a list"][..],
        ),
        (
            "proxies: [{name: \"a\\nb\", type: http, server: h, port: 1}]\n",
            &["1:18 TW4003 proxies[0].name: proxy 0: a name has no line breaks or control characters"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1, auth: basik, username: u}]\n",
            &[
                "1:59 TW4003 proxies[0].auth: expected one of basic, ntlm, negotiate, found the text `basik` (a list is the order in which they are tried)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1, auth: [ntlm, ntlm], username: u}]\n",
            &["1:66 TW4003 proxies[0].auth[1]: a scheme stands twice (a list is the order in which they are tried)"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1, auth: [negotiate, basic]}]\n",
            &["1:59 TW4003 proxies[0].auth: `auth: basic` needs `username` and `password`"][..],
        ),
        ("proxies: [{name: a, type: http, server: h, port: 1, username: \"u:v\"}]\n", &[][..]),
        (
            "proxies: [{name: a, type: http, server: h, port: 1, headers: {a b: c}}]\n",
            &["1:63 TW4003 proxies[0].headers.a b: `a b` is not the name of a header (letters, digits and hyphens)"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1, headers: {a: \"b\\n\"}}]\n",
            &[
                "1:66 TW4003 proxies[0].headers.a: the value of the header `a` cannot be sent (no line breaks or control characters)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1, headers: [a]}]\n",
            &["1:62 TW4003 proxies[0].headers: expected a map, found a list"][..],
        ),
        (
            "proxies: [{name: a, type: socks5, server: h, port: 1, auth: basic}]\n",
            &[
                "1:55 TW4002 proxies[0].auth: unknown key `auth` (the keys here are name, type, server, port, username, password, tls, sni, skip-cert-verify, udp, dialer-proxy)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: socks5, server: h, port: 1, password: 007}]\n",
            &["1:65 TW4003 proxies[0].password: expected text, found a number (put it in quotes)"][..],
        ),
        (
            "proxies: [{name: a, type: ss, server: h, port: 1, cipher: foo, password: x}]\n",
            &[
                "1:59 TW4003 proxies[0].cipher: proxy 0: unknown method: foo (the ciphers are aes-128-gcm, aes-256-gcm, chacha20-ietf-poly1305, 2022-blake3-aes-128-gcm, 2022-blake3-aes-256-gcm, 2022-blake3-chacha20-poly1305)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: ss, server: h, port: 1, cipher: AES-128-GCM, password: x}]\n",
            &["1:59 TW4003 proxies[0].cipher: proxy 0: unknown method: AES-128-GCM (did you mean `aes-128-gcm`?)"][..],
        ),
        (
            "proxies: [{name: a, type: ss, server: h, port: 1, cipher: aes-128-gcm, password: \"\"}]\n",
            &["1:82 TW4003 proxies[0].password: proxy 0: missing password"][..],
        ),
        (
            "proxies: [{name: a, type: ss, server: h, port: 1, cipher: 2022-blake3-aes-128-gcm, password: \"?\"}]\n",
            &[
                "1:94 TW4003 proxies[0].password: proxy 0: decode key: illegal base64 data (`openssl rand -base64 16` makes one; several keys are separated by colons)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: ss, server: h, port: 1, cipher: 2022-blake3-aes-128-gcm, password: AAAA}]\n",
            &[
                "1:94 TW4003 proxies[0].password: proxy 0: bad key length, required 16, got 3 (`openssl rand -base64 16` makes one; several keys are separated by colons)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: ss, server: h, port: 1, cipher: 2022-blake3-aes-256-gcm, password: \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AA==\"}]\n",
            &[
                "1:94 TW4003 proxies[0].password: proxy 0: bad key length, required 32, got 1 (`openssl rand -base64 32` makes one; several keys are separated by colons)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: pac, url: \"ftp://h/p\"}]\n",
            &[
                "1:37 TW4003 proxies[0].url: this is not where a script can be (file:///…, http://…, https://…, or wpad for what the network says)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: pac, url: wpad, unreachable: maybe}]\n",
            &["1:56 TW4003 proxies[0].unreachable: expected one of fail, direct, found the text `maybe`"][..],
        ),
        (
            "proxies: [{name: a, type: pac, url: wpad, dialer-proxy: DIRECT}]\n",
            &[
                "1:57 TW4003 proxies[0].dialer-proxy: `dialer-proxy` cannot be put before a script: what the script names is reached directly (remove it)",
            ][..],
        ),
        ("proxies: [a]\n", &["1:11 TW4003 proxies[0]: expected a map, found the text `a`"][..]),
        ("proxies: [~]\n", &["1:11 TW4003 proxies[0]: expected a map, found nothing"][..]),
        ("proxies: {}\n", &["1:10 TW4003 proxies: expected a list, found a map"][..]),
        ("proxies: a\n", &["1:10 TW4003 proxies: expected a list, found the text `a`"][..]),
    ] {
        check(text, refusals);
    }
}
