//! HTTP/1.1: takes requests off a connection, has them planned, plays the plan, notes how each ended.

use tradewind_core::Dialect;

use crate::answer::error_body;
use crate::connection::{Connection, Played, ReadError};
use crate::plan::Plan;
use crate::request::Head;
use crate::script::Reply;
use crate::shared::{Shared, Ticket};
use crate::stats::Ending;
use crate::{Injection, ParseFaultError, SimFault, admin};

/// Serves requests on a connection of HTTP/1.1 until either side closes it.
pub(crate) async fn serve(mut connection: Connection, number: u64, shared: &Shared) {
    let mut served = 0_u64;
    loop {
        if served > 0 && shared.standing_fault() == Some(SimFault::StaleKeepAlive) {
            // Closed as the next request arrives, and with its bytes unread, which makes it an RST.
            connection.readable().await;
            return;
        }
        let head = match connection.read_head().await {
            Ok(head) => head,
            Err(ReadError::Gone) => return,
            Err(ReadError::Bad(status, message)) => return refuse(connection, shared, status, &message).await,
        };
        let keep_alive = head.keep_alive;
        let kept = match head.path.strip_prefix("/sim/") {
            Some(path) => administer(&mut connection, shared, &head, path).await,
            None => call(&mut connection, number, served, shared, head).await,
        };
        if !kept {
            return;
        }
        if !keep_alive {
            return connection.close().await;
        }
        served += 1;
    }
}

/// Answers something that is not HTTP, and closes.
async fn refuse(mut connection: Connection, shared: &Shared, status: u16, message: &str) {
    let body = error_body(Dialect::OpenAi, status, "invalid_request_error", None, message);
    let (steps, _) = Plan::at_once(Reply::json(status, &body)).script();
    connection.play(&steps, &shared.recorder).await;
    connection.close().await;
}

/// One call. Returns whether the connection can take another.
async fn call(connection: &mut Connection, number: u64, served: u64, shared: &Shared, head: Head) -> bool {
    let mut ticket = Ticket::new(shared, number, &head);
    let mut random = shared.random_of_call();
    let early = match shared.early_fault(&head) {
        Ok(early) => early.map(|fault| shared.resolve(&fault, &mut random)),
        Err(error) => {
            ticket.ending = Ending::BrokenOff;
            return answer_bad_fault(connection, shared, &head, &error).await;
        }
    };
    let early_fault = early.as_ref().and_then(|resolved| resolved.fault.as_ref()).map(Injection::fault);
    if early_fault == Some(SimFault::StaleKeepAlive) && served > 0 {
        ticket.ending = Ending::BrokenOff;
        return false;
    }
    if matches!(early_fault, Some(SimFault::ResetDuringUpload | SimFault::CloseDuringUpload)) {
        // Some of the body has to be on its way for it to be "during".
        if connection.read_some_body().await.is_err() {
            return false;
        }
    } else if early_fault != Some(SimFault::FastFail) {
        match connection.read_body(&head).await {
            Ok(body) => {
                let planned = shared.plan_call(&head, &body, early, random, ticket.id);
                return finish(connection, shared, planned, ticket).await;
            }
            Err(ReadError::Gone) => return false,
            Err(ReadError::Bad(status, message)) => {
                ticket.ending = Ending::BrokenOff;
                let body = error_body(Dialect::OpenAi, status, "invalid_request_error", None, &message);
                let (steps, _) = Plan::at_once(Reply::json(status, &body)).script();
                connection.play(&steps, &shared.recorder).await;
                connection.close().await;
                return false;
            }
        }
    }
    // The body is left unread: the connection cannot go on.
    let planned = shared.plan_call(&head, &[], early, random, ticket.id);
    if finish(connection, shared, planned, ticket).await {
        connection.close().await;
    }
    false
}

/// Plays what was planned and notes how it ended. Returns whether the connection is still of use.
async fn finish(connection: &mut Connection, shared: &Shared, planned: Plan, mut ticket: Ticket<'_>) -> bool {
    let bare = matches!(planned, Plan::Bare(_));
    let (steps, keep) = planned.script();
    let played = connection.play(&steps, &shared.recorder).await;
    ticket.ending = match played {
        Played::Complete if !bare => Ending::Complete,
        Played::Complete | Played::Reset => Ending::BrokenOff,
        Played::ClientGone => Ending::ClientGone,
    };
    keep && played == Played::Complete
}

async fn answer_bad_fault(connection: &mut Connection, shared: &Shared, head: &Head, error: &ParseFaultError) -> bool {
    if connection.read_body(head).await.is_err() {
        return false;
    }
    let body = error_body(Dialect::OpenAi, 400, "sim_error", Some("unknown_fault"), &error.to_string());
    let (steps, _) = Plan::at_once(Reply::json(400, &body)).script();
    connection.play(&steps, &shared.recorder).await == Played::Complete
}

/// The sim's own paths.
async fn administer(connection: &mut Connection, shared: &Shared, head: &Head, path: &str) -> bool {
    let Ok(body) = connection.read_body(head).await else { return false };
    let (steps, _) = Plan::at_once(admin::answer(shared, &head.method, path, &body)).script();
    connection.play(&steps, &shared.recorder).await == Played::Complete
}
