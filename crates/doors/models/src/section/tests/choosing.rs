//! What is said of choosing and can have no effect, or an effect that contradicts something else: refused, with the place
//! and what to do.

use super::{models, refusals};

/// The only problem of a document, and its hint.
fn refused(sections: &str) -> (String, String) {
    let found = refusals(sections);
    assert_eq!(found.len(), 1, "{sections}: {found:?}");
    let (message, hint) = found.into_iter().next().unwrap();
    (message, hint.unwrap_or_default())
}

/// A model that scores, with two targets that say what they are good at.
fn scored(score: &str) -> String {
    format!(
        "models:\n  - name: a\n    strategy: score\n    score: {{{score}}}\n    \
         targets: [{{use: openai/x, good-at: [code]}}, {{use: openai/y, examples: [Why?]}}]\n"
    )
}

#[test]
fn settings_without_an_effect_are_refused() {
    let score = "models[0].score";
    let remote = "embedders: [{name: far, type: openai, provider: openai, model: m, dimensions: 8192}]\n";
    for (sections, place, hint) in [
        (scored("temperature: 0.1"), format!("{score}.temperature: `temperature` counts with"), "`mode: softmax`"),
        (scored("mode: best, temperature: 99"), format!("{score}.temperature: `temperature` counts with"), "remove it"),
        (scored("default: openai/x"), format!("{score}.default: `default` leads when none is said to fit"), "`margin`"),
        (
            "models: [{name: a, strategy: score, score: {embedder: lexical}, targets: [{use: openai/x}]}]".to_owned(),
            format!("{score}.embedder: there is nothing to compare"),
            "add `good-at`",
        ),
        (
            "embedders: [{name: e, type: universal-sentence-encoder, timeout: 300ms}]".to_owned(),
            "embedders[0].timeout: `timeout` belongs to the type `openai`".to_owned(),
            "remove it",
        ),
        (
            "embedders: [{name: e, type: universal-sentence-encoder, region: eu}]".to_owned(),
            "embedders[0].region: `region` belongs to the type `openai`".to_owned(),
            "remove it",
        ),
        (
            "  - {name: claude, dialect: anthropic, base-url: \"http://claude\"}\n\
             embedders: [{name: e, type: openai, provider: claude, model: m}]"
                .to_owned(),
            "embedders[0].provider: `claude` speaks the dialect anthropic".to_owned(),
            "`dialect: openai`",
        ),
        (
            "prometheus: {url: \"http://p\"}\nmodels: [{name: a, targets: [{use: openai/x, prometheus: {query: up}}]}]"
                .to_owned(),
            "models[0].targets[0].prometheus: `prometheus` counts with the strategy `score` only".to_owned(),
            "`strategy: score`",
        ),
        (
            format!(
                "{remote}models: [{{name: a, targets: [{{use: openai/x}}], cache: {{meaning: {{embedder: far}}}}}}]"
            ),
            "models[0].cache.meaning.embedder: vectors of `far` have 8192 numbers".to_owned(),
            "fewer `dimensions`",
        ),
        (
            format!("{remote}{}    cache: {{meaning: {{}}}}\n", scored("embedder: far")),
            format!("{score}.embedder: vectors of `far` have 8192 numbers"),
            "`cache.meaning.embedder`",
        ),
    ] {
        let (message, said) = refused(&sections);
        assert!(message.contains(&place) && said.contains(hint), "{sections}: {message} ({said})");
    }
    for fine in [
        scored("mode: softmax, temperature: 0.1"),
        scored("default: openai/x, margin: 0.1"),
        scored("default: openai/x, abstain-below: 0.1"),
        // The embedder compares the questions of kept answers.
        "models: [{name: a, strategy: score, score: {embedder: lexical}, cache: {meaning: {}}, targets: [{use: openai/x}]}]"
            .to_owned(),
        format!("{remote}{}", scored("embedder: far")),
        // A query stands where the target is first named, and another model scores it.
        "prometheus: {url: \"http://p\"}\nmodels: [{name: a, targets: [{use: openai/x, prometheus: {query: up}}]}, \
         {name: b, strategy: score, targets: [{use: a}]}]"
            .to_owned(),
    ] {
        models(&fine);
    }
}

#[test]
fn an_embedder_elsewhere_does_not_get_the_questions_of_a_region() {
    let document = |there: &str, entry: &str| {
        format!(
            "embedders: [{{name: far, type: openai, provider: openai, model: m{there}}}, {{name: near, type: openai, \
             provider: onprem, model: m, region: EU}}, {{name: here, type: universal-sentence-encoder}}]\n\
             models:\n{entry}\
             \x20 - {{name: scored, strategy: score, score: {{embedder: far}}, targets: [{{use: openai/x, good-at: [code]}}]}}\n  \
             - {{name: kept, cache: {{meaning: {{embedder: far}}}}, targets: [{{use: openai/x}}]}}\n  \
             - {{name: around, targets: [{{use: scored}}]}}\n"
        )
    };
    let a =
        |more: &str, targets: &str| format!("  - {{name: a, require: {{region: [eu]}}, {more}targets: [{targets}]}}\n");
    let score = |embedder: &str| {
        let more = format!("strategy: score, score: {{embedder: {embedder}}}, ");
        a(&more, "{use: openai/y, region: eu, good-at: [code]}")
    };
    let kept =
        |embedder: &str| a(&format!("cache: {{meaning: {{embedder: {embedder}}}}}, "), "{use: openai/y, region: eu}");
    let led = |to: &str| a(&format!("route: [{{when: {{role: r}}, use: {to}}}], "), "{use: openai/y, region: eu}");
    for (entry, place) in [
        (score("far"), "models[0].score.embedder: "),
        (kept("far"), "models[0].cache.meaning.embedder: "),
        (a("", "{use: scored}"), "models[1].score.embedder: "),
        (led("scored"), "models[0].route[0].use: "),
        (led("kept"), "models[0].route[0].use: "),
        (led("around"), "models[0].route[0].use: "),
    ] {
        for (there, is) in [("", "unknown"), (", region: us", "us")] {
            let (message, hint) = refused(&document(there, &entry));
            let said = format!("the region of the embedder `far` is {is}, and has to be eu");
            assert!(message.contains(place) && message.contains(&said), "{entry}: {message}");
            assert!(hint.contains("`region`"), "{hint}");
        }
        models(&document(", region: eu", &entry));
    }
    for entry in [score("near"), score("here"), score("lexical"), kept("near"), kept("here"), led("openai/y")] {
        models(&document("", &entry));
    }
}

#[test]
fn of_models_behind_each_other_one_scores() {
    let inner = |name: &str| format!("  - {{name: {name}, strategy: score, targets: [{{use: openai/{name}}}]}}\n");
    let (one, two) = (inner("one"), inner("two"));
    let behind = |strategy: &str| {
        format!("models:\n  - {{name: a, strategy: {strategy}, targets: [{{use: one}}, {{use: openai/x}}]}}\n{one}")
    };
    for strategy in ["fallback", "select", "weighted", "least-latency"] {
        let models = models(&behind(strategy));
        assert_eq!(models.scoring_entry("a").unwrap().name.as_str(), "one");
        assert_eq!(models.scoring_entry("one").unwrap().name.as_str(), "one");
    }
    let (message, hint) = refused(&behind("score"));
    assert!(message.contains("models[0].name: `a` and `one` both score"), "{message}");
    assert!(hint.contains("`route`"), "{hint}");
    let side_by_side = format!("models:\n  - {{name: a, targets: [{{use: one}}, {{use: two}}]}}\n{one}{two}");
    assert!(refused(&side_by_side).0.contains("models[0].name: `one` and `two` both score"));
    // Said once, where it begins; and one that is reached by two ways is one.
    let above = format!("{side_by_side}  - {{name: top, targets: [{{use: a}}, {{use: openai/x}}]}}\n");
    assert!(refused(&above).0.contains("models[0].name: "));
    models(&format!(
        "models:\n  - {{name: a, targets: [{{use: b}}, {{use: one}}]}}\n  - {{name: b, targets: [{{use: one}}]}}\n{one}"
    ));
    // What refers to itself is refused for that.
    let round =
        "models: [{name: a, strategy: score, targets: [{use: b}]}, {name: b, strategy: score, targets: [{use: a}]}]";
    assert!(refusals(round).iter().any(|(message, _)| message.contains("in a circle")));
}
