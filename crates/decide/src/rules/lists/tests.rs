//! Lists in all their forms, as mihomo 1.19.32 reads them.

use super::*;

fn lines(format: RuleFormat, text: &str) -> Vec<String> {
    let mut taken = Vec::new();
    let mut take = |line: &str| {
        taken.push(line.to_owned());
        Ok(())
    };
    match format {
        RuleFormat::Yaml => lines::yaml(super::text(text.as_bytes()).unwrap(), &mut take).unwrap(),
        _ => lines::plain(super::text(text.as_bytes()).unwrap(), &mut take).unwrap(),
    }
    taken
}

#[test]
fn yaml_is_read_as_lines_where_it_can_be_and_as_yaml_where_it_cannot() {
    for (text, expected) in [
        ("payload:\n  - a.com\n  - 'b.com'\n  - \"c.com\"\n", &["a.com", "b.com", "c.com"][..]),
        ("payload:\n- *.a.com\n- +.b.com\n", &["*.a.com", "+.b.com"]),
        ("# head\n\npayload:\n- a.com # x\n# c\n\n- '# y'\n", &["a.com", "# y"]),
        ("payload: [a.com, b.com]\n", &["a.com", "b.com"]),
        ("x: 1\npayload:\n - a.com\ny: 2\n", &["a.com"]),
        ("rules:\n - a.com\n", &["a.com"]),
        ("payload:\n", &[]),
        ("payload: []\n", &[]),
        ("payload: ~\n", &[]),
        ("\u{feff}payload:\r\n- a.com\r\n- b.com\r\n", &["a.com", "b.com"]),
        ("payload:\n- 'it''s'\n- \"a\\u002ecom\"\n", &["it's", "a.com"]),
        ("payload:\n- 1\n- true\n- null\n-\n- {a: b}\n- x\n", &["1", "true", "x"]),
        (
            "payload:\n- DOMAIN-SUFFIX,a.com\n- 'AND,((DOMAIN,x),(NETWORK,tcp))'\n",
            &["DOMAIN-SUFFIX,a.com", "AND,((DOMAIN,x),(NETWORK,tcp))"],
        ),
    ] {
        assert_eq!(lines(RuleFormat::Yaml, text), expected, "{text:?}");
    }
    for text in ["", "- a.com\n", "payload: 1\n", "payload:\n- a.com\n- [\n", "x: 1\n"] {
        let read = RuleList::parse(RuleBehavior::Domain, RuleFormat::Yaml, text.as_bytes(), &Geo::default());
        assert!(matches!(read, Err(ListError::NotYaml(_))), "{text:?}");
    }
}

#[test]
fn text_is_a_line_each() {
    let text = "\u{feff}a.com\r\n# c\n// d\n\n  b.com  \n";
    assert_eq!(lines(RuleFormat::Text, text), ["a.com", "", "b.com"]);
    let list = RuleList::parse(RuleBehavior::Domain, RuleFormat::Text, text.as_bytes(), &Geo::default()).unwrap();
    assert_eq!((list.count(), list.skipped(), list.behavior()), (2, &[] as &[String], RuleBehavior::Domain));
}

#[test]
fn lines_that_are_no_rules_are_left_out_and_told() {
    let told = |behavior, lines: &[&str]| {
        let list = RuleList::from_lines(behavior, lines.iter().copied(), &Geo::default()).unwrap();
        (list.count(), list.skipped().to_vec())
    };
    let (count, skipped) = told(
        RuleBehavior::Classical,
        &[
            "FOO,x",
            "MATCH",
            "DOMAIN",
            "DOMAIN,x.com,DIRECT",
            "RULE-SET,c",
            "AND,((DOMAIN,x),(RULE-SET,c))",
            "GEOIP,cn",
            "AND,((DOMAIN,x),(NETWORK,tcp))",
        ],
    );
    assert_eq!(count, 2);
    assert_eq!(
        skipped[..5],
        [
            "FOO,x: unsupported rule type: FOO",
            "MATCH: unsupported rule type on classical rule-set: MATCH",
            "DOMAIN: missing subsequent parameters: DOMAIN",
            "RULE-SET,c: unsupported rule type on classical rule-set: RULE-SET",
            "AND,((DOMAIN,x),(RULE-SET,c)): unsupported rule type on classical rule-set: RULE-SET",
        ]
    );
    assert!(skipped[5].starts_with("GEOIP,cn: this rule needs a data file"), "{}", skipped[5]);
    let (count, skipped) = told(RuleBehavior::IpCidr, &["10.0.0.0", "10.0.0.0/8", "10.0.0.0/33", "::1/128", ""]);
    assert_eq!((count, skipped), (2, vec!["10.0.0.0".to_owned(), "10.0.0.0/33".to_owned()]));
    let (count, skipped) = told(RuleBehavior::Domain, &["x..y", "a.com"]);
    assert_eq!((count, skipped), (1, vec!["x..y: a label is empty".to_owned()]));
    let many = vec!["FOO,".to_owned() + &"ä".repeat(5000); 100];
    let (_, skipped) = told(RuleBehavior::Classical, &many.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(skipped.len(), MOST_SKIPPED);
    assert!(skipped.iter().all(|reason| reason.chars().count() <= LONGEST_REASON));
}

#[test]
fn lists_have_a_bound() {
    let large = vec![b'#'; LARGEST_LIST + 1];
    let read = |format, bytes: &[u8]| RuleList::parse(RuleBehavior::Domain, format, bytes, &Geo::default()).err();
    for format in [RuleFormat::Yaml, RuleFormat::Text, RuleFormat::Mrs] {
        assert_eq!(read(format, &large), Some(ListError::TooLarge));
    }
    assert_eq!(read(RuleFormat::Text, b"a\xff.com"), Some(ListError::NotText));
    let many = std::iter::repeat_n("a", MOST_LIST_RULES + 1);
    assert_eq!(RuleList::from_lines(RuleBehavior::Domain, many, &Geo::default()).err(), Some(ListError::TooMany));
}

/// A Zstandard frame (RFC 8878) with a window of 128 KiB: blocks as they are, without a checksum.
fn frame(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3];
    for block in bytes.chunks(128 * 1024) {
        frame.extend(&((block.len() as u32) << 3).to_le_bytes()[..3]);
        frame.extend(block);
    }
    frame.extend([1, 0, 0]);
    frame
}

/// A binary list of domains out of the number of children of each node, breadth first, all of them `a`; where nodes without
/// children end names.
fn tree(children: &[usize]) -> Vec<u8> {
    let bits = |bits: &[bool]| {
        let words = bits.chunks(64).map(|word| {
            word.iter().enumerate().fold(0_u64, |word, (place, bit)| word | u64::from(*bit) << place).to_be_bytes()
        });
        let words: Vec<[u8; 8]> = words.collect();
        [&(words.len() as u64).to_be_bytes(), words.concat().as_slice()].concat()
    };
    let leaves: Vec<bool> = children.iter().map(|count| *count == 0).collect();
    let shape: Vec<bool> = children.iter().flat_map(|count| [vec![false; *count], vec![true]].concat()).collect();
    let letters = vec![b'a'; children.len() - 1];
    let length = (letters.len() as u64).to_be_bytes();
    let head = [b"MRS\x01\0".as_slice(), &[0; 16], &[1]].concat();
    frame(&[head, bits(&leaves), bits(&shape), length.to_vec(), letters].concat())
}

#[test]
fn binary_lists_have_bounds_of_their_own() {
    let read = |bytes: &[u8]| RuleList::parse(RuleBehavior::Domain, RuleFormat::Mrs, bytes, &Geo::default());
    let chain = |depth: usize| [vec![1; depth], vec![0]].concat();
    assert!(read(&tree(&chain(253))).unwrap().skipped().is_empty());
    assert_eq!(read(&tree(&chain(254))).unwrap().skipped().len(), 1, "longer than a name");
    assert!(read(&tree(&chain(506))).is_ok());
    assert_eq!(read(&tree(&chain(507))).err(), Some(ListError::NotMrs("its tree is broken")));
    // A hundred thousand names of 500 letters in 25 KB.
    let wide = [vec![1; 499], vec![100_000], vec![0; 100_000]].concat();
    assert_eq!(read(&tree(&wide)).err(), Some(ListError::TooLarge));
    // Forty megabytes of one byte in a kilobyte.
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3];
    for _ in 0..320 {
        bomb.extend(&(((128 * 1024_u32) << 3) | 1 << 1).to_le_bytes()[..3]);
        bomb.push(b'M');
    }
    bomb.extend([1, 0, 0]);
    assert_eq!(read(&bomb).err(), Some(ListError::TooLarge));
}
