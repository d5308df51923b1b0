//! What a caller reads when it is not served.

use tradewind_core::FaultKind;

use crate::relay::Refused;

/// What browsers show beside the question for a password.
pub(crate) const REALM: &str = "tradewind";

/// The status of a refusal: what stands between the caller and its destination failed, whatever the reason, unless it was
/// refused on purpose or nothing came in time.
pub(crate) const fn status_of(refused: &Refused) -> u16 {
    match refused.fault.kind {
        FaultKind::WayRejected | FaultKind::Rejected => 403,
        FaultKind::ConnectTimeout | FaultKind::TlsTimeout | FaultKind::HeadersTimeout => 504,
        _ => 502,
    }
}

/// The words of a refusal.
pub(crate) fn body(refused: &Refused) -> String {
    let code = refused.code();
    format!("{code}: {}\n{}; see `tradewind explain {}`", code.title(), refused.fault, refused.id)
}
