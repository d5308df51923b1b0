//! Heads and records.

use proptest::prelude::*;
use tradewind_ledger::{Hash, HeadError, MAX_RECORD, Record, TreeHead};

const ORIGIN: &str = "go.sum database tree";
const HELLO: &str = "TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=";

fn head(text: &str) -> Result<TreeHead, HeadError> {
    TreeHead::parse(text, ORIGIN)
}

#[test]
fn a_head_is_read_and_further_lines_are_passed_over() {
    // The numbers are those of Go's own test: the hash is that of a record `hello world`.
    let text = format!("go.sum database tree\n123456789012\n{HELLO}\n");
    let read = TreeHead { size: 123_456_789_012, root: Hash::of_record(b"hello world") };
    assert_eq!(head(&text), Ok(read));
    for more in ["JOE", "JOE\n", "\n", &"JOE\n".repeat(1000)] {
        assert_eq!(head(&format!("{text}{more}")), Ok(read));
    }
    assert_eq!(read.to_string(), format!("tree of 123456789012 records with root {HELLO}"));
    assert_eq!(
        TreeHead::parse("example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", "example.com/log"),
        Ok(TreeHead::EMPTY)
    );
}

#[test]
fn what_is_no_head_is_refused() {
    let largest = i64::MAX;
    assert!(head(&format!("{ORIGIN}\n{largest}\n{HELLO}\n")).is_ok());
    for bad in [
        String::new(),
        format!("{ORIGIN}\n"),
        format!("{ORIGIN}\n5\n"),
        format!("{ORIGIN}\n5\n{HELLO}"),
        format!("not-{ORIGIN}\n5\n{HELLO}\n"),
        format!("{ORIGIN} v2\n5\n{HELLO}\n"),
        format!("\n{ORIGIN}\n5\n{HELLO}\n"),
        format!("{ORIGIN}\n05\n{HELLO}\n"),
        format!("{ORIGIN}\n+5\n{HELLO}\n"),
        format!("{ORIGIN}\n-5\n{HELLO}\n"),
        format!("{ORIGIN}\n 5\n{HELLO}\n"),
        format!("{ORIGIN}\n0x5\n{HELLO}\n"),
        format!("{ORIGIN}\n\n{HELLO}\n"),
        format!("{ORIGIN}\n9223372036854775808\n{HELLO}\n"),
        format!("{ORIGIN}\n99999999999999999999999\n{HELLO}\n"),
        format!("{ORIGIN}\n5\n{}\n", &HELLO[..40]),
        format!("{ORIGIN}\n5\n{}\n", HELLO.trim_end_matches('=')),
        format!("{ORIGIN}\n5\n{}\n", HELLO.replace("Bb0=", "Bb1=")),
        format!("{ORIGIN}\n5\n{}\n", HELLO.replace("b0=", "TOOBIG=")),
        format!("{ORIGIN}\n5\n{HELLO} \n"),
    ] {
        assert_eq!(head(&bad), Err(HeadError), "{bad:?}");
    }
    assert_eq!(HeadError.to_string(), "malformed tree note");
}

#[test]
fn a_record_ends_at_the_first_empty_line() {
    let answer = b"123456789012\nhello, world\n\njunk on end\x01\xff";
    let record = Record::parse(answer).unwrap();
    assert_eq!((record.id, record.text, record.note), (123_456_789_012, "hello, world\n", &b"junk on end\x01\xff"[..]));
    assert_eq!(record.hash(), Hash::of_record(b"hello, world\n"));
    let record = Record::parse(b"0\na\nb\n\n\nc").unwrap();
    assert_eq!((record.id, record.text, record.note), (0, "a\nb\n", &b"\nc"[..]));
}

#[test]
fn what_is_no_record_is_refused() {
    for bad in [
        &b""[..],
        b"\n",
        b"\n\n",
        b"5",
        b"5\n",
        b"5\n\n",
        b"5\n\n\n",
        b"5\n\ntext\n\n",
        b"5\ntext",
        b"5\ntext\n",
        b"05\ntext\n\n",
        b"+5\ntext\n\n",
        b"-5\ntext\n\n",
        b"0x5\ntext\n\n",
        b"5 \ntext\n\n",
        b"five\ntext\n\n",
        b"9223372036854775808\ntext\n\n",
        b"\xff\ntext\n\n",
        b"5\nte\x01xt\n\n",
        b"5\nte\txt\n\n",
        b"5\ntext\r\n\n",
        b"5\nte\xffxt\n\n",
        b"<html><body>Please log in</body></html>",
    ] {
        assert!(Record::parse(bad).is_err(), "{:?}", String::from_utf8_lossy(bad));
    }
    assert!(Record::parse(b"9223372036854775807\ntext\n\n").is_ok());
    let error = Record::parse(b"").unwrap_err().to_string();
    assert!(error.starts_with("malformed record data"), "{error}");
}

#[test]
fn the_bound_of_a_record_holds() {
    let of = |length: usize| format!("1\n{}\n\n", "a".repeat(length - 1)).into_bytes();
    assert_eq!(Record::parse(&of(MAX_RECORD)).unwrap().text.len(), MAX_RECORD);
    assert!(Record::parse(&of(MAX_RECORD + 1)).is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read(id in 0..=TreeHead::MAX_SIZE, text in "([ -~\u{fc}]{1,30}\n){1,4}", note: Vec<u8>) {
        let answer = [format!("{id}\n{text}\n").as_bytes(), &note].concat();
        let record = Record::parse(&answer).unwrap();
        prop_assert_eq!((record.id, record.text, record.note), (id, &*text, &*note));
    }

    #[test]
    fn heads_come_back(size in 0..=TreeHead::MAX_SIZE, root: [u8; 32]) {
        let written = TreeHead { size, root: Hash::from(root) };
        prop_assert_eq!(head(&format!("{ORIGIN}\n{size}\n{}\n", written.root)), Ok(written));
    }
}
