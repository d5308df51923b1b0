//! What has to hold for any bytes at all that a proxy challenges with, and any text that a proxy script answers. A broken rule
//! is a panic.

use tradewind_egress::{PacStep, outline_challenge, parse_answer};

/// The header of NTLM's last message.
const HEADER: usize = 88;

/// A challenge of NTLM: what is answered is a message whose parts lie behind its header and inside of it.
pub(crate) fn ntlm_challenge(bytes: &[u8]) {
    let Some(answer) = outline_challenge(bytes) else { return };
    assert!(answer.starts_with(b"NTLMSSP\0\x03\0\0\0") && answer.len() >= HEADER);
    for at in [12, 20, 28, 36, 44, 52] {
        let length = usize::from(u16::from_le_bytes([answer[at], answer[at + 1]]));
        let start = u32::from_le_bytes([answer[at + 4], answer[at + 5], answer[at + 6], answer[at + 7]]) as usize;
        assert!(start >= HEADER && start + length <= answer.len());
    }
    // The same is answered to the same, apart from what has to be new each time.
    assert_eq!(outline_challenge(bytes), Some(answer));
}

/// An answer of a script: few steps, each once, each of which reads back as itself.
pub(crate) fn pac_answer(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let steps = parse_answer(text);
    assert!(steps.len() <= 16);
    for (index, step) in steps.iter().enumerate() {
        assert!(!steps[..index].contains(step));
        assert_eq!(parse_answer(&step.to_string()), std::slice::from_ref(step));
        assert_eq!(*step == PacStep::Direct, step.server().is_none());
    }
}
