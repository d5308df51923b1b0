//! What the types of the section cannot say: names that exist, prefixes that are unique, credentials that stay secret.

use std::collections::HashSet;
use std::sync::Arc;

use tradewind_core::Code;
use tradewind_egress::Origin;
use tradewind_policy::{Problems, Root, Shared, Spanned, check_open_listen, check_via};

use super::{Auth, Credential, HopSource, Private, RulesSection, Section, Upstreams, sumdb_of};
use crate::name::Patterns;
use crate::rules::{RuleSettings, Rules};
use crate::store::Pins;

/// More mounts than this are not taken.
const MOST_MOUNTS: usize = 256;
/// The longest prefix, in bytes.
const LONGEST_PREFIX: usize = 200;

pub(super) fn check(section: &Section, root: &Root, shared: &Shared, problems: &mut Problems) {
    let mut check = Check { root, shared, problems };
    if let Some(listen) = &section.listen {
        check_open_listen(root, listen, &shared.keys, shared.behind_tls, check.problems);
    }
    let own = "modules";
    let direct = section.direct.is_some();
    check.upstream(own, section.upstream.as_ref(), section.auth.as_ref(), direct);
    check.sumdb(section.sumdb.as_ref());
    check.private(own, section.private.as_ref(), direct);
    check.via(section.via.as_ref());
    check.rules(section.rules.as_ref());
    for pin in &section.cache.pins {
        if let Err(flaw) = Pins::parse(&[pin.as_str()]) {
            let hint = "a pattern as in GOPRIVATE, such as `example.com/*`, or `path@version`";
            check.problems.push(pin.problem(Code::ConfigBadValue, flaw.to_string()).with_hint(hint));
        }
    }
    if section.cache.max_size.0 == 0 {
        let problem = root.problem(Code::ConfigBadValue, "modules.cache.max-size", "`max-size` is zero");
        check.problems.push(problem.with_hint("nothing could be kept, and nothing given that has to be checked first"));
    }
    if section.mounts.len() > MOST_MOUNTS {
        let message = format!("more than {MOST_MOUNTS} mounts");
        check.problems.push(root.problem(Code::ConfigBadValue, "modules.mounts", message));
    }
    let mut prefixes = HashSet::new();
    for (number, mount) in section.mounts.iter().enumerate() {
        let place = format!("modules.mounts[{number}]");
        if let Some(flaw) = flaw_of_prefix(&mount.prefix) {
            check
                .problems
                .push(mount.prefix.problem(Code::ConfigBadValue, flaw).with_hint("such as `internal` or `mod/b`"));
        } else if !prefixes.insert(mount.prefix.as_str()) {
            let message = format!("a mount at `{}` is there already", mount.prefix.shown());
            check.problems.push(mount.prefix.problem(Code::ConfigBadValue, message));
        }
        // What it takes from the section was looked at there.
        let inherited = section.auth.as_ref().filter(|_| mount.upstream.is_none());
        if mount.upstream.is_some() || mount.auth.is_some() {
            let upstreams = mount.upstream.as_ref().or(section.upstream.as_ref());
            check.upstream(&place, upstreams, mount.auth.as_ref().or(inherited), direct);
        }
        check.sumdb(mount.sumdb.as_ref());
        check.private(&place, mount.private.as_ref(), direct);
        check.via(mount.via.as_ref());
        check.rules(mount.rules.as_ref());
    }
}

struct Check<'a> {
    root: &'a Root,
    shared: &'a Shared,
    problems: &'a mut Problems,
}

impl Check<'_> {
    fn upstream(&mut self, place: &str, upstreams: Option<&Upstreams>, auth: Option<&Auth>, direct: bool) {
        let Some(upstreams) = upstreams else { return self.auth(place, auth) };
        let path = format!("{place}.upstream");
        if upstreams.has_direct() && !direct {
            let problem = self.root.problem(Code::ConfigBadValue, &path, "`direct` is not allowed here");
            self.problems.push(problem.with_hint("add `direct: git` to `modules` to have the installed git asked"));
        }
        let in_the_clear = upstreams.0.iter().find_map(|hop| match &hop.source {
            HopSource::Http(url) if !url.is_tls() && !is_loopback(url.host()) => Some(url),
            _ => None,
        });
        if let (Some(url), Some(Auth::With(_))) = (in_the_clear, auth) {
            let message = format!("`auth` would travel to {url} in the clear");
            let hint = "use https, or give the upstreams with credentials a mount, or `private`, of their own";
            self.problems.push(self.root.problem(Code::ConfigBadValue, &path, message).with_hint(hint));
        }
        let mut origins: Vec<Origin> = Vec::new();
        for hop in &upstreams.0 {
            if let HopSource::Http(url) = &hop.source
                && let Ok(origin) = Origin::parse(url.as_str())
                && !origins.contains(&origin)
            {
                origins.push(origin);
            }
        }
        if let ([first, second, ..], Some(Auth::With(_))) = (&origins[..], auth) {
            let message = format!("`auth` would be sent to {first} and {second}, and is for one of them");
            let hint = "use `auth: netrc`, which has a login for each host, or give the upstream that wants credentials a \
                        mount, or `private`, of its own";
            self.problems.push(self.root.problem(Code::ConfigBadValue, &path, message).with_hint(hint));
        }
        self.auth(place, auth);
    }

    fn auth(&mut self, place: &str, auth: Option<&Auth>) {
        let Some(Auth::With(credential)) = auth else { return };
        let is_sendable = |text: &str| http::HeaderValue::from_str(text).is_ok();
        let good = match credential {
            Credential::Basic(..) => true, // sent in base64
            Credential::Bearer(token) => is_sendable(token.expose()) && !token.expose().is_empty(),
            Credential::Headers(headers) => headers.iter().all(|(name, value)| {
                http::HeaderName::from_bytes(name.as_bytes()).is_ok() && is_sendable(value.expose())
            }),
        };
        if !good {
            let message = "what `auth` has cannot be sent in a header";
            let problem = self.root.problem(Code::ConfigBadValue, &format!("{place}.auth"), message);
            self.problems.push(problem.with_hint("one line without control characters"));
        }
    }

    fn sumdb(&mut self, sumdb: Option<&Spanned<String>>) {
        let Some(sumdb) = sumdb else { return };
        if let Err(flaw) = sumdb_of(sumdb) {
            let hint = "`sum.golang.org`, `name+hash+key`, either with a URL behind a space, or `off`";
            let message = format!("this is no checksum database: {flaw}");
            self.problems.push(sumdb.problem(Code::ConfigBadValue, message).with_hint(hint));
        }
    }

    fn private(&mut self, place: &str, private: Option<&Private>, direct: bool) {
        let Some(private) = private else { return };
        let path = format!("{place}.private");
        if let Err(flaw) = Patterns::parse(private.patterns.iter().map(String::as_str)) {
            self.problems.push(self.root.problem(Code::ConfigBadValue, &path, flaw.to_string()));
        }
        if private.upstream.is_some() || private.auth.is_some() {
            self.upstream(&path, private.upstream.as_ref(), private.auth.as_ref(), direct);
        }
    }

    fn via(&mut self, via: Option<&Spanned<Arc<str>>>) {
        if let Some(via) = via {
            check_via(via, &self.shared.ways, self.root, self.problems);
        }
    }

    fn rules(&mut self, rules: Option<&RulesSection>) {
        let Some(rules) = rules else { return };
        // One at a time, so that each problem has its place.
        for pattern in rules.allow.iter().chain(&rules.deny) {
            let alone = RuleSettings { allow: vec![pattern.value.clone()], ..RuleSettings::default() };
            self.rule(
                pattern,
                &alone,
                "a pattern as in GOPRIVATE, such as `example.com/*`, or with `@v1.2.3` or `@<v1.2.3`",
            );
        }
        for licence in &rules.leave_out_licences {
            let alone = RuleSettings { leave_out_licences: vec![licence.value.clone()], ..RuleSettings::default() };
            self.rule(licence, &alone, "an SPDX name such as `AGPL-3.0-only`, `GPL-*`, `unknown` or `none`");
        }
    }

    fn rule(&mut self, text: &Spanned<String>, alone: &RuleSettings, hint: &str) {
        if let Err(flaw) = Rules::new(alone) {
            self.problems.push(text.problem(Code::ConfigBadValue, flaw.to_string()).with_hint(hint));
        }
    }
}

/// Why this cannot be the prefix of a mount.
fn flaw_of_prefix(prefix: &str) -> Option<&'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if prefix.is_empty() || prefix.len() > LONGEST_PREFIX || !prefix.bytes().all(is_plain) {
        return Some("a prefix has letters, digits and `-`, `_`, `.`, with slashes between, and at most 200 bytes");
    }
    if prefix.split('/').any(|part| {
        matches!(part, "" | "." | ".." | "@v" | "sumdb" | "catalog" | "index") || prefix == crate::fetch::MAIN
    }) {
        return Some("a prefix has no empty part, no dots alone, and is none of `go`, `sumdb`, `catalog` and `index`");
    }
    None
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}
