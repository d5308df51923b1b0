//! Which provider a deployment of LiteLLM is at: its protocol, its address and its key.

use super::ledger::{Fields, Ledger, number, text};
use super::write::{interpolated, variable};

/// A provider of the new file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Provider {
    /// What its name begins with; the final one is unique.
    pub(super) name: String,
    pub(super) dialect: &'static str,
    pub(super) base_url: String,
    pub(super) api_key: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) azure: Option<String>,
    /// Whether it is asked for its models: not where it is only known by deployments.
    pub(super) discover: bool,
}

/// What the first part of a LiteLLM model's name means.
enum Known {
    /// OpenAI's API at this address, with the key in this variable unless one is given.
    OpenAi(&'static str, &'static str),
    Anthropic,
    Azure,
    Ollama,
    /// OpenAI's API at `api_base`, which has to be given.
    Compatible,
    /// A protocol that is not spoken.
    NotSpoken,
}

fn known(prefix: &str) -> Option<Known> {
    Some(match prefix {
        "openai" | "text-completion-openai" => Known::OpenAi("https://api.openai.com/v1", "OPENAI_API_KEY"),
        "groq" => Known::OpenAi("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
        "mistral" => Known::OpenAi("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
        "deepseek" => Known::OpenAi("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
        "openrouter" => Known::OpenAi("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
        "together_ai" => Known::OpenAi("https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
        "fireworks_ai" => Known::OpenAi("https://api.fireworks.ai/inference/v1", "FIREWORKS_AI_API_KEY"),
        "xai" => Known::OpenAi("https://api.x.ai/v1", "XAI_API_KEY"),
        "perplexity" => Known::OpenAi("https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
        "cerebras" => Known::OpenAi("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
        "nvidia_nim" => Known::OpenAi("https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
        "deepinfra" => Known::OpenAi("https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
        "gemini" => Known::OpenAi("https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
        "anthropic" => Known::Anthropic,
        "azure" => Known::Azure,
        "ollama" | "ollama_chat" => Known::Ollama,
        "hosted_vllm" | "vllm" | "openai_like" | "custom_openai" | "litellm_proxy" | "lm_studio" | "llamafile"
        | "xinference" | "infinity" => Known::Compatible,
        "bedrock" | "vertex_ai" | "vertex_ai_beta" | "sagemaker" | "sagemaker_chat" | "cohere" | "cohere_chat"
        | "azure_ai" | "azure_text" | "watsonx" | "huggingface" | "replicate" | "databricks" | "ai21"
        | "cloudflare" | "palm" | "github" | "github_copilot" | "predibase" | "snowflake" | "oci" | "triton"
        | "voyage" | "jina_ai" | "assemblyai" => Known::NotSpoken,
        _ => return None,
    })
}

/// The provider and the model's name there of `litellm_params`; `None` with the reason when it cannot be carried over.
pub(super) fn of(params: &mut Fields<'_>, model: &str, ledger: &mut Ledger) -> Result<(Provider, String), String> {
    let custom = params.carry(ledger, "custom_llm_provider", "the name of a provider", text);
    let (prefix, name) = match (custom.as_deref(), model.split_once('/')) {
        (Some(custom), Some((prefix, name))) if prefix == custom => (custom, name),
        (Some(custom), _) => (custom, model),
        (None, Some((prefix, name))) if known(prefix).is_some() => (prefix, name),
        // LiteLLM knows these names without their provider.
        (None, _) if model.starts_with("claude") => ("anthropic", model),
        (None, _)
            if ["gpt-", "o1", "o3", "o4", "chatgpt-", "text-embedding-"]
                .iter()
                .any(|start| model.starts_with(start)) =>
        {
            ("openai", model)
        }
        _ => return Err(format!("the provider of `{model}` is not known: write it as provider/model")),
    };
    let Some(kind) = known(prefix) else {
        return Err(format!(
            "the provider `{prefix}` is not known; if it speaks OpenAI's API, write openai/MODEL with api_base"
        ));
    };
    // Some models of LiteLLM carry how they are to be called in front of their name.
    let name = name.strip_prefix("responses/").unwrap_or(name);
    let base = ["api_base", "base_url"].into_iter().find_map(|key| params.carry(ledger, key, "a URL", text));
    let base = base.map(|base| interpolated(base.trim_end_matches('/')));
    let mut provider = Provider {
        name: prefix.replace('_', "-"),
        dialect: "openai",
        base_url: String::new(),
        api_key: None,
        headers: Vec::new(),
        azure: None,
        discover: true,
    };
    let mut variable_of_key = format!("{}_API_KEY", prefix.to_ascii_uppercase());
    let mut needs_key = true;
    let needed = |base: Option<String>| base.ok_or_else(|| format!("`{prefix}` has no api_base: where is it?"));
    match kind {
        Known::NotSpoken => return Err(format!("the protocol of `{prefix}` is not built")),
        Known::OpenAi(usual, key) => {
            // With an address of its own it is some other server, which may well want no key.
            needs_key = base.is_none();
            provider.name =
                if base.is_none() || prefix != "openai" { provider.name } else { "openai-compatible".to_owned() };
            provider.base_url = base.unwrap_or_else(|| usual.to_owned());
            key.clone_into(&mut variable_of_key);
        }
        Known::Anthropic => {
            provider.dialect = "anthropic";
            let base = base.unwrap_or_else(|| "https://api.anthropic.com".to_owned());
            base.trim_end_matches("/v1/messages").trim_end_matches("/v1").clone_into(&mut provider.base_url);
        }
        Known::Azure => {
            provider.base_url = format!("{}/openai", needed(base)?.trim_end_matches("/openai"));
            provider.discover = false;
            let version = params.carry(ledger, "api_version", "a version", text);
            provider.azure = Some(version.map_or_else(|| "2024-10-21".to_owned(), |version| interpolated(&version)));
        }
        Known::Ollama => {
            needs_key = false;
            let base = base.unwrap_or_else(|| "http://127.0.0.1:11434".to_owned());
            provider.base_url = format!("{}/v1", base.trim_end_matches("/v1"));
        }
        Known::Compatible => {
            needs_key = false;
            provider.base_url = needed(base)?;
        }
    }
    provider.api_key = key(params, &variable_of_key, needs_key, ledger);
    if let Some(organization) = params.carry(ledger, "organization", "text", text) {
        provider.headers.push(("openai-organization".to_owned(), interpolated(&organization)));
    }
    headers(params, &mut provider, ledger);
    Ok((provider, name.to_owned()))
}

/// The key as the new file writes it: always a variable. What stands in the old file itself is never shown.
fn key(params: &mut Fields<'_>, usual: &str, needed: bool, ledger: &mut Ledger) -> Option<String> {
    let Some(node) = params.take("api_key") else { return needed.then(|| format!("${{{usual}}}")) };
    let path = params.path("api_key");
    let value = text(node).unwrap_or_default();
    if let Some(name) = variable(&value) {
        ledger.carry(&path);
        return Some(format!("${{{name}}}"));
    }
    let placeholders =
        ["", "none", "null", "empty", "dummy", "fake", "fake-key", "anything", "not-needed", "no-key", "sk-none"];
    if !needed && placeholders.contains(&value.to_ascii_lowercase().as_str()) {
        ledger.carry(&path);
        return None;
    }
    ledger.leave(&path, node, format!("a secret in the file: put it into the variable {usual}"));
    Some(format!("${{{usual}}}"))
}

fn headers(params: &mut Fields<'_>, provider: &mut Provider, ledger: &mut Ledger) {
    for key in ["extra_headers", "headers"] {
        let Some(node) = params.take(key) else { continue };
        for entry in node.entries() {
            let path = format!("{}.{}", params.path(key), entry.key);
            match text(&entry.value) {
                Some(value)
                    if variable(&value).is_some() || number(&entry.value).is_some() || !looks_secret(&entry.key) =>
                {
                    provider.headers.push((entry.key.to_string(), interpolated(&value)));
                    ledger.carry(&path);
                }
                Some(_) => ledger.leave(
                    &path,
                    &entry.value,
                    "may be a secret: add it to `headers` of the provider as \"${VARIABLE}\"",
                ),
                None => ledger.leave(&path, &entry.value, "not text"),
            }
        }
        if node.entries().is_empty() {
            ledger.leave(&params.path(key), node, "not a map of headers");
        }
    }
}

fn looks_secret(header: &str) -> bool {
    let name = header.to_ascii_lowercase();
    ["auth", "key", "token", "secret", "cookie", "password", "credential"].iter().any(|word| name.contains(word))
}
