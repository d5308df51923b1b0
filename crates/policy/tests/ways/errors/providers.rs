//! Providers of proxies. Each with its place, code, path, message and hint.

use super::check;

#[test]
fn providers_of_proxies_that_cannot_be_used_are_refused() {
    for (text, refusals) in [
        (
            "proxy-providers: {p: {}}\n",
            &["1:22 TW4003 proxy-providers.p: parse proxy provider p error: unset fields: type"][..],
        ),
        (
            "proxy-providers: {p: {type: foo}}\n",
            &[
                "1:29 TW4003 proxy-providers.p.type: parse proxy provider p error: unsupport vehicle type: foo (one of http, file, inline)",
            ][..],
        ),
        (
            "proxy-providers: {p: {type: http}}\n",
            &["1:22 TW4003 proxy-providers.p: parse proxy provider p error: unset fields: url"][..],
        ),
        (
            "proxy-providers: {p: {type: http, url: foo}}\n",
            &[
                "1:40 TW4003 proxy-providers.p.url: `url` is no URL (write it like https://www.gstatic.com/generate_204)",
            ][..],
        ),
        (
            "proxy-providers: {p: {type: file}}\n",
            &["1:22 TW4003 proxy-providers.p: parse proxy provider p error: unset fields: path"][..],
        ),
        (
            "proxy-providers: {p: {type: file, path: ../x.yaml}}\n",
            &[
                "1:41 TW4003 proxy-providers.p.path: parse proxy provider p error: path is not subpath of home directory (a path below the directory of the configuration, without ..)",
            ][..],
        ),
        (
            "proxy-providers: {p: {type: http, url: \"http://h/x\", path: a/../../x}}\n",
            &[
                "1:60 TW4003 proxy-providers.p.path: parse proxy provider p error: path is not subpath of home directory (a path below the directory of the configuration, without ..)",
            ][..],
        ),
        (
            "proxy-providers: {p: {type: inline}}\n",
            &["1:22 TW4003 proxy-providers.p.payload: parse proxy provider p error: file doesn't have any proxy"][..],
        ),
        (
            "proxy-providers: {p: {type: inline, payload: [{name: b, type: foo}]}}\n",
            &[
                "1:63 TW4003 proxy-providers.p.payload[0].type: proxy 0: unsupport proxy type: foo (the types are http, socks5, ss, direct, reject, pac)",
            ][..],
        ),
        (
            "proxy-providers: {p: {type: http, url: \"http://h/x\", health-check: {enable: true, interval: abc}}}\n",
            &[
                "1:93 TW4003 proxy-providers.p.health-check.interval: expected a whole number from -1 to 315360000, found the text `abc`",
            ][..],
        ),
        (
            "proxy-providers: {p: {type: http, url: \"http://h/x\", health-check: {enable: true, expected-status: x}}}\n",
            &[
                "1:100 TW4003 proxy-providers.p.health-check.expected-status: parse proxy provider p error: invalid range: x (statuses and ranges, separated by /: 200/204/300-399; * for any)",
            ][..],
        ),
        (
            "proxy-providers: {p: {type: http, url: \"http://h/x\", filter: \"(\"}}\n",
            &[
                "1:62 TW4003 proxy-providers.p.filter: invalid filter regex: Parsing error at position 1: Opening parenthesis without clo… (several are separated by backticks)",
            ][..],
        ),
        (
            "proxy-providers: {p: {type: http, url: \"http://h/x\", header: {a: {b: c}}}}\n",
            &["1:66 TW4003 proxy-providers.p.header.a: expected a list, found a map"][..],
        ),
        (
            "proxy-providers: {p: {type: http, url: \"http://h/x\", proxy: nope}}\n",
            &["1:61 TW4004 proxy-providers.p.proxy: proxy [nope] not found"][..],
        ),
        (
            "proxy-providers: {p: {type: http, url: \"http://h/x\", override: {prefix: a}}}\n",
            &[
                "1:65 TW4002 proxy-providers.p.override.prefix: unknown key `prefix` (the keys here are additional-prefix, additional-suffix, dialer-proxy, udp, skip-cert-verify)",
            ][..],
        ),
        (
            "proxy-providers: {p: {type: http, url: \"http://h/x\", size-limit: -1}}\n",
            &[
                "1:66 TW4003 proxy-providers.p.size-limit: expected a whole number from 0 to 9223372036854775807, found the number -1",
            ][..],
        ),
        ("proxy-providers: {p: ~}\n", &["1:19 TW4003 proxy-providers.p: expected a map, found nothing"][..]),
        ("proxy-providers: {p: a}\n", &["1:22 TW4003 proxy-providers.p: expected a map, found the text `a`"][..]),
        (
            "proxy-providers: {default: {type: http, url: \"http://h/x\"}}\n",
            &[
                "1:19 TW4003 proxy-providers.default: can not defined a provider called `default` (give it another name)",
            ][..],
        ),
        ("proxy-providers: []\n", &["1:18 TW4003 proxy-providers: expected a map, found a list"][..]),
    ] {
        check(text, refusals);
    }
}
