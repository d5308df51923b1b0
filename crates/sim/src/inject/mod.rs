//! Turns well-formed answers into faulty ones: `content` edits JSON and events, `refusal` replaces the answer by an
//! error, `framing` edits the reply around it. Knows nothing of sockets.

pub(crate) mod content;
pub(crate) mod framing;
pub(crate) mod gzip;
pub(crate) mod refusal;
