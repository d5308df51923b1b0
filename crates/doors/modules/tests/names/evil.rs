//! Zips that were made to deceive, each refused by the name of what is wrong with it, and honest ones that are odd.

use std::io::{Cursor, Write as _};

use tradewind_door_modules::{BadZip, H1, ModuleVersion, ZipFacts, ZipLimits, check_zip, check_zip_in};

use crate::zipper::{Entry, Zip};

/// Where the files of the module are.
fn at(name: &str) -> String {
    format!("github.com/Masq/evil@v1.2.3/{name}")
}

fn check_within(zip: &Zip, limits: &ZipLimits) -> Result<ZipFacts, BadZip> {
    let of = ModuleVersion::parse("github.com/Masq/evil@v1.2.3").expect("a module");
    check_zip_in(Cursor::new(zip.bytes()), &of, limits)
}

fn check(zip: &Zip) -> Result<ZipFacts, BadZip> {
    check_within(zip, &ZipLimits::default())
}

/// An honest module, to be changed in one thing.
fn honest() -> Zip {
    Zip {
        entries: vec![
            Entry::new(at("go.mod"), b"module github.com/Masq/evil\n"),
            Entry::new(at("evil.go"), b"package evil\n"),
            Entry::stored(at("sub/a.go"), b"package sub\n"),
        ],
        ..Zip::default()
    }
}

/// The honest module with its second entry changed.
fn with(change: impl FnOnce(&mut Entry)) -> Zip {
    let mut zip = honest();
    change(&mut zip.entries[1]);
    zip
}

/// The honest module with one more entry.
fn and(entry: Entry) -> Zip {
    let mut zip = honest();
    zip.entries.push(entry);
    zip
}

/// An empty file of a name as it is.
fn named(name: impl Into<Vec<u8>>) -> Zip {
    and(Entry::new(name, b""))
}

#[test]
fn every_evil_zip_is_refused_by_name() {
    let zips: Vec<(&str, &str, Zip)> = vec![
        // Names.
        ("path-traversal", "name", named(at("../../.bashrc"))),
        ("path-traversal-in-the-middle", "not-clean", named(at("a/../../b"))),
        ("absolute", "prefix", named("/etc/passwd")),
        ("absolute-in-the-module", "not-clean", named(at("//etc/passwd"))),
        ("drive-letter", "name", named(at("C:/x"))),
        ("backslash", "name", named(at("..\\..\\x"))),
        ("backslash-prefix", "prefix", named("github.com\\Masq\\evil@v1.2.3\\x")),
        ("other-module", "prefix", named("github.com/other/m@v1.2.3/a.go")),
        ("other-version", "prefix", named("github.com/Masq/evil@v1.2.4/a.go")),
        ("escaped-prefix", "prefix", named("github.com/!masq/evil@v1.2.3/a.go")),
        ("prefix-without-slash", "prefix", named("github.com/Masq/evil@v1.2.3")),
        ("empty-name", "prefix", named("")),
        ("dot-elements", "not-clean", named(at("a/./b"))),
        ("double-slash", "not-clean", named(at("a//b"))),
        ("nul-byte", "name", named(at("a.go\0.txt"))),
        ("newline", "name", named(at("a\nb"))),
        ("not-utf8", "not-utf8", named([at("").as_bytes(), b"\xff\xfe"].concat())),
        ("right-to-left", "name", named(at("a\u{202e}og.exe"))),
        ("windows-device", "name", named(at("aux.go"))),
        ("trailing-dot", "name", named(at("a.go."))),
        ("case-collision", "collision", named(at("EVIL.go"))),
        ("fold-collision", "collision", named(at("evil.\u{212a}o")).plus(Entry::new(at("evil.ko"), b""))),
        ("folder-collision", "collision", named(at("SUB/b.go"))),
        ("file-in-file", "file-and-folder", named(at("evil.go/x"))),
        ("folder-over-file", "file-and-folder", named(at("evil.go/"))),
        ("twice", "twice", named(at("evil.go"))),
        // Other modules inside.
        ("go-mod-below", "go-mod-below", named(at("sub/go.mod"))),
        ("go-mod-in-vendor", "go-mod-below", named(at("vendor/example.com/x/go.mod"))),
        ("go-mod-case", "go-mod-case", Zip::of([(at("Go.mod"), Vec::new())])),
        ("go-mod-case-below", "go-mod-below", named(at("sub/GO.MOD"))),
        // Kinds of files.
        ("symlink", "irregular", with(|entry| entry.attributes = 0o120_777 << 16)),
        ("device", "irregular", with(|entry| entry.attributes = 0o060_666 << 16)),
        ("folder-bit-on-file", "irregular", with(|entry| entry.attributes = 0o040_755 << 16)),
        ("symlink-by-macos", "irregular", with(|entry| (entry.made_by, entry.attributes) = (19, 0o120_777 << 16))),
        ("folder-with-content", "irregular", and(Entry::new(at("folder/"), b"content"))),
        // Sizes.
        (
            "bomb-larger-than-declared",
            "larger-than-declared",
            with(|entry| {
                *entry = Entry { size: 10, ..Entry::new(at("evil.go"), &[0; 1 << 20]) };
            }),
        ),
        ("smaller-than-declared", "smaller-than-declared", with(|entry| entry.size += 1)),
        ("declared-bomb", "unpacked-too-large", with(|entry| entry.size = 501 << 20)),
        (
            "declared-bomb-of-64-bits",
            "unpacked-too-large",
            with(|entry| {
                (entry.is_wide, entry.size) = (true, u64::MAX);
            }),
        ),
        (
            "many-bombs",
            "unpacked-too-large",
            Zip {
                entries: (0..6)
                    .map(|number| Entry { size: 100 << 20, ..Entry::new(at(&number.to_string()), b"") })
                    .collect(),
                ..Zip::default()
            },
        ),
        (
            "go-mod-too-large",
            "file-too-large",
            Zip { entries: vec![Entry { size: (16 << 20) + 1, ..Entry::new(at("go.mod"), b"") }], ..Zip::default() },
        ),
        ("license-too-large", "file-too-large", and(Entry { size: (16 << 20) + 1, ..Entry::new(at("LICENSE"), b"") })),
        ("too-many-entries", "too-many", Zip { count: Some(200_001), is_wide: true, ..honest() }),
        // The archive.
        ("encrypted", "encrypted", with(|entry| entry.flags = 1)),
        ("strongly-encrypted", "encrypted", with(|entry| entry.flags = 1 << 6)),
        ("hidden-headers", "encrypted", with(|entry| entry.flags = 1 << 13)),
        ("encrypted-in-front-only", "differs", with(|entry| entry.local_flags = Some(1))),
        ("bzip2", "method", with(|entry| entry.method = 12)),
        ("method-differs", "differs", with(|entry| entry.local_method = Some(0))),
        ("name-differs", "differs", with(|entry| entry.local_name = Some(at("good.go").into()))),
        ("name-differs-by-extra-field", "extra", with(|entry| entry.extra = unicode_path("other.go"))),
        ("checksum-differs", "differs", with(|entry| entry.local_crc = Some(1))),
        ("size-differs", "differs", with(|entry| entry.local_size = Some(1))),
        ("checksum", "checksum", with(|entry| entry.crc ^= 1)),
        ("checksum-zero", "checksum", with(|entry| entry.crc = 0)),
        ("corrupt-data", "corrupt", with(|entry| entry.data[0] = 0xff)),
        (
            "data-breaks-off",
            "corrupt",
            with(|entry| {
                entry.data.truncate(5);
                entry.compressed = 5;
            }),
        ),
        (
            "data-hidden-in-entry",
            "data-inside",
            with(|entry| {
                entry.data.extend(b"hidden");
                entry.compressed += 6;
            }),
        ),
        ("data-hidden-between", "data-between", with(|entry| entry.behind = b"hidden".to_vec())),
        ("entry-hidden-between", "data-between", Zip { between: Entry::new(at("x"), b"hidden").data, ..honest() }),
        ("data-before", "data-before", Zip { before: b"#!/bin/sh\n".to_vec(), ..honest() }),
        ("data-before-and-offsets-of-old", "data-before", Zip { shift: -10, before: vec![0; 10], ..honest() }),
        ("data-after", "data-after", Zip { behind: b"hidden".to_vec(), ..honest() }),
        ("comment-with-an-end-of-its-own", "data-before", Zip { comment: Zip::default().bytes(), ..honest() }),
        ("overlap-same-data", "overlap", and(Entry { offset: Some(0), ..Entry::new(at("again.go"), b"") })),
        ("overlap-into-next", "overlap", with(|entry| entry.compressed += 50)),
        ("overlap-into-directory", "overlap", and(Entry { compressed: 4000, ..Entry::stored(at("x"), b"") })),
        ("offset-into-nowhere", "data-between", with(|entry| entry.offset = Some(0xffff_fff0))),
        ("offset-into-data", "overlap", with(|entry| entry.offset = Some(7))),
        ("directory-elsewhere", "format", Zip { shift: 100, ..honest() }),
        ("directory-of-old", "data-before", Zip { shift: -50, ..honest() }),
        ("fewer-entries-than-counted", "format", Zip { count: Some(7), ..honest() }),
        ("more-entries-than-counted", "format", Zip { count: Some(2), ..honest() }),
        ("several-disks", "disks", Zip { disk: 1, ..honest() }),
        ("entries-on-another-disk", "disks", Zip { changes: vec![(22 - 8, 2)], ..honest() }),
        ("end-of-64-bits-with-more-in-it", "format", Zip { changes: vec![(94, 45)], is_wide: true, ..honest() }),
        ("entry-on-another-disk", "disks", with(|entry| entry.disk = 1)),
        ("descriptor-differs", "differs", {
            let mut zip = with(|entry| *entry = entry.clone().streamed(true, false));
            zip.entries[1].behind[5] ^= 1;
            zip
        }),
        ("descriptor-with-other-sizes", "differs", {
            let mut zip = with(|entry| *entry = entry.clone().streamed(true, false));
            zip.entries[1].behind[8] ^= 1;
            zip
        }),
        ("descriptor-with-another-size", "differs", {
            let mut zip = with(|entry| *entry = entry.clone().streamed(true, false));
            zip.entries[1].behind[12] ^= 1;
            zip
        }),
        ("descriptor-missing", "overlap", with(|entry| entry.flags = 8)),
        ("wide-sizes-missing", "unpacked-too-large", with(|entry| entry.size = u32::MAX.into())),
    ];
    assert!(zips.len() >= 20);
    for (what, name, zip) in &zips {
        match check(zip) {
            Ok(facts) => panic!("{what} was let pass: {facts:?}"),
            Err(error) => assert_eq!(error.fault.name(), *name, "{what}: {error}"),
        }
    }
}

impl Zip {
    fn plus(mut self, entry: Entry) -> Self {
        self.entries.push(entry);
        self
    }
}

/// The extra field with another name, for readers that know it.
fn unicode_path(name: &str) -> Vec<u8> {
    let length = u16::try_from(name.len() + 5).expect("a short name");
    [&[0x75, 0x70][..], &length.to_le_bytes(), &[1, 0, 0, 0, 0], name.as_bytes()].concat()
}

#[test]
fn odd_zips_are_taken_and_their_hash_does_not_depend_on_how_they_were_written() {
    let h1 = check(&honest()).expect("an honest zip").h1;
    let mut stored = honest();
    stored.entries[0] = Entry::stored(at("go.mod"), b"module github.com/Masq/evil\n");
    let each =
        |change: fn(&Entry) -> Entry| Zip { entries: honest().entries.iter().map(change).collect(), ..Zip::default() };
    for (what, zip) in [
        ("stored", stored),
        ("in another order", Zip { entries: honest().entries.into_iter().rev().collect(), ..Zip::default() }),
        ("with a directory in another order", Zip { is_directory_reversed: true, ..honest() }),
        ("with a comment", Zip { comment: b"made by hand".to_vec(), ..honest() }),
        ("with an end of 64 bits", Zip { is_wide: true, ..honest() }),
        ("with sizes of 64 bits", each(|entry| Entry { is_wide: true, ..entry.clone() })),
        ("with comments", each(|entry| Entry { comment: b"a comment".to_vec(), ..entry.clone() })),
        ("with descriptors", each(|entry| entry.clone().streamed(true, false))),
        ("with descriptors without signature", each(|entry| entry.clone().streamed(false, false))),
        ("with wide descriptors", each(|entry| entry.clone().streamed(true, true))),
        ("with wide descriptors without signature", each(|entry| entry.clone().streamed(false, true))),
        ("by DOS", each(|entry| Entry { made_by: 0, attributes: 0o120_777 << 16, ..entry.clone() })),
        ("with the same name in an extra field", with(|entry| entry.extra = unicode_path(&at("evil.go")))),
        ("with padding in an extra field", with(|entry| entry.extra = vec![0; 3])),
    ] {
        match check(&zip) {
            Ok(facts) => assert_eq!(facts.h1, h1, "{what}"),
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

#[test]
fn the_facts_of_a_zip_are_found() {
    let facts = check(&and(Entry::new(at("LICENSE"), b"All rights reserved."))).expect("an honest zip");
    assert_eq!(facts.files, 4);
    assert_eq!(facts.unpacked, 28 + 13 + 12 + 20);
    assert_eq!(facts.go_mod.as_deref(), Some(&b"module github.com/Masq/evil\n"[..]));
    assert_eq!(facts.licences.iter().map(|licence| licence.name()).collect::<Vec<_>>(), ["unknown"]);
    let empty = check(&Zip::default()).expect("nothing is a module too");
    assert_eq!((empty.files, empty.unpacked, empty.go_mod, empty.licences.len()), (0, 0, None, 0));
    // Go says the same of an empty zip: the hash of nothing.
    assert_eq!(empty.h1, H1::parse("h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=").expect("a hash"));
}

#[test]
fn a_zip_on_disk_is_read_wherever_its_cursor_stands() {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&honest().bytes()).expect("the disk takes it");
    let of = ModuleVersion::parse("github.com/Masq/evil@v1.2.3").expect("a module");
    for _ in 0..2 {
        let facts = check_zip(&file, &of, &ZipLimits::default()).expect("an honest zip");
        assert_eq!(facts, check(&honest()).expect("the same"));
    }
}

#[test]
fn licences_are_looked_for_in_files_at_the_top_that_are_named_so() {
    let unlicense = b"This is free and unencumbered software released into the public domain.";
    let found = |name: &str| check(&Zip { entries: vec![Entry::new(at(name), unlicense)], ..Zip::default() });
    let found = |name: &str| !found(name).expect("an honest zip").licences.is_empty();
    for name in [
        "LICENSE",
        "license",
        "LICENSE.txt",
        "License.md",
        "LICENCE",
        "COPYING",
        "COPYING.LESSER",
        "UNLICENSE",
        "LICENSE-MIT",
        "LICENSE_APACHE",
        "LICENSE-2.0.txt",
        "MIT-LICENSE",
        "MIT_LICENSE.txt",
    ] {
        assert!(found(name), "{name}");
    }
    for name in
        ["license.go", "LICENSE.json", "license_test.go", "sub/LICENSE", "LICENSES", "licenses.md", "README", "NOTICE"]
    {
        assert!(!found(name), "{name}");
    }
    // All of them, however many stand before, and a quarter of a MiB of each.
    let many = |count: usize| {
        let texts = (0..count).map(|number| (at(&format!("LICENSE-{number}")), b"nothing".to_vec()));
        Zip::of(texts.chain([(at("LICENSE-x"), unlicense.to_vec())]))
    };
    let names = |zip: &Zip| {
        let licences = check(zip).expect("an honest zip").licences;
        licences.into_iter().map(|licence| licence.name()).collect::<Vec<_>>()
    };
    assert_eq!(names(&many(7)), ["unknown", "Unlicense"]);
    assert_eq!(names(&many(100)), ["unknown", "Unlicense"]);
    let behind = |spaces: usize| Zip::of([(at("LICENSE"), [&vec![b' '; spaces][..], unlicense].concat())]);
    assert_eq!(names(&behind((256 << 10) - unlicense.len())), ["Unlicense"]);
    assert_eq!(names(&behind(256 << 10)), ["unknown"]);
}

#[test]
fn more_files_than_16_bits_can_count_are_taken() {
    let entries = (0..70_000).map(|number| Entry::stored(at(&format!("{number}")), b"")).collect();
    let zip = Zip { is_wide: true, entries, ..Zip::default() };
    assert_eq!(check(&zip).map(|facts| facts.files).expect("an honest zip"), 70_000);
}

#[test]
fn every_limit_holds() {
    let limits = ZipLimits::default();
    let zip = honest();
    let length = u64::try_from(zip.bytes().len()).expect("a length");
    let names = zip.entries.iter().map(|entry| entry.name.len() as u64).sum();
    let directory = names + 46 * 3;
    for (least, name, at) in [
        (length, "archive-too-large", (|most| ZipLimits { archive: most, ..ZipLimits::default() }) as fn(u64) -> _),
        (28 + 13 + 12, "unpacked-too-large", |most| ZipLimits { unpacked: most, ..ZipLimits::default() }),
        (28, "file-too-large", |most| ZipLimits { go_mod: most, ..ZipLimits::default() }),
        (3, "too-many", |most| ZipLimits { entries: most, ..ZipLimits::default() }),
        (names, "too-many", |most| ZipLimits { names: most, ..ZipLimits::default() }),
        (directory, "too-many", |most| ZipLimits { directory: most, ..ZipLimits::default() }),
    ] {
        assert!(check_within(&zip, &at(least)).is_ok(), "{name} {least}");
        let error = check_within(&zip, &at(least - 1)).expect_err(name);
        assert_eq!(error.fault.name(), name, "{error}");
    }
    let licence = and(Entry::new(at("LICENSE"), b"123"));
    assert!(check_within(&licence, &ZipLimits { licence: 3, ..limits }).is_ok());
    assert!(check_within(&licence, &ZipLimits { licence: 2, ..limits }).is_err());
    // Folders count as well, also those that are only in names.
    let deep = named(at(&format!("{}x", "a/".repeat(20))));
    assert!(check_within(&deep, &ZipLimits { entries: 21, ..limits }).is_ok());
    assert_eq!(
        check_within(&deep, &ZipLimits { entries: 20, ..limits }).expect_err("21 folders").fault.name(),
        "too-many"
    );
}

#[test]
fn what_breaks_off_is_refused_wherever_it_does() {
    let whole = Zip { comment: b"the end".to_vec(), ..honest() }.bytes();
    let of = ModuleVersion::parse("github.com/Masq/evil@v1.2.3").expect("a module");
    for length in 0..whole.len() {
        let refused = check_zip_in(Cursor::new(&whole[..length]), &of, &ZipLimits::default());
        assert!(!refused.expect_err("a part of a zip").is_unread());
    }
    assert!(check_zip_in(Cursor::new(&whole), &of, &ZipLimits::default()).is_ok());
}

#[test]
fn a_changed_bit_is_refused_or_of_no_consequence() {
    let whole = honest().bytes();
    let of = ModuleVersion::parse("github.com/Masq/evil@v1.2.3").expect("a module");
    let facts = check_zip_in(Cursor::new(&whole), &of, &ZipLimits::default()).expect("honest");
    let mut refused = 0;
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        match check_zip_in(Cursor::new(&changed), &of, &ZipLimits::default()) {
            Ok(same) => assert_eq!(same, facts, "bit {bit}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > whole.len() * 4, "{refused}");
}

#[test]
fn a_refusal_says_what_the_go_command_says() {
    let text = |zip: &Zip| check(zip).expect_err("an evil zip").to_string();
    assert_eq!(
        text(&named("github.com/Masq/evil@v1.2.3.txt")),
        "zip for github.com/Masq/evil@v1.2.3 has unexpected file github.com/Masq/evil@v1.2.3.txt"
    );
    assert_eq!(
        text(&named(at("☺.go"))),
        "unzip github.com/!masq/evil/@v/v1.2.3.zip: github.com/Masq/evil@v1.2.3/☺.go: malformed file path \"☺.go\": \
         invalid char '☺'"
    );
    assert_eq!(
        text(&named(at("SUB/a/b.go"))),
        "unzip github.com/!masq/evil/@v/v1.2.3.zip: github.com/Masq/evil@v1.2.3/SUB/a/b.go: case-insensitive file name \
         collision: \"sub\" and \"SUB\""
    );
    // Nothing of a name moves the cursor of whoever reads it.
    let shown = text(&named(at("\u{1b}[2Jx\u{202e}")));
    assert!(shown.chars().all(|character| !character.is_control() && character != '\u{202e}'), "{shown}");
    assert!(text(&named("x".repeat(60_000))).len() < 600);
}

#[test]
fn a_file_that_cannot_be_read_speaks_against_nobody() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    impl std::io::Seek for Broken {
        fn seek(&mut self, _: std::io::SeekFrom) -> std::io::Result<u64> {
            Ok(1000)
        }
    }
    let of = ModuleVersion::parse("example.com/m@v1.0.0").expect("a module");
    assert!(check_zip_in(Broken, &of, &ZipLimits::default()).expect_err("no disk").is_unread());
}
