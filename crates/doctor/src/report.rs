//! What all checks together say, as JSON and as text.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use crate::settings::redact::HIDDEN;
use crate::{Finding, FixKind};

/// The result of an examination.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What is wrong, the root cause first.
    pub findings: Vec<Finding>,
    /// What was not looked at, and why.
    pub not_run: Vec<NotRun>,
    /// What was seen, wrong or not: settings with where they came from, versions, times. Holds no secret.
    pub facts: BTreeMap<String, Value>,
}

/// A check that would have meant nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotRun {
    /// Which.
    pub check: String,
    /// Why: the words that come after "not run because".
    pub because: String,
}

impl Report {
    /// Adds what another examination found, behind what this one did.
    pub fn add(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.findings.sort_by_key(|finding| finding.weight);
        self.not_run.extend(other.not_run);
        self.facts.extend(other.facts);
    }

    /// The report with every one of `secrets` left out, wherever it may have got in.
    #[must_use]
    pub(crate) fn without(mut self, secrets: &[String]) -> Self {
        let clean = |text: &mut String| {
            for secret in secrets {
                // A short one may be a word of the text by chance; where it is a password it stands between these.
                let (secret, hidden) = match secret.len() {
                    0..8 => (format!(":{secret}@"), format!(":{HIDDEN}@")),
                    _ => (secret.clone(), HIDDEN.to_owned()),
                };
                if text.contains(&secret) {
                    *text = text.replace(&secret, &hidden);
                }
            }
        };
        for finding in &mut self.findings {
            clean(&mut finding.title);
            finding.evidence.iter_mut().for_each(clean);
            clean(&mut finding.check);
            clean(&mut finding.fix.text);
        }
        for not_run in &mut self.not_run {
            clean(&mut not_run.because);
        }
        for fact in self.facts.values_mut() {
            clean_value(fact, &clean);
        }
        self
    }

    /// For a person. With `all` also what was seen and is right; one line when nothing is wrong otherwise.
    #[must_use]
    pub fn text(&self, all: bool) -> String {
        let mut out = String::new();
        for (index, finding) in self.findings.iter().enumerate() {
            let number = match finding.cause.number() {
                0 => String::new(),
                number => format!(" (cause {number})"),
            };
            let _ = writeln!(out, "{}. {}{number}", index + 1, finding.title);
            for evidence in &finding.evidence {
                let _ = writeln!(out, "   seen:  {}", indented(evidence));
            }
            if !finding.check.is_empty() {
                let _ = writeln!(out, "   check: {}", indented(&finding.check));
            }
            let how = match finding.fix.kind {
                FixKind::Command => "fix:  ",
                FixKind::InShell => "fix, in the shell that runs go:",
                FixKind::ByHand => "to do:",
            };
            let _ = writeln!(out, "   {how} {}", indented(&finding.fix.text));
        }
        // One line for all that one thing keeps from being looked at.
        let mut told: Vec<(&str, Vec<&str>)> = Vec::new();
        for not_run in &self.not_run {
            match told.iter_mut().find(|(because, _)| *because == not_run.because) {
                Some((_, checks)) => checks.push(&not_run.check),
                None => told.push((&not_run.because, vec![&not_run.check])),
            }
        }
        for (because, checks) in told {
            let _ = writeln!(out, "{}: not run because {because}", checks.join(", "));
        }
        if all {
            for (name, fact) in &self.facts {
                let fact = fact.as_str().map_or_else(|| fact.to_string(), str::to_owned);
                let _ = writeln!(out, "{name}: {fact}");
            }
        }
        if self.findings.is_empty() {
            out.insert_str(0, "nothing is wrong\n");
        }
        out.truncate(out.trim_end().len());
        out
    }
}

fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n          ")
}

fn clean_value(value: &mut Value, clean: &impl Fn(&mut String)) {
    match value {
        Value::String(text) => clean(text),
        Value::Array(values) => values.iter_mut().for_each(|value| clean_value(value, clean)),
        Value::Object(values) => values.values_mut().for_each(|value| clean_value(value, clean)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, Fix};

    fn report() -> Report {
        let finding = Finding::new(Cause::OnlyAllProxy, "curl -v https://a", Fix::in_shell("export HTTPS_PROXY=x"))
            .seen("the lookup of a failed for hunter2 and more\nand again");
        let not_run = NotRun { check: "tls of a".to_owned(), because: "a has no address".to_owned() };
        let facts = BTreeMap::from([("GOPROXY".to_owned(), Value::from(vec!["https://me:hunter2@a"]))]);
        Report { findings: vec![finding], not_run: vec![not_run], facts }
    }

    #[test]
    fn json_has_the_public_shape() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["findings"][0]["cause"], 29);
        assert_eq!(json["findings"][0]["automatic"], true);
        assert_eq!(json["findings"][0]["fix"], "export HTTPS_PROXY=x");
        assert_eq!(json["not_run"][0]["check"], "tls of a");
        assert_eq!(json["facts"]["GOPROXY"][0], "https://me:hunter2@a");
        let keys: Vec<&String> = json["findings"][0].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["automatic", "cause", "check", "evidence", "fix", "title"]);
    }

    #[test]
    fn a_person_reads_what_is_wrong_and_what_to_do() {
        let mut report = report();
        report.findings.push(Finding::new(Cause::Other, "", Fix::by_hand("ask")).titled("odd"));
        report.findings.push(Finding::new(Cause::GoproxyOff, "go env GOPROXY", Fix::command("go env -u GOPROXY")));
        let text = "\
1. only ALL_PROXY is set, which go does not read (cause 29)
   seen:  the lookup of a failed for hunter2 and more
          and again
   check: curl -v https://a
   fix, in the shell that runs go: export HTTPS_PROXY=x
2. odd
   to do: ask
3. GOPROXY=off forbids all downloads (cause 38)
   check: go env GOPROXY
   fix:   go env -u GOPROXY
tls of a: not run because a has no address";
        assert_eq!(report.text(false), text);
        let mut two = report.clone();
        two.not_run.push(NotRun { check: "answer of a".to_owned(), because: "a has no address".to_owned() });
        assert!(two.text(false).ends_with("\ntls of a, answer of a: not run because a has no address"));
        assert_eq!(report.text(true), format!("{text}\nGOPROXY: [\"https://me:hunter2@a\"]"));
    }

    #[test]
    fn no_secret_is_left_anywhere() {
        let clean = report().without(&["hunter2".to_owned(), "hunter2 and more".to_owned()]);
        let everything = format!("{} {}", clean.text(true), serde_json::to_string(&clean).unwrap());
        assert!(!everything.contains("hunter2"), "{everything}");
        assert!(everything.contains("me:xxxxx@a"), "{everything}");
    }

    #[test]
    fn a_healthy_machine_gets_one_line() {
        assert_eq!(Report::default().text(false), "nothing is wrong");
    }
}
