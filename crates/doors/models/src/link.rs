//! One provider as the door uses it: where it is, how it wants its key, what is added to each request.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use parking_lot::Mutex;
use tradewind_core::{Dialect, Moment, ProviderName};
use tradewind_dialects::TokenLimit;
use tradewind_egress::{Http2, Origin, Roots, Route};
use tradewind_policy::{self as policy, Auth, Provider};
use tradewind_runtime::Keys;

use crate::Needs;

/// A provider, ready to be called.
pub(crate) struct Link {
    pub(crate) name: ProviderName,
    pub(crate) dialect: Dialect,
    pub(crate) route: Arc<Route>,
    /// Host and port, for records.
    pub(crate) server: Arc<str>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) passthrough: bool,
    pub(crate) discover: bool,
    /// The field that bounds an answer in translated requests.
    pub(crate) token_limit: TokenLimit,
    /// Whether it may be asked to count the tokens of streams.
    pub(crate) stream_usage: bool,
    /// What it turned out not to have.
    absent: Mutex<HashMap<Absent, Moment>>,
    provider: Provider,
    key_header: Option<HeaderName>,
    key_values: Vec<HeaderValue>,
    headers: HeaderMap,
    /// Request targets that do not depend on the model, worked out once.
    targets: HashMap<policy::Operation, Uri>,
}

/// Why a provider cannot be used although its configuration is well formed.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A file of trusted certificates.
    #[error("provider `{0}`: {1}")]
    Roots(String, tradewind_egress::RootsError),
    /// The URL.
    #[error("provider `{0}`: {1}")]
    Origin(String, tradewind_egress::ParseOriginError),
    /// A key or header that cannot stand in a header.
    #[error("provider `{0}`: {1} cannot be sent as an HTTP header: it holds a line break or another control character")]
    Header(String, String),
    /// An embedder that cannot be used.
    #[error("embedder `{0}`: {1}")]
    Embedder(String, String),
    /// What is said about the targets of a model.
    #[error("model `{0}`: {1}")]
    Chooser(String, String),
}

impl Link {
    /// Makes the link to `provider`.
    pub(crate) fn new(provider: &Provider, needs: &Needs, system: &Roots) -> Result<Self, LinkError> {
        let name = provider.name.value.clone();
        let said = || name.to_string();
        let origin = Origin::parse(provider.base_url.as_str()).map_err(|error| LinkError::Origin(said(), error))?;
        let (roots, roots_name) = match &provider.tls_roots {
            None => (system.clone(), String::new()),
            Some(file) => {
                let path = tradewind_runtime::files::expand_home(file);
                let roots = Roots::from_file(Path::new(&path)).map_err(|error| LinkError::Roots(said(), error))?;
                (roots, file.clone())
            }
        };
        let http2 = match provider.http2 {
            policy::Http2::Auto => Http2::Auto,
            policy::Http2::Never => Http2::Never,
            policy::Http2::PriorKnowledge => Http2::PriorKnowledge,
        };
        let auth = provider.auth();
        let key_header = auth.header().map(HeaderName::from_static);
        let mut key_values = Vec::new();
        let mut fingerprint = DefaultHasher::new();
        if key_header.is_some() {
            for key in provider.keys() {
                key.expose().hash(&mut fingerprint);
                let text = match auth {
                    Auth::Bearer => format!("Bearer {}", key.expose()),
                    _ => key.expose().clone(),
                };
                let mut value = HeaderValue::from_str(text.trim())
                    .map_err(|_| LinkError::Header(said(), "an API key".to_owned()))?;
                value.set_sensitive(true);
                key_values.push(value);
            }
        }
        let mut headers = HeaderMap::new();
        for (header, value) in &provider.headers {
            let refused = || LinkError::Header(said(), format!("`{header}`"));
            let header_name = HeaderName::from_bytes(header.as_bytes()).map_err(|_| refused())?;
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| refused())?;
            value.set_sensitive(true);
            headers.insert(header_name, value);
        }
        let keys = needs.key_rings.get(&name, key_values.len(), fingerprint.finish());
        let mut link = Self {
            route: needs.egress.route(origin, http2, &roots, &roots_name, provider.via.as_ref().map(|via| &via.value)),
            server: format!("{}:{}", provider.base_url.host(), provider.base_url.port()).into(),
            dialect: provider.dialect,
            passthrough: provider.passthrough,
            discover: provider.discover,
            token_limit: token_limit(provider),
            stream_usage: provider.stream_usage,
            absent: Mutex::default(),
            provider: provider.clone(),
            name,
            keys,
            key_header,
            key_values,
            headers,
            targets: HashMap::new(),
        };
        for operation in
            [policy::Operation::ChatCompletions, policy::Operation::Embeddings, policy::Operation::Messages]
        {
            let depends = link.provider.path.get(&operation).is_some_and(|path| path.contains("{model}"));
            if let (false, Ok(target)) = (depends, link.provider.request_target(operation, "").parse()) {
                link.targets.insert(operation, target);
            }
        }
        Ok(link)
    }

    /// What the document says of it.
    pub(crate) const fn provider(&self) -> &Provider {
        &self.provider
    }

    /// The request target of `operation` for `model`; `query` is the caller's own.
    pub(crate) fn target(&self, operation: policy::Operation, model: &str, query: Option<&str>) -> Uri {
        match (self.targets.get(&operation), query) {
            (Some(target), None) => target.clone(),
            _ => with_query(self.provider.request_target(operation, model), query),
        }
    }

    /// Whether it may answer `model` at this path; it is taken as known for a while that it does not.
    pub(crate) fn may_have(&self, path: Optional, model: &str, now: Moment) -> bool {
        let absent = self.absent.lock();
        absent.get(&(path, model.into())).is_none_or(|until| now >= *until)
    }

    /// Notes that it does not.
    pub(crate) fn has_not(&self, path: Optional, model: &str, now: Moment) {
        let mut absent = self.absent.lock();
        if absent.len() >= MOST_ABSENT {
            absent.clear();
        }
        absent.insert((path, model.into()), now + LOOK_AGAIN_AFTER);
    }

    /// The request target of a path that the gateway does not know, `/v1/…`.
    pub(crate) fn unknown_target(&self, path: &str, query: Option<&str>) -> Uri {
        let own = match self.dialect {
            // An OpenAI base URL has the version in it already.
            Dialect::OpenAi => path.strip_prefix("/v1").unwrap_or(path),
            Dialect::Anthropic => path,
        };
        let mut target = format!("{}{own}", self.provider.base_url.path());
        self.provider.push_query(&mut target);
        with_query(target, query)
    }

    /// Adds what this provider wants in each request: its key and its headers.
    pub(crate) fn dress(&self, headers: &mut HeaderMap, key: Option<usize>) {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        if let (Some(name), Some(value)) = (&self.key_header, key.and_then(|key| self.key_values.get(key))) {
            headers.insert(name.clone(), value.clone());
        }
    }
}

/// A path that not every provider of its dialect has, or not for every model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Optional {
    /// OpenAI responses.
    Responses,
    /// The counting of tokens as Anthropic has it.
    CountTokens,
}

/// What was looked for in vain: the path, and the model there.
type Absent = (Optional, Box<str>);

/// How long it is not looked for again: servers are upgraded.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(600);
/// How much of it is remembered for a provider; beyond that all is forgotten, and looked for once more.
const MOST_ABSENT: usize = 256;

/// OpenAI and Azure refuse `max_tokens` for their newer models; other servers may not know anything else.
fn token_limit(provider: &Provider) -> TokenLimit {
    let host = provider.base_url.host();
    if host == "api.openai.com" || host.ends_with(".openai.azure.com") || host.ends_with(".azure.com") {
        TokenLimit::MaxCompletionTokens
    } else {
        TokenLimit::MaxTokens
    }
}

/// Appends the caller's query to a request target. What is not a URI any more becomes `/`, which no provider answers.
fn with_query(mut target: String, query: Option<&str>) -> Uri {
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str(query);
    }
    target.parse().unwrap_or_else(|_| Uri::from_static("/"))
}
