//! Rules: what they mean, what is refused in them, and how they explain themselves.

use std::sync::Arc;

use proptest::prelude::*;
use tradewind_core::{Context, Label, Labels, SaidBy};

use super::*;
use crate::{Node, decode_list, parse_yaml};

fn label(text: &str, by: SaidBy) -> Label {
    Label { text: text.into(), by }
}

/// A context of a key with this role and these tags, at a device that the user agent tells.
fn context(role: &str, tags: &[&str], device: Option<Device>) -> Context {
    let labels = Labels {
        role: (!role.is_empty()).then(|| label(role, SaidBy::Key)),
        tenant: Some("build".into()),
        region: Some(label("EU", SaidBy::Hint)),
        tags: tags.iter().map(|tag| label(tag, SaidBy::Signature)).collect(),
        overruled: Vec::new(),
    };
    Context::new(Some(Arc::new(labels)), device.map(|device| (device, SaidBy::UserAgent)))
}

/// The rules of a list in YAML, and what is wrong with it as `path: message (hint)`.
fn read(yaml: &str) -> (Vec<RouteRule>, Vec<String>) {
    let mut problems = Problems::new();
    let node = parse_yaml(yaml, &mut problems).unwrap_or_else(Node::empty_map);
    let rules = decode_list(&node, "route", &[], &mut problems);
    check_routes(&rules, &mut problems);
    let said = problems.list().into_iter().map(|problem| {
        let hint = problem.hint.as_deref().map_or_else(String::new, |hint| format!(" ({hint})"));
        format!("{}:{} {}: {}{hint}", problem.line, problem.column, problem.path, problem.message)
    });
    (rules, said.collect())
}

fn routes(yaml: &str) -> Routes {
    let (rules, problems) = read(yaml);
    assert_eq!(problems, Vec::<String>::new(), "{yaml}");
    Routes::new(&rules)
}

fn facts<'a>(context: &'a Context) -> RouteFacts<'a> {
    RouteFacts { context, key: Some("ci"), model: "assistant" }
}

#[test]
fn the_first_rule_that_fits_wins() {
    let routes = routes(
        "- {when: {role: [admin, operator]}, use: strong}
- {when: {device: [mobile], tags: [batch]}, use: openai/gpt-5-mini}
- {when: {device: [mobile]}, use: small}
- {use: other}",
    );
    for (role, tags, device, used) in [
        ("admin", &["batch"][..], Some(Device::Mobile), "strong"),
        ("operator", &[], None, "strong"),
        ("Admin", &["batch"], Some(Device::Mobile), "openai/gpt-5-mini"),
        ("dev", &["batch", "x"], Some(Device::Mobile), "openai/gpt-5-mini"),
        ("", &["x"], Some(Device::Mobile), "small"),
        ("", &["batch"], Some(Device::Cli), "other"),
        ("", &["batch"], None, "other"),
    ] {
        let context = context(role, tags, device);
        let chosen = routes.choose(&facts(&context)).map(|(_, used)| used.to_string());
        assert_eq!(chosen.as_deref(), Some(used), "{role} {tags:?} {device:?}");
    }
}

/// Each condition alone: with what it holds, and with what it does not.
#[test]
fn each_condition_is_asked() {
    let (tagged, plain) = (context("admin", &["a", "b"], Some(Device::Ci)), Context::default());
    for (when, holds) in [
        ("role: admin", true),
        ("role: [dev]", false),
        ("tenant: build", true),
        ("tenant: Build", false),
        ("region: [us, eu]", true),
        ("region: us", false),
        ("{region: eu, proven: true}", false),
        ("device: [mobile, ci]", true),
        ("device: desktop", false),
        ("{device: ci, proven: true}", false),
        ("tags: [a, b]", true),
        ("tags: [a, c]", false),
        ("any-tag: [c, b]", true),
        ("any-tag: [c, d]", false),
        ("key: [ci, ann]", true),
        ("key: ann", false),
        ("model: assistant", true),
        ("model: [assistant2]", false),
    ] {
        let when = if when.starts_with('{') { when.to_owned() } else { format!("{{{when}}}") };
        let routes = routes(&format!("- {{when: {when}, use: x}}"));
        assert_eq!(routes.choose(&facts(&tagged)).is_some(), holds, "{when}");
        let nobody = RouteFacts { context: &plain, key: None, model: "" };
        assert_eq!(routes.choose(&nobody), None, "what is not known fits nothing: {when}");
    }
    assert_eq!(routes("[]").choose(&facts(&tagged)), None);
}

#[test]
fn proven_is_what_a_key_or_a_signature_says() {
    let routes = routes("- {when: {device: server, proven: true}, use: x}");
    for (by, holds) in
        [(SaidBy::Key, true), (SaidBy::Signature, true), (SaidBy::Hint, false), (SaidBy::UserAgent, false)]
    {
        let context = Context::new(None, Some((Device::Server, by)));
        assert_eq!(routes.choose(&facts(&context)).is_some(), holds, "{by:?}");
    }
}

#[test]
fn rules_say_why() {
    let routes = routes(
        "- {when: {role: [admin, operator]}, use: a}
- {when: {device: [mobile, cli]}, use: b}
- {when: {region: eu, proven: true}, use: c}
- {when: {tags: [x, batch]}, use: d}
- {when: {any-tag: [y, z]}, use: e}
- {when: {key: ann}, use: f}
- {when: {tenant: build, tags: x, any-tag: [z, x], region: eu}, use: g}
- {when: {}, use: h}",
    );
    let context = context("", &["x"], None);
    let said: Vec<String> = routes
        .explain(&facts(&context))
        .into_iter()
        .map(|rule| format!("{} {} {}: {}", rule.rule, rule.reference, rule.fits, rule.why))
        .collect();
    assert_eq!(
        said,
        [
            "0 a false: no role is known, and it has to be admin or operator",
            "1 b false: no device is known, and it has to be mobile or cli",
            "2 c false: the region is not proven: only a hint says it",
            "3 d false: the tag batch is missing",
            "4 e false: none of the tags y or z is there",
            "5 f false: the key is ci, not ann",
            "6 g true: the tenant is build, the region is EU (hint), it is tagged x",
        ]
    );
    let json = serde_json::to_value(&routes.explain(&facts(&context))[0]).unwrap();
    assert_eq!(json["use"], "a");
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_place() {
    let long = "x".repeat(201);
    for (yaml, said) in [
        ("- {when: {rol: admin}, use: x}", "1:11 route[0].when.rol: unknown key `rol` (did you mean `role`?)"),
        ("- {wehn: {}, use: x}", "1:4 route[0].wehn: unknown key `wehn` (did you mean `when`?)"),
        (
            "- {when: {tenant: [42]}, use: x}",
            "1:20 route[0].when.tenant[0]: expected text, found the number 42 (put it in quotes: \"42\")",
        ),
        ("- {when: {}}", "1:3 route[0]: `use` is missing"),
        (
            "- {when: {device: moblie}, use: x}",
            "1:19 route[0].when.device: expected one of mobile, desktop, server, ci, cli, found the text `moblie` (did you mean `mobile`?)",
        ),
        (
            "- {when: {device: [ci, moblie]}, use: x}",
            "1:24 route[0].when.device[1]: expected one of mobile, desktop, server, ci, cli, found the text `moblie` (did you mean `mobile`?)",
        ),
        (
            "- {when: {role: []}, use: x}",
            "1:17 route[0].when.role: no word is in `role`, so the rule fits no call (leave the key out for any)",
        ),
        (
            "- {when: {device: []}, use: x}",
            "1:19 route[0].when.device: no device is in this list, so the rule fits no call (leave the key out for any)",
        ),
        (
            "- {when: {tags: [a, \"\"]}, use: x}",
            "1:17 route[0].when.tags: `` in `tags` is empty, too long, or has line breaks (1 to 200 characters)",
        ),
        (
            "- {when: {proven: true}, use: x}",
            "1:31 route[0].use: `proven` is about region and device, and the rule asks for neither (leave `proven` out)",
        ),
        (
            "- {when: {}, use: x}\n- {when: {role: a}, use: y}",
            "2:26 route[1].use: no call reaches this rule: the one before fits all (put the rule without conditions last)",
        ),
        (
            "- {when: {role: {a: b}}, use: x}",
            "1:17 route[0].when.role: expected a word, or a list of words, found a map",
        ),
    ] {
        assert_eq!(read(yaml).1, [said], "{yaml}");
    }
    assert_eq!(read(&format!("- {{when: {{role: {long}}}, use: x}}")).1.len(), 1);
    let many: String = (0..=MOST_RULES).map(|number| format!("- {{when: {{role: r{number}}}, use: x}}\n")).collect();
    assert!(read(&many).1[0].ends_with("there are 101 rules, the most is 100 (tags say more with fewer rules)"));
    let words: Vec<String> = (0..65).map(|number| format!("w{number}")).collect();
    let wide = format!("- {{when: {{key: [{}]}}, use: x}}", words.join(", "));
    assert!(read(&wide).1[0].contains("`key` has at most 64 words"));
}

proptest! {
    /// What is explained is what is chosen, and the rule that is chosen is the first for which each condition holds.
    #[test]
    fn the_explanation_is_the_choice(
        rules in prop::collection::vec((prop::collection::vec("[a-c]", 0..3), prop::collection::vec("[a-c]", 0..3), any::<bool>()), 0..6),
        role in "[a-d]", tags in prop::collection::btree_set("[a-c]", 0..3),
    ) {
        let words = |words: &[String]| Some(Spanned::unplaced(Words(words.to_vec()))).filter(|_| !words.is_empty());
        let rules: Vec<RouteRule> = rules.iter().enumerate().map(|(place, (roles, tags, any))| RouteRule {
            when: When {
                role: words(roles),
                tags: words(tags).filter(|_| !any),
                any_tag: words(tags).filter(|_| *any),
                ..When::default()
            },
            reference: Spanned::unplaced(format!("u{place}")),
        }).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let context = context(&role, &tags, None);
        let expected = rules.iter().position(|rule| {
            let one_of = |words: &Option<Spanned<Words<String>>>, test: &dyn Fn(&String) -> bool| words.as_ref().is_none_or(|words| words.0.iter().any(test));
            let has = |tag: &String| tags.contains(&tag.as_str());
            one_of(&rule.when.role, &|one| *one == role)
                && rule.when.tags.as_ref().is_none_or(|all| all.0.iter().all(has))
                && one_of(&rule.when.any_tag, &has)
        });
        let routes = Routes::new(&rules);
        prop_assert_eq!(routes.choose(&facts(&context)).map(|(place, _)| place), expected);
        let explained = routes.explain(&facts(&context));
        prop_assert_eq!(explained.iter().position(|rule| rule.fits), expected);
        prop_assert_eq!(explained.len(), expected.map_or(rules.len(), |place| place + 1));
    }
}
