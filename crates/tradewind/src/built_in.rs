//! The document of a gateway without a file: providers found from the usual environment variables and from local model
//! servers on their usual ports. It is written as YAML and read like any other, so that there is one way in.

use std::fmt::Write as _;
use std::time::Duration;

use tradewind_door_models::{ModelsDoor, probe};

/// A local model server and the port where it usually is.
const LOCAL_SERVERS: [(&str, u16); 4] = [("ollama", 11434), ("llamacpp", 8080), ("vllm", 8000), ("lmstudio", 1234)];
/// How long the local servers are waited for, all at once.
const PATIENCE: Duration = Duration::from_millis(100);
/// The provider's name, the variable with its key, its base URL, and the model that `auto` asks it for.
const HOSTED: [(&str, &str, &str, &str); 2] = [
    ("openai", "OPENAI_API_KEY", "https://api.openai.com/v1", "gpt-5-mini"),
    ("anthropic", "ANTHROPIC_API_KEY", "https://api.anthropic.com", "claude-sonnet-4-5"),
];

/// A local server that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// The first model that it lists.
    pub(crate) model: Option<String>,
}

/// Looks for local model servers, all ports at once.
pub(crate) async fn find_local(door: &ModelsDoor, own_port: u16) -> Vec<Local> {
    let needs = door.needs();
    let look = |(name, port): (&'static str, u16)| async move {
        // A gateway on one of these ports must not find itself.
        if port == own_port {
            return None;
        }
        let models = probe(&format!("http://127.0.0.1:{port}"), needs, PATIENCE).await.ok()?;
        Some(Local { name, port, model: models.into_iter().next() })
    };
    let [first, second, third, fourth] = LOCAL_SERVERS;
    let found = tokio::join!(look(first), look(second), look(third), look(fourth));
    [found.0, found.1, found.2, found.3].into_iter().flatten().collect()
}

/// The document for what was found. `variable` tells whether an environment variable is set.
pub(crate) fn document(variable: &dyn Fn(&str) -> bool, local: &[Local], listen: &str, data_dir: &str) -> String {
    let mut providers = String::new();
    let mut targets = String::new();
    for found in local {
        let _ = writeln!(
            providers,
            "  - {{name: {}, dialect: openai, base-url: \"http://127.0.0.1:{}/v1\"}}",
            found.name, found.port
        );
        if let Some(model) = &found.model {
            let reference = serde_json::Value::from(format!("{}/{model}", found.name));
            let _ = writeln!(targets, "      - {{use: {reference}}}");
        }
    }
    for (name, key, base_url, model) in HOSTED {
        if variable(key) {
            let _ = writeln!(
                providers,
                "  - {{name: {name}, dialect: {name}, base-url: \"{base_url}\", api-key: \"${{{key}}}\"}}"
            );
            let _ = writeln!(targets, "      - {{use: {name}/{model}}}");
        }
    }
    let mut text = String::new();
    for (key, value) in [("listen", listen), ("data-dir", data_dir)] {
        if !value.is_empty() {
            let _ = writeln!(text, "{key}: {}", serde_json::Value::from(value));
        }
    }
    if !providers.is_empty() {
        let _ = write!(text, "providers:\n{providers}");
    }
    let targets = if targets.is_empty() { " []\n".to_owned() } else { format!("\n{targets}") };
    let _ =
        write!(text, "models:\n  - name: auto\n    strategy: fallback\n    last-resort: rules\n    targets:{targets}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    #[test]
    fn what_was_found_makes_a_document_that_is_right() {
        let nothing = document(&|_| false, &[], "127.0.0.1:0", "");
        let read = Document::parse(&nothing).unwrap();
        assert!(read.shared.providers.is_empty());
        assert!(read.models.entry("auto").unwrap().targets.is_empty());

        let local = Local { name: "ollama", port: 11434, model: Some("qwen: \"3\"".to_owned()) };
        let read = Document::parse(&document(&|_| false, &[local], "", "")).unwrap();
        assert_eq!(read.shared.providers[0].name.as_str(), "ollama");
        assert_eq!(read.models.entry("auto").unwrap().targets[0].reference.value, "ollama/qwen: \"3\"");
    }

    #[test]
    fn keys_are_named_and_never_written() {
        let text = document(&|_| true, &[], "", "");
        assert!(text.contains("api-key: \"${OPENAI_API_KEY}\"") && text.contains("api-key: \"${ANTHROPIC_API_KEY}\""));
    }
}
