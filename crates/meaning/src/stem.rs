//! English, lightly: words that say nothing, and endings that do not change what a word is about.
//!
//! Light on purpose. Porter's full rules join words that differ ("universe", "university"); here only plural, -ing, -ed,
//! -ion and a few more endings go, and never so far that fewer than four letters are left.

/// Words that carry no topic, sorted. Besides articles and pronouns these are the words of asking itself ("please",
/// "want", "give") and those that every description of a tool has ("specified", "provided").
#[rustfmt::skip]
const STOP_WORDS: &[&str] = &[
    "a", "about", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "do", "does",
    "following", "for", "from", "get", "give", "given", "had", "has", "have", "he", "hello", "her", "here", "hi", "his", "how", "i", "if", "in",
    "into", "is", "it", "its", "just", "let", "like", "ll", "m", "make", "may", "me", "might", "more", "my", "need", "no", "not", "now", "of",
    "on", "or", "our", "out", "please", "provided", "re", "s", "shall", "she", "should", "so", "some", "specific", "specified", "such", "t",
    "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "to", "up", "us", "use", "used", "using", "ve", "want",
    "was", "we", "were", "what", "when", "where", "which", "who", "whom", "whose", "why", "will", "with", "would", "you", "your", "yours",
];

/// Endings that go, longer ones before those they end with; what is left of "-ate" goes after them.
const ENDINGS: &[&str] = &["ing", "ed", "ion", "er", "or", "al", "ment", "ly", "e"];

/// Letters that must be left when an ending goes.
const LEAST_LEFT: usize = 4;

/// Whether a folded word carries no topic.
pub(crate) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// The stem of a folded word: a beginning of it, and a letter to put behind that. Words with letters beyond ASCII, and
/// those of up to three letters, stay whole.
pub(crate) fn stem(word: &str) -> (&str, Option<char>) {
    if word.len() <= 3 || !word.is_ascii() {
        return (word, None);
    }
    let (word, mut tail) = singular(word);
    let mut head = word;
    if tail.is_none() {
        for ending in ENDINGS {
            if let Some(rest) = without(head, ending) {
                head = without(rest, "at").unwrap_or(rest);
                break;
            }
        }
        head = undouble(head);
        if head.len() > 3
            && let Some(rest) = head.strip_suffix('y')
        {
            (head, tail) = (rest, Some('i'));
        }
    }
    (head, tail)
}

/// `word` without `ending`, if it ends so and enough is left.
fn without<'a>(word: &'a str, ending: &str) -> Option<&'a str> {
    word.strip_suffix(ending).filter(|rest| rest.len() >= LEAST_LEFT)
}

/// Without the plural's s; "studies" gives "stud" and 'i', as "study" will.
fn singular(word: &str) -> (&str, Option<char>) {
    if let Some(rest) = word.strip_suffix("ies")
        && rest.len() >= 3
    {
        return (rest, Some('i'));
    }
    if let Some(rest) = word.strip_suffix("es")
        && rest.ends_with("ss")
    {
        return (rest, None);
    }
    match word.strip_suffix('s') {
        Some(rest) if !rest.ends_with(['s', 'u', 'i']) => (rest, None),
        _ => (word, None),
    }
}

/// "stopp" is "stop"; "call" and "miss" stay.
fn undouble(head: &str) -> &str {
    let bytes = head.as_bytes();
    match bytes {
        [.., before, last] if bytes.len() > LEAST_LEFT && before == last && !matches!(last, b'l' | b's') => {
            &head[..head.len() - 1]
        }
        _ => head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stemmed(word: &str) -> String {
        let (head, tail) = stem(word);
        head.chars().chain(tail).collect()
    }

    #[test]
    fn stop_words_are_sorted_and_folded() {
        assert!(STOP_WORDS.is_sorted());
        assert!(STOP_WORDS.iter().all(|word| word.chars().all(|c| c.is_ascii_lowercase())));
        assert!(is_stop_word("please") && !is_stop_word("weather"));
    }

    #[test]
    fn forms_of_a_word_share_a_stem() {
        for forms in [
            &["translate", "translation", "translations", "translating", "translated", "translator"][..],
            &["flight", "flights"],
            &["study", "studies"],
            &["class", "classes"],
            &["planner", "planning", "planned"],
            &["payment", "payments"],
            &["reserve", "reserved", "reservation"],
            &["create", "creating", "creation"],
            &["query", "queries"],
        ] {
            for form in forms {
                assert_eq!(stemmed(form), stemmed(forms[0]), "{form}");
            }
        }
    }

    #[test]
    fn different_words_stay_apart() {
        for (one, other) in [("universe", "university"), ("policy", "police"), ("bus", "bu"), ("train", "trait")] {
            assert_ne!(stemmed(one), stemmed(other));
        }
        assert_eq!(stemmed("call"), "call");
        assert_eq!(stemmed("status"), "status");
        assert_eq!(stemmed("ééés"), "ééés");
    }
}
