//! Signed notes and verifier keys. Keys and notes of Peter Neumann and Enoch Root are those of Go's documentation.

use proptest::prelude::*;
use tradewind_ledger::{MAX_NOTE, NoteError, Verifier, VerifierError, open_note};

use crate::log::Signer;

const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const BY_PETER: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const BY_ENOCH: &str =
    "\u{2014} EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn key(text: &str) -> Verifier {
    Verifier::parse(text).unwrap()
}

fn open(note: &str, keys: &[&str]) -> Result<String, NoteError> {
    let keys: Vec<Verifier> = keys.iter().map(|text| key(text)).collect();
    open_note(note.as_bytes(), &keys).map(|note| note.text)
}

fn malformed(note: &str) -> bool {
    matches!(open(note, &[PETER]), Err(NoteError::Malformed(_)))
}

#[test]
fn a_key_is_read_and_written() {
    for text in [PETER, ENOCH, "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"] {
        let verifier = key(text);
        assert_eq!(verifier.to_string(), text);
        assert_eq!(format!("{verifier:?}"), text);
        assert_eq!(text.split('+').next(), Some(verifier.name()));
    }
    assert_eq!(key(PETER).hash(), 0xc74f_20a3);
    assert_ne!(key(PETER), key(ENOCH));
}

#[test]
fn no_piece_of_a_key_and_no_altered_key_is_one() {
    for from in 0..=PETER.len() {
        for to in from..=PETER.len() {
            if (from, to) != (0, PETER.len()) {
                assert!(Verifier::parse(&PETER[from..to]).is_err(), "{}", &PETER[from..to]);
            }
        }
    }
    for place in 0..PETER.len() {
        for bit in 0..7 {
            let mut altered = PETER.as_bytes().to_vec();
            altered[place] ^= 1 << bit;
            let altered = String::from_utf8(altered).unwrap();
            // Hexadecimal digits may be of either case.
            let is_same = altered.eq_ignore_ascii_case(PETER) && (13..21).contains(&place);
            assert_eq!(Verifier::parse(&altered).is_ok(), is_same, "{altered}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_key_is_said() {
    use VerifierError::{Algorithm, Malformed, OtherHash};
    for (text, wrong) in [
        // The hashes fit these two: a key that is too long, and one of another algorithm.
        ("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==", Malformed),
        ("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", Algorithm),
        ("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", OtherHash),
        ("EnochRoot+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", OtherHash),
        ("Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", Malformed),
        ("PeterNeumann++74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", Malformed),
        ("PeterNeumann+c74f20a3+", Malformed),
        // The zeros in front belong to it, and no more than there are.
        ("localhost.localdev/sumdb+c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6", Malformed),
        ("localhost.localdev/sumdb+000000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6", Malformed),
        ("sum.golang.org", Malformed),
        ("", Malformed),
    ] {
        assert_eq!(Verifier::parse(text), Err(wrong), "{text}");
    }
}

#[test]
fn a_note_opens_when_somebody_known_signed_it() {
    let both = format!("{TEXT}\n{BY_PETER}{BY_ENOCH}");
    assert_eq!(open(&both, &[PETER]).as_deref(), Ok(TEXT));
    assert_eq!(open(&both, &[ENOCH]).as_deref(), Ok(TEXT));
    assert_eq!(open(&both, &[PETER, ENOCH]).as_deref(), Ok(TEXT));
    assert_eq!(open(&both, &[]), Err(NoteError::Unverified));
    assert_eq!(open(&format!("{TEXT}\n{BY_ENOCH}"), &[PETER]), Err(NoteError::Unverified));
    // Further signatures of one key are passed over, and so is whatever those who are not known sign.
    let strange = BY_ENOCH.replace("rwz+eBzm", "rwz+eAAA");
    assert_eq!(open(&format!("{TEXT}\n{strange}{BY_PETER}{BY_PETER}"), &[PETER]).as_deref(), Ok(TEXT));
}

#[test]
fn a_bad_signature_of_a_known_key_is_an_error_whoever_else_has_signed() {
    let bad = BY_PETER.replace("SffcvIAQxVBt", "SffcvIAQxVBu");
    let error = NoteError::Invalid { name: "PeterNeumann".to_owned(), hash: 0xc74f_20a3 };
    for note in [format!("{TEXT}\n{bad}"), format!("{TEXT}\n{BY_ENOCH}{bad}")] {
        assert_eq!(open(&note, &[PETER, ENOCH]), Err(error.clone()));
    }
    assert_eq!(error.to_string(), "invalid signature for key PeterNeumann+c74f20a3");
    // Once a key has signed, further signatures of it are not looked at; before it has, they are.
    assert_eq!(open(&format!("{TEXT}\n{BY_PETER}{bad}"), &[PETER]).as_deref(), Ok(TEXT));
    assert_eq!(open(&format!("{TEXT}\n{bad}{BY_PETER}"), &[PETER]), Err(error.clone()));
    // One of another length, too.
    let long = format!("{}ABCD{}", &BY_PETER[..60], &BY_PETER[60..]);
    assert_eq!(open(&format!("{TEXT}\n{long}"), &[PETER]), Err(error));
}

#[test]
fn two_keys_of_one_name_and_hash_decide_nothing() {
    let note = format!("{TEXT}\n{BY_ENOCH}");
    let error = NoteError::Ambiguous { name: "EnochRoot".to_owned(), hash: 0xaf0c_fe78 };
    assert_eq!(open(&note, &[ENOCH, PETER, ENOCH]), Err(error));
    assert_eq!(open(&format!("{TEXT}\n{BY_PETER}"), &[ENOCH, PETER, ENOCH]).as_deref(), Ok(TEXT));
}

#[test]
fn what_is_no_note_is_malformed() {
    let good = format!("{TEXT}\n{BY_PETER}");
    for bad in [
        String::new(),
        TEXT.to_owned(),
        format!("{TEXT}\n"),
        good.trim_end().to_owned(),
        format!("\u{1}{good}"),
        format!("{}\r\n{BY_PETER}", TEXT.trim_end()),
        format!("{good}Unexpected line.\n"),
        format!("{good}\n"),
        format!("{TEXT}\n{}", BY_PETER.replace("PeterNeumann", "Peter Neumann")),
        format!("{TEXT}\n{}", BY_PETER.replace("PeterNeumann", "Peter+Neumann")),
        format!("{TEXT}\n{}", BY_PETER.replace("PeterNeumann ", " ")),
        format!("{TEXT}\n{}", BY_PETER.replace('\u{2014}', "-")),
        format!("{TEXT}\n\u{2014} PeterNeumann \n"),
        format!("{TEXT}\n\u{2014} PeterNeumann x08gow==\n"),
    ] {
        assert!(malformed(&bad), "{bad:?}");
    }
    let not_utf8 = [b"\xff", good.as_bytes()].concat();
    assert_eq!(open_note(&not_utf8, &[key(PETER)]), Err(NoteError::Malformed("not UTF-8")));
    assert_eq!(NoteError::Malformed("not UTF-8").to_string(), "malformed note: not UTF-8");
}

#[test]
fn the_bounds_of_a_note_hold() {
    let many = |count| format!("{TEXT}\n{}", BY_PETER.repeat(count));
    assert_eq!(open(&many(100), &[PETER]).as_deref(), Ok(TEXT));
    assert_eq!(open(&many(101), &[PETER]), Err(NoteError::Malformed("more than 100 signatures")));

    let signer = Signer::new("long", [7; 32]);
    let rest = signer.sign("\n").len() - 1;
    let longest = format!("{}\n", "a".repeat(MAX_NOTE - rest - 1));
    for (text, opens) in [(longest.clone(), true), (format!("a{longest}"), false)] {
        let opened = open_note(&signer.sign(&text), &[key(&signer.verifier())]);
        assert_eq!(opened.is_ok(), opens, "{} bytes", text.len());
    }
}

#[test]
fn no_flipped_bit_of_a_note_passes() {
    let good = format!("{TEXT}\n{BY_PETER}");
    for place in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone().into_bytes();
            bytes[place] ^= 1 << bit;
            assert!(open_note(&bytes, &[key(PETER)]).is_err(), "byte {place}, bit {bit}");
        }
    }
}

#[test]
fn no_piece_of_a_note_passes() {
    let good = format!("{TEXT}\n{BY_PETER}").into_bytes();
    for length in 0..good.len() {
        assert!(open_note(&good[..length], &[key(PETER)]).is_err(), "{length} bytes");
        assert!(open_note(&good[good.len() - length..], &[key(PETER)]).is_err(), "the last {length} bytes");
    }
}

proptest! {
    #[test]
    fn what_is_signed_opens_with_the_text_that_was_signed(
        name in "[a-z./]{1,20}", seed: [u8; 32], text in "([ -~\u{e9}]{0,30}\n){1,5}",
    ) {
        let signer = Signer::new(&name, seed);
        let verifier = key(&signer.verifier());
        prop_assert_eq!(verifier.to_string(), signer.verifier());
        let opened = open_note(&signer.sign(&text), &[verifier]);
        prop_assert_eq!(opened.map(|note| note.text), Ok(text));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text in "\\PC{0,80}") {
        prop_assert!(open_note(&bytes, &[key(PETER)]).is_err());
        prop_assert!(Verifier::parse(&text).is_err());
    }
}
