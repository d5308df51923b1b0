//! The sections as people write them, right and wrong.

mod choosing;

use tradewind_core::{Price, TargetId};
use tradewind_policy::{Problems, Root, Shared, TimeSpan, digest, schema};

use super::{
    EMBEDDERS_SECTION, HedgeAfter, MODELS_SECTION, Models, RESPONDERS_SECTION, Reference, Strategy, TargetSettings,
};

const PROVIDERS: &str = "providers:
  - {name: openai, dialect: openai, base-url: https://api.openai.com/v1, api-key: k}
  - {name: onprem, dialect: openai, base-url: \"http://llm:8000/v1\"}
";

fn decode(sections: &str) -> (Models, Problems, String) {
    let text = format!("{PROVIDERS}{sections}");
    let mut problems = Problems::new();
    let lookup = |name: &str| (name == "WORD").then(|| "from-outside".to_owned());
    let root = Root::parse(&text, &lookup, &[MODELS_SECTION, RESPONDERS_SECTION, EMBEDDERS_SECTION], &mut problems);
    let _shared = Shared::decode(&root, &mut problems);
    let models = Models::decode(&root, &mut problems);
    (models, problems, text)
}

pub(super) fn models(sections: &str) -> Models {
    let (models, problems, text) = decode(sections);
    assert!(problems.is_empty(), "{}", problems.render("test.yaml", &text));
    models
}

/// All problems as `CODE path: message`, and the hints.
fn refusals(sections: &str) -> Vec<(String, Option<String>)> {
    let (_, problems, _) = decode(sections);
    let list = problems.list();
    list.iter().map(|one| (format!("{} {}: {}", one.code, one.path, one.message), one.hint.clone())).collect()
}

pub(super) fn messages(sections: &str) -> Vec<String> {
    refusals(sections).into_iter().map(|(message, _)| message).collect()
}

#[test]
fn no_section_is_no_model() {
    assert_eq!(models(""), Models::default());
    assert_eq!(models("models:\nresponders: []\n"), Models::default());
}

#[test]
fn a_model_with_targets_has_all_defaults() {
    let models = models("models:\n  - {name: a, targets: [{use: openai/gpt}]}\n");
    let entry = models.entry("a").expect("there is a model a");
    assert_eq!((entry.strategy, entry.hedge.is_none(), entry.last_resort.is_none()), (Strategy::Fallback, true, true));
    assert_eq!(entry.timeouts.connect, TimeSpan::from_secs(2));
    assert_eq!(entry.timeouts.headers, None);
    assert_eq!(entry.timeouts.first_token, TimeSpan::from_secs(30));
    assert_eq!(entry.timeouts.idle, TimeSpan::from_secs(60));
    assert_eq!(entry.timeouts.total, TimeSpan::from_secs(600));
    assert_eq!((entry.retry.extra.0, entry.retry.attempts), (0.2, 4));
    assert_eq!((entry.targets[0].weight, entry.targets[0].price), (1, None));
    let settings = models.target_settings();
    assert_eq!(settings.get("openai/gpt"), Some(&TargetSettings::default()));
}

#[test]
fn a_full_model_is_read() {
    let models = models(
        "models:
  - name: assistant
    strategy: weighted
    targets:
      - {use: openai/gpt-5-mini, weight: 3, price: {input: 0.25, output: 2, cached: 0.025}, max-in-flight: 8, max-queue: 0}
      - {use: onprem/org/llama:70b, weight: 0}
      - {use: private}
    timeouts: {connect: 500ms, headers: 20s, first-token: 8s, idle: 20s, total: 120s}
    hedge: {after: p95, at-most: 2}
    retry: {extra: 0.1, attempts: 2, longest-wait: 5s}
    last-resort: {rules: house-rules}
  - name: org/private
    strategy: select
    targets: [{use: onprem/llama}]
    last-resort: rules
  - name: private
    strategy: least-latency
    targets: [{use: onprem/org/llama:70b, price: {input: 0, output: 0}}, {use: openai/gpt-5-mini}]
    hedge: {after: 800ms}
  - {name: canned, last-resort: rules}
responders:
  - name: house-rules
    rules: [{contains: [opening hours, open], answer: From nine to five.}]
    otherwise: Please call again later.
",
    );
    let entry = models.entry("assistant").expect("there is an assistant");
    assert_eq!(entry.strategy, Strategy::Weighted);
    assert_eq!(entry.timeouts.headers, Some(TimeSpan::from_secs(20)));
    assert_eq!(entry.hedge.as_ref().map(|hedge| (hedge.after, hedge.at_most)), Some((HedgeAfter::P95, 2)));
    assert_eq!(entry.last_resort.as_ref().map(|last| last.rules.as_str()), Some("house-rules"));
    let references: Vec<_> = entry.targets.iter().map(|target| models.resolve(&target.reference)).collect();
    let target = |text: &str| Some(Reference::Target(TargetId::new(text)));
    assert_eq!(references, [target("openai/gpt-5-mini"), target("onprem/org/llama:70b"), Some(Reference::Entry(2))]);
    let private = models.entry("private").expect("there is a private");
    assert_eq!(private.hedge.as_ref().map(|hedge| hedge.after), Some(HedgeAfter::Time(TimeSpan::from_millis(800))));
    assert_eq!(models.entry("canned").map(|entry| entry.targets.len()), Some(0));
    assert_eq!(
        models.entry("org/private").and_then(|entry| entry.last_resort.clone()).map(|it| it.rules.value),
        Some("rules".into())
    );
    assert_eq!(models.responder("house-rules").map(|responder| responder.rules.len()), Some(1));
    assert_eq!(models.responder("rules"), None, "the built-in one is in no file");
    let settings = models.target_settings();
    let price = Price { input: 0.25, output: 2.0, cached: Some(0.025), cache_write: None, reasoning: None };
    assert_eq!(
        settings.get("openai/gpt-5-mini"),
        Some(&TargetSettings { price: Some(price), max_in_flight: 8, max_queue: 0, ..TargetSettings::default() }),
        "said in one place, true wherever it is used"
    );
    assert_eq!(settings.len(), 3);
}

#[test]
fn names_that_exist_nowhere_are_refused_with_the_nearest() {
    for (reference, message, hint) in [
        ("opnai/gpt", "no provider named `opnai`", "did you mean `openai/gpt`?"),
        ("azure/gpt", "no provider named `azure`", "add a provider named `azure`"),
        ("assistent", "no model named `assistent`", "did you mean `assistant`?"),
        ("gpt", "no model named `gpt`", "write provider/model, or the name of another model"),
        ("openai", "no model named `openai`", "write provider/model, or the name of another model"),
        (
            "openai/",
            "`openai/` does not say which model of the provider",
            "write provider/model, or the name of another model",
        ),
        ("/gpt", "no provider named ``", "write provider/model, or the name of another model"),
        ("\"\"", "no model named ``", "write provider/model, or the name of another model"),
    ] {
        let found = refusals(&format!(
            "models: [{{name: assistant, targets: [{{use: openai/x}}]}}, {{name: b, targets: [{{use: {reference}}}]}}]"
        ));
        assert_eq!(
            found,
            [(format!("TW4004 models[1].targets[0].use: {message}"), Some(hint.to_owned()))],
            "{reference}"
        );
    }
    assert_eq!(
        refusals("models: [{name: a, last-resort: {rules: hose}}]\nresponders: [{name: house, otherwise: x}]"),
        [(
            "TW4004 models[0].last-resort.rules: no responder named `hose`".into(),
            Some("did you mean `house`?".into())
        )]
    );
}

#[test]
fn a_reference_to_something_with_a_problem_of_its_own_is_not_one_more() {
    assert_eq!(
        messages(
            "models: [{name: a, targets: [{use: b}]}, {name: b, nonsense: 1, strategy: 5, targets: [{use: openai/x}]}]"
        ),
        [
            "TW4002 models[1].nonsense: unknown key `nonsense`",
            "TW4003 models[1].strategy: expected one of select, fallback, weighted, least-latency, score, found the number 5",
        ]
    );
}

#[test]
fn what_came_from_outside_is_not_shown() {
    let (_, problems, text) = decode(
        "models: [{name: \"${WORD}\", targets: [{use: \"${WORD}/x\"}, {use: \"${WORD}s\"}]}, {name: \"${WORD}\", \
         last-resort: {rules: \"${WORD}\"}, targets: [{use: \"openai/${WORD}\"}, {use: \"openai/${WORD}\"}]}]",
    );
    let rendered = problems.render("test.yaml", &text);
    assert_eq!(problems.len(), 5, "{rendered}");
    assert!(!rendered.contains("from-outside"), "{rendered}");
    assert!(rendered.contains("${WORD}/x"), "{rendered}");
}

#[test]
fn names_are_unique_and_hide_no_provider() {
    for (sections, message) in [
        (
            "models: [{name: a, last-resort: rules}, {name: a, last-resort: rules}]",
            "TW4003 models[1].name: a model named `a` is there already",
        ),
        (
            "models: [{name: openai/gpt, last-resort: rules}]",
            "TW4003 models[0].name: `openai/gpt` would hide a model of the provider `openai`",
        ),
        ("models: [{name: \"\", last-resort: rules}]", "TW4003 models[0].name: the name is empty"),
        (
            "models: [{name: \" a\", last-resort: rules}]",
            "TW4003 models[0].name: a model's name neither begins nor ends with a space, and has no line breaks",
        ),
        (
            "responders: [{name: a, otherwise: x}, {name: a, otherwise: y}]",
            "TW4003 responders[1].name: a responder named `a` is there already",
        ),
        ("responders: [{name: rules, otherwise: x}]", "TW4003 responders[0].name: `rules` is the built-in responder"),
        (
            "responders: [{name: a, otherwise: x, rules: [{contains: [], answer: y}]}]",
            "TW4003 responders[0].rules[0].contains: a rule needs words to look for",
        ),
    ] {
        assert_eq!(messages(sections), [message]);
    }
}

#[test]
fn rules_are_refused_with_their_place() {
    for (rules, message) in [
        ("[{answer: y}]", "TW4003 responders[0].rules[0].contains: a rule needs words to look for"),
        (
            "[{contains: [a], answer: y}, {matches: ['(a'], answer: y}]",
            "TW4003 responders[0].rules[1].matches[0]: this is no pattern: unclosed group",
        ),
        ("[{matches: ['a(b)'], answer: '{{2}}'}]", "TW4003 responders[0].rules[0].answer: unknown placeholder `{{2}}`"),
    ] {
        let sections = format!("responders: [{{name: a, otherwise: x, rules: {rules}}}]");
        assert_eq!(messages(&sections), [message]);
    }
    let otherwise = refusals("responders: [{name: a, otherwise: 'at {{tme}}'}]");
    let message = "TW4003 responders[0].otherwise: unknown placeholder `{{tme}}`".to_owned();
    assert_eq!(otherwise, [(message, Some("did you mean `{{time}}`?".to_owned()))]);
    let many = format!(
        "responders: [{{name: a, otherwise: x, rules: [{}]}}]",
        vec!["{contains: [a], answer: b}"; crate::rules::MOST_RULES + 1].join(", ")
    );
    assert_eq!(messages(&many), ["TW4003 responders[0].rules: a responder has at most 200 rules"]);
    models("responders: [{name: a, otherwise: '{{question}}?', rules: [{matches: ['^(?<w>a)'], answer: '{{w}}'}]}]");
}

#[test]
fn circles_are_found() {
    let model = |name: &str, uses: &str| format!("  - {{name: {name}, targets: [{{use: openai/x}}, {uses}]}}\n");
    let itself = format!("models:\n{}", model("a", "{use: a}"));
    assert_eq!(messages(&itself), ["TW4003 models[0].targets[1].use: models refer to each other in a circle: a -> a"]);
    let three = format!(
        "models:\n{}{}{}{}",
        model("out", "{use: a}"),
        model("a", "{use: b}"),
        model("b", "{use: c}"),
        model("c", "{use: a}, {use: onprem/y}")
    );
    assert_eq!(
        messages(&three),
        ["TW4003 models[3].targets[1].use: models refer to each other in a circle: a -> b -> c -> a"]
    );
    let twice_the_same =
        format!("models:\n{}{}{}", model("a", "{use: c}"), model("b", "{use: c}"), model("c", "{use: onprem/y}"));
    assert_eq!(messages(&twice_the_same), [""; 0], "two ways to one model are no circle");
}

#[test]
fn chains_are_at_most_eight_long() {
    let chain = |length: usize| {
        let mut text = "models:\n".to_owned();
        for index in 1..length {
            text.push_str(&format!("  - {{name: m{index}, targets: [{{use: m{}}}]}}\n", index + 1));
        }
        text + &format!("  - {{name: m{length}, targets: [{{use: openai/x}}]}}\n")
    };
    assert_eq!(messages(&chain(8)), [""; 0]);
    assert_eq!(messages(&chain(9)), ["TW4003 models[0].name: more than 8 models stand behind each other from here"]);
    assert_eq!(messages(&chain(20_000)).len(), 1, "and a long one neither overflows the stack nor takes long");
}

#[test]
fn numbers_have_their_bounds() {
    for (fields, message) in [
        ("timeouts: {connect: 0s}", "models[0].timeouts.connect: `connect` is zero: no call could be answered"),
        ("timeouts: {total: 10s, idle: 20s}", "models[0].timeouts.idle: `idle` is longer than the total of 10s"),
        ("timeouts: {idel: 20s}", "models[0].timeouts.idel: unknown key `idel`"),
        ("hedge: {after: 0s}", "models[0].hedge.after: every call would be made twice"),
        (
            "hedge: {after: p90}",
            "models[0].hedge.after: expected `p95`, or a time span like 800ms, found the text `p90`",
        ),
        ("hedge: {after: p95, at-most: 4}", "models[0].hedge.at-most: a hedge has from 1 to 3 extra attempts"),
        ("hedge: {}", "models[0].hedge: `after` is missing"),
        (
            "strategy: select, hedge: {after: p95}",
            "models[0].hedge: `select` calls no other target than the selected one, so it cannot hedge",
        ),
        ("retry: {extra: 0.3}", "models[0].retry.extra: `extra` is at most 0.2"),
        ("retry: {extra: -1}", "models[0].retry.extra: expected a number from 0 to 1000000, found the number -1"),
        ("retry: {attempts: 0}", "models[0].retry.attempts: a call has from 1 to 10 attempts"),
        (
            "last-resort: house",
            "models[0].last-resort: expected `rules`, or `{rules: NAME}` with the name of one of the responders, \
             found the text `house`",
        ),
        ("last-resort: {}", "models[0].last-resort: `rules` is missing"),
        ("last-resort: {rule: x}", "models[0].last-resort: `last-resort` has only the key `rules`"),
    ] {
        let found = messages(&format!("models: [{{name: a, targets: [{{use: openai/x}}], {fields}}}]"));
        let [found] = &found[..] else { panic!("{fields}: {found:?}") };
        assert_eq!(&found[7..], message, "{fields}");
    }
}

#[test]
fn a_total_below_the_default_of_another_time_is_no_mistake() {
    models("models: [{name: a, targets: [{use: openai/x}], timeouts: {total: 10s}}]");
}

#[test]
fn targets_have_their_bounds() {
    for (target, message) in [
        (
            "{use: openai/x, weight: -1}",
            "models[0].targets[0].weight: expected a whole number from 0 to 4294967295, found the number -1",
        ),
        ("{use: openai/x, weight: 2000000}", "models[0].targets[0].weight: a weight is at most 1000000"),
        ("{use: openai/x, weight: 0}", "models[0].targets: all weights are 0: none could be picked"),
        ("{use: openai/x, max-in-flight: 0}", "models[0].targets[0].max-in-flight: it would never be called"),
        ("{use: openai/x, price: {input: 1}}", "models[0].targets[0].price: `output` is missing"),
        (
            "{use: openai/x, price: {input: 1, output: .nan}}",
            "models[0].targets[0].price.output: expected a number from 0 to 1000000, found the number NaN",
        ),
        ("{use: openai/x}, {use: openai/x}", "models[0].targets[1].use: `openai/x` is a target of this model already"),
        (
            "{use: b, price: {input: 1, output: 1}}",
            "models[0].targets[0].price: `price` belongs to provider/model, and `b` is a model",
        ),
        (
            "openai/x",
            "models[0].targets[0]: expected a map with the keys `use`, `weight`, `price`, `max-output`, `max-in-flight`, `max-queue`, …, found the text `openai/x`",
        ),
        ("{weight: 1}", "models[0].targets[0]: `use` is missing"),
        ("", "models[0]: nothing can answer: there are no targets"),
        (
            "{use: openai/y, price: {input: 1, output: 1}}",
            "models[1].targets[0].price: another `price` for `openai/y` than before",
        ),
    ] {
        let found = messages(&format!(
            "models: [{{name: a, strategy: weighted, targets: [{target}]}}, {{name: b, targets: [{{use: openai/y, price: {{input: 2, output: 1}}}}]}}]"
        ));
        let [found] = &found[..] else { panic!("{target}: {found:?}") };
        assert_eq!(&found[7..], message, "{target}");
    }
}

#[test]
fn every_entry_is_looked_at() {
    assert_eq!(
        messages(
            "models:
  - {name: a, strategy: fastest, targets: [{use: openai/x, weight: lots}, {use: opnai/x}, 7]}
  - {name: b, timeouts: {idle: soon, total: later}}
  - 5
  - {targets: [{use: openai/x}]}
"
        ),
        [
            "TW4003 models[0].strategy: expected one of select, fallback, weighted, least-latency, score, found the text `fastest`",
            "TW4003 models[0].targets[0].weight: expected a whole number from 0 to 4294967295, found the text `lots`",
            "TW4004 models[0].targets[1].use: no provider named `opnai`",
            "TW4003 models[0].targets[2]: expected a map with the keys `use`, `weight`, `price`, `max-output`, `max-in-flight`, `max-queue`, …, found the number 7",
            "TW4003 models[1]: nothing can answer: there are no targets",
            "TW4003 models[1].timeouts.idle: expected a time span like 250ms, 8s, 5m, 1h or 30d, found the text `soon`",
            "TW4003 models[1].timeouts.total: expected a time span like 250ms, 8s, 5m, 1h or 30d, found the text `later`",
            "TW4003 models[2]: expected a map with the keys `name`, `strategy`, `targets`, `timeouts`, `hedge`, `retry`, …, found the number 5",
            "TW4003 models[3]: `name` is missing",
        ]
    );
}

#[test]
fn parts_that_are_not_built_are_refused_by_name() {
    let found = messages("models: [{name: a, last-resort: rules, via: way-out}]");
    assert!(found.len() == 1 && found[0].starts_with("TW4005 models[0].via: `via` ("), "{found:?}");
}

#[test]
fn what_decides_who_is_asked_is_checked() {
    for (entry, said) in [
        ("score: {}", "models[0].score: `score` counts with the strategy `score` only"),
        ("strategy: score, score: {meaning: 0, load: 0, cost: 0}", "models[0].score: "),
        ("strategy: score, score: {meaning: -1}", "models[0].score.meaning: expected a number from 0 to 1000000"),
        ("strategy: score, score: {mode: softmax, temperature: 0}", "models[0].score.temperature: "),
        ("strategy: score, score: {abstain-below: 2}", "models[0].score.abstain-below: `abstain-below` is a share"),
        ("strategy: score, score: {embedder: lexicl}", "models[0].score.embedder: no embedder named `lexicl`"),
        (
            "strategy: score, score: {default: openai/y}",
            "models[0].score.default: no target of this model named `openai/y`",
        ),
        ("require: {price-at-most: {}}", "models[0].require.price-at-most: it sets no price"),
        ("budget: {usd: 0, per: day}", "models[0].budget.usd: "),
        ("route: [{when: {role: admin}, use: a}]", "models[0].route[0].use: the rule leads to the model"),
        ("route: [{when: {role: admin}, use: opnai/x}]", "models[0].route[0].use: no provider named `opnai`"),
    ] {
        let found = messages(&format!("models: [{{name: a, targets: [{{use: openai/x}}], {entry}}}]"));
        assert!(found.len() == 1 && found[0].contains(said), "{entry}: {found:?}");
    }
    for (target, said) in [
        ("good-at: [short answers]", "models[0].targets[0].good-at: `good-at` counts with the strategy `score` only"),
        ("context: 0", "models[0].targets[0].context: "),
        ("prometheus: {query: up}", "models[0].targets[0].prometheus: nothing says where Prometheus is"),
        ("prometheus: {query: \"\"}", "models[0].targets[0].prometheus.query: the query is empty"),
    ] {
        let found = messages(&format!("models: [{{name: a, targets: [{{use: openai/x, {target}}}]}}]"));
        assert!(found.iter().any(|found| found.contains(said)), "{target}: {found:?}");
    }
    for (embedder, said) in [
        ("{name: lexical, type: universal-sentence-encoder}", "embedders[0].name: `lexical` is the built-in embedder"),
        (
            "{name: a, type: universal-sentence-encoder, model: x}",
            "embedders[0].model: `model` belongs to the type `openai`",
        ),
        ("{name: a, type: openai, model: x}", "embedders[0]: the type `openai` needs a `provider`"),
        ("{name: a, type: openai, provider: opnai, model: x}", "embedders[0].provider: no provider named `opnai`"),
        ("{name: a, type: openai, provider: openai}", "embedders[0]: the type `openai` needs a `model`"),
        ("{name: a, type: openai, provider: openai, model: x, dimensions: 0}", "embedders[0].dimensions: "),
        ("{name: a, type: openai, provider: openai, model: x, timeout: 0s}", "embedders[0].timeout: "),
    ] {
        let found = messages(&format!("embedders: [{embedder}]"));
        assert!(found.len() == 1 && found[0].contains(said), "{embedder}: {found:?}");
    }
}

#[test]
fn a_cache_that_cannot_work_is_a_problem_with_its_place() {
    let found = |cache: &str| {
        let found = messages(&format!("models: [{{name: a, cache: {cache}, targets: [{{use: openai/x}}]}}]"));
        assert_eq!(found.len(), 1, "{cache}: {found:?}");
        found.into_iter().next().unwrap()
    };
    for (cache, said) in [
        ("{}", "TW4003 models[0].cache: nothing is cached"),
        ("{exact: {ttl: 0s}}", "TW4003 models[0].cache.exact.ttl: `ttl` is 0s"),
        ("{meaning: {threshold: 0.5}}", "TW4003 models[0].cache.meaning.threshold: `threshold` is 0.5"),
        ("{meaning: {embedder: lexicl}}", "models[0].cache.meaning.embedder: no embedder named `lexicl`"),
    ] {
        let message = found(cache);
        assert!(message.contains(said), "{cache}: {message}");
    }
    assert_eq!(messages("models: [{name: a, cache: {exact: {}, meaning: {}}, targets: [{use: openai/x}]}]"), [""; 0]);
}

#[test]
fn the_sections_are_in_the_schema() {
    let schema = schema(&[MODELS_SECTION, RESPONDERS_SECTION, EMBEDDERS_SECTION]);
    let definitions = &schema["$defs"];
    assert_eq!(definitions["ModelEntry"]["required"], serde_json::json!(["name"]));
    assert_eq!(definitions["ModelEntry"]["properties"]["strategy"]["default"], "fallback");
    assert_eq!(definitions["Timeouts"]["properties"]["first-token"]["default"], "30s");
    assert_eq!(definitions["Target"]["required"], serde_json::json!(["use"]));
    assert_eq!(definitions["Target"]["properties"]["weight"]["default"], 1);
    assert!(definitions["Responder"]["properties"]["otherwise"]["description"].is_string());
    assert!(definitions["LastResort"]["anyOf"].is_array());
}

#[test]
fn the_digest_covers_models_and_responders() {
    let digest_of = |sections: &str| {
        digest(&Root::parse(
            sections,
            &|_| None,
            &[MODELS_SECTION, RESPONDERS_SECTION, EMBEDDERS_SECTION],
            &mut Problems::new(),
        ))
    };
    let one = digest_of("models: [{name: a, targets: [{use: openai/x, weight: 1}]}]");
    assert_ne!(one, digest_of("models: [{name: a, targets: [{use: openai/x, weight: 2}]}]"));
    assert_ne!(one, digest_of("models: [{name: a, targets: [{use: openai/x, weight: 1}]}]\nresponders: [{name: r}]"));
    assert_eq!(one, digest_of("models:\n- targets: [{weight: 1, use: openai/x}]\n  name: a\n"));
}

/// The work grows with the document, not with its square: a thousand models of ten targets each, right and wrong.
#[test]
fn a_thousand_models_are_checked() {
    let mut sections = "models:\n".to_owned();
    for model in 0..1000 {
        sections.push_str(&format!("  - name: model-{model}\n    targets:\n"));
        for target in 0..10 {
            sections.push_str(&format!(
                "      - {{use: onprem/m{model}-{target}, weight: {target}, price: {{input: 1, output: 2}}}}\n"
            ));
        }
    }
    assert_eq!(models(&sections).entries.len(), 1000);
    let wrong = messages(&sections.replace("onprem", "onpremises").replace("weight", "wieght"));
    assert_eq!(wrong.len(), tradewind_policy::MOST_PROBLEMS);
}
