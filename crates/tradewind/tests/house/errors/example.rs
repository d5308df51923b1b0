//! Examples, made of what a gateway answers.

use std::fmt::Write as _;

use tradewind_core::Code;

use super::Examples;

/// Adds an example of `code`, behind those that it has.
pub(super) fn note(examples: &mut Examples, code: Code, example: &str) {
    let examples = examples.entry(code.name()).or_default();
    if !examples.is_empty() {
        examples.push('\n');
    }
    examples.push_str(example);
}

/// The headers of an answer that an example shows.
const TELLING: [&str; 5] =
    ["x-tradewind-decision", "x-tradewind-target", "retry-after", "x-should-retry", "www-authenticate"];

/// Puts what is different each time into words that are always the same.
pub(super) struct Neutral {
    pub(super) replace: Vec<(String, String)>,
}

impl Neutral {
    fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.replace {
            text = text.replace(from, to);
        }
        // `gpt-5-mini!error-500`: the fault that the simulated provider was asked for.
        while let Some(at) = text.find('!') {
            let end = text[at..].find(|c: char| !(c.is_ascii_alphanumeric() || "!-:".contains(c)));
            // A colon behind the name belongs to the sentence.
            let end = at + end.unwrap_or(text.len() - at);
            let end = if text[..end].ends_with(':') { end - 1 } else { end };
            text.replace_range(at..end, "");
        }
        text
    }

    /// The example that an answer makes: status, telling headers and body; of a stream its last event.
    pub(super) fn example(&self, code: Code, dialect: &str, answer: &str) -> String {
        let whole = answer.split_once("\r\n\r\n");
        let (head, body) = whole.unwrap_or_else(|| panic!("{dialect} {code}: no head in `{answer}`"));
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
        let mut answer = answer.to_owned();
        if let Some(id) = header("x-tradewind-decision:") {
            answer = answer.replace(id, "1m801vskw0000");
        }
        let body = self.text(&body.replace(header("x-tradewind-decision:").unwrap_or("\0"), "1m801vskw0000"));
        if let Some(at) = body.find("event: error\n").or_else(|| body.find("data: {\"error\"")) {
            let event = body[at..].split("\n\n").next().unwrap_or_default();
            assert!(event.contains(code.name()), "{dialect} {code}: {event}");
            return format!("{dialect} dialect, the last event of a stream:\n\n```text\n{event}\n```\n");
        }
        let status = head.lines().next().unwrap_or_default();
        let mut shown = status.to_owned();
        for line in self.text(&answer).lines().take_while(|line| !line.is_empty()).skip(1) {
            let name = line.split(':').next().unwrap_or_default();
            if TELLING.contains(&name) {
                let _ = write!(shown, "\n{line}");
            }
        }
        let value: serde_json::Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        let is_rejected = code == Code::Rejected;
        assert!(is_rejected || status.contains(&format!(" {} ", code.status())), "{dialect} {code}: {status}");
        assert!(is_rejected || value["error"]["code"] == code.name(), "{dialect} {code}: {body}");
        let body = serde_json::to_string_pretty(&value).expect("what was parsed can be written");
        let which = if dialect.is_empty() { String::new() } else { format!("{dialect} dialect:\n\n") };
        format!("{which}```http\n{shown}\n\n{body}\n```\n")
    }
}
