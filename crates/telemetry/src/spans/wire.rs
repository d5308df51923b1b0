//! Writing of protobuf (<https://protobuf.dev/programming-guides/encoding/>): as much of it as spans need.

/// A message under construction. Fields that have their default value are left out, as proto3 does.
#[derive(Debug, Default)]
pub(super) struct Message(pub(super) Vec<u8>);

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn tag(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    /// An integer, enumeration or truth value.
    pub(super) fn integer(&mut self, field: u64, number: u64) {
        if number != 0 {
            self.tag(field, VARINT);
            self.varint(number);
        }
    }

    pub(super) fn fixed64(&mut self, field: u64, number: u64) {
        if number != 0 {
            self.tag(field, FIXED64);
            self.0.extend_from_slice(&number.to_le_bytes());
        }
    }

    pub(super) fn fixed32(&mut self, field: u64, number: u32) {
        if number != 0 {
            self.tag(field, FIXED32);
            self.0.extend_from_slice(&number.to_le_bytes());
        }
    }

    pub(super) fn bytes(&mut self, field: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.present(field, bytes);
        }
    }

    /// A field of a `oneof`: it is written even when it is empty.
    fn present(&mut self, field: u64, bytes: &[u8]) {
        self.tag(field, BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A message inside this one. Its length stands before it and is known after it.
    pub(super) fn message(&mut self, field: u64, fill: impl FnOnce(&mut Self)) {
        self.tag(field, BYTES);
        let start = self.0.len();
        fill(self);
        let mut length = Self::default();
        length.varint((self.0.len() - start) as u64);
        self.0.splice(start..start, length.0);
    }

    /// An attribute: `opentelemetry.proto.common.v1.KeyValue`.
    pub(super) fn attribute(&mut self, field: u64, key: &str, value: &Value<'_>) {
        self.message(field, |attribute| {
            attribute.bytes(1, key.as_bytes());
            attribute.message(2, |any| any.value(value));
        });
    }

    fn double(&mut self, number: f64) {
        self.tag(4, FIXED64);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// `opentelemetry.proto.common.v1.AnyValue`.
    fn value(&mut self, value: &Value<'_>) {
        match value {
            Value::Text(text) => self.present(1, text.as_bytes()),
            Value::Bool(truth) => {
                self.tag(2, VARINT);
                self.varint(u64::from(*truth));
            }
            Value::Integer(number) => {
                self.tag(3, VARINT);
                self.varint(*number);
            }
            Value::Double(number) => self.double(*number),
            Value::Doubles(numbers) => self.message(5, |array| {
                for number in numbers {
                    array.message(1, |any| any.double(*number));
                }
            }),
            Value::Texts(texts) => self.message(5, |array| {
                for text in texts {
                    array.message(1, |any| any.present(1, text.as_bytes()));
                }
            }),
        }
    }
}

/// The value of an attribute.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Bool(bool),
    Integer(u64),
    Double(f64),
    Texts(Vec<&'a str>),
    Doubles(Vec<f64>),
}
