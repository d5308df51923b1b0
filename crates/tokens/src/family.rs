//! Which tokenizer a model has, told from its name.

use crate::states::STATES;
use crate::weights::{self, Weights};

/// Tokens that OpenAI's chat format puts around each message.
const FRAME_OF_MESSAGE: f64 = 4.0;
/// Tokens that begin the answer.
const FRAME_OF_CHAT: f64 = 3.0;
/// Tokens around a tool definition besides its JSON, and around all of them.
const FRAME_OF_TOOL: f64 = 6.0;
const FRAME_OF_TOOLS: f64 = 10.0;
/// Tokens of the instructions that Anthropic adds when there are tools (its "tool use" page says 313 to 346).
const FRAME_OF_TOOLS_CLAUDE: f64 = 330.0;

/// A family of tokenizers. Each model of it begins with the same weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    O200k,
    Cl100k,
    Claude,
    Llama,
    Mistral,
    Qwen,
    DeepSeek,
    Other,
}

impl Family {
    pub(crate) const ALL: [Self; 8] =
        [Self::O200k, Self::Cl100k, Self::Claude, Self::Llama, Self::Mistral, Self::Qwen, Self::DeepSeek, Self::Other];

    /// The family of a model by its name at the provider, whatever stands around it: `azure/gpt-4o-eu`,
    /// `meta-llama/Llama-3.3-70B-Instruct`.
    pub(crate) fn of(model: &str) -> Self {
        let name = model.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        // What a model was distilled from has its tokenizer: `DeepSeek-R1-Distill-Qwen-32B`.
        if has(&["distill-qwen"]) {
            Self::Qwen
        } else if has(&["distill-llama"]) {
            Self::Llama
        } else if has(&["gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-6", "gpt-oss", "codex-"]) || is_o_series(&name) {
            Self::O200k
        } else if has(&["gpt-4", "gpt-3.5", "gpt-35", "text-embedding-3", "text-embedding-ada", "davinci-002"]) {
            Self::Cl100k
        } else if has(&["claude"]) {
            Self::Claude
        } else if has(&["deepseek"]) {
            Self::DeepSeek
        } else if has(&["qwen", "qwq"]) {
            Self::Qwen
        } else if has(&["mistral", "mixtral", "ministral", "magistral", "codestral", "devstral", "pixtral"]) {
            Self::Mistral
        } else if has(&["llama-3", "llama3", "llama-4", "llama4"]) {
            Self::Llama
        } else {
            Self::Other
        }
    }

    /// Tokens for each count of a state.
    pub(crate) const fn weights(self) -> &'static Weights {
        const _: () = assert!(weights::OTHER.len() == STATES);
        match self {
            Self::O200k => &weights::O200K,
            Self::Cl100k => &weights::CL100K,
            Self::Claude => &weights::CLAUDE,
            Self::Llama => &weights::LLAMA,
            Self::Mistral => &weights::MISTRAL,
            Self::Qwen => &weights::QWEN,
            Self::DeepSeek => &weights::DEEPSEEK,
            Self::Other => &weights::OTHER,
        }
    }

    /// Tokens of the format around `messages` messages and `tools` tools.
    pub(crate) fn frame(self, messages: u32, tools: u32) -> f64 {
        let chat = if messages > 0 { FRAME_OF_CHAT + FRAME_OF_MESSAGE * f64::from(messages) } else { 0.0 };
        let all_tools = match (tools, self) {
            (0, _) => 0.0,
            (_, Self::Claude) => FRAME_OF_TOOLS_CLAUDE,
            _ => FRAME_OF_TOOLS,
        };
        chat + all_tools + FRAME_OF_TOOL * f64::from(tools)
    }
}

/// Whether a name, or its part behind the last slash, is `o1`, `o3-mini` and the like.
fn is_o_series(name: &str) -> bool {
    let mut letters = name.rsplit('/').next().unwrap_or(name).bytes();
    letters.next() == Some(b'o')
        && letters.next().is_some_and(|digit| digit.is_ascii_digit())
        && matches!(letters.next(), None | Some(b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_family() {
        let cases = [
            (
                Family::O200k,
                "gpt-4o gpt-4o-mini azure/gpt-4.1-eu gpt-5.2-codex o1 o3-mini openai/o4-mini-high gpt-oss-20b",
            ),
            (Family::Cl100k, "gpt-4 gpt-4-turbo gpt-3.5-turbo-0125 gpt-35-turbo text-embedding-3-large"),
            (Family::Claude, "claude-sonnet-4-5 anthropic.claude-3-haiku us.anthropic.claude-opus-4-1@20250805"),
            (Family::Llama, "meta-llama/Llama-3.3-70B-Instruct llama3.2:1b DeepSeek-R1-Distill-Llama-8B"),
            (Family::Mistral, "mistral-large-latest Mixtral-8x7B codestral-2501"),
            (Family::Qwen, "Qwen/Qwen3-32B qwen2.5-coder:7b DeepSeek-R1-Distill-Qwen-32B QwQ-32B"),
            (Family::DeepSeek, "deepseek-chat DeepSeek-V3.1"),
            (Family::Other, "gemini-2.5-pro smollm2 olmo-2 o llama2 phi-4 \u{1F9E0}"),
        ];
        for (family, names) in cases {
            for name in names.split(' ') {
                assert_eq!(Family::of(name), family, "{name}");
            }
        }
        assert_eq!(Family::of(""), Family::Other);
    }
}
