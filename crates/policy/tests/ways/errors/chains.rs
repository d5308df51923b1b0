//! Ways that lead into each other. Each with its place, code, path, message and hint.

use super::check;

#[test]
fn ways_without_an_end_are_refused() {
    for (text, refusals) in [
        (
            "proxies: [{name: a, type: http, server: h, port: 1, dialer-proxy: nope}]\n",
            &["1:67 TW4004 proxies[0].dialer-proxy: proxy [a] dialer-proxy [nope] not found"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1, dialer-proxy: a}]\n",
            &[
                "1:67 TW4003 proxies[0].dialer-proxy: proxy [a] has circular dialer-proxy dependency (lead it through a proxy or group that does not come back to it)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1, dialer-proxy: b}, {name: b, type: http, server: h, port: 1, dialer-proxy: a}]\n",
            &[
                "1:67 TW4003 proxies[0].dialer-proxy: proxy [a] has circular dialer-proxy dependency (lead it through a proxy or group that does not come back to it)",
                "1:127 TW4003 proxies[1].dialer-proxy: proxy [b] has circular dialer-proxy dependency (lead it through a proxy or group that does not come back to it)",
            ][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1, dialer-proxy: g}, {name: b, type: http, server: h, port: 1}]\nproxy-groups: [{name: g, type: select, proxies: [b, k]}, {name: k, type: select, proxies: [a]}]\n",
            &[
                "1:67 TW4003 proxies[0].dialer-proxy: proxy [a] has circular dialer-proxy dependency (lead it through a proxy or group that does not come back to it)",
            ][..],
        ),
        (
            "proxies: [{name: p0, type: http, server: h, port: 1, dialer-proxy: p1}, {name: p1, type: http, server: h, port: 1, dialer-proxy: p2}, {name: p2, type: http, server: h, port: 1, dialer-proxy: p3}, {name: p3, type: http, server: h, port: 1, dialer-proxy: p4}, {name: p4, type: http, server: h, port: 1, dialer-proxy: p5}, {name: p5, type: http, server: h, port: 1, dialer-proxy: p6}, {name: p6, type: http, server: h, port: 1, dialer-proxy: p7}, {name: p7, type: http, server: h, port: 1, dialer-proxy: p8}, {name: p8, type: http, server: h, port: 1, dialer-proxy: p9}, {name: p9, type: http, server: h, port: 1}]\n",
            &["1:130 TW4003 proxies[1].dialer-proxy: proxy [p1] begins a dialer-proxy chain of more than 8 proxies"][..],
        ),
        (
            "proxy-providers: {p: {type: http, url: \"http://h/x\", dialer-proxy: g}}\nproxy-groups: [{name: g, type: select, use: [p]}]\n",
            &[
                "1:68 TW4003 proxy-providers.p.dialer-proxy: provider [p] has circular dialer-proxy dependency (lead it through a proxy or group that does not come back to it)",
            ][..],
        ),
        (
            "proxy-providers: {p: {type: http, url: \"http://h/x\", dialer-proxy: nope}}\n",
            &["1:68 TW4004 proxy-providers.p.dialer-proxy: provider [p] dialer-proxy [nope] not found"][..],
        ),
        (
            "proxy-providers: {p: {type: inline, payload: [{name: x, type: http, server: h, port: 1, dialer-proxy: g}]}}\nproxy-groups: [{name: g, type: select, use: [p]}]\n",
            &[
                "1:103 TW4003 proxy-providers.p.payload[0].dialer-proxy: provider [p] has circular dialer-proxy dependency (lead it through a proxy or group that does not come back to it)",
            ][..],
        ),
        (
            "proxy-providers: {p: {type: inline, payload: [{name: x, type: http, server: h, port: 1, dialer-proxy: nope}]}}\n",
            &["1:103 TW4004 proxy-providers.p.payload[0].dialer-proxy: proxy [x] dialer-proxy [nope] not found"][..],
        ),
        (
            "proxy-groups: [{name: g, type: select, proxies: [g]}]\n",
            &[
                "1:23 TW4003 proxy-groups[0]: loop is detected in ProxyGroup, please check following ProxyGroups: [g] (a group cannot be a member of itself, however far down)",
            ][..],
        ),
        (
            "proxy-groups:\n- {name: g, type: select, proxies: [h]}\n- {name: h, type: select, proxies: [i]}\n- {name: i, type: select, proxies: [h]}\n",
            &[
                "3:10 TW4003 proxy-groups[1]: loop is detected in ProxyGroup, please check following ProxyGroups: [h i] (a group cannot be a member of itself, however far down)",
            ][..],
        ),
        (
            "proxy-groups: [{name: g0, type: select, proxies: [g1]}, {name: g1, type: select, proxies: [g2]}, {name: g2, type: select, proxies: [g3]}, {name: g3, type: select, proxies: [g4]}, {name: g4, type: select, proxies: [g5]}, {name: g5, type: select, proxies: [g6]}, {name: g6, type: select, proxies: [g7]}, {name: g7, type: select, proxies: [g8]}, {name: g8, type: select, proxies: [g9]}, {name: g9, type: select, proxies: [g10]}, {name: g10, type: select, proxies: [g11]}, {name: g11, type: select, proxies: [g12]}, {name: g12, type: select, proxies: [g13]}, {name: g13, type: select, proxies: [g14]}, {name: g14, type: select, proxies: [g15]}, {name: g15, type: select, proxies: [g16]}, {name: g16, type: select, proxies: [g17]}, {name: g17, type: select, proxies: [g18]}, {name: g18, type: select, proxies: [g19]}, {name: g19, type: select, proxies: [g20]}, {name: g20, type: select, proxies: [g21]}, {name: g21, type: select, proxies: [g22]}, {name: g22, type: select, proxies: [g23]}, {name: g23, type: select, proxies: [g24]}, {name: g24, type: select, proxies: [g25]}, {name: g25, type: select, proxies: [g26]}, {name: g26, type: select, proxies: [g27]}, {name: g27, type: select, proxies: [g28]}, {name: g28, type: select, proxies: [g29]}, {name: g29, type: select, proxies: [g30]}, {name: g30, type: select, proxies: [g31]}, {name: g31, type: select, proxies: [g32]}, {name: g32, type: select, proxies: [g33]}, {name: g33, type: select, proxies: [DIRECT]}]\n",
            &["1:64 TW4003 proxy-groups[1]: more than 32 groups stand in each other"][..],
        ),
    ] {
        check(text, refusals);
    }
}
