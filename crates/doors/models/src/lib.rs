//! The models door: OpenAI and Anthropic dialects in, the same dialect out.
//!
//! A request is read as far as is needed to decide, and its bytes go on unchanged but for the model's name; a stream is
//! relayed chunk by chunk and judged in passing. Who is asked, and in which order, is `decide`'s; how the attempts are
//! driven is `dispatch`'s.

mod anthropic;
mod ask;
mod call;
mod discover;
mod door;
mod failure;
mod headers;
mod link;
mod list;
mod loose;
mod meaning;
mod model;
mod openai;
mod preview;
mod rules;
mod section;
mod snapshot;
mod sse;
mod stream;
mod tools;

pub use ask::{Ask, Operation};
pub use discover::{Discovered, discover, probe};
pub use door::{ModelsDoor, Needs};
pub use link::LinkError;
pub use preview::PreviewRequest;
pub use section::{
    BUILT_IN_RESPONDER, Hedge, HedgeAfter, LastResort, MODELS_SECTION, ModelEntry, Models, RESPONDERS_SECTION,
    Reference, Responder, ResponderRule, Retry, Strategy, Target, TargetPrice, TargetSettings, Timeouts,
};
pub use snapshot::{Limits, Snapshot};
pub use stream::ModelStream;
