//! The chooser's promises: what it picks, when it says "none fits", and what it does with what it cannot compare.

use serde_json::json;

use super::*;
use crate::described::{MAX_TEXT_BYTES, MAX_TEXTS};
use crate::lexical::Lexical;

fn tools() -> Vec<Described> {
    let parameters = |names: &[&str]| {
        let properties: serde_json::Map<_, _> =
            names.iter().map(|name| ((*name).to_owned(), json!({"description": format!("The {name}.")}))).collect();
        json!({"required": names, "properties": properties})
    };
    vec![
        Described::from_tool("get_weather", "Weather forecast of a city.", &parameters(&["city"])),
        Described::from_tool(
            "book_flight",
            "Books a flight between two airports.",
            &parameters(&["from", "to", "date"]),
        ),
        Described::from_tool("send_email", "Sends an e-mail to a person.", &parameters(&["recipient", "subject"])),
    ]
}

fn models() -> Vec<Described> {
    let model = |texts: &[&str], examples: &[&str]| {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Described::from_texts(owned(texts), owned(examples))
    };
    vec![
        model(&["short factual questions"], &["what is the capital of France?"]),
        model(&["writing and reviewing code", "long documents"], &[]),
        model(&["翻译合同和论文"], &[]),
    ]
}

fn ask(chooser: &Chooser, text: &str) -> Fit {
    chooser.fit(&Question { text, vector: None })
}

#[test]
fn words_find_the_tool() {
    let chooser = Chooser::lexical(&tools()).unwrap();
    assert_eq!(ask(&chooser, "Will the weather be fine in Oslo?").best, Some(0));
    assert_eq!(ask(&chooser, "I need to fly: book flights from Oslo to Rome").best, Some(1));
    assert_eq!(ask(&chooser, "wether forcast for Oslo plaese").best, Some(0));
    assert_eq!(ask(&chooser, "给他发一封邮件").best, Some(2));
    assert_eq!(ask(&chooser, "x").basis, Basis::Lexical);
}

#[test]
fn words_find_the_model() {
    let chooser = Chooser::lexical(&models()).unwrap();
    assert_eq!(ask(&chooser, "please review this code").best, Some(1));
    assert_eq!(ask(&chooser, "把这篇论文翻译一下").best, Some(2));
    assert_eq!(ask(&chooser, "translate the paper").best, Some(2));
    assert_eq!(ask(&chooser, "capital of Italy?").best, Some(0));
}

#[test]
fn only_those_that_may_be_taken_are_compared() {
    let all = tools();
    for with_vectors in [false, true] {
        let build = |described: &[Described]| {
            if with_vectors { Chooser::with_embedder(described, &Lexical) } else { Chooser::lexical(described) }
                .unwrap()
        };
        let chooser = build(&all);
        let text = "Will the weather be fine in Oslo?";
        let vector = Lexical.embed(text);
        let question = Question { text, vector: with_vectors.then_some(&vector) };
        let whole = chooser.fit(&question);
        assert_eq!(whole.best, Some(0));
        let fit = chooser.fit_among(&question, &|place| place != 0);
        assert_ne!(fit.best, Some(0));
        assert_eq!((fit.targets[0].share, fit.targets[0].score), (0.0, whole.targets[0].score));
        let shares: f32 = fit.targets.iter().map(|target| target.share).sum();
        assert!((shares - 1.0).abs() < 1e-5, "{fit:?}");
        assert!(fit.confidence < whole.confidence / 2.0, "who may not be taken lends no confidence: {fit:?} {whole:?}");
        let alone = chooser.fit_among(&question, &|place| place == 2);
        assert_eq!((alone.best, alone.margin, alone.targets[2].share), (Some(2), 1.0, 1.0));
        let nobody = chooser.fit_among(&question, &|_| false);
        assert_eq!((nobody.best, nobody.margin, nobody.confidence), (None, 0.0, 0.0));
        assert_eq!(nobody.choice(0.0, 0.0), None);
        assert!(nobody.targets.iter().all(|target| target.share == 0.0));
    }
}

#[test]
fn parts_and_shares_are_in_their_bounds() {
    let chooser = Chooser::with_embedder(&tools(), &Lexical).unwrap();
    for text in ["", "book", "weather weather weather get city", &"flight ".repeat(5000), "\u{0}😀"] {
        let vector = Lexical.embed(text);
        for vector in [None, Some(&vector)] {
            let fit = chooser.fit(&Question { text, vector });
            let shares: f32 = fit.targets.iter().map(|target| target.share).sum();
            assert!((shares - 1.0).abs() < 1e-5);
            for target in &fit.targets {
                for part in
                    [target.score, target.share, target.words, target.name, target.grams, target.passage, target.whole]
                {
                    assert!((0.0..=1.0).contains(&part), "{target:?}");
                }
            }
            assert!((0.0..=1.0).contains(&fit.confidence) && (0.0..=1.0).contains(&fit.margin));
        }
    }
}

#[test]
fn the_score_is_the_weighted_mean_of_the_parts() {
    let chooser = Chooser::with_embedder(&tools(), &Lexical).unwrap();
    let text = "book a flight to Rome";
    let fit = chooser.fit(&Question { text, vector: Some(&Lexical.embed(text)) });
    assert_eq!(fit.basis, Basis::Fused);
    for target in &fit.targets {
        let parts = 6.0 * (target.words + target.name + target.grams) + 10.0 * target.passage + 8.0 * target.whole;
        assert!((target.score - parts / 36.0).abs() < 1e-6);
    }
    let [first, second] = [fit.targets[1].score, fit.targets[0].score.max(fit.targets[2].score)];
    assert_eq!(fit.margin, first - second);
}

#[test]
fn none_fits_what_has_nothing_to_do_with_any() {
    let chooser = Chooser::lexical(&tools()).unwrap();
    let right = ask(&chooser, "Book a flight from Oslo to Rome on 12 March");
    let wrong = ask(&chooser, "hey, who are you?");
    assert!(right.confidence > 0.5 && wrong.confidence < 0.3, "{} {}", right.confidence, wrong.confidence);
    assert_eq!(right.choice(0.3, 0.02), Some(1));
    assert_eq!(wrong.choice(0.3, 0.02), None);
}

#[test]
fn equals_are_too_close_to_choose() {
    let same = vec![tools().remove(0); 2];
    let fit = ask(&Chooser::lexical(&same).unwrap(), "weather forecast for the city of Oslo");
    assert_eq!((fit.best, fit.margin), (Some(0), 0.0));
    assert_eq!(fit.choice(0.0, 0.02), None);
    assert_eq!(fit.choice(0.0, 0.0), Some(0));
}

#[test]
fn one_target_has_no_second() {
    let fit = ask(&Chooser::lexical(&tools()[..1]).unwrap(), "weather in Oslo");
    assert_eq!((fit.best, fit.margin), (Some(0), 1.0));
}

#[test]
fn a_name_alone_is_its_own_passage() {
    let tools =
        [Described::from_tool("get_weather", "", &json!(null)), Described::from_tool("send_mail", "", &json!(null))];
    let chooser = Chooser::with_embedder(&tools, &Lexical).unwrap();
    let fit = chooser.fit(&Question { text: "weather", vector: Some(&Lexical.embed("weather")) });
    assert!(fit.best == Some(0) && fit.targets[0].passage > 0.0);
    assert_eq!(fit.targets[0].passage, fit.targets[0].whole);
}

#[test]
fn words_of_the_other_language_are_for_questions_in_it_alone() {
    let chooser = Chooser::with_embedder(&tools(), &Lexical).unwrap();
    let whole = |text: &str| {
        let fit = chooser.fit(&Question { text, vector: Some(&Lexical.embed(text)) });
        (fit.targets[0].whole, fit.targets[0].passage)
    };
    // The lexical embedder knows no Chinese, so that only the passage with Chinese words can be near.
    let (chinese, passage) = whole("天气");
    assert!(chinese > 0.1 && passage >= chinese, "{chinese} {passage}");
    let tool = &tools()[0].passages();
    let (own, glossed) = (Lexical.embed(&tool[0]), Lexical.embed(&tool[2]));
    let question = Lexical.embed("weather of a city");
    let (english, _) = whole("weather of a city");
    assert!((english - own.cosine(&question).unwrap()).abs() < 1e-6);
    assert_ne!(own.cosine(&question), glossed.cosine(&question));
}

#[test]
fn nothing_to_choose_from() {
    for chooser in [Chooser::lexical(&[]).unwrap(), Chooser::with_embedder(&[], &Lexical).unwrap()] {
        assert!(chooser.is_empty());
        let fit = ask(&chooser, "weather");
        assert_eq!((fit.best, fit.confidence, fit.margin, fit.choice(0.0, 0.0)), (None, 0.0, 0.0, None));
    }
}

#[test]
fn vectors_of_other_dimensions_leave_words_to_decide() {
    let chooser = Chooser::with_embedder(&tools(), &Lexical).unwrap();
    let text = "book a flight";
    let other = Vector::new(vec![1.0; 3]).unwrap();
    let fit = chooser.fit(&Question { text, vector: Some(&other) });
    assert_eq!(fit.basis, Basis::Dimensions { expected: 512, found: 3 });
    let lexical = ask(&Chooser::lexical(&tools()).unwrap(), text);
    assert_eq!(fit.targets, lexical.targets);
    assert_eq!(ask(&chooser, text).basis, Basis::NoVector);
    let zero = Lexical.embed("");
    assert_eq!(chooser.fit(&Question { text, vector: Some(&zero) }).basis, Basis::NoVector);
}

#[test]
fn building_with_wrong_vectors_is_an_error() {
    let tools = tools();
    let mut vectors: Vec<Vec<Vector>> =
        tools.iter().map(|tool| tool.passages().iter().map(|passage| Lexical.embed(passage)).collect()).collect();
    assert!(Chooser::with_vectors(&tools, &vectors).is_ok());
    vectors[1][0] = Vector::new(vec![1.0; 3]).unwrap();
    let error = Chooser::with_vectors(&tools, &vectors).unwrap_err();
    assert_eq!(error.to_string(), "target 1: vectors of 512 and 3 dimensions cannot be compared");
    vectors[1].remove(0);
    let error = Chooser::with_vectors(&tools, &vectors).unwrap_err();
    assert_eq!(error.to_string(), "target 1: 2 vectors for 3 passages");
    assert_eq!(
        Chooser::with_vectors(&tools, &[]).unwrap_err(),
        ChooserError::Vectors { index: 0, expected: 3, found: 0 }
    );
}

#[test]
fn limits_are_errors() {
    let one = Described::from_texts(vec!["a".into()], Vec::new());
    assert!(Chooser::lexical(&vec![one.clone(); MAX_TARGETS]).is_ok());
    let error = Chooser::lexical(&vec![one.clone(); MAX_TARGETS + 1]).unwrap_err();
    assert_eq!(error.to_string(), "4097 targets to choose from; at most 4096 are possible");
    let long = Described::from_texts(vec!["a".repeat(MAX_TEXT_BYTES + 1)], Vec::new());
    let error = Chooser::lexical(&[one, long]).unwrap_err();
    assert_eq!(error.to_string(), "target 1: text 1 is 4097 bytes long; at most 4096 are read");
    let many = Described::from_texts(vec!["a".into(); MAX_TEXTS], vec!["b".into()]);
    assert!(Chooser::with_embedder(&[many], &Lexical).is_err());
}
