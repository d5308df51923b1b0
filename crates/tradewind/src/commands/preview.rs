//! `tradewind preview`

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use http::Method;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use tradewind_runtime::files;

use super::explain;
use super::reach::Reach;
use crate::say;

/// The largest request that is read; the gateway takes no larger one.
const LARGEST: u64 = 32 << 20;

/// Show whom a call would go to, and why, without making it
///
/// The running gateway decides as it would upon the call of this key, with the present load and health of its targets. Nobody
/// is called.
#[derive(Debug, Args)]
pub(super) struct Preview {
    /// What the user would ask, as the only message
    #[arg(value_name = "QUESTION", required_unless_present = "request")]
    question: Option<String>,
    /// The model that would be asked for
    #[arg(short, long, value_name = "NAME", default_value = "auto")]
    model: String,
    /// A whole request in place of a question, in JSON, as the client would send it; `-` for stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["question", "model"])]
    request: Option<PathBuf>,
    /// What the client would speak
    #[arg(long, value_enum, default_value_t = Spoken::Openai)]
    dialect: Spoken,
    /// Where the client would send it, when the request alone does not tell: /v1/responses
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// A header that the client would send, such as `user-agent: curl/8`; may be given several times
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    #[command(flatten)]
    reach: Reach,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Spoken {
    Openai,
    Anthropic,
}

/// What the gateway is asked.
#[derive(Serialize)]
struct Asked<'a> {
    dialect: Spoken,
    request: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    headers: BTreeMap<&'a str, &'a str>,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is written `NAME: VALUE`")?;
    let (name, value) = (name.trim(), value.trim());
    let is_header = http::HeaderName::try_from(name).is_ok() && http::HeaderValue::try_from(value).is_ok();
    if is_header { Ok((name.to_ascii_lowercase(), value.to_owned())) } else { Err("it cannot be a header".to_owned()) }
}

impl Preview {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut headers = BTreeMap::new();
        for (name, value) in &self.header {
            if headers.insert(name.as_str(), value.as_str()).is_some() {
                bail!("the header `{name}` is there twice");
            }
        }
        let asked = Asked { dialect: self.dialect, request: self.request()?, path: self.path.as_deref(), headers };
        let preview = self.reach.send(Method::POST, "/api/v1/decide", serde_json::to_vec(&asked)?)?;
        if !preview["candidates"].is_array() {
            bail!("what answered is not Tradewind: it tells of no candidates");
        }
        if self.json {
            say::data(serde_json::to_string_pretty(&preview)?);
        } else {
            say::data(explain::preview(&preview).trim_end());
        }
        Ok(())
    }

    /// The request that would be sent.
    fn request(&self) -> anyhow::Result<Box<RawValue>> {
        let text = match &self.request {
            Some(file) => read(file)?,
            None => {
                let (model, question) = (&self.model, &self.question);
                let request = match self.path.as_deref() {
                    Some("/v1/responses" | "/v1/embeddings") => json!({"model": model, "input": question}),
                    Some("/v1/completions") => json!({"model": model, "prompt": question}),
                    _ => json!({"model": model, "messages": [{"role": "user", "content": question}]}),
                };
                request.to_string()
            }
        };
        serde_json::from_str(&text).map_err(|error| anyhow!("the request is not JSON: {error}"))
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    let bytes = if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes).context("stdin cannot be read")?;
        bytes
    } else {
        files::read_bytes(file, LARGEST).with_context(|| format!("{} cannot be read", file.display()))?
    };
    if bytes.len() as u64 > LARGEST {
        bail!("a request has at most 32 MiB");
    }
    String::from_utf8(bytes).context("the request is not UTF-8")
}
