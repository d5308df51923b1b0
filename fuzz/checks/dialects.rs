//! What has to hold for any bytes at all when requests are put into another wire format.
//!
//! Plain functions, so that libFuzzer (`fuzz_targets`) and the ordinary tests of `crates/dialects` call the same. A broken
//! rule is a panic.

use serde_json::value::RawValue;
use tradewind_dialects::{Obstacle, RequestOptions, Wire, translate_request};

/// Stands for the text of a prompt: no message of the gateway may repeat it, since messages are recorded.
const PRIVATE: &str = "\u{1f510}";

const PAIRS: [(Wire, Wire); 4] = [
    (Wire::Chat, Wire::Messages),
    (Wire::Messages, Wire::Chat),
    (Wire::Responses, Wire::Chat),
    (Wire::Responses, Wire::Messages),
];

/// A request. The first byte chooses the formats, and whether hints count.
pub(crate) fn request(bytes: &[u8]) {
    let [choice, body @ ..] = bytes else { return };
    let (from, to) = PAIRS[usize::from(choice % 4)];
    let strict = choice & 4 != 0;
    let options = RequestOptions { strict, ..RequestOptions::default() };
    let translated = match translate_request(from, to, body, &options) {
        Ok(translated) => translated,
        Err(obstacle) => return check_obstacle(&obstacle),
    };
    assert!(serde_json::from_slice::<&RawValue>(&translated.body).is_ok(), "what comes out is JSON");
    let model = &translated.body[translated.model_at.clone()];
    assert!(body.windows(model.len()).any(|window| window == model), "the model is the caller's");
    assert!(model.starts_with(b"\"") && model.ends_with(b"\"") && model.len() > 2);
    assert!(translated.dropped.len() <= if strict { 0 } else { 32 });
    assert!(translated.dropped.iter().all(|path| !path.contains(PRIVATE)));
    let again = translate_request(from, to, body, &options).expect("it could be translated before");
    assert_eq!(again.body, translated.body, "the same request comes to the same");
    // What was written is a request, too: the way back may be barred, and nothing is wrong with it.
    let back = if to == Wire::Chat { Wire::Messages } else { Wire::Chat };
    if let Err(obstacle) = translate_request(to, back, &translated.body, &RequestOptions::default()) {
        assert!(!obstacle.invalid, "{obstacle:?} in {}", String::from_utf8_lossy(&translated.body));
    }
}

fn check_obstacle(obstacle: &Obstacle) {
    assert!(!obstacle.why.contains(PRIVATE) && !obstacle.why.is_empty(), "{obstacle:?}");
    assert!(obstacle.field.is_ascii() && obstacle.field.len() < 1000, "{obstacle:?}");
}
