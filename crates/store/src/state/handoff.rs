//! Hand-off: tokens over the state. What a token is and when it is refused is in [`crate::handoff`].

use std::time::Duration;

use bytes::Bytes;
use tradewind_core::{Secret, UnixMillis};

use crate::error::{StateError, TokenRefusal};
use crate::handoff::{Signer, Token, fresh_nonce, fresh_secret};
use crate::meta::{Kind, Meta};
use crate::name::{Epoch, Key, Namespace, Rev};
use crate::record::shared_content_type;

use super::draft::Draft;
use super::{At, Condition, New, State, Terms, Value};

/// How often a redeem that lost its write is judged again: it can only have lost to what refuses it then.
const TRIES: usize = 4;

/// A key that can be taken over with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOff {
    /// The token as text. It is all that one needs to take the key over, besides being allowed to write it.
    pub token: String,
    /// The revision that it is good for.
    pub rev: Rev,
    /// The holder's epoch, which redeeming ends.
    pub epoch: Epoch,
    /// From when on it is late.
    pub expires_at: UnixMillis,
}

impl State {
    /// Gives out a token to take over a key that is at `rev`, good for `life`, at most 60 seconds. `epoch` is the one that
    /// who asks believes to be in.
    ///
    /// # Errors
    /// [`StateError::Lost`] and [`StateError::Fenced`] as of a write; those of the engine.
    pub async fn hand_off(
        &self,
        key: &Key,
        rev: Rev,
        epoch: Option<Epoch>,
        life: Duration,
    ) -> Result<HandedOff, StateError> {
        let terms = Terms { epoch, ..Terms::default() };
        // The engine is asked whatever is remembered: a token for what is not the head would be of no use.
        self.heads.forget(key);
        let head = self.head_at(key, rev, &terms).await?;
        let nonce = fresh_nonce().ok_or_else(no_random)?;
        let token = Token::new(key.clone(), &head.record.meta, nonce, self.now(), life);
        let text = self.signer().await?.write(&token);
        Ok(HandedOff { token: text, rev: token.rev, epoch: token.epoch, expires_at: token.expires_at })
    }

    /// What a token is for, if this store gave it out: for whoever has to decide whether its bearer may have the key.
    ///
    /// # Errors
    /// [`StateError::Token`] with [`TokenRefusal::Forged`]; those of the engine.
    pub async fn token(&self, text: &str) -> Result<Token, StateError> {
        Ok(self.signer().await?.read(text)?)
    }

    /// Takes a key over: the same content becomes a new revision in the next epoch, so that the old holder's next write is
    /// refused. Of several who redeem one token, one wins.
    ///
    /// # Errors
    /// [`StateError::Token`] with each [`TokenRefusal`]; those of a read and a write.
    pub async fn redeem(&self, text: &str, terms: Terms) -> Result<Value, StateError> {
        let token = self.token(text).await?;
        let key = &token.key;
        for _ in 0..TRIES {
            let head = self.store.head(key).await?;
            let next = self.store.revision(key, token.rev.next()).await?;
            token.judge(self.now(), head.as_deref().map(|head| &head.meta), next.as_ref().map(|next| &next.meta))?;
            let value = match self.get(key, At::Rev(token.rev)).await {
                Ok(value) => value,
                Err(StateError::Gone | StateError::NotFound) => continue,
                Err(error) => return Err(error),
            };
            match self.take_over(&token, &value, &terms).await {
                Ok(meta) => return Ok(Value { meta, content: value.content }),
                Err(StateError::Lost { .. } | StateError::Fenced { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(TokenRefusal::Stale.into())
    }

    async fn take_over(&self, token: &Token, value: &Value, terms: &Terms) -> Result<Meta, StateError> {
        let draft = Draft {
            kind: Kind::Value,
            content: self.ready(&token.key.namespace, value.content.clone()).await?,
            content_type: Some(value.meta.content_type.clone()),
            schema: value.meta.schema.clone(),
            terms: Terms { epoch: Some(token.epoch), ..terms.clone() },
            handoff: Some(token.nonce),
            of: Some(value.meta.chain),
        };
        self.write(&token.key, Condition::At(token.rev), draft).await
    }

    /// The signer of this store. Its secret is made by whoever needs it first, and shared by all gateways on the store.
    async fn signer(&self) -> Result<&Signer, StateError> {
        self.signer.get_or_try_init(|| self.make_signer()).await
    }

    async fn make_signer(&self) -> Result<Signer, StateError> {
        let place = Key::new(Namespace::reserved("store"), "handoff-secret")?;
        loop {
            match self.get(&place, At::Head).await {
                Ok(value) => {
                    let secret: [u8; 32] = value.content[..].try_into().map_err(|_| StateError::Damaged {
                        what: "the secret of hand-off tokens has not 32 bytes".to_owned(),
                    })?;
                    return Ok(Signer::new(&Secret::new(secret)));
                }
                Err(StateError::NotFound) => {}
                Err(error) => return Err(error),
            }
            let secret = fresh_secret().ok_or_else(no_random)?;
            let new = New {
                content: Bytes::copy_from_slice(secret.expose()),
                content_type: shared_content_type("application/octet-stream"),
                schema: None,
                terms: Terms::default(),
            };
            match self.put(&place, Condition::Absent, new).await {
                // Whoever was first, it is the one that is there now.
                Ok(_) | Err(StateError::Lost { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn no_random() -> StateError {
    StateError::Unavailable("the system gives no random bytes".to_owned())
}
