//! Where a watch begins that begins now: asked for within the call, and answered whoever drives it.
//!
//! What this process commits after the call has to lie behind the answer. Where the question was sent it does, over the same
//! connection; but without a connection, or without room on it, the question waits for whoever reads the watch. So a commit sees
//! to the open questions of its namespace first. It does not go on without an answer, unless the server itself gives none: a
//! server that cannot be reached for the one is not reached for the other.

use std::sync::{Arc, Weak};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, try_join_all};
use parking_lot::Mutex;

use crate::error::StoreError;
use crate::name::Namespace;
use crate::store::Cursor;

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(crate) enum Unanswered {
    /// The question did not arrive, or the answer did not.
    NotReached(StoreError),
    /// The server refused it.
    Refused(StoreError),
}

impl Unanswered {
    pub(crate) fn into_error(self) -> StoreError {
        match self {
            Self::NotReached(error) | Self::Refused(error) => error,
        }
    }
}

/// A place, or why it is not known.
pub(crate) type Answer = Result<Cursor, Unanswered>;
type Asking = Shared<BoxFuture<'static, Answer>>;

/// A question for the place of the latest change, until it has an answer.
pub(crate) struct Question {
    namespace: Namespace,
    ask: Box<dyn Fn() -> BoxFuture<'static, Answer> + Send + Sync>,
    now: Mutex<Asking>,
}

impl Question {
    /// What there is to be known at once.
    pub(crate) fn answered(&self) -> Option<Answer> {
        let asking = self.now.lock().clone();
        asking.now_or_never()
    }

    /// The answer; asked anew where the last attempt failed, or its time ran out because nobody drove it.
    pub(crate) async fn answer(&self) -> Answer {
        let asking = {
            let mut now = self.now.lock();
            if matches!(now.clone().now_or_never(), Some(Err(_))) {
                *now = (self.ask)().shared();
            }
            now.clone()
        };
        asking.await
    }
}

/// The questions that have no answer yet, as long as somebody wants it.
#[derive(Default)]
pub(crate) struct Questions(Mutex<Vec<Weak<Question>>>);

impl Questions {
    /// Asks for the first time.
    pub(crate) fn ask(
        &self,
        namespace: Namespace,
        ask: impl Fn() -> BoxFuture<'static, Answer> + Send + Sync + 'static,
    ) -> Arc<Question> {
        let now = Mutex::new(ask().shared());
        let question = Arc::new(Question { namespace, ask: Box::new(ask), now });
        if !matches!(question.answered(), Some(Ok(_))) {
            self.0.lock().push(Arc::downgrade(&question));
        }
        question
    }

    /// Waits until every question about the namespace that was asked before has its answer.
    ///
    /// # Errors
    /// What keeps one from it, where the server is not reached.
    pub(crate) async fn answered(&self, namespace: &Namespace) -> Result<(), StoreError> {
        let open: Vec<Arc<Question>> = {
            let mut all = self.0.lock();
            if all.is_empty() {
                return Ok(());
            }
            let open = |question: Arc<Question>| !matches!(question.now.lock().peek(), Some(Ok(_)));
            all.retain(|question| question.upgrade().is_some_and(open));
            all.iter().filter_map(Weak::upgrade).filter(|question| question.namespace == *namespace).collect()
        };
        let each = open.iter().map(async |question| match question.answer().await {
            Err(Unanswered::NotReached(error)) => Err(error),
            Ok(_) | Err(Unanswered::Refused(_)) => Ok(()),
        });
        try_join_all(each).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::future;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::suite::key;

    fn unreachable() -> StoreError {
        StoreError::Unavailable("nobody".to_owned())
    }

    /// What is answered when it is asked for the third time.
    fn third(questions: &Questions, namespace: &str, failure: Unanswered) -> Arc<Question> {
        let asked = AtomicU64::new(0);
        questions.ask(key(namespace, "k").namespace, move || {
            let times = asked.fetch_add(1, Ordering::Relaxed) + 1;
            future::ready(if times < 3 { Err(failure.clone()) } else { Ok(Cursor::at(times)) }).boxed()
        })
    }

    #[tokio::test]
    async fn a_commit_waits_for_the_questions_of_its_namespace() {
        let questions = Questions::default();
        let (n, m) = (key("n", "k").namespace, key("m", "k").namespace);
        let open = third(&questions, "n", Unanswered::NotReached(unreachable()));
        assert_eq!(questions.answered(&m).await, Ok(()), "another namespace");
        assert_eq!(questions.answered(&n).await, Err(unreachable()));
        assert_eq!(questions.answered(&n).await, Ok(()));
        assert!(matches!(open.answer().await, Ok(Cursor { major: 3, .. })), "it has its answer and is not asked again");
        let refused = third(&questions, "n", Unanswered::Refused(unreachable()));
        assert_eq!(questions.answered(&n).await, Ok(()), "the server was there");
        assert!(matches!(refused.answer().await, Ok(Cursor { major: 3, .. })));
        drop(third(&questions, "n", Unanswered::NotReached(unreachable())));
        assert_eq!(questions.answered(&n).await, Ok(()), "nobody wants to know any more");
        assert_eq!(questions.0.lock().len(), 0);
    }
}
