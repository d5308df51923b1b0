//! Providers of rules. Each with its place, code, path, message and hint.

use super::check;

#[test]
fn providers_of_rules_that_cannot_be_used_are_refused() {
    for (text, refusals) in [
        (
            "rule-providers: {p: {}}\n",
            &["1:21 TW4003 rule-providers.p: parse rule provider p error: unset fields: behavior, type"][..],
        ),
        (
            "rule-providers: {p: {type: inline}}\n",
            &["1:21 TW4003 rule-providers.p: parse rule provider p error: unset fields: behavior"][..],
        ),
        (
            "rule-providers: {p: {type: inline, behavior: foo}}\n",
            &["1:46 TW4003 rule-providers.p.behavior: expected one of domain, ipcidr, classical, found the text `foo`"]
                [..],
        ),
        (
            "rule-providers: {p: {type: inline, behavior: domain, payload: a}}\n",
            &["1:63 TW4003 rule-providers.p.payload: expected a list, found the text `a`"][..],
        ),
        (
            "rule-providers: {p: {type: http, behavior: domain}}\n",
            &["1:21 TW4003 rule-providers.p: parse rule provider p error: unset fields: url"][..],
        ),
        (
            "rule-providers: {p: {type: http, behavior: Domain, url: \"http://h/x\"}}\n",
            &[
                "1:44 TW4003 rule-providers.p.behavior: expected one of domain, ipcidr, classical, found the text `Domain`",
            ][..],
        ),
        (
            "rule-providers: {p: {type: http, behavior: domain, url: \"http://h/x\", format: Text}}\n",
            &["1:79 TW4003 rule-providers.p.format: expected one of yaml, text, mrs, found the text `Text`"][..],
        ),
        (
            "rule-providers: {p: {type: http, behavior: classical, url: \"http://h/x\", format: mrs}}\n",
            &[
                "1:82 TW4003 rule-providers.p.format: parse rule provider p error: `classical` has no format `mrs` (`mrs` holds domains or ranges of addresses)",
            ][..],
        ),
        (
            "rule-providers: {p: {type: file, behavior: domain, path: ../x}}\n",
            &[
                "1:58 TW4003 rule-providers.p.path: parse rule provider p error: path is not subpath of home directory (a path below the directory of the configuration, without ..)",
            ][..],
        ),
        (
            "rule-providers: {p: {type: http, behavior: domain, url: \"http://h/x\", proxy: nope}}\n",
            &["1:78 TW4004 rule-providers.p.proxy: proxy [nope] not found"][..],
        ),
    ] {
        check(text, refusals);
    }
}
