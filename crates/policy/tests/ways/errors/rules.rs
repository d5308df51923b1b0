//! Rules. Each with its place, code, path, message and hint.

use super::check;

#[test]
fn rules_that_mean_nothing_are_refused() {
    for (text, refusals) in [
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nrules: [\"DOMAIN,a.com,nope\"]\n",
            &["2:9 TW4004 rules[0]: rules[0] [DOMAIN,a.com,nope] error: proxy [nope] not found"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nrules: [\"DOMAIN,a.com,aa\"]\n",
            &["2:9 TW4004 rules[0]: rules[0] [DOMAIN,a.com,aa] error: proxy [aa] not found"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nrules: [\"FOO,a,DIRECT\"]\n",
            &["2:9 TW4003 rules[0]: rules[0] [FOO,a,DIRECT] error: unsupported rule type: FOO"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nrules: [\"DOMAIN,a\"]\n",
            &["2:9 TW4003 rules[0]: rules[0] [DOMAIN,a] error: format invalid"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nrules: [\"MATCH\"]\n",
            &["2:9 TW4003 rules[0]: rules[0] [MATCH] error: format invalid"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nrules: [\"RULE-SET,p,DIRECT\"]\n",
            &["2:9 TW4004 rules[0]: rules[0] [RULE-SET,p,DIRECT] error: rule set [p] not found"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nrules: [\"SUB-RULE,(DOMAIN,a.com),zz\"]\n",
            &["2:9 TW4004 rules[0]: rules[0] [SUB-RULE,(DOMAIN,a.com),zz] error: sub-rule [zz] not found"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nrules: [\"IP-CIDR,foo,DIRECT\"]\n",
            &["2:9 TW4003 rules[0]: rules[0] [IP-CIDR,foo,DIRECT] error: payloadRule error"][..],
        ),
        (
            "proxies: [{name: a, type: http, server: h, port: 1}]\nrules: [\"\"]\n",
            &["2:9 TW4003 rules[0]: rules[0] [] error: format invalid"][..],
        ),
        (
            "sub-rules: {z: [\"DOMAIN,a.com,nope\"]}\n",
            &["1:17 TW4004 sub-rules.z[0]: sub-rules[z][0] [DOMAIN,a.com,nope] error: proxy [nope] not found"][..],
        ),
        (
            "sub-rules: {z: [\"SUB-RULE,(DOMAIN,a.com),z\"]}\n",
            &["1:1 TW4003 sub-rules: sub-rule error: circular references [z->z] (let one of them end elsewhere)"][..],
        ),
        ("sub-rules: {\"\": [\"MATCH,DIRECT\"]}\n", &["1:13 TW4003 sub-rules.: sub-rule name is empty"][..]),
        ("sub-rules: {z: a}\n", &["1:16 TW4003 sub-rules.z: expected a list, found the text `a`"][..]),
        ("rules: a\n", &["1:8 TW4003 rules: expected a list, found the text `a`"][..]),
        ("rules: [{a: b}]\n", &["1:9 TW4003 rules[0]: expected text, found a map"][..]),
        (
            "rules: [\"DOMAIN,${WORD},${WORD}\"]\n",
            &["1:9 TW4004 rules[0]: rules[0] [DOMAIN,${WORD},${WORD}] error: the line is not a rule"][..],
        ),
    ] {
        check(text, refusals);
    }
}
