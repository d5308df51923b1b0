//! mihomo's binary lists, `mrs`: the layout as it can be seen in files that `mihomo convert-ruleset` makes.
//!
//! A Zstandard frame (RFC 8878) with a checksum, in it, numbers in big-endian order:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `MRS` and the version, 1 |
//! | 1 | 0 for domains, 1 for ranges of addresses |
//! | 8 | how many rules the list was made of |
//! | 8 + n | the length of something more, 0 so far, and it |
//!
//! then for addresses a version (1), the number of ranges in 8 bytes, and each range as its first and last address of 16
//! bytes, IPv4 mapped into IPv6; for domains a version (1) and a trie of all names written backwards, letter by letter:
//!
//! | bytes | what |
//! |---|---|
//! | 8 + 8 n | a bit for each node: whether a name ends there |
//! | 8 + 8 n | for each node in turn, breadth first, a 0 for each of its children and then a 1 |
//! | 8 + n | the letter that leads to each node, but for the root |
//!
//! Bits count from the lowest of each eight bytes. A name in it is the lines of a list of domains taken apart:
//! `+.example.com` stands there as `example.com` and as `+.example.com`, which now means names below it only.

use std::io::Read as _;
use std::net::{IpAddr, Ipv6Addr};

use ruzstd::decoding::StreamingDecoder;
use tradewind_policy::ways::{LONGEST_DOMAIN, RuleBehavior};

use super::{Builder, LARGEST_LIST, ListError, MOST_LIST_RULES, RuleList};
use crate::rules::addresses::AddressSet;
use crate::rules::geo::Geo;

/// Names are at most as long as a name, a wildcard and some room for other alphabets.
const DEEPEST: usize = 2 * LONGEST_DOMAIN;
/// The most bytes of all names together: a tree can say much in few bytes.
const MOST_TEXT: usize = LARGEST_LIST;

pub(super) fn read(behavior: RuleBehavior, bytes: &[u8]) -> Result<RuleList, ListError> {
    let unpacked = unpacked(bytes)?;
    let mut input = Input(&unpacked);
    if input.take(4)? != b"MRS\x01" {
        return Err(ListError::NotMrs("it has another version"));
    }
    let (has, name) = match input.byte()? {
        0 => (RuleBehavior::Domain, "domain"),
        1 => (RuleBehavior::IpCidr, "ipcidr"),
        _ => return Err(ListError::NotMrs("its behavior is not known")),
    };
    if has != behavior {
        let wants = match behavior {
            RuleBehavior::Domain => "domain",
            RuleBehavior::IpCidr => "ipcidr",
            RuleBehavior::Classical => "classical",
        };
        return Err(ListError::OtherBehavior { has: name, wants });
    }
    let count = input.number()?;
    let more = input.number()?;
    input.take(more)?;
    if input.byte()? != 1 {
        return Err(ListError::NotMrs("its content has another version"));
    }
    let nothing = Geo::default();
    let mut builder = Builder::new(behavior, &nothing);
    let mut list = if behavior == RuleBehavior::Domain {
        domains(&mut input, &mut builder)?;
        builder.build()
    } else {
        RuleList { resolved: addresses(&mut input)?, ..builder.build() }
    };
    list.count = count;
    Ok(list)
}

fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, ListError> {
    let broken = ListError::NotMrs("it is no Zstandard frame, or broken");
    let Ok(mut decoder) = StreamingDecoder::new(bytes) else { return Err(broken) };
    let mut unpacked = Vec::new();
    // One byte more than there may be, to see that there is more.
    if decoder.by_ref().take(LARGEST_LIST as u64 + 1).read_to_end(&mut unpacked).is_err() {
        return Err(broken);
    }
    if unpacked.len() > LARGEST_LIST {
        return Err(ListError::TooLarge);
    }
    let frame = &decoder.decoder;
    if frame.get_checksum_from_data().is_some_and(|told| Some(told) != frame.get_calculated_checksum()) {
        return Err(ListError::NotMrs("its checksum is wrong"));
    }
    Ok(unpacked)
}

fn addresses(input: &mut Input<'_>) -> Result<AddressSet, ListError> {
    let count = input.number()?;
    if count > MOST_LIST_RULES {
        return Err(ListError::TooMany);
    }
    let bytes = input.take(count.saturating_mul(32))?;
    let address = |bytes: &[u8]| {
        let bits = bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        IpAddr::V6(Ipv6Addr::from_bits(bits)).to_canonical()
    };
    Ok(AddressSet::new(bytes.chunks_exact(32).map(|range| (address(&range[..16]), address(&range[16..])))))
}

fn domains(input: &mut Input<'_>, builder: &mut Builder<'_>) -> Result<(), ListError> {
    let leaves = input.words()?;
    let shape = input.words()?;
    let length = input.number()?;
    let letters = input.take(length)?;
    // For each node but the root: the node above it, and how many letters lead to it.
    let mut above: Vec<(u32, u16)> = Vec::with_capacity(letters.len());
    let mut node = 0_u32;
    for place in 0..shape.len() * 8 {
        if bit(shape, place) {
            node += 1;
            if node as usize > letters.len() {
                break;
            }
            continue;
        }
        if above.len() == letters.len() {
            return Err(ListError::NotMrs("its tree is broken"));
        }
        let depth = node.checked_sub(1).map_or(0, |before| above.get(before as usize).map_or(u16::MAX, |up| up.1));
        // A child comes after its parent, so that no way up goes round.
        if depth as usize >= DEEPEST || node as usize > above.len() {
            return Err(ListError::NotMrs("its tree is broken"));
        }
        above.push((node, depth + 1));
    }
    if above.len() != letters.len() {
        return Err(ListError::NotMrs("its tree is broken"));
    }
    let (mut name, mut total) = (Vec::new(), 0_usize);
    for leaf in (0..=letters.len()).filter(|node| bit(leaves, *node)) {
        name.clear();
        let mut node = leaf;
        while let Some((up, letter)) = node.checked_sub(1).map(|place| (above[place].0, letters[place])) {
            name.push(letter);
            node = up as usize;
        }
        total += name.len();
        if total > MOST_TEXT {
            return Err(ListError::TooLarge);
        }
        // Names are backwards by characters, not by bytes.
        name.reverse();
        let Ok(text) = std::str::from_utf8(&name) else { continue };
        let text: String = text.chars().rev().collect();
        // `+` alone is for names of any length, and below a name for those below it.
        builder.line(text.strip_prefix('+').filter(|rest| rest.starts_with('.')).unwrap_or(&text))?;
    }
    Ok(())
}

fn bit(words: &[u8], place: usize) -> bool {
    let byte = (place / 64) * 8 + 7 - (place % 64) / 8;
    words.get(byte).is_some_and(|byte| byte >> (place % 8) & 1 == 1)
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ListError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(ListError::NotMrs("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, ListError> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<usize, ListError> {
        let number = self.take(8)?.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        // What is longer than all of the file is found to be cut off.
        Ok(usize::try_from(number).unwrap_or(usize::MAX))
    }

    fn words(&mut self) -> Result<&'a [u8], ListError> {
        let count = self.number()?;
        self.take(count.saturating_mul(8))
    }
}
