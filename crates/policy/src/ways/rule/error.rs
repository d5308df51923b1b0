//! What is wrong with a rule, in mihomo's words where it has some.

use std::sync::Arc;

use thiserror::Error;

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RuleError {
    /// Too few parts, or no target.
    #[error("format invalid")]
    Format,
    /// A type that nobody knows.
    #[error("unsupported rule type: {0}")]
    UnknownType(Arc<str>),
    /// A type of mihomo's that is not built.
    #[error("rule type {0} is not built")]
    NotBuilt(&'static str),
    /// Nothing is to be compared.
    #[error("missing subsequent parameters: {0}")]
    NoPayload(Arc<str>),
    /// A payload that is not of its type.
    #[error("payloadRule error")]
    Payload,
    /// A range that is none, or is beyond what there can be.
    #[error("payloadRule error, invalid range: {0}")]
    Range(Arc<str>),
    /// More ranges than anybody needs.
    #[error("payloadRule error, there are more than {most} ranges", most = super::MOST_RANGES)]
    TooManyRanges,
    /// A DSCP beyond six bits.
    #[error("DSCP couldn't be negative or exceed 63")]
    Dscp,
    /// A DSCP that is no range.
    #[error("parse DSCP rule fail: invalid range: {0}")]
    DscpRange(Arc<str>),
    /// Neither TCP nor UDP.
    #[error("unsupported network type, only TCP/UDP")]
    Network,
    /// No kind of listener.
    #[error("unknown type: {0}")]
    InboundType(Arc<str>),
    /// An empty name in a list of names.
    #[error("{0} couldn't be empty")]
    EmptyName(&'static str),
    /// A regular expression that is none, or one that looks around or back.
    #[error("error parsing regexp: {0}")]
    Regex(Arc<str>),
    /// A regular expression that would take too much memory.
    #[error("error parsing regexp: compiled it takes more than {most} bytes", most = super::pattern::LARGEST_PROGRAM)]
    RegexTooBig,
    /// Longer than anybody needs.
    #[error("it has {length} bytes, the most is {most}")]
    TooLong {
        /// How long it is, in bytes.
        length: usize,
        /// How long it may be.
        most: usize,
    },
    /// A parenthesis is missing.
    #[error("format error is missing )")]
    Parenthesis,
    /// A parenthesis is closed that was not opened.
    #[error("missing '('")]
    Unopened,
    /// Something stands before or after the parentheses.
    #[error("payload format error")]
    LogicFormat,
    /// Nothing is between two parentheses.
    #[error("[] format is error")]
    EmptyCondition,
    /// `AND` and `OR` of nothing: mihomo takes them, and they fit everything or nothing.
    #[error("{0} rule must contain a rule, as in ((DOMAIN,example.com),(NETWORK,tcp))")]
    NoConditions(&'static str),
    /// `NOT` of several.
    #[error("not rule must contain one rule")]
    NotOne,
    /// `SUB-RULE` of none or several.
    #[error("Sub-Rule rule must contain one rule")]
    SubRuleNotOne,
    /// A rule that cannot stand in another.
    #[error("unsupported rule type [{0}] on logic rule")]
    NotInLogic(Arc<str>),
    /// A rule that cannot stand in a list of rules.
    #[error("unsupported rule type on classical rule-set: {0}")]
    NotInList(Arc<str>),
    /// Rules in rules in rules.
    #[error("rules are nested more than {most} deep", most = super::MOST_NESTING)]
    TooDeep,
    /// More conditions than anybody needs.
    #[error("there are more than {most} rules in it", most = super::MOST_CONDITIONS)]
    TooManyConditions,
    /// A target that is neither proxy nor group.
    #[error("proxy [{0}] not found")]
    NoProxy(Arc<str>),
    /// No sub-rules have this name.
    #[error("sub-rule [{0}] not found")]
    NoSubRule(Arc<str>),
    /// No list has this name.
    #[error("rule set [{0}] not found")]
    NoRuleSet(Arc<str>),
    /// Sub-rules that lead to themselves.
    #[error("sub-rule error: circular references [{0}]")]
    Circle(Arc<str>),
    /// Sub-rules that lead to sub-rules and so on.
    #[error("sub-rule error: more than {most} lead to each other in a row", most = super::MOST_SUB_RULES)]
    TooManySubRules,
}
