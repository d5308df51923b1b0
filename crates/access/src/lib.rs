//! Who may call, what each caller may use, and how much of it: keys, allow-lists, rates and budgets; and who a call comes
//! from, as far as that is proven.
//!
//! No clock and no files: the time is an argument ([`Moment`](tradewind_core::Moment) for rates,
//! [`UnixMillis`](tradewind_core::UnixMillis) for budgets), the text of the file of created keys comes in and goes out
//! of [`StoredKeys`]. The way of a call: [`Access::authenticate`] → [`Access::context`] → [`Grant::allows`] →
//! [`Grant::count_request`] → [`Grant::reserve_at`] → [`Reservation::settle`].
//!
//! Secrets are kept as SHA-256 only. Counters belong to the name of a key, so that another secret, other limits or a
//! reload give nobody a second budget.

mod access;
mod account;
mod allow;
mod context;
mod credential;
mod denied;
mod grant;
mod key;
mod limit;
mod model;
mod period;
mod spending;
mod status;
mod stored;
mod window;

pub use access::{Access, CheckedKeys, Conflict, Reach};
pub use context::BadContext;
pub use denied::Denied;
pub use grant::{Grant, Reservation};
pub use limit::OverLimit;
pub use model::{ModelBudget, ModelBudgetStatus, ModelBudgets};
pub use status::{KeyStatus, Source};
pub use stored::{StoredKey, StoredKeys, StoredKeysError};
