//! Differences of two JSON documents as a JSON Patch.

use std::collections::{HashMap, HashSet};

use super::equal::{Numbers, equal};
use super::json::{Reader, read_string, trim, utf8};
use super::pointer::push;
use super::tree::{Budget, Halt};
use super::{ChangeError, MAX_DEPTH, MAX_OPERATIONS};

/// A patch may have so many bytes more than both documents together before the whole document is replaced instead.
const ROOM: usize = 1 << 20;

/// The JSON Patch that makes `to` out of `from`, as text: `add`, `remove` and `replace` alone. It goes into objects member by
/// member; of arrays it leaves a common beginning and end alone, and compares what is between place by place. Numbers are
/// different when they are written differently. Where it would have more than [`MAX_OPERATIONS`] operations, or be much
/// longer than the documents, it replaces the whole document.
///
/// # Errors
/// [`ChangeError::NotJson`] when one of them is not even text.
pub fn diff(from: &[u8], to: &[u8]) -> Result<String, ChangeError> {
    let (from, to) = (trim(utf8(from, "the content")?), trim(utf8(to, "the content")?));
    let limit = from.len().saturating_add(to.len()).saturating_add(ROOM);
    let mut writer = Writer { out: "[".to_owned(), operations: 0, limit, deep: 0, budget: Budget::new() };
    match writer.walk(from, to, &mut String::new()) {
        Ok(()) => Ok(writer.out + "]"),
        Err(_) => Ok(format!("[{{\"op\":\"replace\",\"path\":\"\",\"value\":{to}}}]")),
    }
}

struct Writer {
    out: String,
    operations: usize,
    limit: usize,
    deep: usize,
    budget: Budget,
}

impl Writer {
    fn operation(&mut self, op: &str, path: &str, value: Option<&str>) -> Result<(), Halt> {
        let too_much = Err(Halt::Error(ChangeError::TooMuchWork));
        self.operations += 1;
        let length = self.out.len() + path.len() + value.map_or(0, str::len);
        if self.operations > MAX_OPERATIONS || length > self.limit {
            return too_much;
        }
        if self.operations > 1 {
            self.out.push(',');
        }
        let path = super::json::write_string(path);
        self.out.extend(["{\"op\":\"", op, "\",\"path\":", &path]);
        if let Some(value) = value {
            self.out.extend([",\"value\":", value]);
        }
        self.out.push('}');
        Ok(())
    }

    /// Arrays and objects are gone into before they are compared: what is the same in them makes no operation.
    fn walk(&mut self, from: &str, to: &str, path: &mut String) -> Result<(), Halt> {
        if from == to {
            return Ok(());
        }
        if from.starts_with('[') && to.starts_with('[') && self.deep < MAX_DEPTH {
            let (from, to) = (elements(from, &mut self.budget)?, elements(to, &mut self.budget)?);
            return self.arrays(&from, &to, path);
        }
        if self.deep < MAX_DEPTH
            && let (Some(from), Some(to)) = (members(from, &mut self.budget)?, members(to, &mut self.budget)?)
        {
            return self.objects(&from, &to, path);
        }
        if equal(from, to, Numbers::AsWritten, &mut self.budget)? {
            return Ok(());
        }
        self.operation("replace", path, Some(to))
    }

    fn objects(&mut self, from: &[(String, &str)], to: &[(String, &str)], path: &mut String) -> Result<(), Halt> {
        let after: HashMap<&str, &str> = to.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let mut before = HashMap::with_capacity(from.len());
        for (name, value) in from {
            before.insert(name.as_str(), *value);
            if !after.contains_key(name.as_str()) {
                self.below(path, name, |this, path| this.operation("remove", path, None))?;
            }
        }
        for (name, value) in to {
            self.below(path, name, |this, path| match before.get(name.as_str()) {
                Some(old) => this.walk(old, value, path),
                None => this.operation("add", path, Some(value)),
            })?;
        }
        Ok(())
    }

    fn arrays(&mut self, from: &[&str], to: &[&str], path: &mut String) -> Result<(), Halt> {
        let mut same = |(left, right): (&&str, &&str)| equal(left, right, Numbers::AsWritten, &mut self.budget);
        let shorter = from.len().min(to.len());
        let mut first = 0;
        while first < shorter && same((&from[first], &to[first]))? {
            first += 1;
        }
        let mut last = 0;
        while last < shorter - first && same((&from[from.len() - 1 - last], &to[to.len() - 1 - last]))? {
            last += 1;
        }
        let (from, to) = (&from[first..from.len() - last], &to[first..to.len() - last]);
        for (place, (old, new)) in from.iter().zip(to).enumerate() {
            self.below(path, &(first + place).to_string(), |this, path| this.walk(old, new, path))?;
        }
        let both = from.len().min(to.len());
        for _ in both..from.len() {
            self.below(path, &(first + both).to_string(), |this, path| this.operation("remove", path, None))?;
        }
        for (place, value) in to.iter().enumerate().skip(both) {
            let value = Some(*value);
            self.below(path, &(first + place).to_string(), |this, path| this.operation("add", path, value))?;
        }
        Ok(())
    }

    fn below(
        &mut self,
        path: &mut String,
        token: &str,
        then: impl FnOnce(&mut Self, &mut String) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let length = path.len();
        push(path, token);
        self.deep += 1;
        let done = then(self, path);
        self.deep -= 1;
        path.truncate(length);
        done
    }
}

fn elements<'a>(text: &'a str, budget: &mut Budget) -> Result<Vec<&'a str>, Halt> {
    budget.work(text.len())?;
    let mut elements = Vec::new();
    let mut reader = Reader::new(text);
    while let Some(Ok(part)) = reader.as_mut().map(Reader::next) {
        budget.part()?;
        elements.push(part.value);
    }
    Ok(elements)
}

/// Names and values of an object, in the order of the text. `None` for everything else, and where a pointer cannot name each
/// member: two have one name, or a name is no text.
pub(super) fn members<'a>(text: &'a str, budget: &mut Budget) -> Result<Option<Vec<(String, &'a str)>>, Halt> {
    let Some(mut reader) = Reader::new(text).filter(|_| text.starts_with('{')) else { return Ok(None) };
    budget.work(text.len())?;
    let (mut members, mut names) = (Vec::new(), HashSet::new());
    while let Ok(part) = reader.next() {
        budget.part()?;
        let name = part.name.map(|(name, _)| read_string(name).into_owned());
        let Some(name) = name.and_then(|name| String::from_utf8(name).ok()) else { return Ok(None) };
        if !names.insert(name.clone()) {
            return Ok(None);
        }
        members.push((name, part.value));
    }
    Ok(Some(members))
}
