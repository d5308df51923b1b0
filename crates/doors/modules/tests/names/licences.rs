//! Licences by their texts, and the rules.

use std::time::Duration;

use tradewind_core::UnixMillis;
use tradewind_door_modules::{Licence, ModulePath, ModuleVersion, RuleKind, RuleSettings, Rules, Verdict};

const MIT: &str = "MIT License\n\nCopyright (c) 2026 Somebody\n\n\
    Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated \
    documentation files (the \"Software\"), to deal in the Software without restriction, including without limitation the \
    rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit \
    persons to whom the Software is furnished to do so, subject to the following conditions:\n\n\
    The above copyright notice and this permission notice shall be included in all copies or substantial portions of the \
    Software.\n\n\
    THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED.";

const BSD: &str = "Copyright 2026 Somebody. All rights reserved.\n\
    Redistribution and use in source and binary forms, with or without modification, are permitted provided that the \
    following conditions are met:\n\
    1. Redistributions of source code must retain the above copyright notice, this list of conditions and the following \
    disclaimer.\n\
    2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following \
    disclaimer in the documentation.\n";

const ISC: &str = "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is \
    hereby granted, provided that the above copyright notice and this permission notice appear in all copies.";

fn names(text: &str) -> Vec<&'static str> {
    Licence::recognise(text.as_bytes()).into_iter().map(Licence::name).collect()
}

#[test]
fn licences_are_recognised_by_what_only_they_have() {
    let apache = std::fs::read(format!("{}/../../../LICENSE", env!("CARGO_MANIFEST_DIR"))).expect("our own licence");
    assert_eq!(Licence::recognise(&apache).into_iter().map(Licence::name).collect::<Vec<_>>(), ["Apache-2.0"]);
    let three = "3. Neither the name of the holder nor the names of its contributors may be used to endorse or promote \
        products derived from this software without specific prior written permission.";
    let four = "3. All advertising materials mentioning features or use of this software must display a sentence.";
    for (text, is) in [
        (MIT.to_owned(), vec!["MIT"]),
        (MIT.to_uppercase(), vec!["MIT"]),
        (MIT.replace(' ', "\r\n// "), vec!["MIT"]),
        (MIT.replace("shall be included", "(including the next paragraph) shall be included"), vec!["MIT"]),
        (MIT.replace("MIT License", "The Software shall be used for Good, not Evil."), vec!["JSON"]),
        (BSD.to_owned(), vec!["BSD-2-Clause"]),
        (format!("{BSD}{three}"), vec!["BSD-3-Clause"]),
        (format!("{BSD}{four}{three}"), vec!["BSD-4-Clause"]),
        (ISC.to_owned(), vec!["ISC"]),
        (ISC.replace(", provided that the above copyright notice and this permission notice appear in all copies", ""), vec!["0BSD"]),
        (format!("{MIT}\n----\n{BSD}{three}"), vec!["BSD-3-Clause", "MIT"]),
        ("This is free and unencumbered software released into the public domain.".to_owned(), vec!["Unlicense"]),
        ("Licensed under the Apache License, Version 2.0 (the \"License\");".to_owned(), vec!["Apache-2.0"]),
        ("GNU LESSER GENERAL PUBLIC LICENSE\n   Version 2.1, February 1999".to_owned(), vec!["LGPL-2.1"]),
        ("Business Source License 1.1\n\nParameters".to_owned(), vec!["BUSL-1.1"]),
        ("\"Commons Clause\" License Condition v1.0 … the License does not grant to you, the right to Sell the Software.".to_owned(), vec!["LicenseRef-Commons-Clause"]),
        ("All rights reserved.".to_owned(), vec!["unknown"]),
        ("See the MIT licence of our other project.".to_owned(), vec!["unknown"]),
        (String::new(), vec!["unknown"]),
    ] {
        assert_eq!(names(&text), is, "{text}");
    }
}

#[test]
fn a_licence_with_terms_of_its_own_is_unknown_as_well() {
    let terms = "Whoever earns money with it has to ask for leave before, and to pay what is asked of him. ".repeat(15);
    assert_eq!(names(&format!("{MIT}{terms}")), ["MIT", "unknown"]);
    // Some lines about who holds the copyright are not.
    assert_eq!(names(&format!("{}{MIT}", "Copyright 2026 Somebody Else\n".repeat(15))), ["MIT"]);
}

#[test]
fn bytes_that_are_no_text_are_unknown_and_a_long_text_is_looked_at_in_part() {
    assert_eq!(Licence::recognise(&[0xff; 1000]), [Licence::UNKNOWN]);
    // The text lies behind the part that is looked at, or just within it.
    let room = (256 << 10) - MIT.len();
    assert_eq!(names(&format!("{}{MIT}", " ".repeat(256 << 10))), ["unknown"]);
    assert_eq!(names(&format!("{}{MIT}", " ".repeat(room))), ["MIT"]);
}

#[test]
fn each_licence_has_a_name_that_is_read_back() {
    let mut before = String::new();
    for licence in Licence::all().chain([Licence::UNKNOWN]) {
        assert_eq!(licence.name().parse(), Ok(licence));
        assert_eq!(licence.name().to_uppercase().parse(), Ok(licence));
        let json = serde_json::to_string(&licence).expect("a licence is written");
        assert_eq!(serde_json::from_str::<Licence>(&json).expect("and read"), licence);
        assert!(licence.name() == "unknown" || before < licence.name().to_lowercase(), "in order: {licence}");
        before = licence.name().to_lowercase();
    }
    assert_eq!("GPL-3.0-or-later".parse::<Licence>().map(Licence::name), Ok("GPL-3.0"));
    assert_eq!("LGPL-2.1-only".parse::<Licence>().map(Licence::name), Ok("LGPL-2.1"));
    assert_eq!(serde_json::from_str::<Licence>("\"Made-Up-1.0\"").expect("any name is read"), Licence::UNKNOWN);
    let error = "AGPL-3".parse::<Licence>().expect_err("no such name").to_string();
    assert_eq!(error, "`AGPL-3` is not a licence that can be recognised; did you mean `AGPL-3.0`?");
}

const NOW: UnixMillis = UnixMillis(1_795_294_800_000);

fn module(text: &str) -> ModuleVersion {
    ModuleVersion::parse(text).expect("a module")
}

fn rules(change: impl FnOnce(&mut RuleSettings)) -> Rules {
    let mut settings = RuleSettings::default();
    change(&mut settings);
    Rules::new(&settings).expect("good rules")
}

fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn refused(verdict: Verdict) -> (RuleKind, String) {
    let refusal = verdict.expect_err("it is refused");
    // The go command shows one line of it, and no control characters.
    assert!(refusal.sentence.len() <= 648 && refusal.sentence.chars().all(|character| !character.is_control()));
    (refusal.rule, refusal.sentence)
}

#[test]
fn without_rules_everything_may_be_had() {
    let rules = rules(|_| ());
    assert_eq!(rules.judge(&module("example.com/a@v1.0.0"), None, &[], NOW), Ok(()));
    assert!(!rules.need_time());
}

#[test]
fn what_is_denied_or_not_allowed_is_refused_before_it_is_asked_for() {
    let rules = rules(|settings| {
        settings.allow = list(&["github.com/*", "example.com/good@v1.2.3", "golang.org/x"]);
        settings.deny = list(&["github.com/evil", "github.com/*/left@<v1.3.0", "golang.org/x/old@>=v0.5.0"]);
    });
    let judge = |text: &str| rules.judge(&module(text), None, &[], NOW);
    for allowed in [
        "github.com/good/a@v1.0.0",
        "github.com/evilish/a@v1.0.0",
        "github.com/a/left@v1.3.0",
        "example.com/good@v1.2.3",
        "golang.org/x/text@v0.1.0",
        "golang.org/x/old@v0.4.9",
    ] {
        assert_eq!(judge(allowed), Ok(()), "{allowed}");
    }
    for (denied, by) in [
        ("github.com/evil/a/b@v1.0.0", "github.com/evil"),
        ("github.com/a/left@v1.3.0-rc.1", "github.com/*/left@<v1.3.0"),
        ("golang.org/x/old@v0.5.0", "golang.org/x/old@>=v0.5.0"),
    ] {
        let sentence = format!("blocked by policy: {denied} is denied by \"{by}\"");
        assert_eq!(refused(judge(denied)), (RuleKind::Deny, sentence));
    }
    for other in ["example.com/good@v1.2.4", "example.com/other@v1.0.0", "golang.org/y@v1.0.0"] {
        assert_eq!(refused(judge(other)).0, RuleKind::Allow, "{other}");
    }
    // Before a version is known, a rule about versions neither denies nor forbids.
    let path = |text: &str| rules.judge_path(&ModulePath::parse(text).expect("a path"));
    assert_eq!(path("github.com/a/left"), Ok(()));
    assert_eq!(path("example.com/good"), Ok(()));
    assert_eq!(refused(path("github.com/evil/x")).0, RuleKind::Deny);
    assert_eq!(refused(path("example.com/other")).0, RuleKind::Allow);
}

#[test]
fn bounds_of_versions_are_those_that_are_written() {
    for (bound, covered) in [
        ("v1.2.3", [false, true, false]),
        ("<v1.2.3", [true, false, false]),
        ("<=v1.2.3", [true, true, false]),
        (">v1.2.3", [false, false, true]),
        (">=v1.2.3", [false, true, true]),
    ] {
        let rules = rules(|settings| settings.deny = vec![format!("example.com@{bound}")]);
        for (version, is_covered) in ["v1.2.2", "v1.2.3", "v1.3.0"].into_iter().zip(covered) {
            let verdict = rules.judge_name(&module(&format!("example.com/a@{version}")));
            assert_eq!(verdict.is_err(), is_covered, "{bound} {version}");
        }
    }
}

#[test]
fn what_is_too_young_is_refused_until_it_is_old_enough() {
    let week = Duration::from_secs(7 * 86_400);
    let rules = rules(|settings| settings.min_age = Some(week));
    assert!(rules.need_time());
    let of = module("example.com/a@v1.0.0");
    let from = |age: u64| Some(UnixMillis(NOW.0 - age));
    let week = 7 * 86_400_000;
    assert_eq!(rules.judge_time(&of, from(week), NOW), Ok(()));
    let sentence = "blocked by policy: example.com/a@v1.0.0 is younger than 7d; it may be had from \
                    2026-11-21T21:00:00.001Z on";
    assert_eq!(refused(rules.judge_time(&of, from(week - 1), NOW)), (RuleKind::MinAge, sentence.to_owned()));
    assert!(rules.judge_time(&of, Some(UnixMillis(u64::MAX)), NOW).is_err());
    let sentence = "blocked by policy: the age of example.com/a@v1.0.0 is not known, and it has to be 7d";
    assert_eq!(refused(rules.judge_time(&of, None, NOW)), (RuleKind::MinAge, sentence.to_owned()));
    // A pseudo-version says its time itself; the later of both counts.
    let pseudo = module("example.com/a@v0.0.0-20261121000000-abcdefabcdef");
    assert!(rules.judge_time(&pseudo, Some(UnixMillis(0)), NOW).is_err());
    let old = module("example.com/a@v0.0.0-20200101000000-abcdefabcdef");
    assert_eq!(rules.judge_time(&old, None, NOW), Ok(()));
    assert!(rules.judge_time(&old, from(0), NOW).is_err());
}

#[test]
fn licences_that_are_left_out_are_refused() {
    let rules =
        rules(|settings| settings.leave_out_licences = list(&["agpl-*", "GPL-3.0-or-later", "unknown", "none"]));
    assert!(!rules.need_time());
    let of = module("example.com/a@v1.0.0");
    let judge = |names: &[&str]| {
        let licences: Vec<Licence> = names.iter().map(|name| name.parse().expect("a licence")).collect();
        rules.judge_licences(&of, &licences)
    };
    assert_eq!(judge(&["MIT"]), Ok(()));
    assert_eq!(judge(&["LGPL-3.0", "GPL-2.0"]), Ok(()));
    for (licences, what) in [
        (&["MIT", "AGPL-3.0"][..], "is under AGPL-3.0"),
        (&["GPL-3.0"], "is under GPL-3.0"),
        (&["MIT", "unknown"], "has a licence that is not recognised"),
        (&[], "has no licence file"),
    ] {
        let sentence = format!("blocked by policy: example.com/a@v1.0.0 {what}, and that is left out");
        assert_eq!(refused(judge(licences)), (RuleKind::Licence, sentence));
    }
}

#[test]
fn malformed_rules_say_what_is_wrong() {
    let refused = |settings: RuleSettings| Rules::new(&settings).expect_err("malformed").to_string();
    let deny = |text: &str| RuleSettings { deny: list(&[text]), ..RuleSettings::default() };
    let leave_out = |text: &str| RuleSettings { leave_out_licences: list(&[text]), ..RuleSettings::default() };
    assert_eq!(refused(deny("example.com/[")), "syntax error in pattern \"example.com/[\"");
    assert_eq!(refused(deny("")), "\"\" is not one pattern: write one for each, like `*.corp.example.com`");
    assert_eq!(
        refused(deny("a.com,b.com")),
        "\"a.com,b.com\" is not one pattern: write one for each, like `*.corp.example.com`"
    );
    assert_eq!(refused(deny("example.com@v1")), "version \"v1\" is not canonical (should be \"v1.0.0\")");
    assert_eq!(refused(deny("example.com@~v1.0.0")), "version \"~v1.0.0\" invalid: not a semantic version");
    assert_eq!(refused(leave_out("Made-Up")), "`Made-Up` is not a licence that can be recognised");
    assert_eq!(refused(leave_out("XYZ*")), "\"XYZ*\" covers no licence that can be recognised");
}
