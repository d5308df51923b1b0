//! What has to hold for every text that is taken for a record of the store. See `fuzz_targets/state_record.rs`.

use bytes::Bytes;
use tradewind_store::Record;

/// There is one way to write a record, and its beginning alone says what the whole says.
pub(crate) fn record(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok(record) = Record::decode(&bytes) else { return };
    assert_eq!(record.encode(), bytes);
    assert_eq!(Record::decode_meta(&bytes), Ok(record.meta));
}
