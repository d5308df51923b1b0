//! What has to hold of changes: the working group's test cases, an oracle, and what an oracle does not know.

mod properties;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;

const LIMIT: usize = 1 << 20;

fn patched(document: &str, patch: &str) -> Result<String, ChangeError> {
    let patch = Patch::parse(patch.as_bytes())?;
    let out = patch.apply(document.as_bytes(), LIMIT)?;
    check_json(&out).expect("JSON stays JSON");
    Ok(String::from_utf8(out).unwrap())
}

fn misfit(document: &str, patch: &str) -> Misfit {
    match patched(document, patch) {
        Err(ChangeError::Operation { why, .. }) => why,
        other => panic!("{document} {patch}: {other:?}"),
    }
}

/// A case of `json-patch-tests` (Apache-2.0). Those that its authors disabled are run too.
#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    comment: String,
    doc: Box<RawValue>,
    patch: Box<RawValue>,
    expected: Option<Value>,
    error: Option<String>,
}

#[test]
fn the_test_cases_of_the_working_group_pass() {
    let files = [
        (include_str!("../../../tests/data/json-patch-tests.json"), 78),
        (include_str!("../../../tests/data/json-patch-spec-tests.json"), 17),
    ];
    for (file, number) in files {
        let cases: Vec<&RawValue> = serde_json::from_str(file).unwrap();
        let mut tried = 0;
        for case in &cases {
            // Two records are a comment and nothing else.
            let Ok(case) = serde_json::from_str::<Case>(case.get()) else { continue };
            let result = patched(case.doc.get(), case.patch.get());
            match (&case.error, case.expected) {
                (Some(error), _) => assert!(result.is_err(), "{}: {error}: {result:?}", case.comment),
                (None, Some(expected)) => {
                    let there: Value = serde_json::from_str(&result.expect(&case.comment)).unwrap();
                    assert_eq!(there, expected, "{}", case.comment);
                }
                (None, None) => assert!(result.is_ok(), "{}: {result:?}", case.comment),
            }
            tried += 1;
        }
        assert_eq!((cases.len(), tried), (number, number), "records, and those with a document and a patch");
    }
}

#[test]
fn what_is_not_changed_stays_as_it_is_written() {
    let document = "\n{ \"z\" : 12345678901234567890123,\n  \"a\":1.0 ,\n  \"e\": 1e400, \"list\": [1,  2],\n  \"s\": \"\\u0041\" }\n";
    for (patch, expected) in [
        (r#"[{"op":"replace","path":"/a","value":2}]"#, document.replace("1.0 ", "2")),
        (r#"[{"op":"add","path":"/list/-","value":{"x" : 3}}]"#, document.replace("  2]", "  2,  {\"x\" : 3}]")),
        (r#"[{"op":"remove","path":"/e"}]"#, document.replace(" ,\n  \"e\": 1e400", "")),
        (
            r#"[{"op":"add","path":"/new","value":null}]"#,
            document.replace("\\u0041\" ", "\\u0041\",\n  \"new\": null "),
        ),
        ("[]", document.to_owned()),
    ] {
        let there = patched(document, patch).unwrap();
        // White space before a comma is all that is not kept, and only in objects and arrays that are gone through.
        let plain = |text: &str| text.replace("1.0 ,", "1.0,").replace("2 ,", "2,");
        assert_eq!(plain(&there), plain(&expected), "{patch}");
    }
}

#[test]
fn a_document_with_an_element_a_line_stays_so() {
    let document = "{\n  \"messages\": [\n    1,\n    2\n  ]\n}";
    let there =
        patched(document, r#"[{"op":"add","path":"/messages/-","value":3},{"op":"add","path":"/n","value":4}]"#);
    assert_eq!(there.unwrap(), "{\n  \"messages\": [\n    1,\n    2,\n    3\n  ],\n  \"n\": 4\n}");
}

#[test]
fn the_first_operation_that_does_not_fit_is_named() {
    let patch = r#"[{"op":"add","path":"/a","value":1},{"op":"test","path":"/a","value":2}]"#;
    let error = patched("{}", patch).unwrap_err();
    let expected = ChangeError::Operation { operation: 1, op: "test", path: "/a".to_owned(), why: Misfit::Test };
    assert_eq!(error, expected);
    assert_eq!(error.to_string(), "operation 1 (test \"/a\"): there is another value");
    for (document, patch, why) in [
        ("{}", r#"[{"op":"remove","path":"/a"}]"#, Misfit::Nothing),
        ("{}", r#"[{"op":"replace","path":"/a","value":1}]"#, Misfit::Nothing),
        ("{}", r#"[{"op":"add","path":"/a/b","value":1}]"#, Misfit::Nothing),
        ("{\"a\":1}", r#"[{"op":"add","path":"/a/b","value":1}]"#, Misfit::Nothing),
        ("{\"a\":1}", r#"[{"op":"move","path":"/b","from":"/c"}]"#, Misfit::Nothing),
        ("{\"a\":{}}", r#"[{"op":"move","path":"/a/b","from":"/a"}]"#, Misfit::IntoItself),
        ("{}", r#"[{"op":"remove","path":""}]"#, Misfit::Root),
        ("[1]", r#"[{"op":"add","path":"/2","value":1}]"#, Misfit::Index),
        ("[1]", r#"[{"op":"remove","path":"/-"}]"#, Misfit::Index),
        ("[1]", r#"[{"op":"remove","path":"/1"}]"#, Misfit::Index),
        ("[1,2]", r#"[{"op":"remove","path":"/01"}]"#, Misfit::Index),
        ("[1]", r#"[{"op":"replace","path":"/+0","value":2}]"#, Misfit::Index),
        (r#"{"a":1,"\u0061":2}"#, r#"[{"op":"replace","path":"/a","value":2}]"#, Misfit::Ambiguous),
    ] {
        assert_eq!(misfit(document, patch), why, "{document} {patch}");
    }
    // The path that does not fit may be the one that is moved or copied from.
    let error = patched("{}", r#"[{"op":"copy","path":"/b","from":"/c~1d"}]"#).unwrap_err();
    assert!(matches!(&error, ChangeError::Operation { path, .. } if path == "/c~1d"), "{error}");
}

#[test]
fn what_is_no_patch_is_refused() {
    for patch in [
        "{}",
        "1",
        "[1]",
        "[[\"remove\",\"/a\"]]",
        "[{}]",
        r#"[{"op":"add","path":"/a"}]"#,
        r#"[{"op":"spam","path":"/a"}]"#,
        r#"[{"op":"Add","path":"/a","value":1}]"#,
        r#"[{"op":"move","path":"/a"}]"#,
        r#"[{"op":"remove","path":null}]"#,
        r#"[{"op":"remove","path":"a"}]"#,
        r#"[{"op":"remove","path":"/~2"}]"#,
        r#"[{"op":"remove","path":"/~"}]"#,
        r#"[{"op":"remove","path":"/a","op":"add"}]"#,
    ] {
        assert!(matches!(Patch::parse(patch.as_bytes()), Err(ChangeError::NotPatch(_))), "{patch}");
    }
    for patch in [&b""[..], b"[", b"[]]", b"[\xff]", b"[{\"op\":\"test\",\"path\":\"\",\"value\":01}]"] {
        assert!(matches!(Patch::parse(patch), Err(ChangeError::NotJson { what: "the patch", .. })), "{patch:?}");
    }
    let known = r#"[{"op":"test","path":"/a","value":null,"note":"unknown members are passed over","from":7}]"#;
    assert!(Patch::parse(known.as_bytes()).is_err(), "`from` is a text wherever it stands");
    let known = r#"[{"op":"test","path":"/a","value":null,"note":"unknown members are passed over"}]"#;
    assert_eq!(patched("{\"a\":null}", known).unwrap(), "{\"a\":null}");
}

#[test]
fn every_limit_of_a_patch_holds() {
    let many = |number: usize| format!("[{}]", vec![r#"{"op":"test","path":"","value":[]}"#; number].join(","));
    assert!(patched("[]", &many(MAX_OPERATIONS)).is_ok());
    assert_eq!(patched("[]", &many(MAX_OPERATIONS + 1)), Err(ChangeError::TooManyOperations));

    // A value that is copied into itself again and again would have 2^60 elements.
    let double = vec![r#"{"op":"copy","path":"/-","from":""}"#; 60].join(",");
    let error = patched("[0]", &format!("[{double}]")).unwrap_err();
    assert!(matches!(error, ChangeError::TooDeep | ChangeError::TooMuchWork | ChangeError::TooLarge { .. }), "{error}");
    let text = "x".repeat(LIMIT / 2);
    let document = format!("{{\"a\":\"{text}\"}}");
    let twice = r#"[{"op":"copy","path":"/b","from":"/a"}]"#;
    assert_eq!(patched(&document, twice), Err(ChangeError::TooLarge { limit: LIMIT }));
    let three = r#"[{"op":"copy","path":"/b","from":"/a"},{"op":"remove","path":"/a"}]"#;
    assert_eq!(patched(&document, three).unwrap().len(), document.len(), "only what comes out is measured");

    let nested = |deep: usize| format!("{}{}", "[".repeat(deep), "]".repeat(deep));
    assert!(check_json(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert_eq!(check_json(nested(MAX_DEPTH + 1).as_bytes()), Err(ChangeError::TooDeep));
    let deeper = format!(r#"[{{"op":"add","path":"/0","value":{}}}]"#, nested(100));
    let document = format!("{{\"a\":{}}}", nested(100));
    assert_eq!(patched("[]", &deeper).unwrap().len(), 202);
    let inner = format!("/a{}", "/0".repeat(99));
    let moved = format!(r#"[{{"op":"copy","path":"{inner}/0","from":"/a"}}]"#);
    assert_eq!(patched(&document, &moved), Err(ChangeError::TooDeep));

    // Each of these looks at a million elements.
    let wide = format!("[{}0]", "0,".repeat(500_000));
    let front = vec![r#"{"op":"add","path":"/0","value":0}"#; 1000].join(",");
    let patch = format!("[{front}]");
    assert_eq!(
        Patch::parse(patch.as_bytes()).unwrap().apply(wide.as_bytes(), usize::MAX),
        Err(ChangeError::TooMuchWork)
    );
}

#[test]
fn the_longest_value_there_may_be_is_worked_on() {
    let turn = format!("{{\"role\":\"user\",\"text\":\"{}\"}}", "said \\\"so\\\" ".repeat(400));
    let turns = vec![turn.as_str(); (16 << 20) / turn.len() - 1].join(",");
    let document = format!("{{\"a\":{{\"b\":{{\"c\":{{\"messages\":[{turns}]}}}}}},\"z\":1}}");
    assert!((15 << 20..16 << 20).contains(&document.len()));
    let change = |patch: &str| Patch::parse(patch.as_bytes()).unwrap().apply(document.as_bytes(), 17 << 20).unwrap();
    let longer = change(r#"[{"op":"add","path":"/a/b/c/messages/-","value":{"role":"tool"}}]"#);
    let other = change(
        r#"[{"op":"replace","path":"/z","value":2},{"op":"test","path":"/a/b/c/messages/0/role","value":"user"}]"#,
    );
    assert!(diff(document.as_bytes(), &longer).unwrap().starts_with(r#"[{"op":"add","path":"/a/b/c/messages/"#));
    let sides = Sides { base: document.as_bytes(), head: &longer, new: &other, limit: 17 << 20 };
    let merged = DisjointJson.merge(sides).unwrap();
    assert_eq!(diff(&longer, &merged).unwrap(), r#"[{"op":"replace","path":"/z","value":2}]"#);
}

#[test]
fn a_limit_is_met_to_the_byte() {
    let patch = Patch::parse(br#"[{"op":"add","path":"/-","value":2}]"#).unwrap();
    assert_eq!(patch.apply(b" [1] \n", 8).unwrap(), b" [1,2] \n");
    assert_eq!(patch.apply(b" [1] \n", 7), Err(ChangeError::TooLarge { limit: 7 }));
    assert_eq!(patch.apply(b"\n\n\n\n[1]", 3), Err(ChangeError::TooLarge { limit: 3 }));
}

#[test]
fn additions_are_of_like_to_like() {
    let json = |content: &str, addition: &str| {
        append(Format::Json, content.as_bytes(), addition.as_bytes(), LIMIT).map(|tail| {
            let whole = String::from_utf8(tail.on(content.as_bytes())).unwrap();
            check_json(whole.as_bytes()).expect("JSON stays JSON");
            whole
        })
    };
    for (content, addition, whole) in [
        ("[]", "[1]", "[1]"),
        ("[ ]", "[1]", "[1 ]"),
        ("[1]", "[2,3]", "[1,2,3]"),
        ("[\n  1\n]\n", " [ {\"a\": 2} ] ", "[\n  1,{\"a\": 2}\n]\n"),
        ("[[]]", "[[]]", "[[],[]]"),
        ("[\"[\"]", "[\"]\"]", "[\"[\",\"]\"]"),
        ("[1]", "[ ]", "[1]"),
        ("\"\"", "\"a\"", "\"a\""),
        (" \"a\\\"\" ", "\"\\n\"", " \"a\\\"\\n\" "),
        ("\"a\"", "\"\"", "\"a\""),
    ] {
        assert_eq!(json(content, addition).unwrap(), whole, "{content} {addition}");
    }
    for (content, addition) in [("[]", "{}"), ("[]", "1"), ("{}", "{}"), ("1", "1"), ("\"a\"", "[1]"), ("null", "[]")] {
        assert!(matches!(json(content, addition), Err(ChangeError::NotAlike { .. })), "{content} {addition}");
    }
    let error = json("{}", "[1]").unwrap_err();
    assert_eq!(error.to_string(), "an array cannot be added to the end of an object");
    assert!(matches!(json("[]", "[1"), Err(ChangeError::NotJson { what: "the addition", .. })));
    for content in [&b""[..], b" ", b"\"", b"[", b"\xff", "é".as_bytes()] {
        assert!(append(Format::Json, content, b"[1]", LIMIT).is_err(), "{content:?}");
    }

    let bytes = append(Format::Bytes, b"one\n", b"two\xff", LIMIT).unwrap();
    assert_eq!(bytes, Tail { keep: 4, bytes: b"two\xff".to_vec() });
    assert!(append(Format::Bytes, b"123", b"45", 5).is_ok());
    assert_eq!(append(Format::Bytes, b"123", b"45", 4), Err(ChangeError::TooLarge { limit: 4 }));
    assert_eq!(append(Format::Json, b"[1]", b"[2]", 4), Err(ChangeError::TooLarge { limit: 4 }));
}

/// A patch that only adds at the end of an array is an addition, and makes the same of it.
#[test]
fn a_patch_that_only_adds_at_the_end_is_an_addition() {
    let adding = r#"[{"op":"add","path":"/-","value":{"a":[1]}},{"op":"add","path":"/-","value":null}]"#;
    let additions = Patch::parse(adding.as_bytes()).unwrap().additions().unwrap();
    assert_eq!(additions, r#"[{"a":[1]},null]"#);
    for document in ["[]", "[1,2]", "[[3]]"] {
        let appended = append(Format::Json, document.as_bytes(), additions.as_bytes(), 100).unwrap();
        assert_eq!(patched(document, adding).unwrap().into_bytes(), appended.on(document.as_bytes()));
    }
    for other in [
        r#"[{"op":"add","path":"/0","value":1}]"#,
        r#"[{"op":"add","path":"/a/-","value":1}]"#,
        r#"[{"op":"replace","path":"/-","value":1}]"#,
        r#"[{"op":"add","path":"/-","value":1},{"op":"test","path":"/0","value":1}]"#,
    ] {
        assert_eq!(Patch::parse(other.as_bytes()).unwrap().additions(), None, "{other}");
    }
}

#[test]
fn json_is_told_by_its_content_type() {
    for json in ["application/json", "Application/JSON; charset=utf-8", "application/ld+json", "text/json"] {
        assert_eq!(Format::of(json), Format::Json, "{json}");
    }
    for bytes in ["application/jsonl", "application/x-ndjson", "text/plain", "application/octet-stream", "", "json"] {
        assert_eq!(Format::of(bytes), Format::Bytes, "{bytes}");
    }
}

#[test]
fn differences_are_short_where_documents_are_alike() {
    for (from, to, patch) in [
        ("{\"a\":1}", "{ \"a\" : 1 }", "[]"),
        ("{\"a\":1}", "{\"a\":1.0}", r#"[{"op":"replace","path":"/a","value":1.0}]"#),
        ("{\"a\":1}", "{\"b\":1}", r#"[{"op":"remove","path":"/a"},{"op":"add","path":"/b","value":1}]"#),
        ("[1,2,3]", "[1,2,3,4]", r#"[{"op":"add","path":"/3","value":4}]"#),
        ("[1,2,3]", "[0,1,2,3]", r#"[{"op":"add","path":"/0","value":0}]"#),
        ("[1,2,3]", "[1,3]", r#"[{"op":"remove","path":"/1"}]"#),
        ("[1,1]", "[1]", r#"[{"op":"remove","path":"/1"}]"#),
        ("[{\"a\":1},2]", "[{\"a\":3},2]", r#"[{"op":"replace","path":"/0/a","value":3}]"#),
        ("{\"a/b~\":1}", "{\"a/b~\":2}", r#"[{"op":"replace","path":"/a~1b~0","value":2}]"#),
        ("{\"\":1}", "{\"\":2}", r#"[{"op":"replace","path":"/","value":2}]"#),
        ("[]", "{}", r#"[{"op":"replace","path":"","value":{}}]"#),
        (r#"{"x":{"a":1,"a":2}}"#, r#"{"x":{"a":1}}"#, r#"[{"op":"replace","path":"/x","value":{"a":1}}]"#),
        (r#"{"x":{"\ud83d":1}}"#, r#"{"x":{"\ud83d":2}}"#, r#"[{"op":"replace","path":"/x","value":{"\ud83d":2}}]"#),
    ] {
        assert_eq!(diff(from.as_bytes(), to.as_bytes()).unwrap(), patch, "{from} {to}");
    }
}

#[test]
fn a_difference_that_nobody_would_read_replaces_the_document() {
    let from = format!("[{}0]", "0,".repeat(MAX_OPERATIONS));
    let to = format!("[{}1]", "1,".repeat(MAX_OPERATIONS));
    let whole = format!("[{{\"op\":\"replace\",\"path\":\"\",\"value\":{to}}}]");
    assert_eq!(diff(from.as_bytes(), to.as_bytes()).unwrap(), whole);
}

fn merged(base: &str, head: &str, new: &str) -> Result<String, MergeError> {
    let sides = Sides { base: base.as_bytes(), head: head.as_bytes(), new: new.as_bytes(), limit: LIMIT };
    DisjointJson.merge(sides).map(|merged| String::from_utf8(merged).unwrap())
}

#[test]
fn disjoint_changes_are_merged() {
    for (base, head, new, expected) in [
        (r#"{"a":1,"b":2}"#, r#"{"a":9,"b":2}"#, r#"{"a":1,"b":8}"#, r#"{"a":9,"b":8}"#),
        (r#"{"a":1}"#, r#"{"a":1,"h":2}"#, r#"{"a":1,"n":3}"#, r#"{"a":1,"h":2,"n":3}"#),
        (r#"{"a":1,"b":2}"#, r#"{"b":2}"#, r#"{"a":1,"b":3}"#, r#"{"b":3}"#),
        (r#"{"a":1,"b":2}"#, r#"{"a":3,"b":2}"#, r#"{"a":1}"#, r#"{"a":3}"#),
        (r#"{"x":{"a":1,"b":2}}"#, r#"{"x":{"a":9,"b":2}}"#, r#"{"x":{"a":1,"b":8}}"#, r#"{"x":{"a":9,"b":8}}"#),
        (r#"{"a":[1]}"#, r#"{"a":[1,2]}"#, r#"{ "a" : [1] , "b" : 1e400 }"#, r#"{"a":[1,2],"b":1e400}"#),
        ("[1]", "[1]", "[2]", "[2]"),
        ("[1]", "[2]", "[1]", "[2]"),
        ("{}", "{ \"h\": 12345678901234567890123 }", r#"{"n":1}"#, r#"{ "h": 12345678901234567890123, "n": 1 }"#),
    ] {
        assert_eq!(merged(base, head, new).unwrap(), expected, "{base} {head} {new}");
    }
}

#[test]
fn conflicts_are_named() {
    for (base, head, new, paths) in [
        (r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#, &["/a"][..]),
        (r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":2}"#, &["/a"]),
        (r#"{"a":1}"#, "{}", "{}", &["/a"]),
        (r#"{"a":1}"#, "{}", r#"{"a":3}"#, &["/a"]),
        (r#"{"a":1}"#, r#"{"a":2}"#, "{}", &["/a"]),
        ("{}", r#"{"a":{"x":1}}"#, r#"{"a":{"y":1}}"#, &["/a"]),
        (r#"{"l":[1]}"#, r#"{"l":[1,2]}"#, r#"{"l":[1,3]}"#, &["/l"]),
        (r#"{"x":{"a/b":1,"c":1}}"#, r#"{"x":{"a/b":2,"c":2}}"#, r#"{"x":{"a/b":3,"c":3}}"#, &["/x/a~1b", "/x/c"]),
        ("1", "2", "3", &[""]),
        (r#"{"a":1,"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#, &[""]),
        (r#"{"a":{"x":1}}"#, r#"{"a":[]}"#, r#"{"a":{"x":2}}"#, &["/a"]),
    ] {
        let error = merged(base, head, new).unwrap_err();
        let MergeError::Conflicts(conflicts) = error else { panic!("{error}") };
        assert_eq!((&conflicts.paths[..], conflicts.more), (&paths.map_owned()[..], false), "{base} {head} {new}");
    }
    let side = |value: usize| {
        let members: Vec<String> = (0..200).map(|number| format!("\"m{number}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    };
    let MergeError::Conflicts(conflicts) = merged(&side(1), &side(2), &side(3)).unwrap_err() else { panic!() };
    assert_eq!((conflicts.paths.len(), conflicts.more), (MAX_CONFLICTS, true));
    assert!(conflicts.to_string().ends_with("\"/m12\" and more"), "{conflicts}");
}

/// Owned copies, to compare with.
trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for &[&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|path| (*path).to_owned()).collect()
    }
}

#[test]
fn a_merged_content_has_a_limit_too() {
    let sides = Sides { base: b"{}", head: br#"{"a":1}"#, new: br#"{"b":1}"#, limit: 12 };
    assert_eq!(DisjointJson.merge(sides), Err(MergeError::Change(ChangeError::TooLarge { limit: 12 })));
    assert_eq!(DisjointJson.merge(Sides { limit: 13, ..sides }).unwrap(), br#"{"a":1,"b":1}"#);
}

/// A long value that was copied into a list again and again costs nothing until it is written for a test.
#[test]
fn a_test_of_copies_writes_no_more_than_twice_the_longest_value() {
    let document = format!(r#"{{"a":"{}","l":[]}}"#, "x".repeat(1 << 20));
    let outcome = |copies: usize| {
        let copies = r#"{"op":"copy","from":"/a","path":"/l/-"},"#.repeat(copies);
        let patch = format!(r#"[{copies}{{"op":"test","path":"/l","value":0}}]"#);
        Patch::parse(patch.as_bytes()).unwrap().apply(document.as_bytes(), 16 << 20).unwrap_err()
    };
    assert!(matches!(outcome(31), ChangeError::Operation { why: Misfit::Test, .. }));
    assert_eq!(outcome(32), ChangeError::TooMuchWork);
}
