//! Settings as they are written.

use tradewind_quality::{Confidence, FinishName, LanguageRule, Length, QualitySettings, StreamMode};

fn read(json: &str) -> Result<QualitySettings, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn all_of_it() {
    let settings = read(
        r#"{"finish":["stop","tool-calls"],"json-schema":true,"tool-arguments":true,"language":"same","refusal":true,
            "empty":true,"repetition":true,"length":{"min":1,"max":20000},"confidence":0.75,"stream":{"hold":256}}"#,
    )
    .unwrap();
    let expected = QualitySettings {
        finish: Some(vec![FinishName::Stop, FinishName::ToolCalls]),
        json_schema: true,
        tool_arguments: true,
        language: Some(LanguageRule::Same),
        refusal: true,
        empty: true,
        repetition: true,
        length: Some(Length { min: 1, max: Some(20_000) }),
        confidence: Confidence(Some(0.75)),
        stream: StreamMode::Hold(256),
    };
    assert_eq!(settings, expected);
    assert!(settings.is_on() && settings.problems().is_empty());
    let written = serde_json::to_string(&settings).unwrap();
    assert_eq!(read(&written).unwrap(), settings, "it is read back as it is written");
    assert!(!read("{}").unwrap().is_on());
}

#[test]
fn values_with_several_forms() {
    for (json, confidence) in [
        ("true", Some(0.75)),
        ("false", None),
        ("null", None),
        ("0.5", Some(0.5)),
        ("1", Some(1.0)),
        ("-1", Some(-1.0)),
    ] {
        let settings = read(&format!(r#"{{"confidence":{json}}}"#)).unwrap();
        assert_eq!(settings.confidence.0, confidence, "{json}");
    }
    for (json, stream) in [
        (r#""whole""#, StreamMode::Whole),
        (r#""advisory""#, StreamMode::Advisory),
        (r#"{"hold":9}"#, StreamMode::Hold(9)),
    ] {
        let settings = read(&format!(r#"{{"stream":{json}}}"#)).unwrap();
        assert_eq!(settings.stream, stream, "{json}");
        assert_eq!(read(&serde_json::to_string(&settings).unwrap()).unwrap(), settings);
    }
    assert_eq!(read("{}").unwrap().stream, StreamMode::Hold(256));
}

#[test]
fn what_is_not_understood_is_refused() {
    for (json, part) in [
        (r#"{"finnish":["stop"]}"#, "unknown field `finnish`"),
        (r#"{"finish":["done"]}"#, "unknown variant `done`"),
        (r#"{"language":"english"}"#, "unknown variant `english`"),
        (r#"{"length":{"most":7}}"#, "unknown field `most`"),
        (r#"{"confidence":"high"}"#, "a number from 0 to 1, or `true` for 0.75"),
        (r#"{"stream":"later"}"#, "`whole`, `advisory`, or `{hold: CHARACTERS}`"),
        (r#"{"stream":{"keep":7}}"#, "unknown field `keep`"),
        (r#"{"stream":{}}"#, "missing field `hold`"),
    ] {
        let error = read(json).unwrap_err();
        assert!(error.contains(part), "{json}: {error}");
    }
}

#[test]
fn numbers_have_their_ranges() {
    for (json, key) in [
        (r#"{"finish":[]}"#, "finish"),
        (r#"{"finish":["stop","stop"]}"#, "finish"),
        (r#"{"length":{}}"#, "length"),
        (r#"{"length":{"max":0}}"#, "length.max"),
        (r#"{"length":{"min":9,"max":8}}"#, "length.min"),
        (r#"{"confidence":0}"#, "confidence"),
        (r#"{"confidence":-0.5}"#, "confidence"),
        (r#"{"confidence":75}"#, "confidence"),
        (r#"{"stream":{"hold":0}}"#, "stream.hold"),
        (r#"{"stream":{"hold":100001}}"#, "stream.hold"),
    ] {
        let problems = read(json).unwrap().problems();
        assert_eq!(problems.iter().map(|problem| problem.key).collect::<Vec<_>>(), [key], "{json}");
    }
    for json in [r#"{"length":{"min":1}}"#, r#"{"length":{"max":1}}"#, r#"{"stream":{"hold":100000}}"#] {
        assert_eq!(read(json).unwrap().problems(), [], "{json}");
    }
}

#[test]
fn the_schema_says_the_same() {
    let schema = schemars::schema_for!(QualitySettings).to_value();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (json, is_valid) in [
        (r#"{"finish":["stop"],"length":{"min":1},"confidence":true,"stream":{"hold":256}}"#, true),
        (r#"{"stream":"whole","confidence":0.5,"language":"same"}"#, true),
        (r#"{"stream":{"hold":0}}"#, false),
        (r#"{"confidence":2}"#, false),
        (r#"{"other":true}"#, false),
    ] {
        assert_eq!(validator.is_valid(&serde_json::from_str(json).unwrap()), is_valid, "{json}");
    }
}
