//! Whether each target of a model can be asked what a call asks, and in which form: as the caller sent it, or translated
//! into another wire format. Worked out once a call, before the decision.

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::SmallVec;
use tradewind_core::{Code, Dialect, Moment, Price, TargetId};
use tradewind_dialects::{RequestOptions, TranslatedRequest, Wire, translate_request};
use tradewind_dispatch::Lane;
use tradewind_tokens::ModelTokens;

use crate::ask::{Ask, Operation};
use crate::link::{Link, Optional};
use crate::section::{Abilities, Require, UNKNOWN_REGION};

/// What a call asks of its target.
#[derive(Clone, Copy)]
pub(crate) struct Wish<'a> {
    /// The request; `None` for a path that the gateway does not know.
    pub(crate) ask: Option<&'a Ask>,
    /// Whether hints have to be expressed, too.
    pub(crate) strict: bool,
    /// Whether the target has to have a price.
    pub(crate) needs_price: bool,
    /// The target that keeps the previous response.
    pub(crate) kept_by: Option<&'a TargetId>,
    /// What a target has to have for the model that was asked for, when a rule of it led to another one. What that one
    /// requires is worked out already, in [`Known::barred`].
    pub(crate) led_from: Option<&'a Require>,
}

/// What is known about the targets of a model beside how they are reached, by leaf.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) lanes: &'a [Lane],
    pub(crate) links: &'a [Arc<Link>],
    pub(crate) counters: &'a [Arc<ModelTokens>],
    /// What each can do; empty when nothing is said about any.
    pub(crate) abilities: &'a [Abilities],
    /// What each lacks of what the model requires; empty when none lacks anything.
    pub(crate) barred: &'a [Option<String>],
}

/// How a target is asked.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// As the caller sent it.
    AsItCame,
    /// In another wire format.
    Translated(Arc<Translated>),
    /// As the caller sent it, at a path that not all providers of this dialect have; in the other form, if there is one,
    /// when the provider says so.
    AsItCameOr(Result<Arc<Translated>, Unfit>),
}

/// A request in another wire format.
#[derive(Debug)]
pub(crate) struct Translated {
    /// Which one.
    pub(crate) wire: Wire,
    /// The request.
    pub(crate) request: TranslatedRequest,
}

/// Why a target cannot be asked at all, now or later.
#[derive(Clone, Debug)]
pub(crate) struct Unfit {
    /// For a person.
    pub(crate) why: Cow<'static, str>,
    /// What the caller is told when this is true of all targets.
    pub(crate) code: Code,
    /// The field of the request that is in the way.
    pub(crate) field: Option<String>,
}

/// How each target of a model can be asked, by leaf. Empty stands for "all of them as it came", the usual case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fits(Vec<Result<Form, Unfit>>);

impl Fits {
    /// Works out how the targets can be asked for `wish`.
    pub(crate) fn new(wish: &Wish<'_>, known: &Known<'_>, now: Moment) -> Self {
        let Known { lanes, links, .. } = known;
        let plain = !wish.needs_price
            && known.abilities.is_empty()
            && known.barred.is_empty()
            && wish.led_from.is_none()
            && wish.ask.is_some_and(|ask| {
                ask.operation != Operation::Responses
                    && links.iter().all(|link| link.dialect == ask.operation.dialect())
            });
        if plain {
            return Self::default();
        }
        let mut translations = Translations::default();
        let fit = lanes.iter().zip(*links).enumerate().map(|(leaf, (lane, link))| {
            lacks(wish, known, leaf)?;
            if wish.needs_price && lane.price.is_none() {
                return Err(Unfit::new(
                    Code::NotAllowed,
                    "has no price, and the key or the model has a budget in money",
                ));
            }
            let Some(ask) = wish.ask else {
                let refusal = Unfit::new(Code::UnknownPath, "its provider has no `passthrough: true`");
                return if link.passthrough { Ok(Form::AsItCame) } else { Err(refusal) };
            };
            form(wish, ask, lane, link, now, &mut translations)
        });
        Self(fit.collect())
    }

    /// How target `leaf` is asked.
    pub(crate) fn form(&self, leaf: usize) -> &Form {
        match self.0.get(leaf) {
            Some(Ok(form)) => form,
            _ => &Form::AsItCame,
        }
    }

    /// Why target `leaf` cannot be asked.
    pub(crate) fn unfit(&self, leaf: usize) -> Option<&Unfit> {
        self.0.get(leaf)?.as_ref().err()
    }

    /// The reason that counts when no target can ever be asked: what is wrong with the request itself before what only
    /// some target cannot express.
    pub(crate) fn nobody(&self) -> Option<&Unfit> {
        if self.0.iter().any(Result::is_ok) {
            return None;
        }
        let reasons = || self.0.iter().filter_map(|fit| fit.as_ref().err());
        let weight = |unfit: &Unfit| match unfit.code {
            Code::BadField => 0,
            Code::Inexpressible => 1,
            Code::UnknownResponse => 2,
            _ => 3,
        };
        reasons().min_by_key(|unfit| weight(unfit))
    }
}

/// What target `leaf` lacks for `wish`, by what the document says of it. These come before all else: they cost nothing.
fn lacks(wish: &Wish<'_>, known: &Known<'_>, leaf: usize) -> Result<(), Unfit> {
    let lacking = |why: String| Err(Unfit::new(Code::Inexpressible, why));
    let none = Abilities::default();
    let can = known.abilities.get(leaf).unwrap_or(&none);
    if let Some(why) = known.barred.get(leaf).and_then(Option::as_ref) {
        return lacking(why.clone());
    }
    if let Some(why) = wish.led_from.and_then(|require| falls_short(require, can, known.lanes[leaf].price.as_ref())) {
        return lacking(why);
    }
    let Some(ask) = wish.ask else { return Ok(()) };
    for (is_asked, can, what) in [
        (ask.demands.images, can.images, "images"),
        (ask.demands.tools, can.tools, "tools"),
        (ask.demands.json_schema, can.json_schema, "a JSON Schema for the answer"),
    ] {
        if is_asked && can == Some(false) {
            return lacking(format!("takes no {}", what.trim_start_matches("a ")));
        }
    }
    if let Some(context) = can.context {
        let question = known.counters[leaf].estimate(&ask.features).tokens;
        let together = question.saturating_add(ask.longest_answer.unwrap_or(0));
        if together > u64::from(context) {
            return lacking(format!("its context has {context} tokens, and the call about {together} (estimated)"));
        }
    }
    Ok(())
}

/// What a target that can do this, at this price, lacks of what is required.
pub(crate) fn falls_short(require: &Require, can: &Abilities, price: Option<&Price>) -> Option<String> {
    if !require.allows_region(can.region.as_deref()) {
        let here = can.region.as_deref().unwrap_or(UNKNOWN_REGION);
        return Some(format!("its region is {here}, and has to be {}", require.region.join(" or ")));
    }
    let ceiling = require.price_at_most.as_ref()?;
    let Some(price) = price else { return Some("has no price, and `price-at-most` asks for one".to_owned()) };
    // Every kind of token that the call may be charged for.
    let prices = [
        ("input", ceiling.input, Some(price.input)),
        ("cached input", ceiling.input, price.cached),
        ("writing to its cache", ceiling.input, price.cache_write),
        ("output", ceiling.output, Some(price.output)),
        ("reasoning", ceiling.output, price.reasoning),
    ];
    prices.into_iter().find_map(|(what, most, is)| {
        let (most, is) = (most?.0, is?);
        (is > most).then(|| format!("its price for {what} is {is}, and may be {most} at most"))
    })
}

impl Unfit {
    fn new(code: Code, why: impl Into<Cow<'static, str>>) -> Self {
        Self { why: why.into(), code, field: None }
    }
}

/// The translations of one request, each made once.
#[derive(Default)]
struct Translations(SmallVec<[(Wire, RequestOptions, Translation); 2]>);

type Translation = Result<Arc<Translated>, Unfit>;

impl Translations {
    fn to(&mut self, wire: Wire, ask: &Ask, options: RequestOptions) -> Translation {
        if let Some((_, _, known)) = self.0.iter().find(|(to, with, _)| (*to, *with) == (wire, options)) {
            return known.clone();
        }
        let made = translate(ask, wire, options);
        self.0.push((wire, options, made.clone()));
        made
    }
}

fn translate(ask: &Ask, to: Wire, options: RequestOptions) -> Translation {
    let Some(from) = ask.operation.wire() else {
        let why = format!("speaks {}, which has no {}", to.dialect(), ask.operation.name());
        return Err(Unfit::new(Code::Inexpressible, why));
    };
    match translate_request(from, to, ask.body(), &options) {
        Ok(request) => Ok(Arc::new(Translated { wire: to, request })),
        Err(obstacle) => {
            let code = if obstacle.invalid { Code::BadField } else { Code::Inexpressible };
            let why = if obstacle.invalid {
                format!("the field `{}` is wrong: {}", obstacle.field, obstacle.why)
            } else {
                format!("cannot be asked in the format of {}: `{}`: {}", to.name(), obstacle.field, obstacle.why)
            };
            Err(Unfit { why: why.into(), code, field: Some(obstacle.field) })
        }
    }
}

fn form(
    wish: &Wish<'_>,
    ask: &Ask,
    lane: &Lane,
    link: &Link,
    now: Moment,
    translations: &mut Translations,
) -> Result<Form, Unfit> {
    let options = RequestOptions {
        strict: wish.strict,
        token_limit: link.token_limit,
        max_tokens: u32::try_from(lane.max_output).unwrap_or(u32::MAX),
    };
    match (ask.operation, link.dialect) {
        (Operation::Responses, Dialect::OpenAi) => {
            if let Some(keeper) = wish.kept_by {
                return if lane.target.id() == keeper {
                    Ok(Form::AsItCameOr(Err(Unfit::new(Code::UnknownResponse, "only its keeper can go on from it"))))
                } else {
                    Err(Unfit {
                        why: format!("`previous_response_id`: that response is kept by {keeper}").into(),
                        code: Code::UnknownResponse,
                        field: Some("previous_response_id".to_owned()),
                    })
                };
            }
            let translated = translations.to(Wire::Chat, ask, options);
            if link.may_have(Optional::Responses, lane.target.id().model(), now) {
                return Ok(Form::AsItCameOr(translated));
            }
            translated.map(Form::Translated)
        }
        (Operation::CountTokens, Dialect::OpenAi) => {
            if link.may_have(Optional::CountTokens, lane.target.id().model(), now) {
                let none = Unfit::new(Code::Inexpressible, "has no path that counts tokens");
                return Ok(Form::AsItCameOr(Err(none)));
            }
            Err(Unfit::new(Code::Inexpressible, "has no path that counts tokens"))
        }
        (operation, dialect) if operation.dialect() == dialect => Ok(Form::AsItCame),
        (_, Dialect::Anthropic) => translations.to(Wire::Messages, ask, options).map(Form::Translated),
        (_, Dialect::OpenAi) => translations.to(Wire::Chat, ask, options).map(Form::Translated),
    }
}
