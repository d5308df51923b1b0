//! Groups that cannot pick. Each with its place, code, path, message and hint.

use super::check;

#[test]
fn groups_that_cannot_pick_are_refused() {
    for (text, refusals) in [
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: select}]\n",
            &[
                "2:23 TW4003 proxy-groups[0]: proxy group[0]: g: `use` or `proxies` missing (name members under `proxies`, or providers under `use`)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: select, proxies: [], use: []}]\n",
            &[
                "2:23 TW4003 proxy-groups[0]: proxy group[0]: g: `use` or `proxies` missing (name members under `proxies`, or providers under `use`)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: select, include-all-providers: true}]\n",
            &[
                "2:23 TW4003 proxy-groups[0]: proxy group[0]: g: `use` or `proxies` missing (name members under `proxies`, or providers under `use`)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: select, proxies: [nope]}]\n",
            &["2:50 TW4004 proxy-groups[0].proxies[0]: proxy group[0]: g: 'nope' not found"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: select, proxies: [aa]}]\n",
            &["2:50 TW4004 proxy-groups[0].proxies[0]: proxy group[0]: g: 'aa' not found"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: select, proxies: [GLOBAL]}]\n",
            &["2:50 TW4004 proxy-groups[0].proxies[0]: proxy group[0]: g: 'GLOBAL' not found"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: select, use: [p]}]\n",
            &["2:46 TW4004 proxy-groups[0].use[0]: proxy group[0]: g: 'p' not found"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g}]\n",
            &["2:16 TW4003 proxy-groups[0]: proxy group[0]: unset fields: type"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{type: select, proxies: [a]}]\n",
            &["2:16 TW4003 proxy-groups[0]: proxy group 0: missing name"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: foo, proxies: [a]}]\n",
            &[
                "2:32 TW4003 proxy-groups[0].type: proxy group[0]: unsupported type: foo (the types are select, url-test, fallback, load-balance)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: Select, proxies: [a]}]\n",
            &["2:32 TW4003 proxy-groups[0].type: proxy group[0]: unsupported type: Select (did you mean `select`?)"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: relay, proxies: [a]}]\n",
            &[
                "2:32 TW4003 proxy-groups[0].type: proxy group[0]: unsupported type: groups of type `relay` were removed (use dialer-proxy instead: a proxy names the one before it)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: a, type: select, proxies: [DIRECT]}]\n",
            &[
                "2:23 TW4003 proxy-groups[0].name: proxy group a: the duplicate name (give it another name; the first is on line 1)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: REJECT, type: select, proxies: [a]}]\n",
            &[
                "2:23 TW4003 proxy-groups[0].name: proxy group REJECT: the duplicate name (give it another name: this one is built in)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: select, proxies: [a]}, {name: g, type: select, proxies: [a]}]\n",
            &[
                "2:62 TW4003 proxy-groups[1].name: ProxyGroup g: duplicate group name (give it another name; the first is on line 2)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: url-test, proxies: [a], interval: x}]\n",
            &["2:66 TW4003 proxy-groups[0].interval: expected a whole number from -1 to 315360000, found the text `x`"]
                [..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: url-test, proxies: [a], timeout: 1000000}]\n",
            &[
                "2:65 TW4003 proxy-groups[0].timeout: expected a whole number from 0 to 600000, found the number 1000000",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: url-test, proxies: [a], tolerance: -1}]\n",
            &["2:67 TW4003 proxy-groups[0].tolerance: expected a whole number from 0 to 65535, found the number -1"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: url-test, proxies: [a], expected-status: 200-}]\n",
            &[
                "2:73 TW4003 proxy-groups[0].expected-status: proxy group[0]: invalid range: 200- (statuses and ranges, separated by /: 200/204/300-399; * for any)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: url-test, proxies: [a], url: foo}]\n",
            &["2:61 TW4003 proxy-groups[0].url: `url` is no URL (write it like https://www.gstatic.com/generate_204)"]
                [..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: load-balance, proxies: [a], strategy: foo}]\n",
            &[
                "2:70 TW4003 proxy-groups[0].strategy: proxy group[0]: unsupported strategy: foo (one of consistent-hashing, round-robin, sticky-sessions)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: select, proxies: a}]\n",
            &[
                "2:23 TW4003 proxy-groups[0]: proxy group[0]: g: `use` or `proxies` missing (name members under `proxies`, or providers under `use`)",
                "2:49 TW4003 proxy-groups[0].proxies: expected a list, found the text `a`",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: select, include-all-proxies: true, filter: \"(\"}]\n",
            &[
                "2:75 TW4003 proxy-groups[0].filter: invalid filter regex: Parsing error at position 1: Opening parenthesis without clo… (several are separated by backticks)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: select, proxies: [a], exclude-filter: \"a`*\"}]\n",
            &[
                "2:70 TW4003 proxy-groups[0].exclude-filter: invalid filter regex: Parsing error at position 0: Target of repeat operator is in… (several are separated by backticks)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: select, proxies: [a], empty-fallback: nope}]\n",
            &[
                "2:70 TW4003 proxy-groups[0].empty-fallback: proxy group[0]: g: empty fallback proxy 'nope' not found (a proxy of `proxies`, DIRECT, or REJECT)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: select, proxies: [a], empty-fallback: g}]\n",
            &[
                "2:70 TW4003 proxy-groups[0].empty-fallback: proxy group[0]: g: empty fallback proxy 'g' not found (a proxy of `proxies`, DIRECT, or REJECT)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: select, proxies: [a], hidden: maybe}]\n",
            &["2:62 TW4003 proxy-groups[0].hidden: expected true or false, found the text `maybe`"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: select, proxies: [a], intervall: 1}]\n",
            &["2:54 TW4002 proxy-groups[0].intervall: unknown key `intervall` (did you mean `interval`?)"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nproxy-groups: [g]\n",
            &["2:16 TW4003 proxy-groups[0]: expected a map, found the text `g`"][..],
        ),
    ] {
        check(text, refusals);
    }
}
