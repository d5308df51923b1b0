//! YAML 1.2 text to a tree of [`Node`]s with places, within stated limits.
//!
//! Anchors, aliases and `<<` merge keys are resolved here, since mihomo's configurations live on them. Refused: more
//! than one document, keys that are not scalars, duplicate keys, application tags, and whatever is over a limit below.
//! The parser underneath is driven event by event, so that its depth never becomes ours.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use tradewind_core::Code;

use crate::node::{Entry, Node, Place, Shortened, Value};
use crate::problem::{Problem, Problems};
use crate::scalar::resolve;

/// The largest file that is read, in bytes.
pub const MOST_BYTES: usize = 4 * 1024 * 1024;
/// How deep lists and maps may stand in each other.
pub const MOST_DEPTH: usize = 64;
/// How many values a document may have, each use of an alias counted in full.
pub const MOST_NODES: usize = 1_000_000;
/// How many bytes of text a document may have, each use of an alias and each replaced `${…}` counted in full.
pub const MOST_TEXT: usize = 16 * 1024 * 1024;

/// Reads a document. `None` when it is not YAML or over a limit, with the reason in `problems`; duplicate keys are
/// reported there too, but do not stop the reading. An empty document is an empty map.
pub fn parse_yaml(text: &str, problems: &mut Problems) -> Option<Node> {
    parse_with_anchors(text, problems).map(|(root, _)| root)
}

/// As [`parse_yaml`], with the places of all values that have an anchor, in the order of the file.
pub(crate) fn parse_with_anchors(text: &str, problems: &mut Problems) -> Option<(Node, Vec<Place>)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match read(text, problems) {
        Ok(read) => Some(read),
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

fn read(text: &str, problems: &mut Problems) -> Result<(Node, Vec<Place>), Problem> {
    if text.len() > MOST_BYTES {
        return Err(unreadable(
            Place::default(),
            format!("the file has {} bytes, the most is {MOST_BYTES}", text.len()),
        ));
    }
    refuse_control_characters(text)?;
    let mut builder = Builder::new(problems);
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((event, span)) => builder.take(event, span)?,
            Err(error) => {
                let mark = error.marker();
                let place = Place { line: narrow(mark.line()), column: narrow(mark.col() + 1), length: 1 };
                let problem = unreadable(place, format!("this is not YAML: {}", error.info()));
                return Err(match hint_for_syntax(text, mark.line()) {
                    Some(hint) => problem.with_hint(hint),
                    None => problem,
                });
            }
        }
    }
    let mut anchors: Vec<Place> = builder.anchors.values().map(|(node, _)| node.place).collect();
    anchors.sort_unstable();
    Ok(match builder.root {
        Some(root) if !root.is_null() => (root, anchors),
        _ => (Node::empty_map(), anchors),
    })
}

fn unreadable(place: Place, message: impl Into<String>) -> Problem {
    Problem::new(Code::ConfigUnreadable, place, "", message)
}

/// YAML allows no control characters but tab and line breaks; the scanner would take a NUL for the end of the file.
fn refuse_control_characters(text: &str) -> Result<(), Problem> {
    let forbidden = |character: char| character.is_ascii_control() && !matches!(character, '\t' | '\n' | '\r');
    let Some(at) = text.find(forbidden) else { return Ok(()) };
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    let place = Place { line: narrow(line), column: narrow(column), length: 1 };
    let character = text[at..].chars().next().unwrap_or_default();
    Err(unreadable(place, format!("control character U+{:04X} in the file", u32::from(character))))
}

/// The usual reasons why a line is not YAML.
fn hint_for_syntax(text: &str, line_number: usize) -> Option<&'static str> {
    // The scanner often notices only on the line after.
    let first = line_number.saturating_sub(2);
    for line in text.lines().skip(first).take(2) {
        let indent = &line[..line.len() - line.trim_start().len()];
        if indent.contains('\t') {
            return Some("indent with spaces: YAML does not allow tabs there");
        }
        let unquoted = |start: usize| !matches!(line[..start].chars().next_back(), Some('"' | '\''));
        if line.match_indices("${").any(|(start, _)| unquoted(start)) {
            return Some("put it in quotes, \"${VARIABLE}\": within { } a bare } ends the map");
        }
    }
    None
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn place_of(span: &Span) -> Place {
    let (start, end) = (span.start, span.end);
    let length = if start.line() == end.line() { end.index().saturating_sub(start.index()) } else { usize::MAX };
    Place { line: narrow(start.line()), column: narrow(start.col() + 1), length: narrow(length.max(1)) }
}

/// What a subtree counts towards the limits.
#[derive(Clone, Copy, Default)]
struct Cost {
    nodes: usize,
    text: usize,
    depth: usize,
}

/// A list or map whose end has not been seen.
struct Frame {
    kind: Kind,
    place: Place,
    is_flow: bool,
    anchor: usize,
    cost: Cost,
}

enum Kind {
    List(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    /// The keys of `entries`, from the moment that there are more than [`FEW_KEYS`].
    keys: HashSet<Arc<str>>,
    merged: Vec<Node>,
    key: Option<Key>,
}

/// Up to so many keys are compared one by one, which is faster than hashing them; almost no map has more.
const FEW_KEYS: usize = 16;

impl OpenMap {
    /// Adds an entry, unless its key is there already.
    fn add(&mut self, entry: Entry) -> bool {
        if self.entries.len() < FEW_KEYS {
            if self.entries.iter().any(|known| known.key == entry.key) {
                return false;
            }
        } else {
            if self.keys.is_empty() {
                self.keys.extend(self.entries.iter().map(|known| Arc::clone(&known.key)));
            }
            if !self.keys.insert(Arc::clone(&entry.key)) {
                return false;
            }
        }
        self.entries.push(entry);
        true
    }
}

struct Key {
    text: Arc<str>,
    place: Place,
    is_merge: bool,
}

struct Builder<'p> {
    problems: &'p mut Problems,
    open: Vec<Frame>,
    anchors: HashMap<usize, (Node, Cost)>,
    root: Option<Node>,
    total: Cost,
}

/// A finished node on its way to its parent.
struct Done {
    node: Node,
    cost: Cost,
    /// Whether it is an unquoted `<<`.
    is_merge_key: bool,
    /// The text as written, for a scalar: a key `1.0` is the text `1.0`, not the number.
    written: Option<Arc<str>>,
}

impl<'p> Builder<'p> {
    fn new(problems: &'p mut Problems) -> Self {
        Self { problems, open: Vec::new(), anchors: HashMap::new(), root: None, total: Cost::default() }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let place = place_of(&span);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(unreadable(place, "a second document in the file").with_hint("keep one document: remove the `---`"))
            }
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref(), place),
            Event::SequenceStart(anchor, tag) => {
                self.begin(Kind::List(Vec::new()), anchor, tag.as_deref(), "seq", &span, place)
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(Kind::Map(OpenMap::default()), anchor, tag.as_deref(), "map", &span, place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(&span),
            Event::Alias(id) => self.alias(id, place),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        place: Place,
    ) -> Result<(), Problem> {
        let value = match tag {
            None if style == ScalarStyle::Plain => resolve(text),
            None => Value::String(Arc::from(text)),
            Some(tag) => tagged(tag, text, place)?,
        };
        let is_merge_key = style == ScalarStyle::Plain && text == "<<";
        let cost = Cost { nodes: 1, text: text.len(), depth: 0 };
        let node = Node::new(value, place);
        self.count(cost, place)?;
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), cost));
        }
        let written = match &node.value {
            Value::String(text) => Some(Arc::clone(text)),
            _ => Some(Arc::from(text)),
        };
        self.finish(Done { node, cost, is_merge_key, written })
    }

    fn alias(&mut self, id: usize, place: Place) -> Result<(), Problem> {
        let Some((node, cost)) = self.anchors.get(&id).cloned() else {
            return Err(unreadable(place, "this alias stands inside of what it refers to"));
        };
        self.count(cost, place)?;
        let written = match &node.value {
            Value::String(text) => Some(Arc::clone(text)),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => Some(Arc::from(node.described())),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        };
        self.finish(Done { node, cost, is_merge_key: false, written })
    }

    fn begin(
        &mut self,
        kind: Kind,
        anchor: usize,
        tag: Option<&Tag>,
        expected: &str,
        span: &Span,
        place: Place,
    ) -> Result<(), Problem> {
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && tag.suffix == expected)
        {
            return Err(refused_tag(tag, place));
        }
        let cost = Cost { nodes: 1, text: 0, depth: 1 };
        self.count(cost, place)?;
        self.open.push(Frame { kind, place, is_flow: !span.is_empty(), anchor, cost });
        self.check_depth(0, place)
    }

    fn end(&mut self, span: &Span) -> Result<(), Problem> {
        let frame = self.open.pop().expect("the parser ends only what it has begun");
        let mut place = frame.place;
        if frame.is_flow {
            let on_one_line = span.end.line() == place.line as usize;
            let width = (span.end.col() + 1).saturating_sub(place.column as usize);
            place.length = if on_one_line { narrow(width.max(1)) } else { u32::MAX };
        }
        let value = match frame.kind {
            Kind::List(items) => Value::List(Arc::new(items)),
            Kind::Map(map) => {
                if let (Some(first), false) = (map.entries.first(), frame.is_flow) {
                    place = first.key_place;
                }
                Value::Map(Arc::new(Self::merge(map)?))
            }
        };
        let node = Node::new(value, place);
        if frame.anchor > 0 {
            self.anchors.insert(frame.anchor, (node.clone(), frame.cost));
        }
        self.finish(Done { node, cost: frame.cost, is_merge_key: false, written: None })
    }

    /// Puts the entries of `<<` behind the map's own, which win; of several merged maps the first wins.
    fn merge(mut map: OpenMap) -> Result<Vec<Entry>, Problem> {
        for source in std::mem::take(&mut map.merged) {
            let sources: &[Node] = match &source.value {
                Value::Map(_) => std::slice::from_ref(&source),
                Value::List(items) => items,
                _ => &[],
            };
            let all_maps = sources.iter().all(|source| matches!(source.value, Value::Map(_)));
            if sources.is_empty() || !all_maps {
                return Err(unreadable(source.place, format!("`<<` merges maps, found {}", source.described()))
                    .with_hint("write `<<: *anchor` or `<<: [*one, *other]`"));
            }
            for entry in sources.iter().flat_map(Node::entries) {
                map.add(entry.clone());
            }
        }
        Ok(map.entries)
    }

    /// Hands a finished node to the list or map that it stands in.
    fn finish(&mut self, done: Done) -> Result<(), Problem> {
        self.check_depth(done.cost.depth, done.node.place)?;
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(done.node);
            return Ok(());
        };
        parent.cost.nodes += done.cost.nodes;
        parent.cost.text += done.cost.text;
        parent.cost.depth = parent.cost.depth.max(done.cost.depth + 1);
        let map = match &mut parent.kind {
            Kind::List(items) => {
                items.push(done.node);
                return Ok(());
            }
            Kind::Map(map) => map,
        };
        let Some(key) = map.key.take() else {
            let Some(text) = done.written else {
                return Err(unreadable(
                    done.node.place,
                    format!("a key must be text, found {}", done.node.described()),
                ));
            };
            map.key = Some(Key { text, place: done.node.place, is_merge: done.is_merge_key });
            return Ok(());
        };
        if key.is_merge {
            map.merged.push(done.node);
            return Ok(());
        }
        let mut node = done.node;
        if node.is_null() {
            // Nothing after the colon: the scanner puts that on some later line.
            node.place = key.place;
        }
        if map.add(Entry { key: Arc::clone(&key.text), key_place: key.place, value: node }) {
            return Ok(());
        }
        let first = map.entries.iter().find(|entry| entry.key == key.text).map_or(0, |entry| entry.key_place.line);
        let message = format!("the key `{}` stands twice in this map", Shortened(&key.text));
        self.problems.push(unreadable(key.place, message).with_hint(format!("keep one; the first is on line {first}")));
        Ok(())
    }

    fn count(&mut self, cost: Cost, place: Place) -> Result<(), Problem> {
        self.total.nodes = self.total.nodes.saturating_add(cost.nodes);
        self.total.text = self.total.text.saturating_add(cost.text);
        if self.total.nodes > MOST_NODES {
            return Err(unreadable(place, format!("the document has more than {MOST_NODES} values, aliases included")));
        }
        if self.total.text > MOST_TEXT {
            let message = format!("the document has more than {MOST_TEXT} bytes of text, aliases included");
            return Err(unreadable(place, message));
        }
        Ok(())
    }

    fn check_depth(&self, below: usize, place: Place) -> Result<(), Problem> {
        if self.open.len() + below > MOST_DEPTH {
            return Err(unreadable(place, format!("lists and maps stand more than {MOST_DEPTH} deep in each other")));
        }
        Ok(())
    }
}

/// A scalar with one of YAML's own tags.
fn tagged(tag: &Tag, text: &str, place: Place) -> Result<Value, Problem> {
    if !tag.is_yaml_core_schema() {
        return Err(refused_tag(tag, place));
    }
    let value = match (tag.suffix.as_str(), resolve(text)) {
        ("str", _) => Value::String(Arc::from(text)),
        ("null", value @ Value::Null)
        | ("bool", value @ Value::Bool(_))
        | ("int", value @ Value::Int(_))
        | ("float", value @ Value::Float(_)) => value,
        ("float", Value::Int(number)) => Value::Float(number as f64),
        ("null" | "bool" | "int" | "float", _) => {
            return Err(unreadable(place, format!("`{}` is not what its tag !!{} says", Shortened(text), tag.suffix)));
        }
        _ => return Err(refused_tag(tag, place)),
    };
    Ok(value)
}

fn refused_tag(tag: &Tag, place: Place) -> Problem {
    unreadable(place, format!("the tag `{}` means nothing here", Shortened(&tag.to_string())))
        .with_hint("remove the tag; put text that looks like a number in quotes")
}
