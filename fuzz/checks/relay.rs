//! What has to hold for any bytes at all that a caller says to a port of the relay. A broken rule is a panic.

use tradewind_door_relay::outline_greeting;

/// A greeting. The first byte says how the rest is cut into pieces, and whether a password is needed.
pub(crate) fn greeting(bytes: &[u8]) {
    let [cut, said @ ..] = bytes else { return };
    let with_password = cut & 1 == 1;
    let whole = outline_greeting(&[said], with_password);
    assert!(whole.used <= said.len(), "no more is taken than came");
    assert!(whole.asked.is_none() || !whole.refused, "it is one thing");
    assert!(whole.told.len() <= 64, "answers are short");
    for pieces in [said.chunks(usize::from(cut >> 1).max(1)).collect::<Vec<_>>(), said.chunks(1).collect()] {
        assert_eq!(outline_greeting(&pieces, with_password), whole, "how bytes are cut must be invisible");
    }
    let Some(asked) = &whole.asked else { return };
    if asked == "a request" {
        return;
    }
    let longer = outline_greeting(&[said, b"tunnel"], with_password);
    assert_eq!((longer.asked.as_ref(), longer.used), (Some(asked), whole.used), "what follows is the tunnel's");
    if with_password && asked.starts_with("socks") {
        assert!(asked.ends_with("Some(\"ann\")"), "nobody comes in without the password: {asked}");
    }
}
