//! MaxMind's format: which country or autonomous system an address belongs to.
//!
//! <https://maxmind.github.io/MaxMind-DB/>, version 2: a tree of bits, and data that its leaves lead to. What is read of the
//! data is one path of keys. Refused: the crate `maxminddb`, which decodes into values of serde and brings crates for
//! networks and logs, where some hundred and fifty lines do.

use std::net::IpAddr;

use super::GeoError;

/// The bytes before the metadata; they are within the last 128 KiB of the file.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
const FURTHEST_MARKER: usize = 128 * 1024;
/// How many values one question may look at: records are small, and data that leads in circles ends here.
const MOST_VALUES: u32 = 2048;
/// How deep a value may lie in others.
const MOST_DEPTH: u32 = 16;

/// Whether the bytes are a file of this format.
pub(super) fn is_mmdb(bytes: &[u8]) -> bool {
    metadata(bytes).is_some()
}

fn metadata(bytes: &[u8]) -> Option<usize> {
    let from = bytes.len().saturating_sub(FURTHEST_MARKER);
    let place = bytes[from..].windows(MARKER.len()).rposition(|window| window == MARKER)?;
    Some(from + place + MARKER.len())
}

/// A file of this format.
#[derive(Debug)]
pub(crate) struct Mmdb {
    bytes: Vec<u8>,
    nodes: u32,
    /// The size of a record in bits: 24, 28 or 32. A node has two.
    record: usize,
    /// Where the data starts.
    data: usize,
    /// The node where addresses of the old kind start.
    four: u32,
    /// Whether it has addresses of the new kind.
    has_six: bool,
}

/// A value of the data, and where the next one starts.
enum Value<'a> {
    Text(&'a [u8]),
    Number(u64),
    /// The number of pairs.
    Map(usize),
    /// The number of items.
    Array(usize),
    Other,
}

impl Mmdb {
    pub(super) fn new(bytes: Vec<u8>, file: &'static str) -> Result<Self, GeoError> {
        let bad = |why| GeoError::BadFile { file, why };
        let start = metadata(&bytes).ok_or_else(|| bad("it is not in MaxMind's format, or cut off"))?;
        let number = |key: &str| {
            let mut reader = Reader::new(&bytes[start..]);
            match reader.at_key(0, key)? {
                (Value::Number(number), _) => Some(number),
                _ => None,
            }
        };
        let read = || Some((number("node_count")?, number("record_size")?, number("ip_version")?));
        let (nodes, record, version) = read().ok_or_else(|| bad("its metadata is broken"))?;
        let (Ok(nodes), Ok(record)) = (u32::try_from(nodes), usize::try_from(record)) else {
            return Err(bad("its metadata is broken"));
        };
        if !matches!(record, 24 | 28 | 32) || !matches!(version, 4 | 6) {
            return Err(bad("it is of a version that is not known"));
        }
        let tree = (nodes as usize).checked_mul(record / 4).filter(|tree| tree + 16 <= start);
        let data = tree.ok_or_else(|| bad("it is cut off"))? + 16;
        let mut file = Self { bytes, nodes, record, data, four: 0, has_six: version == 6 };
        if file.has_six {
            // Addresses of the old kind are those of the new kind with 96 bits of zero before.
            for _ in 0..96 {
                if file.four < nodes {
                    file.four = file.child(file.four, false);
                }
            }
        }
        Ok(file)
    }

    /// Whether the address is in a country, in lower case.
    pub(super) fn is_in_country(&self, address: IpAddr, country: &str) -> bool {
        let is_it = |text: &[u8]| text.eq_ignore_ascii_case(country.as_bytes());
        let Some((mut reader, place)) = self.record_of(address) else { return false };
        match reader.value(place) {
            // `sing-geoip` and mihomo's own files have the code alone, or several.
            Some((Value::Text(text), _)) => is_it(text),
            Some((Value::Array(count), mut next)) => (0..count).any(|_| match reader.value(next) {
                Some((Value::Text(text), after)) => {
                    next = after;
                    is_it(text)
                }
                _ => false,
            }),
            Some((Value::Map(_), _)) => {
                let Some(inner) = reader.place_of(place, "country") else { return false };
                matches!(reader.at_key(inner, "iso_code"), Some((Value::Text(text), _)) if is_it(text))
            }
            _ => false,
        }
    }

    /// The autonomous system of the address.
    pub(super) fn asn(&self, address: IpAddr) -> Option<u32> {
        let (mut reader, place) = self.record_of(address)?;
        match reader.at_key(place, "autonomous_system_number")? {
            (Value::Number(number), _) => u32::try_from(number).ok(),
            _ => None,
        }
    }

    /// Where in the data the record of an address is.
    fn record_of(&self, address: IpAddr) -> Option<(Reader<'_>, usize)> {
        let (bits, count, mut node) = match address.to_canonical() {
            IpAddr::V4(four) => (u128::from(four.to_bits()) << 96, 32, self.four),
            IpAddr::V6(_) if !self.has_six => return None,
            IpAddr::V6(six) => (six.to_bits(), 128, 0),
        };
        for bit in 0..count {
            if node >= self.nodes {
                break;
            }
            node = self.child(node, bits >> (127 - bit) & 1 == 1);
        }
        let place = node.checked_sub(self.nodes)?.checked_sub(16)?;
        Some((Reader::new(&self.bytes[self.data..]), place as usize))
    }

    /// The left or right record of a node, which is less than `nodes`: `new` has seen that the tree is all there.
    fn child(&self, node: u32, right: bool) -> u32 {
        let size = self.record / 4;
        let node = &self.bytes[node as usize * size..(node as usize + 1) * size];
        let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        match (self.record, right) {
            // The middle byte has the upper four bits of both.
            (28, false) => number(&node[..3]) | u32::from(node[3] >> 4) << 24,
            (28, true) => number(&node[4..]) | u32::from(node[3] & 0x0f) << 24,
            (_, false) => number(&node[..size / 2]),
            (_, true) => number(&node[size / 2..]),
        }
    }
}

/// Reads values of a data section.
struct Reader<'a> {
    data: &'a [u8],
    fuel: u32,
}

impl<'a> Reader<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self { data, fuel: MOST_VALUES }
    }

    /// The value of a key of the map at `place`.
    fn at_key(&mut self, place: usize, key: &str) -> Option<(Value<'a>, usize)> {
        let place = self.place_of(place, key)?;
        self.value(place)
    }

    /// Where the value of a key of the map at `place` is.
    fn place_of(&mut self, place: usize, key: &str) -> Option<usize> {
        let (Value::Map(pairs), mut place) = self.value(place)? else { return None };
        for _ in 0..pairs {
            let (own, value) = self.value(place)?;
            if matches!(own, Value::Text(own) if own == key.as_bytes()) {
                return Some(value);
            }
            place = self.after(value, 0)?;
        }
        None
    }

    /// Where the value at `place` ends.
    fn after(&mut self, place: usize, depth: u32) -> Option<usize> {
        if depth == MOST_DEPTH {
            return None;
        }
        // What a pointer leads to is elsewhere: the next value stands after the pointer itself.
        let control = *self.data.get(place)?;
        if control >> 5 == 1 {
            return Some(place + 2 + usize::from(control >> 3 & 3));
        }
        let (value, mut next) = self.value(place)?;
        let inner = match value {
            Value::Map(pairs) => pairs.checked_mul(2)?,
            Value::Array(items) => items,
            _ => 0,
        };
        for _ in 0..inner {
            next = self.after(next, depth + 1)?;
        }
        Some(next)
    }

    /// The value at `place`, and the place after it; of maps and arrays, the place of what is in them; of a pointer, what
    /// it points to, and the place after the pointer where that has nothing in it.
    fn value(&mut self, place: usize) -> Option<(Value<'a>, usize)> {
        self.fuel = self.fuel.checked_sub(1)?;
        let control = *self.data.get(place)?;
        let mut next = place + 1;
        if control >> 5 == 1 {
            let size = usize::from(control >> 3 & 3) + 1;
            let bytes = self.data.get(next..next + size)?;
            let number = bytes.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
            let upper = usize::from(control & 7);
            let target = match size {
                1 => (upper << 8) + number,
                2 => (upper << 16) + number + 2048,
                3 => (upper << 24) + number + 526_336,
                _ => number,
            };
            // A pointer never leads to a pointer.
            if self.data.get(target)? >> 5 == 1 {
                return None;
            }
            let (value, inner) = self.value(target)?;
            let after = if matches!(value, Value::Map(_) | Value::Array(_)) { inner } else { next + size };
            return Some((value, after));
        }
        let mut kind = control >> 5;
        if kind == 0 {
            kind = self.data.get(next)?.checked_add(7)?;
            next += 1;
        }
        let mut size = usize::from(control & 31);
        if size >= 29 {
            let more = size - 28;
            let bytes = self.data.get(next..next + more)?;
            let number = bytes.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
            size = number + [29, 285, 65_821][more - 1];
            next += more;
        }
        let value = match kind {
            7 => return Some((Value::Map(size), next)),
            11 => return Some((Value::Array(size), next)),
            // The size of a boolean is its value.
            14 => return Some((Value::Other, next)),
            _ => self.data.get(next..next.checked_add(size)?)?,
        };
        let number = || value.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let read = match kind {
            2 => Value::Text(value),
            5 | 6 | 9 if size <= 8 => Value::Number(number()),
            _ => Value::Other,
        };
        Some((read, next + size))
    }
}
