//! From a decision to a response: a kept answer where there is one, else what `dispatch` brings back, with the door's
//! own headers on it. What a caller gets when nobody has answered is [`super::reply`]'s.

use http::HeaderValue;
use tradewind_core::{Dialect, Moment};
use tradewind_dispatch::{Call, Failure, Open, Reply, run};
use tradewind_door::{Body, Response};

use super::prepare::Prepared;
use super::{Inner, Needs};
use crate::cached::{Found, Keeping, Patience, Tee, Told};
use crate::call::What;
use crate::failure::{DROPPED, mark, nobody_eligible};

impl Inner {
    /// Gives a kept answer, or has the call driven.
    pub(super) async fn find_or_drive(
        &self,
        prepared: Prepared,
        dialect: Dialect,
        open: Open,
        arrived: Moment,
    ) -> Response {
        let Prepared { call, model, patience } = &prepared;
        let Some(kept) = &model.extras.kept else { return self.drive(prepared, dialect, open, arrived, None).await };
        let timeouts = &model.terms.timeouts;
        let limit = patience.map_or(timeouts.total, |patience| patience.min(timeouts.total));
        let by_caller = patience.is_some_and(|patience| patience < timeouts.total);
        let patience = Patience { until: arrived + limit, by_caller, first_token: timeouts.first_token };
        let Needs { services, embedders, .. } = &self.needs;
        match kept.look(call, open, services, embedders, patience).await {
            Found::Answer(response) => response,
            Found::Ask(open, keeping) => self.drive(prepared, dialect, open, arrived, keeping).await,
            Found::Over(open, fault) => {
                let failure = Failure { fault, retry_after: None, budget_spent: false, open };
                self.failed(call, model, dialect, failure).await
            }
        }
    }

    /// Has the call driven. What comes of it is kept with `keeping`.
    pub(super) async fn drive(
        &self,
        prepared: Prepared,
        dialect: Dialect,
        open: Open,
        arrived: Moment,
        keeping: Option<Box<Keeping>>,
    ) -> Response {
        let Prepared { call, model, patience } = prepared;
        let id = open.id();
        let decision = &open.look().decision;
        if decision.eligible().is_empty() {
            let (refusal, fault) = nobody_eligible(decision, call.fits.nobody());
            return Box::pin(self.without_answer(&call, &model, dialect, open, refusal, fault)).await;
        }
        let first = decision.eligible()[0].leaf;
        let tokens = match &call.what {
            What::Ask(ask) => call.estimate(ask, first) + ask.expected_answer,
            What::Unknown { .. } => 0,
        };
        let result = run(Call {
            services: self.needs.services.clone(),
            lanes: model.lanes.clone(),
            terms: model.terms.clone(),
            open,
            arrived,
            patience,
            tokens,
            protocol: call.clone(),
        })
        .await;
        let (head, body, target) = match result {
            Ok(Reply::Whole { head, body, target, finding }) => {
                if let Some(keeping) = keeping {
                    keeping.keep(&Told::new(&head, &target, &call), &body, &finding);
                }
                (head, Body::whole(body), target)
            }
            Ok(Reply::Refusal { head, body, target }) => {
                // It is about this request, which others may have sent with other words beside it.
                if let Some(keeping) = keeping {
                    keeping.let_go();
                }
                (head, Body::whole(body), target)
            }
            Ok(Reply::Stream { head, relay, target }) => {
                let body = match keeping {
                    None => Body::stream(relay),
                    Some(keeping) => Body::stream(Tee::new(relay, keeping, Told::new(&head, &target, &call))),
                };
                (head, body, target)
            }
            Err(failure) => {
                // Whoever waits for this answer asks now, and does not wait for what is said here instead.
                drop(keeping);
                return Box::pin(self.failed(&call, &model, dialect, failure)).await;
            }
        };
        let mut response = Response::from_parts(head, body);
        // The version is that of the connection to the provider; the caller's own is the server's to say.
        *response.version_mut() = http::Version::HTTP_11;
        mark(&mut response, Some(id), Some(&target));
        let leaf = model.lanes.iter().position(|lane| *lane.target.id() == target);
        let dropped = leaf.map_or(&[][..], |leaf| call.dropped(leaf));
        if !dropped.is_empty()
            && let Ok(value) = HeaderValue::try_from(dropped.join(", "))
        {
            response.headers_mut().insert(DROPPED, value);
        }
        response
    }
}
