//! Who may call, what each caller may use, and how much of it: keys, allow-lists, rates and budgets.
//!
//! No clock and no files: the time is an argument ([`Moment`](tradewind_core::Moment) for rates,
//! [`UnixMillis`](tradewind_core::UnixMillis) for budgets), the text of the file of created keys comes in and goes out
//! of [`StoredKeys`]. The way of a call: [`Access::authenticate`] → [`Grant::allows`] → [`Grant::count_request`] →
//! [`Grant::reserve`] → [`Reservation::settle`].
//!
//! Secrets are kept as SHA-256 only. Counters belong to the name of a key, so that another secret, other limits or a
//! reload give nobody a second budget.

mod access;
mod account;
mod allow;
mod credential;
mod denied;
mod grant;
mod key;
mod limit;
mod period;
mod spending;
mod status;
mod stored;
mod window;

pub use access::{Access, CheckedKeys, Conflict, Reach};
pub use denied::Denied;
pub use grant::{Grant, Reservation};
pub use limit::OverLimit;
pub use status::{KeyStatus, Source};
pub use stored::{StoredKey, StoredKeys, StoredKeysError};
