//! Thinking without a signature, cut out of requests for messages.

use tradewind_dialects::without_unsigned_thinking;

#[track_caller]
fn check(body: &str, expected: Option<&str>) {
    let found =
        without_unsigned_thinking(body.as_bytes()).map(|found| String::from_utf8(found).expect("JSON is UTF-8"));
    assert_eq!(found.as_deref(), expected, "{body}");
}

#[test]
fn blocks_are_cut_and_every_other_byte_stays() {
    let unsigned = r#"{"type": "thinking", "thinking": "a\\n[]{},\"", "signature" : ""}"#;
    let signed = r#"{"type":"thinking","thinking":"","signature":"s"}"#;
    let text = r#"{ "type":"text","text":"\u00e4 \"signature\":\"\"" }"#;
    let body = |blocks: &str| {
        format!(
            r#" {{"model":"m", "x":1e400 , "messages":[{{"role":"user","content":"Hi"}} , {{"content" :[ {blocks} ] , "role":"assistant"}}]}} "#
        )
    };
    for (blocks, kept) in [
        (format!("{unsigned} , {text}"), text.to_owned()),
        (format!("{text} , {unsigned}"), text.to_owned()),
        (
            format!("{unsigned},{unsigned} ,{text} , {unsigned},{signed}, {unsigned} ,{unsigned}"),
            format!("{text},{signed}"),
        ),
        (format!("{signed} , {unsigned} , {text}"), format!("{signed} , {text}")),
    ] {
        check(&body(&blocks), Some(&body(&kept)));
        check(&body(&kept), None);
    }
}

#[test]
fn a_message_of_nothing_else_is_cut_whole() {
    let hollow = r#"{"role":"assistant","content":[{"type":"thinking","thinking":"a","signature":""}]}"#;
    let mixed = r#"{"role":"assistant","content":[{"type":"thinking","thinking":"a","signature":""},{"type":"text","text":"b"}]}"#;
    let kept = r#"{"role":"assistant","content":[{"type":"text","text":"b"}]}"#;
    let user = r#"{"role":"user","content":"Hi"}"#;
    let body = |messages: &[&str]| format!(r#"{{"messages":[{}]}}"#, messages.join(","));
    check(&body(&[user, hollow, user]), Some(&body(&[user, user])));
    check(&body(&[hollow, mixed, hollow, user, hollow]), Some(&body(&[kept, user])));
    check(&body(&[hollow, hollow]), Some(&body(&[])));
}

#[test]
fn what_is_not_ours_to_mend_stays() {
    for body in [
        "",
        "[]",
        r#"{"messages":7}"#,
        r#"{"messages":[7,"\"signature\"",null,{"role":"assistant","content":"\"signature\":\"\""}]}"#,
        // Only the assistant thinks.
        r#"{"messages":[{"role":"user","content":[{"type":"thinking","signature":""}]}]}"#,
        r#"{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"a"}]}]}"#,
        r#"{"messages":[{"role":"assistant","content":[{"type":"text","text":"a","signature":""}]}]}"#,
        // Said twice: which one counts is not known.
        r#"{"messages":[{"role":"assistant","content":[{"type":"thinking","signature":"","signature":"s"}]}]}"#,
        r#"{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"functions.f:0","name":"f","input":{"signature":""}}]}]}"#,
    ] {
        check(body, None);
    }
    assert_eq!(without_unsigned_thinking(b"\xff"), None);
}
