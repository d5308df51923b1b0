//! What has to hold for any bytes at all that a provider sends as its response. A broken rule is a panic.

use tradewind_egress::outline_response;

/// A response. The first byte says how the rest is cut into pieces.
pub(crate) fn response(bytes: &[u8]) {
    let [cut, response @ ..] = bytes else { return };
    let whole = outline_response(&[response]);
    assert!(whole.body.len() + whole.rest <= response.len(), "nothing is made up");
    let pieces: Vec<&[u8]> = response.chunks(usize::from(*cut).max(1)).collect();
    let single: Vec<&[u8]> = response.chunks(1).collect();
    for cut in [pieces, single] {
        let read = outline_response(&cut);
        // A refusal may come before or after a part of the body has been read; what was read is a beginning of the same.
        assert_eq!((read.status, read.refused, read.ended), (whole.status, whole.refused, whole.ended));
        if !whole.refused {
            assert_eq!((read.body, read.rest), (whole.body.clone(), whole.rest), "how bytes are cut must be invisible");
        }
    }
}
