//! The models door: OpenAI and Anthropic dialects in, whichever of them a target speaks out.
//!
//! A request is read as far as is needed to decide. To a target of the same wire format its bytes go on unchanged but for
//! the model's name; for another it is translated (`fit`, `call`). A stream is relayed event by event and judged in
//! passing. Who is asked, and in which order, is `decide`'s; how the attempts are
//! driven is `dispatch`'s.

mod anthropic;
mod ask;
mod cached;
mod call;
mod choosing;
mod discover;
mod door;
mod embedding;
mod envelope;
mod failure;
mod fit;
mod headers;
mod json;
mod lesson;
mod link;
mod list;
mod loose;
mod meaning;
mod model;
mod openai;
mod passages;
mod preview;
mod quality;
mod remote;
mod responses;
mod rules;
mod seal;
mod section;
mod snapshot;
mod sse;
mod stream;
mod targets;
mod tools;

pub use ask::{Ask, Operation};
pub use cached::AnswersKept;
pub use discover::{Discovered, discover, probe};
pub use door::{ModelsDoor, Needs};
pub use embedding::{Embedders, LoadEncoder};
pub use link::LinkError;
pub use preview::PreviewRequest;
pub use seal::Seal;
pub use section::{
    Abilities, Affinity, BUILT_IN_RESPONDER, EMBEDDERS_SECTION, EmbedderEntry, EmbedderKind, Hedge, HedgeAfter,
    LEXICAL, LastResort, MODELS_SECTION, ModelEntry, Models, NetworkPolicy, PriceCeiling, RESPONDERS_SECTION,
    Reference, Require, Responder, ResponderRule, Retry, ScoreMode, ScoreSettings, Strategy, Target, TargetPrice,
    TargetSettings, Timeouts,
};
pub use snapshot::{Limits, Snapshot};
pub use stream::ModelStream;
pub use targets::TargetLoad;
