//! What has to hold of tokens: whoever may redeem does so once, and every refusal has its own name.

use proptest::prelude::*;

use super::*;
use crate::meta::{Kind, Schema};
use crate::name::Hash;

const NOW: UnixMillis = UnixMillis(1_795_294_621_123);

fn after(seconds: i64) -> UnixMillis {
    UnixMillis(NOW.0.saturating_add_signed(seconds * 1000))
}

fn signer(byte: u8) -> Signer {
    Signer::new(&Secret::new([byte; 32]))
}

fn meta(rev: u64, epoch: u64, handoff: Option<Nonce>) -> Meta {
    Meta {
        rev: Rev::new(rev).unwrap(),
        parent: None,
        kind: Kind::Value,
        content_type: "application/json".into(),
        schema: Some(Schema::new("chat", 3).unwrap()),
        hash: Hash::of(b"{}"),
        chain: Hash::of(b""),
        size: 2,
        created_at: NOW,
        expires_at: None,
        sliding: None,
        epoch: Epoch::new(epoch).unwrap(),
        by: None,
        handoff,
    }
}

const NONCE: Nonce = Nonce([7; 16]);

fn token() -> Token {
    Token::new(Key::parse("chats", "ann/1").unwrap(), &meta(5, 2, None), NONCE, NOW, MAX_LIFE)
}

#[test]
fn a_token_reads_back_where_it_was_signed_alone() {
    let text = signer(1).write(&token());
    assert!(text.starts_with("twh1_") && text.len() <= MAX_TOKEN, "{text}");
    assert_eq!(signer(1).read(&text), Ok(token()));
    assert_eq!(signer(2).read(&text), Err(TokenRefusal::Forged));
    let without = Token { schema_version: None, ..token() };
    assert_eq!(signer(1).read(&signer(1).write(&without)), Ok(without));
    let longest = Key::parse(&"n".repeat(MAX_NAMESPACE), &"k".repeat(MAX_KEY_NAME)).unwrap();
    let longest = Token { key: longest, ..token() };
    let text = signer(1).write(&longest);
    assert!(text.len() <= MAX_TOKEN, "{} bytes", text.len());
    assert_eq!(signer(1).read(&text), Ok(longest));
}

#[test]
fn every_character_of_a_token_counts() {
    let text = signer(1).write(&token());
    for at in 0..text.len() {
        for other in [b'A', b'B', b'_', b'='] {
            let mut forged = text.clone().into_bytes();
            if forged[at] == other {
                continue;
            }
            forged[at] = other;
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(signer(1).read(&forged), Err(TokenRefusal::Forged), "{at} {other}");
        }
        assert_eq!(signer(1).read(&text[..at]), Err(TokenRefusal::Forged), "cut at {at}");
    }
    for more in ["A", "=", "\n", " "] {
        assert_eq!(signer(1).read(&[&text, more].concat()), Err(TokenRefusal::Forged), "{more:?}");
    }
    assert_eq!(signer(1).read(&[&text, &*"A".repeat(MAX_TOKEN)].concat()), Err(TokenRefusal::Forged));
}

#[test]
fn a_token_is_good_once_for_its_revision() {
    let good = meta(5, 2, None);
    assert_eq!(token().judge(NOW, Some(&good), None), Ok(()));
    // An earlier hand-off, whose revision is the head, is not this one.
    let after_another = meta(5, 2, Some(Nonce([8; 16])));
    assert_eq!(token().judge(NOW, Some(&after_another), None), Ok(()));

    let redeemed = meta(6, 3, Some(NONCE));
    assert_eq!(token().judge(NOW, Some(&redeemed), Some(&redeemed)), Err(TokenRefusal::Redeemed));
    let gone_on = meta(9, 3, None);
    assert_eq!(token().judge(NOW, Some(&gone_on), Some(&redeemed)), Err(TokenRefusal::Redeemed), "and written since");
    assert_eq!(token().judge(NOW, Some(&gone_on), None), Err(TokenRefusal::Replayed), "nobody knows by whom any more");

    let by_another = meta(6, 3, Some(Nonce([8; 16])));
    assert_eq!(token().judge(NOW, Some(&by_another), Some(&by_another)), Err(TokenRefusal::Replayed));

    let written = meta(6, 2, None);
    assert_eq!(token().judge(NOW, Some(&written), Some(&written)), Err(TokenRefusal::Stale));
    let deleted = Meta { kind: Kind::Deleted, ..meta(6, 2, None) };
    assert_eq!(token().judge(NOW, Some(&deleted), Some(&deleted)), Err(TokenRefusal::Stale));
    let expired = Meta { expires_at: Some(NOW), ..meta(5, 2, None) };
    assert_eq!(token().judge(NOW, Some(&expired), None), Err(TokenRefusal::Stale));
    assert_eq!(token().judge(NOW, None, None), Err(TokenRefusal::Stale), "forgotten");
    let begun_again = meta(1, 0, None);
    assert_eq!(token().judge(NOW, Some(&begun_again), None), Err(TokenRefusal::Stale));
}

#[test]
fn clock_jumps_across_the_window_refuse_and_never_lengthen_it() {
    let head = meta(5, 2, None);
    let judge = |now| token().judge(now, Some(&head), None);
    assert_eq!(judge(UnixMillis(after(60).0 - 1)), Ok(()), "the last millisecond");
    for seconds in [60, 61, 3600, 10 * 365 * 86_400] {
        assert_eq!(judge(after(seconds)), Err(TokenRefusal::Late), "{seconds} s later");
    }
    assert_eq!(judge(after(-5)), Ok(()), "the other gateway's clock is behind by the leeway");
    assert_eq!(judge(UnixMillis(after(-5).0 - 1)), Err(TokenRefusal::Early));
    for now in [after(-3600), UnixMillis(0)] {
        assert_eq!(judge(now), Err(TokenRefusal::Early), "jumped back: the window is not {now:?} long");
    }
    // Whatever the clock says, what was redeemed stays so within the window.
    let redeemed = meta(6, 3, Some(NONCE));
    for seconds in -5..60 {
        let refused = token().judge(after(seconds), Some(&redeemed), Some(&redeemed));
        assert_eq!(refused, Err(TokenRefusal::Redeemed), "{seconds}");
    }
}

#[test]
fn a_life_is_a_minute_at_most() {
    let head = meta(5, 2, None);
    let expires = |life| Token::new(Key::parse("n", "k").unwrap(), &head, NONCE, NOW, life).expires_at;
    assert_eq!(expires(Duration::from_secs(10)), after(10));
    assert_eq!(expires(Duration::from_secs(61)), after(60));
    assert_eq!(expires(Duration::MAX), after(60));
    let at_the_end = Token::new(Key::parse("n", "k").unwrap(), &head, NONCE, UnixMillis(u64::MAX), MAX_LIFE);
    assert_eq!(at_the_end.judge(UnixMillis(u64::MAX), Some(&head), None), Err(TokenRefusal::Late));
}

#[test]
fn nonces_and_secrets_are_not_given_twice() {
    assert_ne!(fresh_nonce().unwrap(), fresh_nonce().unwrap());
    assert_ne!(fresh_secret().unwrap(), fresh_secret().unwrap());
}

proptest! {
    #[test]
    fn any_token_reads_back(
        namespace in "[a-z0-9][a-z0-9._-]{0,63}",
        name in "[a-zA-Zé日 ]{1,60}(/[a-z]{1,40}){0,3}",
        rev in 1..i64::MAX as u64,
        epoch in 0..i64::MAX as u64,
        schema_version in any::<Option<u32>>(),
        nonce in any::<[u8; 16]>(),
        expires in any::<u64>(),
    ) {
        let token = Token {
            key: Key::parse(&namespace, &name).unwrap(),
            rev: Rev::new(rev).unwrap(),
            epoch: Epoch::new(epoch).unwrap(),
            schema_version,
            nonce: Nonce(nonce),
            expires_at: UnixMillis(expires),
        };
        let text = signer(1).write(&token);
        prop_assert!(text.len() <= MAX_TOKEN);
        prop_assert_eq!(signer(1).read(&text), Ok(token));
    }

    /// Whatever is said under a good signature is a token with one spelling, or none.
    #[test]
    fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        let signature = hmac::sign(&signer(1).key, &[DOMAIN, &bytes].concat());
        let text = [PREFIX, &URL_SAFE_NO_PAD.encode([&bytes[..], signature.as_ref()].concat())].concat();
        if let Ok(token) = signer(1).read(&text) {
            prop_assert_eq!(&signer(1).write(&token), &text);
        }
        prop_assert!(signer(2).read(&text).is_err());
    }

    /// At any time and with any head, a token that may be redeemed is within its window and at its revision.
    #[test]
    fn what_may_be_redeemed_is_in_time_and_at_its_revision(
        shift in -4_000_000_i64..4_000_000,
        rev in 1..9_u64,
        epoch in 0..5_u64,
        nonce in any::<Option<[u8; 16]>>(),
    ) {
        let now = UnixMillis(NOW.0.saturating_add_signed(shift));
        let head = meta(rev, epoch, nonce.map(Nonce));
        if token().judge(now, Some(&head), None).is_ok() {
            prop_assert!((-5000..60_000).contains(&shift));
            prop_assert_eq!((rev, epoch), (5, 2));
        }
    }
}
