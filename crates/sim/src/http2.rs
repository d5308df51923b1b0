//! HTTP/2: right answers and per-stream faults through the `h2` crate; GOAWAY and the shut window as hand-written frames
//! (RFC 9113), since `h2` itself would count the request as looked at, or open the window.
//!
//! Faults of HTTP/1.1 framing do not exist here: an answer that would be broken off is reset with INTERNAL_ERROR.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;
use tradewind_core::Dialect;

use crate::answer::error_body;
use crate::plan::Plan;
use crate::request::Head;
use crate::script::{End, Framing, Part, Reply, Step};
use crate::shared::{Shared, Ticket};
use crate::stats::Ending;
use crate::{Injection, SimFault};

type Stream = TlsStream<TcpStream>;

/// Serves a connection until either side closes it.
pub(crate) async fn serve(stream: Stream, number: u64, shared: &Arc<Shared>) {
    match shared.standing_fault() {
        Some(SimFault::H2GoAway) => by_hand(stream, number, shared, SimFault::H2GoAway).await,
        Some(SimFault::H2Stall) => by_hand(stream, number, shared, SimFault::H2Stall).await,
        _ => by_crate(stream, number, shared).await,
    }
}

const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const HEADERS: u8 = 1;
const ACK: u8 = 1;

/// A frame: length, type, flags, stream, payload.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("frames written here are small").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The settings that the server opens with: nothing, or a window of 0 (SETTINGS_INITIAL_WINDOW_SIZE, 4).
fn settings(fault: SimFault) -> Vec<u8> {
    let shut: &[u8] = if fault == SimFault::H2Stall { &[0, 4, 0, 0, 0, 0] } else { &[] };
    frame(SETTINGS, 0, 0, shut)
}

/// Answers no request: GOAWAY at the first, or nothing ever.
async fn by_hand(mut stream: Stream, number: u64, shared: &Shared, fault: SimFault) {
    let mut preface = [0; 24];
    if stream.read_exact(&mut preface).await.is_err() || stream.write_all(&settings(fault)).await.is_err() {
        return;
    }
    let mut tickets = Vec::new();
    loop {
        let mut head = [0; 9];
        // With the connection, the tickets end as they were made: the client went away.
        if stream.read_exact(&mut head).await.is_err() {
            return;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        if stream.read_exact(&mut payload).await.is_err() {
            return;
        }
        let answer = match head[3] {
            SETTINGS if head[4] & ACK == 0 => frame(SETTINGS, ACK, 0, &[]),
            PING if head[4] & ACK == 0 => frame(PING, ACK, 0, &payload),
            HEADERS => {
                // The header block is compressed and is left so: nobody looked at this request.
                let seen = Head { method: String::new(), path: String::new(), headers: Vec::new(), keep_alive: true };
                let mut ticket = Ticket::new(shared, number, &seen);
                shared.note_fault(ticket.id, &fault.into());
                if fault == SimFault::H2GoAway {
                    ticket.ending = Ending::BrokenOff;
                    // Last stream 0, NO_ERROR: all requests may be sent again.
                    frame(GOAWAY, 0, 0, &[0; 8])
                } else {
                    tickets.push(ticket);
                    Vec::new()
                }
            }
            _ => Vec::new(),
        };
        if stream.write_all(&answer).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        if head[3] == HEADERS && fault == SimFault::H2GoAway {
            drop(stream.shutdown().await);
            return;
        }
    }
}

async fn by_crate(stream: Stream, number: u64, shared: &Arc<Shared>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut streams: JoinSet<Option<Reason>> = JoinSet::new();
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    let shared = Arc::clone(shared);
                    streams.spawn(async move { answer(request, respond, number, &shared).await });
                }
                Some(Err(_)) | None => return,
            },
            Some(ended) = streams.join_next() => {
                if let Ok(Some(reason)) = ended {
                    connection.abrupt_shutdown(reason);
                }
            }
        }
    }
}

/// Answers one request. Returns a reason when the whole connection should end.
async fn answer(
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    number: u64,
    shared: &Shared,
) -> Option<Reason> {
    let (parts, mut body) = request.into_parts();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let head =
        Head { method: parts.method.to_string(), path: path.to_owned(), headers: headers.collect(), keep_alive: true };
    let mut ticket = Ticket::new(shared, number, &head);
    let mut random = shared.random_of_call();
    let early = match shared.early_fault(&head) {
        Ok(early) => early.map(|fault| shared.resolve(&fault, &mut random)),
        Err(error) => {
            let body = error_body(Dialect::OpenAi, 400, "sim_error", Some("unknown_fault"), &error.to_string());
            ticket.ending = send(respond, Reply::json(400, &body), shared).await;
            return None;
        }
    };
    let early_fault = early.as_ref().and_then(|early| early.fault.as_ref()).map(Injection::fault);
    let reset = match early_fault {
        Some(SimFault::H2RefusedStream) => Some(Reason::REFUSED_STREAM),
        Some(SimFault::H2InternalError | SimFault::ResetDuringUpload) => Some(Reason::INTERNAL_ERROR),
        _ => None,
    };
    if let (Some(reason), Some(fault)) = (reset, early_fault) {
        shared.note_fault(ticket.id, &fault.into());
        ticket.ending = Ending::BrokenOff;
        respond.send_reset(reason);
        return None;
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.ok()?;
        bytes.extend_from_slice(&chunk);
        body.flow_control().release_capacity(chunk.len()).ok()?;
    }
    let plan = shared.plan_call(&head, &bytes, early, random, ticket.id);
    match plan {
        Plan::Bare(steps) => {
            if steps.contains(&Step::Hang) {
                // Ends when the client gives up.
                drop(poll_fn(|context| respond.poll_reset(context)).await);
                return None;
            }
            ticket.ending = Ending::BrokenOff;
            if steps.contains(&Step::Close) {
                return Some(Reason::NO_ERROR);
            }
            respond.send_reset(Reason::INTERNAL_ERROR);
        }
        Plan::Reply { before, reply, .. } => {
            if let Some(charge) = &reply.on_accept {
                shared.recorder.charge(charge);
            }
            tokio::select! {
                () = tokio::time::sleep(before) => {}
                _ = poll_fn(|context| respond.poll_reset(context)) => return None,
            }
            ticket.ending = send(respond, *reply, shared).await;
        }
    }
    None
}

/// Sends a reply as frames.
async fn send(mut respond: SendResponse<Bytes>, reply: Reply, shared: &Shared) -> Ending {
    if let Some(charge) = &reply.on_head {
        shared.recorder.charge(charge);
    }
    let mut builder = http::Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(name, value);
    }
    if let Framing::Length { lie } = reply.framing {
        let length = reply.parts.iter().map(Part::len).sum::<u64>().saturating_add_signed(lie);
        builder = builder.header("content-length", length);
    }
    let Ok(response) = builder.body(()) else { return Ending::BrokenOff };
    let Ok(mut stream) = respond.send_response(response, false) else { return Ending::ClientGone };
    for part in &reply.parts {
        let going_on = match part {
            Part::Bytes { bytes, .. } => send_bytes(&mut stream, bytes.clone()).await,
            Part::Repeat(bytes, times) => {
                let mut going_on = true;
                for _ in 0..*times {
                    going_on = going_on && send_bytes(&mut stream, bytes.clone()).await;
                }
                going_on
            }
            Part::Wait(time) => {
                tokio::select! {
                    () = tokio::time::sleep(*time) => true,
                    _ = poll_fn(|context| stream.poll_reset(context)) => false,
                }
            }
            Part::Charge(charge) => {
                shared.recorder.charge(charge);
                true
            }
            Part::Hang => {
                drop(poll_fn(|context| stream.poll_reset(context)).await);
                false
            }
        };
        if !going_on {
            return Ending::ClientGone;
        }
    }
    if matches!(reply.end, End::Reset | End::BreakWith(_)) {
        stream.send_reset(Reason::INTERNAL_ERROR);
        return Ending::BrokenOff;
    }
    match stream.send_data(Bytes::new(), true) {
        Ok(()) => Ending::Complete,
        Err(_) => Ending::ClientGone,
    }
}

/// Sends bytes as the client's window allows; false when it has gone away.
async fn send_bytes(stream: &mut SendStream<Bytes>, mut bytes: Bytes) -> bool {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let Some(Ok(room)) = poll_fn(|context| stream.poll_capacity(context)).await else { return false };
        if stream.send_data(bytes.split_to(room.min(bytes.len())), false).is_err() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_as_in_rfc_9113() {
        assert_eq!(frame(GOAWAY, 0, 0, &[0; 8]), [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(settings(SimFault::H2Stall), [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    }
}
