//! The machine against the table: every situation, and sequences of whatever may happen to a group.

use std::sync::Arc;

use proptest::prelude::*;
use tradewind_decide::network::{LastMatch, Machine, Record, Source, Turn};

use crate::table::look_up;

type Name = Arc<str>;

fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).expect("is JSON").as_str().expect("a word").to_owned()
}

fn machine(source: &str, last: Option<&str>) -> Machine {
    if source == "unknown" {
        return Machine::new();
    }
    let last = last.map_or_else(|| "null".to_owned(), |name| format!("{name:?}"));
    let record = format!(r#"{{"schema_version":1,"source":"{source}","last_matched_network":{last}}}"#);
    Machine::restored(&Record::parse(record.as_bytes()).expect("a record"))
}

fn last_word(machine: &Machine) -> Option<String> {
    machine.last().map(|last| match last {
        LastMatch::Nothing => "<none>".to_owned(),
        LastMatch::Network(name) => name.to_string(),
    })
}

/// Every situation once: the table is complete, and the machine does what it says.
#[test]
fn every_situation_is_in_the_table() {
    let group: Name = "g".into();
    let mut situations = 0;
    for forced in ["no", "yes"] {
        for (source, last) in [
            ("unknown", None),
            ("auto", Some("<none>")),
            ("auto", Some("office")),
            ("auto", Some("gone")),
            ("manual", None),
            ("manual", Some("<none>")),
            ("manual", Some("office")),
            ("manual", Some("gone")),
        ] {
            for matched in [None, Some("office"), Some("home")] {
                for policy in ["name", "default", "nothing"] {
                    for member in ["there", "gone"] {
                        for current in ["yes", "no"] {
                            if matched.is_none() && policy == "name" {
                                continue;
                            }
                            situations += 1;
                            let is =
                                last.map_or(
                                    "nil",
                                    |last| if last == matched.unwrap_or("<none>") { "same" } else { "other" },
                                );
                            let expected = look_up([forced, source, is, policy, member, current]);
                            let mapping: Vec<(Name, Name)> = match policy {
                                "name" => vec![
                                    ("default".into(), "other".into()),
                                    (matched.expect("there is one").into(), "target".into()),
                                ],
                                "default" => {
                                    vec![("elsewhere".into(), "other".into()), ("default".into(), "target".into())]
                                }
                                _ => vec![("elsewhere".into(), "target".into())],
                            };
                            let matched: Option<Name> = matched.map(Name::from);
                            let selected: Name = if current == "yes" { "target" } else { "before" }.into();
                            let turn =
                                Turn { group: &group, policy: &mapping, matched: matched.as_ref(), current: &selected };
                            let mut machine = machine(source, last);
                            let step =
                                machine.evaluate(&turn, forced == "yes", |name| member == "there" || name != "target");
                            let seen =
                                format!("{forced} {source} {last:?} {matched:?} {policy} {member} {current}: {step:?}");
                            assert_eq!(word(&step.row.reason), expected.reason, "{seen}");
                            assert_eq!(step.row.changed, expected.changed, "{seen}");
                            assert_eq!(step.set.as_deref(), expected.changed.then_some("target"), "{seen}");
                            let source_after = if expected.source == "stays" { source } else { expected.source };
                            assert_eq!(word(&machine.source()), source_after, "{seen}");
                            assert_eq!(word(&step.row.selection_source), source_after, "{seen}");
                            let last_after = if expected.last == "stays" {
                                last
                            } else {
                                Some(matched.as_deref().unwrap_or("<none>"))
                            };
                            assert_eq!(last_word(&machine).as_deref(), last_after, "{seen}");
                            assert_eq!(
                                step.row.target_proxy.as_deref(),
                                (policy != "nothing").then_some("target"),
                                "{seen}"
                            );
                            let applied = if expected.changed { "target" } else { &selected };
                            assert_eq!(&*step.row.applied_proxy, applied, "{seen}");
                            assert_eq!(machine.is_missing(), expected.reason == "missing_target", "{seen}");
                        }
                    }
                }
            }
        }
    }
    assert_eq!(situations, 2 * 8 * (2 + 3 + 3) * 2 * 2);
}

/// What may happen to a group.
#[derive(Clone, Debug)]
enum Event {
    /// A context arrives that fits this network.
    Put(Option<&'static str>),
    /// A context arrives, and selecting fails, if it comes to that.
    PutFails(Option<&'static str>),
    /// A reload while a context of this network is kept.
    Reload(Option<&'static str>),
    /// Somebody selects this member.
    Select(&'static str),
    /// Somebody tries to select something that is not there.
    SelectFails,
    /// A member comes or goes.
    Provider(&'static str, bool),
    /// The context is deleted, or its time is over.
    Gone,
    /// The process is started again, with what was kept.
    Restart,
}

const MEMBERS: [&str; 3] = ["corp", "tunnel", "DIRECT"];

fn event() -> impl Strategy<Value = Event> {
    let network = || prop::sample::select(vec![None, Some("office"), Some("home"), Some("hotel")]);
    prop_oneof![
        4 => network().prop_map(Event::Put),
        1 => network().prop_map(Event::PutFails),
        1 => network().prop_map(Event::Reload),
        2 => prop::sample::select(MEMBERS.to_vec()).prop_map(Event::Select),
        1 => Just(Event::SelectFails),
        2 => (prop::sample::select(MEMBERS.to_vec()), any::<bool>()).prop_map(|(name, is)| Event::Provider(name, is)),
        1 => Just(Event::Gone),
        1 => Just(Event::Restart),
    ]
}

/// What the table makes of a group: kept in words only.
#[derive(Debug)]
struct Model {
    source: &'static str,
    last: Option<String>,
    current: String,
    members: Vec<&'static str>,
}

impl Model {
    /// Says what has to come of an evaluation, and follows it.
    fn evaluate(
        &mut self,
        policy: &[(Name, Name)],
        matched: Option<&str>,
        forced: bool,
        fails: bool,
    ) -> (String, bool) {
        let present = matched.unwrap_or("<none>");
        let last = self.last.as_deref().map_or("nil", |last| if last == present { "same" } else { "other" });
        let of = |key: &str| policy.iter().find(|(name, _)| **name == *key).map(|(_, target)| target.to_string());
        let (answer, target) = match (matched.and_then(of), of("default")) {
            (Some(target), _) => ("name", target),
            (None, Some(target)) => ("default", target),
            (None, None) => ("nothing", String::new()),
        };
        let member = if self.members.contains(&&*target) { "there" } else { "gone" };
        let current = if self.current == target { "yes" } else { "no" };
        let forced = if forced { "yes" } else { "no" };
        let outcome = look_up([forced, self.source, last, answer, member, current]);
        if outcome.changed && fails {
            return ("missing_target".to_owned(), false);
        }
        if outcome.source != "stays" {
            self.source = outcome.source;
        }
        if outcome.last == "match" {
            self.last = Some(present.to_owned());
        }
        if outcome.changed {
            self.current = target;
        }
        (outcome.reason.to_owned(), outcome.changed)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn sequences_go_as_the_table_says(
        events in prop::collection::vec(event(), 1..40),
        mapped in prop::collection::vec((prop::sample::select(vec!["office", "home", "default"]), prop::sample::select(MEMBERS.to_vec())), 1..4),
    ) {
        let group: Name = "g".into();
        let mut policy: Vec<(Name, Name)> = Vec::new();
        for (network, target) in mapped {
            if policy.iter().all(|(name, _)| **name != *network) {
                policy.push((network.into(), target.into()));
            }
        }
        let mut machine = Machine::new();
        let mut current: Name = "DIRECT".into();
        let mut model = Model { source: "unknown", last: None, current: "DIRECT".into(), members: MEMBERS.to_vec() };
        for event in events {
            match event {
                Event::Put(matched) | Event::PutFails(matched) | Event::Reload(matched) => {
                    let forced = matches!(event, Event::Reload(_));
                    let fails = matches!(event, Event::PutFails(_));
                    let name = matched.map(Name::from);
                    let turn = Turn { group: &group, policy: &policy, matched: name.as_ref(), current: &current };
                    let before = machine.clone();
                    let step = machine.evaluate(&turn, forced, |name| model.members.contains(&name));
                    let set = step.set.clone();
                    let row = if set.is_some() && fails { machine.set_failed(step) } else { step.row };
                    if let Some(member) = set.filter(|_| !fails) {
                        current = member;
                    }
                    let (reason, changed) = model.evaluate(&policy, matched, forced, fails);
                    prop_assert_eq!((word(&row.reason), row.changed), (reason, changed));
                    prop_assert_eq!(&row.applied_proxy, &current);
                    prop_assert_eq!(row.selection_source, machine.source());
                    if machine.is_missing() {
                        prop_assert_eq!((machine.source(), machine.last()), (before.source(), before.last()));
                    }
                }
                Event::Select(member) => {
                    if model.members.contains(&member) {
                        current = member.into();
                        machine.manual();
                        model.current = member.to_owned();
                        model.source = "manual";
                    }
                }
                Event::Provider(member, is_there) => {
                    model.members.retain(|name| *name != member);
                    if is_there {
                        model.members.push(member);
                    }
                }
                Event::SelectFails | Event::Gone => {}
                Event::Restart => {
                    machine = match machine.record() {
                        Some(record) => Machine::restored(&Record::parse(record.to_json().as_bytes()).expect("was written")),
                        None => Machine::new(),
                    };
                }
            }
            prop_assert_eq!(word(&machine.source()), model.source);
            prop_assert_eq!(last_word(&machine), model.last.clone());
            prop_assert_eq!(&*current, &*model.current);
        }
    }

    /// What a choice made by hand is promised: it stands until the match changes, whatever else is pushed.
    #[test]
    fn a_choice_made_by_hand_stands_while_the_match_does(same in 1usize..20) {
        let group: Name = "g".into();
        let policy: Vec<(Name, Name)> = vec![("office".into(), "corp".into()), ("default".into(), "DIRECT".into())];
        let (office, corp, tunnel): (Name, Name, Name) = ("office".into(), "corp".into(), "tunnel".into());
        let mut machine = Machine::new();
        let at = |current| Turn { group: &group, policy: &policy, matched: Some(&office), current };
        machine.evaluate(&at(&tunnel), false, |_| true);
        machine.manual();
        for _ in 0..same {
            let step = machine.evaluate(&at(&tunnel), false, |_| true);
            prop_assert!(step.set.is_none() && word(&step.row.reason) == "manual_locked");
        }
        let away = Turn { matched: None, ..at(&tunnel) };
        prop_assert_eq!(machine.evaluate(&away, false, |_| true).set, Some("DIRECT".into()));
        prop_assert_eq!(machine.evaluate(&at(&corp), false, |_| true).row.selection_source, Source::Auto);
    }
}

/// §1.6: a target that is not there is tried again with each context, and taken as soon as it is.
#[test]
fn a_missing_target_is_tried_again() {
    let group: Name = "g".into();
    let policy: Vec<(Name, Name)> = vec![("office".into(), "corp".into())];
    let (office, direct): (Name, Name) = ("office".into(), "DIRECT".into());
    let turn = Turn { group: &group, policy: &policy, matched: Some(&office), current: &direct };
    let mut machine = Machine::new();
    for _ in 0..3 {
        let step = machine.evaluate(&turn, false, |_| false);
        assert_eq!(
            (word(&step.row.reason), step.row.target_proxy.as_deref(), step.set),
            ("missing_target".into(), Some("corp"), None)
        );
        assert!(machine.is_missing() && machine.record().is_none());
    }
    assert_eq!(machine.evaluate(&turn, false, |_| true).set.as_deref(), Some("corp"));
    assert!(!machine.is_missing());
}

/// Waiting ends also when the network becomes the one again that the group was last evaluated for.
#[test]
fn going_back_ends_the_wait_for_a_missing_target() {
    let group: Name = "g".into();
    let policy: Vec<(Name, Name)> = vec![("office".into(), "corp".into()), ("home".into(), "tunnel".into())];
    let (office, home, corp): (Name, Name, Name) = ("office".into(), "home".into(), "corp".into());
    let at = |matched| Turn { group: &group, policy: &policy, matched, current: &corp };
    let mut machine = Machine::new();
    let is_there = |name: &str| name == "corp";
    machine.evaluate(&at(Some(&office)), false, is_there);
    assert_eq!(word(&machine.evaluate(&at(Some(&home)), false, is_there).row.reason), "missing_target");
    assert!(machine.is_missing());
    assert_eq!(word(&machine.evaluate(&at(Some(&office)), false, is_there).row.reason), "unchanged_network");
    assert!(!machine.is_missing());
}
