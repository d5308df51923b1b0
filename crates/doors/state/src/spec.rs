//! What each operation takes and answers. Queries are read by this table and the description of the API is made from it.

use tradewind_core::Code;

use crate::route::Operation;

/// The form of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    /// A whole number from 1 on.
    Number,
    /// One of these.
    Words(&'static [&'static str]),
}

/// A parameter of the query, or a header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) form: Form,
    pub(crate) required: bool,
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// The value itself, of any type.
    Value,
    /// A JSON Patch, or what is appended.
    Change,
    /// JSON of this schema, by its name among the components.
    Json(&'static str),
    /// Events.
    Events,
}

/// A body of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    pub(crate) content: Content,
    pub(crate) required: bool,
}

/// An answer that is no error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) about: &'static str,
    pub(crate) content: Option<Content>,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    pub(crate) summary: &'static str,
    pub(crate) about: &'static str,
    pub(crate) query: &'static [Parameter],
    pub(crate) headers: &'static [Parameter],
    pub(crate) body: Option<Body>,
    pub(crate) answers: &'static [Answer],
    /// Codes of its own; those in [`ALWAYS`] go without saying.
    pub(crate) codes: &'static [Code],
}

/// Codes that any operation may answer with.
pub(crate) const ALWAYS: &[Code] = &[
    Code::BadField,
    Code::BadHeader,
    Code::StateName,
    Code::UnknownKey,
    Code::KeyRevoked,
    Code::NotAllowed,
    Code::NotLocal,
    Code::HeadersTooLarge,
    Code::Overloaded,
    Code::StateUnavailable,
    Code::StateBusy,
    Code::StateDamaged,
    Code::StateSealed,
];

/// What a body may be refused for.
const OF_BODY: [Code; 3] = [Code::BodyTooSlow, Code::BodyBroken, Code::UnsupportedMedia];
/// What a write may be refused for.
const OF_WRITE: [Code; 9] = [
    Code::StateMissing,
    Code::StateGone,
    Code::StateLost,
    Code::StateConditionless,
    Code::StateFenced,
    Code::StateTooLarge,
    Code::StateUnknown,
    Code::StateFull,
    Code::MalformedJson,
];

const WITH_VALUE: &[Code] = &[
    OF_WRITE[0],
    OF_WRITE[1],
    OF_WRITE[2],
    OF_WRITE[3],
    OF_WRITE[4],
    OF_WRITE[5],
    OF_WRITE[6],
    OF_WRITE[7],
    OF_WRITE[8],
    OF_BODY[0],
    OF_BODY[1],
    OF_BODY[2],
];
const WITH_CHANGE: &[Code] = &[
    OF_WRITE[0],
    OF_WRITE[1],
    OF_WRITE[2],
    OF_WRITE[3],
    OF_WRITE[4],
    OF_WRITE[5],
    OF_WRITE[6],
    OF_WRITE[7],
    OF_WRITE[8],
    OF_BODY[0],
    OF_BODY[1],
    OF_BODY[2],
    Code::StateBadPatch,
];
const WITH_TOKEN: &[Code] = &[
    OF_WRITE[0],
    OF_WRITE[1],
    OF_WRITE[2],
    OF_WRITE[5],
    OF_WRITE[6],
    OF_WRITE[7],
    OF_WRITE[8],
    OF_BODY[0],
    OF_BODY[1],
    OF_BODY[2],
    Code::StateSchema,
    Code::HandoffForged,
    Code::HandoffLate,
    Code::HandoffRedeemed,
    Code::HandoffReplayed,
    Code::HandoffStale,
];
const OF_READ: &[Code] = &[Code::StateMissing, Code::StateGone];

const fn text(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about, form: Form::Text, required: false }
}

const fn number(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about, form: Form::Number, required: false }
}

const fn needed(parameter: Parameter) -> Parameter {
    Parameter { required: true, ..parameter }
}

const fn answer(status: u16, about: &'static str, content: Option<Content>) -> Answer {
    Answer { status, about, content }
}

const REV: Parameter = number("rev", "The revision; the newest when absent.");
const LIMIT: Parameter = number("limit", "At most so many, 1 to 1000; 100 when absent.");
const PREFIX: Parameter = text("prefix", "Only keys that begin with this.");

const IF_NONE_MATCH: Parameter = text("If-None-Match", "`*`: there must be no value.");
const IF_MATCH: Parameter = text("If-Match", "The `ETag` of the revision that is replaced.");
const IF_HAS: Parameter = text("If-None-Match", "`ETag`s that the reader has; 304 when the revision is one of them.");
const TTL: Parameter = text(
    "Tradewind-TTL",
    "How long the value lives: a time such as `15m`, with `; sliding` behind it to begin again with each read, or `none`.",
);
const SCHEMA: Parameter = text("Tradewind-Schema", "The schema of the content, `name@version`.");
const KNOWN: Parameter = text(
    "Tradewind-Schema",
    "The newest schema that the reader knows, `name@version`; 409 when the value has another one, or a newer version.",
);
const EPOCH: Parameter =
    text("Tradewind-Epoch", "The epoch that the writer believes to be in; 409 when the key was handed over since.");
const PREFER: Parameter = Parameter {
    name: "Prefer",
    about: "What the answer has: the content, or nothing but headers. Also with 412.",
    form: Form::Words(&["return=representation", "return=minimal"]),
    required: false,
};
const APPEND: Parameter = Parameter {
    name: "Tradewind-Append",
    about: "Appends the body: elements to a JSON array, bytes to anything else.",
    form: Form::Words(&["true", "false"]),
    required: false,
};
const LAST_EVENT: Parameter = text("Last-Event-ID", "Goes on after this event; wins over `from`.");

const WRITTEN: Answer = answer(200, "It was replaced; the new revision.", Some(Content::Json("Revision")));
const CREATED: Answer = answer(201, "It was created; the new revision.", Some(Content::Json("Revision")));
const SILENT: Answer = answer(204, "The same, where `Prefer: return=minimal` asked for no body.", None);

const NOTHING: Spec = Spec { summary: "", about: "", query: &[], headers: &[], body: None, answers: &[], codes: &[] };

/// What an operation takes and answers.
pub(crate) fn spec(operation: Operation) -> &'static Spec {
    let line = SPECS.iter().find(|(of, _)| *of == operation);
    &line.expect("each operation has a line, which a test of the description goes through").1
}

/// All operations.
static SPECS: &[(Operation, Spec)] = &[
    (
        Operation::Describe,
        Spec {
            summary: "Describe the API",
            about: "This document.",
            answers: &[answer(200, "OpenAPI 3.1.", Some(Content::Json("Object")))],
            ..NOTHING
        },
    ),
    (
        Operation::Namespaces,
        Spec {
            summary: "List namespaces",
            about: "Those of which the caller's key may use everything.",
            answers: &[answer(200, "The namespaces.", Some(Content::Json("Namespaces")))],
            ..NOTHING
        },
    ),
    (
        Operation::List,
        Spec {
            summary: "List the keys of a namespace",
            about: "In order, those that have a value and that the caller's key may use. A page may be short or empty and have a \
                `next`. A key whose newest revision is damaged has `error` in place of what is known of a revision.",
            query: &[PREFIX, text("after", "Only keys behind this one: `next` of the page before."), LIMIT],
            answers: &[answer(200, "A page of keys.", Some(Content::Json("Keys")))],
            ..NOTHING
        },
    ),
    (
        Operation::Watch,
        Spec {
            summary: "Watch a namespace",
            about: "Server-sent events: each later change once and in order. The first event, `ready`, has the place to go on \
                from. An event without a name is a change; `error` ends the stream. An `id` without `data` is no event: it says how far \
                the watch has come.",
            query: &[text("from", "Goes on after this place; with the next change when absent."), PREFIX],
            headers: &[LAST_EVENT],
            answers: &[answer(200, "The changes.", Some(Content::Events))],
            codes: &[Code::StateWatchGone],
            ..NOTHING
        },
    ),
    (
        Operation::Get,
        Spec {
            summary: "Read a value",
            about: "The content as it was written, with its revision in `ETag`, and `Tradewind-Epoch`, `-Hash`, `-Schema` and \
                `-Expires-At`.",
            query: &[REV],
            headers: &[IF_HAS, IF_MATCH, KNOWN],
            answers: &[
                answer(200, "The content.", Some(Content::Value)),
                answer(304, "The reader has this revision.", None),
            ],
            codes: &[OF_READ[0], OF_READ[1], Code::StateLost, Code::StateSchema],
            ..NOTHING
        },
    ),
    (
        Operation::Put,
        Spec {
            summary: "Write a value",
            about: "Creates with `If-None-Match: *`, replaces with `If-Match`. There is no write without one of them.",
            headers: &[IF_NONE_MATCH, IF_MATCH, TTL, SCHEMA, EPOCH, PREFER],
            body: Some(Body { content: Content::Value, required: false }),
            answers: &[WRITTEN, CREATED, SILENT],
            codes: WITH_VALUE,
            ..NOTHING
        },
    ),
    (
        Operation::Patch,
        Spec {
            summary: "Change a value",
            about: "By a JSON Patch (RFC 6902), or by appending the body.",
            headers: &[IF_MATCH, IF_NONE_MATCH, APPEND, TTL, SCHEMA, EPOCH, PREFER],
            body: Some(Body { content: Content::Change, required: true }),
            answers: &[WRITTEN, CREATED, SILENT],
            codes: WITH_CHANGE,
            ..NOTHING
        },
    ),
    (
        Operation::Delete,
        Spec {
            summary: "Delete a value",
            about: "Its number goes on: a value that is created later has the next one.",
            headers: &[IF_MATCH, EPOCH, PREFER],
            answers: &[answer(200, "The tombstone.", Some(Content::Json("Revision"))), SILENT],
            codes: &OF_WRITE,
            ..NOTHING
        },
    ),
    (
        Operation::History,
        Spec {
            summary: "List the revisions of a key",
            about: "The newest first, tombstones too.",
            query: &[number("before", "Only revisions before this one: `next` of the page before."), LIMIT],
            answers: &[answer(200, "A page of revisions.", Some(Content::Json("History")))],
            codes: OF_READ,
            ..NOTHING
        },
    ),
    (
        Operation::Diff,
        Spec {
            summary: "Compare two revisions",
            about: "As the JSON Patch that leads from one to the other; both have to be JSON.",
            query: &[
                needed(number("from", "The one revision.")),
                number("to", "The other revision; the newest when absent."),
            ],
            answers: &[answer(200, "The difference.", Some(Content::Json("Diff")))],
            codes: &[OF_READ[0], OF_READ[1], Code::StateBadPatch],
            ..NOTHING
        },
    ),
    (
        Operation::Fork,
        Spec {
            summary: "Copy a revision to another key",
            about: "Which must have no value. Its first revision has the same content.",
            headers: &[TTL, PREFER],
            body: Some(Body { content: Content::Json("Fork"), required: true }),
            answers: &[CREATED, SILENT],
            codes: WITH_VALUE,
            ..NOTHING
        },
    ),
    (
        Operation::Pin,
        Spec {
            summary: "Pin a revision",
            about: "It stays however many come after it.",
            query: &[needed(REV)],
            answers: &[answer(204, "It is pinned.", None)],
            codes: &[OF_READ[0], OF_READ[1], Code::StateUnknown, Code::StateFull],
            ..NOTHING
        },
    ),
    (
        Operation::Unpin,
        Spec {
            summary: "Unpin a revision",
            about: "The next write or prune may remove it.",
            query: &[needed(REV)],
            answers: &[answer(204, "It is not pinned any more.", None)],
            codes: &[OF_READ[0], OF_READ[1], Code::StateUnknown, Code::StateFull],
            ..NOTHING
        },
    ),
    (
        Operation::Prune,
        Spec {
            summary: "Remove old revisions",
            about: "All but the newest ones and the pinned ones.",
            body: Some(Body { content: Content::Json("Prune"), required: true }),
            answers: &[answer(200, "How many were removed.", Some(Content::Json("Pruned")))],
            codes: WITH_VALUE,
            ..NOTHING
        },
    ),
    (
        Operation::Restore,
        Spec {
            summary: "Write an earlier revision again",
            about: "Its content becomes a new revision.",
            headers: &[IF_MATCH, IF_NONE_MATCH, TTL, EPOCH, PREFER],
            body: Some(Body { content: Content::Json("Restore"), required: true }),
            answers: &[WRITTEN, CREATED, SILENT],
            codes: WITH_VALUE,
            ..NOTHING
        },
    ),
    (
        Operation::Handoff,
        Spec {
            summary: "Ask for a hand-off token",
            about: "Whoever redeems it, once and soon, holds the key: its epoch grows, and the old holder's next write is \
                refused.",
            headers: &[IF_MATCH, EPOCH],
            body: Some(Body { content: Content::Json("Handoff"), required: false }),
            answers: &[answer(200, "The token.", Some(Content::Json("Token")))],
            codes: WITH_VALUE,
            ..NOTHING
        },
    ),
    (
        Operation::Redeem,
        Spec {
            summary: "Redeem a hand-off token",
            about: "The same content as a new revision in the next epoch.",
            headers: &[KNOWN, PREFER],
            body: Some(Body { content: Content::Json("Redeem"), required: true }),
            answers: &[WRITTEN, SILENT],
            codes: WITH_TOKEN,
            ..NOTHING
        },
    ),
];
