//! Whether an answer begins as a refusal does, in the words of several languages.
//!
//! A refusal is short and begins with what it is: an apology or "as an AI", then that "I cannot", then what: to help, to
//! provide. All three have to be there, one soon after the other; a few beginnings are enough by themselves. Text that
//! begins with a quotation mark, `>` or a fence speaks in another voice, and long answers help after all.

mod manners;

use manners::{ASKS_FOR_REFUSAL, MANNERS, Manner};

/// The longest answer that is a refusal, in bytes.
const LONGEST: usize = 2000;
/// How much of the beginning is looked at, in bytes.
const LOOKED_AT: usize = 480;

/// Whether `answer` begins as a refusal does.
pub(crate) fn refuses(answer: &str) -> bool {
    if answer.len() > LONGEST {
        return false;
    }
    let start = answer.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_' | '#' | '\u{200b}'));
    if start.starts_with(['"', '\'', '“', '‘', '「', '『', '«', '„', '>', '`', '《']) {
        return false;
    }
    let cut = start.floor_char_boundary(LOOKED_AT);
    let lower = start[..cut].to_lowercase().replace('’', "'");
    MANNERS.iter().any(|manner| manner.fits(&lower))
}

/// Whether `question` asks for words of refusal.
pub(crate) fn asks_for_refusal(question: &str) -> bool {
    let lower = question.to_lowercase();
    ASKS_FOR_REFUSAL.iter().any(|word| lower.contains(word))
}

impl Manner {
    fn fits(&self, lower: &str) -> bool {
        if self.bare.iter().any(|bare| lower.starts_with(bare)) {
            return true;
        }
        let Some(opener) = self.openers.iter().find(|opener| lower.starts_with(**opener)) else { return false };
        self.modals.iter().any(|modal| {
            // An opener may be the first half of a modal's sentence, and a modal may come twice.
            lower.match_indices(modal).any(|(at, _)| {
                if at > opener.len() + self.modal_within {
                    return false;
                }
                let (before, behind) = self.verb_within;
                let end = at + modal.len();
                let from = lower.floor_char_boundary(end.saturating_sub(before + modal.len()));
                let from = if before == 0 { end } else { from };
                self.verbs.iter().any(|verb| {
                    let to = lower.floor_char_boundary((end + behind + verb.len()).min(lower.len()));
                    lower.get(from..to).is_some_and(|window| window.contains(verb))
                })
            })
        })
    }
}
