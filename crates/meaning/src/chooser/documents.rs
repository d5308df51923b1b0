//! A target's texts as the documents of the chooser's three indices.

use crate::described::Described;
use crate::glossary;
use crate::index::Document;
use crate::words;

// Weights of fields inside the BM25 over words: how much one occurrence counts. Set once by the order "name before
// description before parameters" and not tuned further.
const NAME_FIELD: f32 = 2.5;
const DESCRIPTION_FIELD: f32 = 1.5;
const PARAMETER_NAME_FIELD: f32 = 1.0;
const PARAMETER_FIELD: f32 = 0.7;

/// How much an English word counts that stands for a Chinese one, against a word that is written there. Anything from 0.35
/// to 0.7 did equally well on the pairs for development, `tests/data/dev-*.tsv`.
const GLOSSED: f32 = 0.5;

/// The three documents of one target.
pub(super) struct Documents {
    pub(super) words: Document,
    pub(super) name: Document,
    pub(super) grams: Document,
}

impl Documents {
    pub(super) fn of(described: &Described) -> Self {
        let mut documents = Self { words: Document::default(), name: Document::default(), grams: Document::default() };
        let name = documents.add(&described.name, NAME_FIELD);
        documents.name.add(&name, 1.0);
        documents.add(described.description(), DESCRIPTION_FIELD);
        for parameter in &described.parameters {
            documents.add(&parameter.name, PARAMETER_NAME_FIELD);
            documents.add(&parameter.description, PARAMETER_FIELD);
            for choice in &parameter.choices {
                documents.add(choice, PARAMETER_FIELD);
            }
        }
        for text in described.texts.iter().chain(&described.examples) {
            documents.add(text, DESCRIPTION_FIELD);
        }
        documents
    }

    /// Adds a text with the weight of its field; gives its terms.
    fn add(&mut self, text: &str, weight: f32) -> Vec<u64> {
        let (mut terms, mut grams) = (Vec::new(), Vec::new());
        let (mut glossed_terms, mut glossed_grams) = (Vec::new(), Vec::new());
        words::pieces(text, |piece, _| {
            words::piece_terms(piece, &mut terms);
            words::piece_grams(piece, &mut grams);
            if let words::Piece::Run(run) = piece {
                glossary::bridge(run, |word| {
                    glossed_terms.push(words::stem_hash(word));
                    words::word_grams(word, &mut glossed_grams);
                });
            }
        });
        self.words.add(&terms, weight);
        self.words.add(&glossed_terms, weight * GLOSSED);
        self.grams.add(&grams, 1.0);
        self.grams.add(&glossed_grams, GLOSSED);
        terms.append(&mut glossed_terms);
        terms
    }
}
