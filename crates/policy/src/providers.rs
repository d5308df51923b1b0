//! The section `providers`: who answers model calls, where they are, and how the gateway shows itself to them.

mod checks;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tradewind_core::{Dialect, ProviderName, Secret};

pub use self::checks::check_via;
pub(crate) use self::checks::{check_ways, decode_providers};
use crate::decode::NotBuilt;
use crate::spanned::Spanned;
use crate::url::BaseUrl;

/// One provider.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Provider {
    /// The name, the first part of `provider/model`; without a slash.
    #[schemars(with = "String")]
    pub name: Spanned<ProviderName>,
    /// The protocol it speaks.
    #[schemars(with = "DialectName")]
    pub dialect: Dialect,
    /// Where it is. For `openai` this includes the `/v1`, for `anthropic` it does not.
    pub base_url: BaseUrl,
    /// The key it is called with, as a rule `"${VARIABLE}"`.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("writeOnly" = true))]
    pub api_key: Option<Secret<String>>,
    /// Several keys, used in turn; each is cooled on its own after a 429.
    #[serde(default)]
    #[schemars(with = "Vec<String>", extend("writeOnly" = true))]
    pub api_keys: Vec<Secret<String>>,
    /// How the key is sent. By default `bearer` for `openai` and `x-api-key` for `anthropic`, or `none` without a key.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Headers to add to each call, in place of the caller's own of the same name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>", extend("writeOnly" = true))]
    pub headers: BTreeMap<String, Secret<String>>,
    /// Query parameters to add to each call, like Azure's `api-version`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub query: BTreeMap<String, Secret<String>>,
    /// Paths other than the dialect's own, behind `base-url`, by operation; `{model}` stands for the model's name.
    #[serde(default)]
    pub path: BTreeMap<Operation, String>,
    /// Whether `/v1` paths that the gateway does not know are passed to this provider.
    #[serde(default)]
    pub passthrough: bool,
    /// Whether an OpenAI-compatible provider may be asked for the usage of a stream, which the gateway does when it
    /// has to count tokens or cost. For providers that refuse `stream_options`: `false`.
    #[serde(default = "yes")]
    pub stream_usage: bool,
    /// Whether the provider is asked for its list of models.
    #[serde(default = "yes")]
    pub discover: bool,
    /// Whether HTTP/2 is spoken.
    #[serde(default)]
    pub http2: Http2,
    /// A PEM file with the certificates to trust for this provider, in place of the system's.
    #[serde(default)]
    pub tls_roots: Option<String>,
    /// The way to it: a proxy or group of this document, `DIRECT`, or `system` for the system's proxy settings. Without it
    /// the provider is reached directly.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub via: Option<Spanned<Arc<str>>>,
}

const fn yes() -> bool {
    true
}

/// The names of [`Dialect`] for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum DialectName {
    /// OpenAI's API and whatever is compatible with it: Azure, vLLM, Ollama, llama.cpp.
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
}

/// How a key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// `authorization: Bearer KEY`
    Bearer,
    /// `x-api-key: KEY`
    XApiKey,
    /// `api-key: KEY`, as Azure wants it.
    ApiKey,
    /// Not at all.
    None,
}

impl Auth {
    /// The header that carries the key.
    #[must_use]
    pub const fn header(self) -> Option<&'static str> {
        match self {
            Self::Bearer => Some("authorization"),
            Self::XApiKey => Some("x-api-key"),
            Self::ApiKey => Some("api-key"),
            Self::None => None,
        }
    }
}

/// Whether HTTP/2 is spoken to a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Http2 {
    /// When TLS agrees on it (ALPN); never without TLS.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Never,
    /// HTTP/2 from the first byte, also without TLS.
    PriorKnowledge,
}

/// What can be asked of a provider, one path each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// OpenAI chat completions.
    ChatCompletions,
    /// OpenAI completions, the old kind.
    Completions,
    /// OpenAI responses.
    Responses,
    /// OpenAI embeddings.
    Embeddings,
    /// Anthropic messages.
    Messages,
    /// Anthropic token counting.
    CountTokens,
    /// The list of models, in either dialect.
    Models,
}

impl Operation {
    /// The dialect's own path of it behind `base-url`, such as `/chat/completions`.
    #[must_use]
    pub const fn usual_path(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::ChatCompletions, _) => "/chat/completions",
            (Self::Completions, _) => "/completions",
            (Self::Responses, _) => "/responses",
            (Self::Embeddings, _) => "/embeddings",
            (Self::Messages, _) => "/v1/messages",
            (Self::CountTokens, _) => "/v1/messages/count_tokens",
            (Self::Models, Dialect::OpenAi) => "/models",
            (Self::Models, Dialect::Anthropic) => "/v1/models",
        }
    }
}

impl Provider {
    /// All keys, in the order of the file; empty for a provider that needs none.
    pub fn keys(&self) -> impl Iterator<Item = &Secret<String>> {
        self.api_key.iter().chain(&self.api_keys)
    }

    /// How a key is sent, given or by default.
    #[must_use]
    pub fn auth(&self) -> Auth {
        match (self.auth, self.dialect) {
            (Some(auth), _) => auth,
            (None, _) if self.keys().next().is_none() => Auth::None,
            (None, Dialect::OpenAi) => Auth::Bearer,
            (None, Dialect::Anthropic) => Auth::XApiKey,
        }
    }

    /// The path and query of `operation` for `model`, ready for a request line. May hold secrets of `query`.
    #[must_use]
    pub fn request_target(&self, operation: Operation, model: &str) -> String {
        let path = self.path.get(&operation).map_or_else(|| operation.usual_path(self.dialect), String::as_str);
        let mut target = self.base_url.path().to_owned();
        match path.split_once("{model}") {
            Some((before, after)) => {
                target.push_str(before);
                percent_encode(model, &mut target);
                target.push_str(after);
            }
            None => target.push_str(path),
        }
        self.push_query(&mut target);
        target
    }

    /// Appends the parameters of `query` to a path, which may have a query already.
    pub fn push_query(&self, target: &mut String) {
        for (name, value) in &self.query {
            target.push(if target.contains('?') { '&' } else { '?' });
            percent_encode(name, target);
            target.push('=');
            percent_encode(value.expose(), target);
        }
    }
}

/// Appends `text` with everything but the unreserved characters of RFC 3986 (section 2.3) percent-encoded.
fn percent_encode(text: &str, target: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            target.push(char::from(byte));
        } else {
            write!(target, "%{byte:02X}").expect("a String takes what is written to it");
        }
    }
}

/// What a provider may not have yet.
pub(crate) const NOT_BUILT: &[NotBuilt] = &[
    NotBuilt::key("network-policy", "choosing by network"),
    NotBuilt::key("api-key-file", "reading a key from a file"),
    NotBuilt::value("dialect", "gemini", "the dialect of Gemini"),
    NotBuilt::value("dialect", "google", "the dialect of Gemini"),
    NotBuilt::value("dialect", "vertex", "the dialect of Vertex AI"),
    NotBuilt::value("dialect", "bedrock", "the dialect of Bedrock"),
    NotBuilt::value("dialect", "cohere", "the dialect of Cohere"),
];
