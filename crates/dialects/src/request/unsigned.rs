//! Thinking without a signature, cut out of a request for Anthropic messages that otherwise stays as it is.
//!
//! A provider of chat completions signs nothing, so its reasoning reaches callers of messages with the signature `""`, and
//! they send it back. Anthropic refuses such a block. Nothing else is mended here: ids of tools that Anthropic would refuse
//! stay, and so does thinking that somebody else has signed.

use super::json::Object;
use super::path::Path;
use super::reading::list;

/// The messages request `body` without the `thinking` blocks of the assistant whose signature is empty; every other byte
/// is as it was. A message of nothing else is cut out whole. `None` when there is nothing to cut, or when `body` is no such
/// request.
///
/// It costs a parse of the messages: ask only about a body in which the text `"signature"` stands.
#[must_use]
pub fn without_unsigned_thinking(body: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?;
    let request: Object<'_> = serde_json::from_str(text).ok()?;
    let messages = list(Path::ROOT, sound(request)?.get("messages")?).ok()?;
    let mut cuts = Vec::new();
    let mut is_cut = Vec::with_capacity(messages.len());
    for message in &messages {
        let blocks = blocks_of_assistant(message);
        let unsigned: Vec<bool> = blocks.iter().map(|block| is_unsigned(block)).collect();
        let is_whole = !unsigned.is_empty() && unsigned.iter().all(|unsigned| *unsigned);
        if !is_whole {
            add_cuts(body, &blocks, &unsigned, &mut cuts);
        }
        is_cut.push(is_whole);
    }
    add_cuts(body, &messages, &is_cut, &mut cuts);
    if cuts.is_empty() {
        return None;
    }
    // The cuts of whole messages were added last, and lie between the others.
    cuts.sort_unstable();
    let mut kept = Vec::with_capacity(body.len());
    let mut end = 0;
    for (from, to) in cuts {
        kept.extend_from_slice(&body[end..from]);
        end = to;
    }
    kept.extend_from_slice(&body[end..]);
    Some(kept)
}

/// The content blocks of a message, if it is the assistant's and has such.
fn blocks_of_assistant(message: &str) -> Vec<&str> {
    let Some(message) = serde_json::from_str(message).ok().and_then(sound) else { return Vec::new() };
    match (message.get("role"), message.get("content")) {
        (Some("\"assistant\""), Some(content)) => list(Path::ROOT, content).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn is_unsigned(block: &str) -> bool {
    let Some(block) = serde_json::from_str(block).ok().and_then(sound) else { return false };
    block.get("type") == Some("\"thinking\"") && block.get("signature") == Some("\"\"")
}

/// An object that says one thing only; Anthropic is to judge the others.
fn sound(object: Object<'_>) -> Option<Object<'_>> {
    object.flaw.is_none().then_some(object)
}

/// Where `body` is to be cut for a list of `entries` to lose those that `is_cut` names, each with one comma.
fn add_cuts(body: &[u8], entries: &[&str], is_cut: &[bool], cuts: &mut Vec<(usize, usize)>) {
    let start = |entry: &str| entry.as_ptr() as usize - body.as_ptr() as usize;
    let end = |entry: &str| start(entry) + entry.len();
    let mut keeps_any = false;
    for (index, entry) in entries.iter().enumerate() {
        if !is_cut[index] {
            keeps_any = true;
        } else if keeps_any {
            cuts.push((end(entries[index - 1]), end(entry)));
        } else {
            cuts.push((start(entry), entries.get(index + 1).map_or_else(|| end(entry), |next| start(next))));
        }
    }
}
