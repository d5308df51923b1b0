//! What is known about a target before any question: free texts out of the configuration, or the definition of a tool.
//!
//! Two kinds of limit. Texts that a person wrote (`good-at`, examples) are refused with an error where there are too
//! many or too long ones. A tool's definition comes from outside and is cut: what lies beyond its limits is not read.

use serde_json::Value;

use crate::glossary;
use crate::text_limit::first_bytes;

/// Texts and examples of one target together.
pub const MAX_TEXTS: usize = 64;
/// Bytes of one text or example.
pub const MAX_TEXT_BYTES: usize = 4096;
/// Bytes of a description that are read.
pub const MAX_DESCRIPTION_BYTES: usize = 8192;
/// Parameters of one tool that are read, nested ones included.
pub const MAX_PARAMETERS: usize = 128;
/// How deep parameters may be nested; deeper ones are not read.
pub const MAX_PARAMETER_DEPTH: usize = 5;
/// Choices of one parameter (`enum`) that are read.
const MAX_CHOICES: usize = 64;
/// Sentences of a description that become passages of their own.
const MAX_SENTENCES: usize = 8;
/// Words of the other language, Chinese or English, that are put into a passage of a target.
const MAX_GLOSS_WORDS: usize = 32;
/// Bytes of a text that stand before those words.
const MAX_GLOSSED_BYTES: usize = 400;

/// A target as the chooser sees it. Every part may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// An identifier that says something, like `get_weather`; empty for a model, whose name says nothing about its use.
    pub name: String,
    /// What it does, in sentences.
    pub description: String,
    /// What it wants to be told.
    pub parameters: Vec<Parameter>,
    /// What it is good at, one topic each.
    pub texts: Vec<String>,
    /// Questions that belong to it.
    pub examples: Vec<String>,
}

/// One parameter of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it means.
    pub description: String,
    /// The values it may take, where they are listed.
    pub choices: Vec<String>,
    /// Whether a call without it is invalid.
    pub required: bool,
}

/// Why a target cannot be described so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescribedError {
    /// More than [`MAX_TEXTS`].
    #[error("{found} texts and examples for one target; at most {MAX_TEXTS} are read")]
    TooManyTexts {
        /// How many there are.
        found: usize,
    },
    /// Longer than [`MAX_TEXT_BYTES`].
    #[error("text {index} is {bytes} bytes long; at most {MAX_TEXT_BYTES} are read")]
    TextTooLong {
        /// Which one, counted from 1 through texts and then examples.
        index: usize,
        /// Its length in bytes.
        bytes: usize,
    },
}

impl Described {
    /// A target that is known by free texts alone, like a model.
    pub fn from_texts(texts: Vec<String>, examples: Vec<String>) -> Self {
        Self { texts, examples, ..Self::default() }
    }

    /// A tool out of its definition; `parameters` is its JSON Schema, of which names, descriptions, `enum` and `required`
    /// are read, nested objects and arrays included. Anything else in there, or a schema that is none, is ignored.
    pub fn from_tool(name: &str, description: &str, parameters: &Value) -> Self {
        let mut found = Vec::new();
        collect(parameters, 0, &mut found);
        Self { name: name.to_owned(), description: description.to_owned(), parameters: found, ..Self::default() }
    }

    /// Whether it has the definition of a tool, or is known by free texts alone.
    pub(crate) fn is_tool(&self) -> bool {
        !self.name.is_empty() || !self.description.is_empty()
    }

    /// The texts to embed, in the order in which [`Chooser::with_vectors`](crate::Chooser::with_vectors) wants their
    /// vectors: first all that is known in one text, then sentences, texts and examples one by one, then one for questions
    /// in the other language: the beginning of the text, with English words for its Chinese ones behind it, or Chinese words
    /// where there is no Chinese in it. At least one, at most 10 + [`MAX_TEXTS`].
    pub fn passages(&self) -> Vec<String> {
        let mut passages = vec![self.whole()];
        passages.extend(sentences(self.description()).take(MAX_SENTENCES).map(str::to_owned));
        passages.extend(self.texts.iter().chain(&self.examples).cloned());
        passages.extend(bilingual(&passages[0]));
        passages
    }

    /// All that is known in one text.
    fn whole(&self) -> String {
        let mut whole = String::new();
        let mut add = |text: &str| {
            if !text.trim().is_empty() {
                if !whole.is_empty() {
                    whole.push_str(if whole.ends_with(['.', '。', '?', '？', '!', '！']) { " " } else { ". " });
                }
                whole.push_str(text.trim());
            }
        };
        add(&spaced(&self.name));
        add(self.description());
        for parameter in &self.parameters {
            add(&spaced(&parameter.name));
            add(&parameter.description);
        }
        for text in self.texts.iter().chain(&self.examples) {
            add(text);
        }
        whole
    }

    /// Whether there is any Chinese in it, and whether the last of its passages is one for questions in the other language.
    pub(crate) fn languages(&self) -> (bool, bool) {
        let whole = self.whole();
        (glossary::is_chinese(&whole), bilingual(&whole).is_some())
    }

    /// The part of the description that is read.
    pub(crate) fn description(&self) -> &str {
        first_bytes(&self.description, MAX_DESCRIPTION_BYTES)
    }

    /// Parameters that a call cannot do without.
    pub(crate) fn required(&self) -> usize {
        self.parameters.iter().filter(|parameter| parameter.required).count()
    }

    /// # Errors
    /// Where texts or examples are too many or too long.
    pub(crate) fn check(&self) -> Result<(), DescribedError> {
        let found = self.texts.len() + self.examples.len();
        if found > MAX_TEXTS {
            return Err(DescribedError::TooManyTexts { found });
        }
        for (index, text) in self.texts.iter().chain(&self.examples).enumerate() {
            if text.len() > MAX_TEXT_BYTES {
                return Err(DescribedError::TextTooLong { index: index + 1, bytes: text.len() });
            }
        }
        Ok(())
    }
}

/// The beginning of a text with words of the other language behind it, if any are known.
fn bilingual(text: &str) -> Option<String> {
    let gloss = glossary::gloss(text, MAX_GLOSS_WORDS);
    (!gloss.is_empty()).then(|| format!("{} {gloss}", first_bytes(text, MAX_GLOSSED_BYTES)))
}

/// An identifier as words, for an embedder that knows words: `getWeather_v2` is `get Weather v 2`.
fn spaced(identifier: &str) -> String {
    let mut out = String::with_capacity(identifier.len() + 4);
    let mut previous = ' ';
    let mut characters = identifier.chars().peekable();
    while let Some(character) = characters.next() {
        let mark = matches!(character, '_' | '.' | '-' | '/' | ':');
        let next_is_lower = characters.peek().is_some_and(char::is_ascii_lowercase);
        let turn = (previous.is_ascii_lowercase() && character.is_ascii_uppercase())
            || (previous.is_ascii_uppercase() && character.is_ascii_uppercase() && next_is_lower)
            || (previous.is_ascii_alphabetic() && character.is_ascii_digit())
            || (previous.is_ascii_digit() && character.is_ascii_alphabetic());
        if (mark || turn) && !out.ends_with(' ') {
            out.push(' ');
        }
        if !mark {
            out.push(character);
        }
        previous = character;
    }
    out
}

/// The sentences of a text: cut behind a full stop with space after it, at line ends, and behind Chinese marks.
pub(crate) fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (sentence, after) = rest.split_at(sentence_end(rest));
            rest = after;
            let sentence = sentence.trim();
            if sentence.chars().any(char::is_alphanumeric) {
                return Some(sentence);
            }
        }
        None
    })
}

fn sentence_end(text: &str) -> usize {
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek();
        let end = match character {
            '。' | '！' | '？' | '；' | '\n' => true,
            '.' | '!' | '?' | ';' => next.is_some_and(|(_, next)| next.is_whitespace()),
            _ => false,
        };
        if end {
            return at + character.len_utf8();
        }
    }
    text.len()
}

fn collect(schema: &Value, depth: usize, found: &mut Vec<Parameter>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    if depth >= MAX_PARAMETER_DEPTH {
        return;
    }
    let required = schema.get("required").and_then(Value::as_array);
    for (name, property) in properties {
        if found.len() >= MAX_PARAMETERS {
            return;
        }
        let items = property.get("items");
        let mut choices = choices(property);
        if let Some(items) = items {
            choices.extend(self::choices(items));
        }
        choices.truncate(MAX_CHOICES);
        let description = property.get("description").and_then(Value::as_str).unwrap_or_default();
        found.push(Parameter {
            name: name.clone(),
            description: first_bytes(description, MAX_TEXT_BYTES).to_owned(),
            choices,
            // A parameter inside an optional object is only wanted once that object is.
            required: depth == 0 && required.is_some_and(|names| names.iter().any(|required| required == name)),
        });
        collect(property, depth + 1, found);
        if let Some(items) = items {
            collect(items, depth + 1, found);
        }
    }
}

fn choices(schema: &Value) -> Vec<String> {
    let listed = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    listed
        .iter()
        .take(MAX_CHOICES)
        .map(|choice| choice.as_str().map_or_else(|| choice.to_string(), |text| first_bytes(text, 256).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tool_is_read_with_nested_parameters() {
        let schema = json!({"type": "object", "required": ["city"], "properties": {
            "city": {"type": "string", "description": "Name of the city"},
            "options": {"type": "object", "required": ["unit"], "properties": {"unit": {"enum": ["celsius", 7]}}},
            "days": {"type": "array", "items": {"enum": ["monday"], "properties": {"hour": {}}}}}});
        let tool = Described::from_tool("getWeather", "Weather. For a city.", &schema);
        let names: Vec<_> = tool.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        assert_eq!(names, ["city", "days", "hour", "options", "unit"]);
        assert_eq!(tool.required(), 1);
        assert_eq!(tool.parameters[4].choices, ["celsius", "7"]);
        assert_eq!(tool.parameters[1].choices, ["monday"]);
        let whole = "get Weather. Weather. For a city. city. Name of the city. days. hour. options. unit";
        let passages = tool.passages();
        assert_eq!(passages[..3], [whole, "Weather.", "For a city."]);
        let glossed = passages[3].strip_prefix(whole).unwrap();
        assert!(passages.len() == 4 && glossed.contains("天气") && glossed.contains("城市"), "{glossed}");
        assert_eq!(tool.languages(), (false, true));
    }

    #[test]
    fn free_texts_are_passages() {
        let model = Described::from_texts(vec!["short questions".into()], vec!["capital of France?".into()]);
        let passages = model.passages();
        assert_eq!(passages[..3], ["short questions. capital of France?", "short questions", "capital of France?"]);
        assert!(passages.len() == 4 && passages[3].contains("首都"), "{passages:?}");
        assert!(!model.is_tool());
        let chinese = Described::from_texts(vec!["查天气".into()], Vec::new());
        assert_eq!(chinese.passages(), ["查天气", "查天气", "查天气 look query weather"]);
        let long = Described::from_texts(
            vec!["天气下雨温度航班酒店会议邮件合同发票翻译代码数据库新闻电影音乐医院汽车银行学校法律税保险照片咖啡火车护照日历提醒短信地图餐厅菜谱".into()],
            Vec::new(),
        );
        assert_eq!(long.passages()[2].split(' ').count(), 1 + MAX_GLOSS_WORDS);
        assert_eq!(long.languages(), (true, true));
        let of = |text: &str| Described::from_texts(vec![text.into()], Vec::new());
        assert_eq!(of(&"weather ".repeat(400)).passages()[2].find('天'), Some(MAX_GLOSSED_BYTES + 1));
        let unknown = of("xyzzy");
        assert_eq!((unknown.passages().len(), unknown.languages()), (2, (false, false)));
        assert_eq!(Described::default().passages(), [""]);
    }

    #[test]
    fn a_schema_that_is_none_is_ignored() {
        for schema in
            [json!(null), json!([1]), json!({"properties": 3}), json!({"properties": {"a": 1}, "required": "a"})]
        {
            let tool = Described::from_tool("x", "", &schema);
            assert!(tool.parameters.iter().all(|parameter| parameter.name == "a" && !parameter.required));
        }
    }

    #[test]
    fn what_comes_from_outside_is_cut() {
        let many: serde_json::Map<_, _> =
            (0..500).map(|i| (format!("p{i}"), json!({"enum": vec!["v"; 500]}))).collect();
        let tool = Described::from_tool("x", &"y ".repeat(10_000), &json!({"properties": many}));
        assert_eq!(tool.parameters.len(), MAX_PARAMETERS);
        assert_eq!(tool.parameters[0].choices.len(), MAX_CHOICES);
        assert_eq!(tool.description().len(), MAX_DESCRIPTION_BYTES);
        let mut deep = json!({});
        for _ in 0..20 {
            deep = json!({"properties": {"a": deep}});
        }
        assert_eq!(Described::from_tool("x", "", &deep).parameters.len(), MAX_PARAMETER_DEPTH);
        assert_eq!(Described::from_tool("x", &"Xyzzy. ".repeat(50), &json!(null)).passages().len(), 1 + MAX_SENTENCES);
    }

    #[test]
    fn what_a_person_wrote_is_refused_where_it_is_too_much() {
        let text =
            |count: usize, bytes: usize| Described::from_texts(vec!["a".repeat(bytes); count], Vec::new()).check();
        assert_eq!(text(MAX_TEXTS, MAX_TEXT_BYTES), Ok(()));
        assert_eq!(text(65, 1).unwrap_err().to_string(), "65 texts and examples for one target; at most 64 are read");
        assert_eq!(text(2, 4097).unwrap_err().to_string(), "text 1 is 4097 bytes long; at most 4096 are read");
    }

    #[test]
    fn sentences_are_cut_in_both_languages() {
        let cut = |text| sentences(text).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(cut("One. Two 3.5!  Three?\nfour"), ["One.", "Two 3.5!", "Three?", "four"]);
        assert_eq!(cut("查天气。订机票！好"), ["查天气。", "订机票！", "好"]);
        assert_eq!(cut(" . \n"), Vec::<String>::new());
    }

    #[test]
    fn identifiers_become_words() {
        assert_eq!(spaced("getHTTPServer_v2"), "get HTTP Server v 2");
        assert_eq!(spaced("a.b__c"), "a b c");
    }
}
