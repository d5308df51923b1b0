//! The way to a provider of models. Each with its place, code, path, message and hint.

use super::check;

#[test]
fn the_way_to_a_provider_has_to_be_there() {
    for (text, refusals) in [
        (
            "providers: [{name: a, dialect: openai, base-url: http://h/v1, via: nope}]\n",
            &["1:68 TW4004 providers[0].via: proxy [nope] not found (name a proxy or group, DIRECT, or system)"][..],
        ),
        (
            "providers: [{name: a, dialect: openai, base-url: http://h/v1, via: direct}]\n",
            &["1:68 TW4004 providers[0].via: proxy [direct] not found (did you mean `DIRECT`?)"][..],
        ),
        (
            "providers: [{name: a, dialect: openai, base-url: http://h/v1, via: sytem}]\n",
            &["1:68 TW4004 providers[0].via: proxy [sytem] not found (did you mean `system`?)"][..],
        ),
        (
            "providers: [{name: a, dialect: openai, base-url: http://h/v1, via: way}]\nproxy-groups: [{name: ways, type: select, proxies: [DIRECT]}]\n",
            &["1:68 TW4004 providers[0].via: proxy [way] not found (did you mean `ways`?)"][..],
        ),
        (
            "providers: [{name: a, dialect: openai, base-url: http://h/v1, via: system}]\nproxies: [{name: system, type: http, server: h, port: 1}]\n",
            &[
                "1:68 TW4003 providers[0].via: `system` is both the system's proxy settings and a proxy or group of this document (give that proxy or group another name)",
            ][..],
        ),
        (
            "providers: [{name: a, dialect: openai, base-url: http://h/v1, via: \"${WORD}\"}]\n",
            &["1:68 TW4004 providers[0].via: proxy [${WORD}] not found (name a proxy or group, DIRECT, or system)"][..],
        ),
        (
            "providers: [{name: a, dialect: openai, base-url: http://h/v1, via: [a]}]\n",
            &["1:68 TW4003 providers[0].via: expected text, found a list"][..],
        ),
    ] {
        check(text, refusals);
    }
}
