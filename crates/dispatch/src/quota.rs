//! Tells a target what its provider says about its limits, whatever the answer is otherwise.

use http::HeaderMap;
use tradewind_decide::Quota;

use crate::{Lane, Services};

/// Takes note of the limits in `headers`. Of an answer that says nothing only the names of its headers are looked at.
pub(crate) fn note_quota(headers: &HeaderMap, lane: &Lane, services: &Services) {
    if !headers.keys().any(|name| Quota::is_read_from(name.as_str())) {
        return;
    }
    let texts = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    if let Some(quota) = Quota::read(texts, services.clock.now(), services.clock.wall()) {
        lane.target.note_quota(quota);
    }
}
