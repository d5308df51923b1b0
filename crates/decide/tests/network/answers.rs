//! What is answered, byte by byte.

use std::sync::Arc;

use tradewind_decide::network::{
    Applied, Context, ContextCode, ErrorAnswer, GetAnswer, GroupView, Machine, PutAnswer, Record, Source, Turn, Why,
};

use crate::context;

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("is JSON")
}

#[test]
fn the_answer_to_put() {
    let row = |target: Option<&str>, reason| Applied {
        group: "way-out".into(),
        target_proxy: target.map(Arc::from),
        applied_proxy: "DIRECT".into(),
        changed: false,
        selection_source: Source::Auto,
        reason,
    };
    let answer = PutAnswer {
        matched_network: Some("office".into()),
        applied: vec![row(Some("corp"), Why::MissingTarget), row(None, Why::NoChangeNoDefault)],
        expires_at: Some(1_800_000_000),
    };
    assert_eq!(
        json(&answer),
        concat!(
            r#"{"matched_network":"office","applied":[{"group":"way-out","target_proxy":"corp","applied_proxy":"DIRECT","#,
            r#""changed":false,"selection_source":"auto","reason":"missing_target"},{"group":"way-out","target_proxy":null,"#,
            r#""applied_proxy":"DIRECT","changed":false,"selection_source":"auto","reason":"no_change_no_default"}],"#,
            r#""expires_at":1800000000}"#
        )
    );
    let nothing = PutAnswer { matched_network: None, applied: vec![], expires_at: None };
    assert_eq!(json(&nothing), r#"{"matched_network":null,"applied":[],"expires_at":null}"#);
}

#[test]
fn the_answer_to_get() {
    let name: Arc<str> = "way-out".into();
    let direct: Arc<str> = "DIRECT".into();
    let fresh = GroupView::new(&name, &direct, &Machine::new());
    let empty = GetAnswer { groups: vec![fresh], ..GetAnswer::default() };
    assert_eq!(
        json(&empty),
        concat!(
            r#"{"context":null,"matched_network":null,"groups":[{"group":"way-out","current_proxy":"DIRECT","#,
            r#""selection_source":"unknown","last_matched_network":null}],"expires_at":null,"age_seconds":null}"#
        )
    );
    let restored = |json: &str| Machine::restored(&Record::parse(json.as_bytes()).expect("a record"));
    let nothing = restored(r#"{"schema_version":1,"source":"auto","last_matched_network":"<none>"}"#);
    let manual = restored(r#"{"schema_version":1,"source":"manual","last_matched_network":"office"}"#);
    let full = GetAnswer {
        context: Some(Arc::new(context(r#"{"version":1,"interfaces":[{"name":"en0","ssid":""}],"ttl":60}"#))),
        matched_network: Some("office".into()),
        groups: vec![GroupView::new(&name, &direct, &nothing), GroupView::new(&name, &direct, &manual)],
        expires_at: Some(7),
        age_seconds: Some(0),
    };
    assert_eq!(
        json(&full),
        concat!(
            r#"{"context":{"version":1,"interfaces":[{"name":"en0"}]},"matched_network":"office","groups":["#,
            r#"{"group":"way-out","current_proxy":"DIRECT","selection_source":"auto","last_matched_network":null},"#,
            r#"{"group":"way-out","current_proxy":"DIRECT","selection_source":"manual","last_matched_network":"office"}],"#,
            r#""expires_at":7,"age_seconds":0}"#
        )
    );
}

#[test]
fn every_word_is_the_contracts() {
    let whys = [
        (Why::Matched, "matched"),
        (Why::AlreadySelected, "already_selected"),
        (Why::Default, "default"),
        (Why::NoChangeNoDefault, "no_change_no_default"),
        (Why::UnchangedNetwork, "unchanged_network"),
        (Why::ManualLocked, "manual_locked"),
        (Why::MissingTarget, "missing_target"),
    ];
    for (why, word) in whys {
        assert_eq!(json(&why), format!("{word:?}"));
    }
    for (source, word) in [(Source::Unknown, "unknown"), (Source::Auto, "auto"), (Source::Manual, "manual")] {
        assert_eq!(json(&source), format!("{word:?}"));
    }
    let codes = [
        (ContextCode::MalformedBody, "malformed_body"),
        (ContextCode::InvalidVersion, "invalid_version"),
        (ContextCode::InvalidTtl, "invalid_ttl"),
        (ContextCode::TooManyInterfaces, "too_many_interfaces"),
        (ContextCode::DuplicateIfaceName, "duplicate_iface_name"),
        (ContextCode::InvalidField, "invalid_field"),
        (ContextCode::InvalidGatewayCombo, "invalid_gateway_combo"),
        (ContextCode::InternalError, "internal_error"),
    ];
    for (code, word) in codes {
        let answer = ErrorAnswer { code, message: "m".into() };
        assert_eq!(code.status(), if word == "internal_error" { 503 } else { 400 });
        assert_eq!(json(&answer), format!(r#"{{"code":"{word}","message":"m"}}"#));
    }
}

#[test]
fn a_refused_body_becomes_its_answer() {
    let body = br#"{"version":1,"interfaces":[{"name":"a"},{"name":"b","bssid":"aabb.ccdd.eeff"}]}"#;
    let answer = ErrorAnswer::from(Context::parse(body).expect_err("dots"));
    assert_eq!(
        json(&answer),
        concat!(
            r#"{"code":"invalid_field","message":"field: interfaces[1].bssid, reason: not six pairs of hexadecimal "#,
            r#"digits, separated by `:`, by `-`, or not at all"}"#
        )
    );
}

#[test]
fn the_rows_of_the_light_path_say_what_the_policy_wants() {
    let group: Arc<str> = "way-out".into();
    let names = ["office", "corp", "default", "DIRECT"].map(Arc::<str>::from);
    let [office, corp, default, direct] = &names;
    let policy = [(office.clone(), corp.clone()), (default.clone(), direct.clone())];
    let turn = Turn { group: &group, policy: &policy, matched: Some(office), current: direct };
    let mut machine = Machine::new();
    machine.evaluate(&turn, false, |_| true);
    let row = machine.standing(&turn);
    assert_eq!((row.reason, row.target_proxy, row.changed), (Why::UnchangedNetwork, Some(corp.clone()), false));
    machine.manual();
    let row = machine.standing(&turn);
    assert_eq!(
        (row.reason, row.applied_proxy, row.selection_source),
        (Why::ManualLocked, direct.clone(), Source::Manual)
    );
}
