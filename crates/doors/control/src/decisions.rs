//! Reading the decision journal, off the threads that serve calls.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tradewind_core::{Code, DecisionId};
use tradewind_door::{Refusal, Response, json_response};
use tradewind_telemetry::{Journal, JournalError, Query};

/// How long a question to the journal may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The record of `id`; with `own`, only when it is one of that key's.
pub(crate) async fn one(journal: Arc<Journal>, id: DecisionId, own: Option<String>) -> Result<Response, Refusal> {
    #[derive(Deserialize)]
    struct Shown {
        #[serde(default)]
        key: Option<String>,
    }
    let may_see =
        |record: &String| own.is_none() || serde_json::from_str::<Shown>(record).is_ok_and(|shown| shown.key == own);
    match ask(journal, move |journal| journal.get(id)).await?.filter(may_see) {
        Some(record) => Ok(json_response(200, record)),
        None => {
            let message = format!("there is no record of the decision {id}: it may be older than journal.max-age");
            Err(Refusal::new(Code::UnknownDecision, message))
        }
    }
}

/// The records that `query` asks for, the newest first.
pub(crate) async fn many(journal: Arc<Journal>, query: Query) -> Result<Response, Refusal> {
    let page = ask(journal, move |journal| journal.list(&query)).await?;
    let next = page.next.map_or_else(|| "null".to_owned(), |id| format!("\"{id}\""));
    Ok(json_response(200, format!("{{\"decisions\":[{}],\"next\":{next}}}", page.records.join(","))))
}

async fn ask<T: Send + 'static>(
    journal: Arc<Journal>,
    question: impl FnOnce(&Journal) -> Result<T, JournalError> + Send + 'static,
) -> Result<T, Refusal> {
    let failed = |why: String| Refusal::new(Code::Internal, format!("the decision journal cannot be read: {why}"));
    let answering = tokio::task::spawn_blocking(move || question(&journal));
    match tokio::time::timeout(PATIENCE, answering).await {
        Ok(Ok(answer)) => answer.map_err(|error| failed(error.to_string())),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("it took longer than 10 s".to_owned())),
    }
}
