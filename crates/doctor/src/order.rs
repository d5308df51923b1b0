//! Puts what was found in order: the root cause first, and each thing once.

use crate::check::{Outcome, Suspect, Tried};
use crate::{Finding, Report};

/// Makes the report out of everything that the checks said, in the order of the checks.
///
/// A suspect takes the place of the failures that it explains, and their evidence; one that explains none is dropped.
/// Then what breaks something comes before what only warns, and among equals the earlier check, which is nearer to the
/// root.
pub(crate) fn put_in_order(all: Outcome) -> Report {
    let mut findings: Vec<Finding> = Vec::new();
    for finding in all.findings {
        match all.suspects.iter().find(|suspect| explains(suspect, &finding, &all.tried)) {
            Some(suspect) => {
                let mut root = suspect.finding.clone();
                root.subject.clone_from(&finding.subject);
                root.evidence.extend(finding.evidence);
                add(&mut findings, root);
            }
            None => add(&mut findings, finding),
        }
    }
    // Stable: the order of the checks stays among equals.
    findings.sort_by_key(|finding| finding.weight);
    Report { findings, not_run: all.not_run, facts: all.facts }
}

/// Whether `suspect` is the root cause of `finding`.
fn explains(suspect: &Suspect, finding: &Finding, tried: &[Tried]) -> bool {
    if !suspect.explains.contains(&finding.cause) {
        return false;
    }
    if suspect.subject.is_some() && suspect.subject != finding.subject {
        return false;
    }
    let (Some(instead), Some(subject)) = (&suspect.instead, &finding.subject) else { return !suspect.needs_proof };
    let same_way = |tried: &&Tried| &tried.subject == subject && &tried.instead == instead;
    tried.iter().find(same_way).map_or(!suspect.needs_proof, |tried| tried.reached)
}

/// Adds a finding; one of the same cause with the same fix takes only its evidence.
fn add(findings: &mut Vec<Finding>, finding: Finding) {
    let same = |other: &&mut Finding| other.cause == finding.cause && other.fix == finding.fix;
    match findings.iter_mut().find(same) {
        Some(known) => {
            known.weight = known.weight.min(finding.weight);
            for evidence in finding.evidence {
                if !known.evidence.contains(&evidence) {
                    known.evidence.push(evidence);
                }
            }
        }
        None => findings.push(finding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, Fix, Instead, Subject, Url};

    fn host(host: &str) -> Subject {
        Subject::Host(host.to_owned())
    }

    fn finding(cause: Cause, host: &str) -> Finding {
        Finding::new(cause, "curl", Fix::by_hand(format!("fix {}", cause.number())))
            .seen(format!("saw {host}"))
            .at(host)
    }

    fn suspect(cause: Cause, of: Option<&str>, proxy: Option<&str>) -> Suspect {
        Suspect {
            finding: Finding::new(cause, "curl", Fix::by_hand("fix")),
            explains: &[Cause::HostNotFound],
            subject: of.map(host),
            instead: proxy.map(|url| Instead::HttpProxy(Url::parse(url).unwrap())),
            needs_proof: false,
        }
    }

    fn causes(outcome: Outcome) -> Vec<u8> {
        put_in_order(outcome).findings.iter().map(|finding| finding.cause.number()).collect()
    }

    fn with(suspects: Vec<Suspect>, tried: Vec<Tried>) -> Vec<u8> {
        let findings =
            vec![finding(Cause::OldGo, "").warns(), finding(Cause::HostNotFound, "a"), finding(Cause::LoginPage, "b")];
        causes(Outcome { findings, suspects, tried, ..Outcome::default() })
    }

    #[test]
    fn a_suspect_takes_the_place_of_what_it_explains() {
        assert_eq!(with(vec![], vec![]), [1, 14, 70]);
        assert_eq!(with(vec![suspect(Cause::OnlyAllProxy, None, None)], vec![]), [29, 14, 70]);
        assert_eq!(with(vec![suspect(Cause::OnlyAllProxy, Some("b"), None)], vec![]), [1, 14, 70]);
    }

    #[test]
    fn a_suspect_is_cleared_by_a_way_that_does_not_work_either() {
        let proxied = || suspect(Cause::OnlyAllProxy, Some("a"), Some("http://p:1"));
        let tried = |reached| {
            let instead = Instead::HttpProxy(Url::parse("http://p:1").unwrap());
            vec![Tried { subject: host("a"), instead, reached }]
        };
        assert_eq!(with(vec![proxied()], tried(true)), [29, 14, 70]);
        assert_eq!(with(vec![proxied()], tried(false)), [1, 14, 70]);
        assert_eq!(with(vec![proxied()], vec![]), [29, 14, 70]);
        let careful = || vec![Suspect { needs_proof: true, ..proxied() }];
        assert_eq!(with(careful(), vec![]), [1, 14, 70]);
        assert_eq!(with(careful(), tried(true)), [29, 14, 70]);
    }

    #[test]
    fn a_suspect_alone_is_no_finding() {
        let suspects = vec![suspect(Cause::NoProxySwallows, None, None)];
        assert!(causes(Outcome { suspects, ..Outcome::default() }).is_empty());
    }

    #[test]
    fn one_thing_is_told_once() {
        let findings = vec![finding(Cause::DeadHttpProxy, "a"), finding(Cause::DeadHttpProxy, "b")];
        let report = put_in_order(Outcome { findings, ..Outcome::default() });
        assert_eq!(report.findings.len(), 1);
        assert_eq!(report.findings[0].evidence, ["saw a", "saw b"]);
    }
}
