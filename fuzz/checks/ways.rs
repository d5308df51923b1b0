//! What has to hold for any bytes at all that a proxy answers. A broken rule is a panic.

use tradewind_egress::{outline_connect, outline_socks, outline_stream};

/// The answer to a CONNECT. The first byte says how the rest is cut into pieces.
pub(crate) fn connect_answer(bytes: &[u8]) {
    let [cut, answer @ ..] = bytes else { return };
    let whole = outline_connect(&[answer]);
    assert!(whole.said.len() < 400 && whole.said.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
    assert!(answer.ends_with(&whole.rest), "the tunnel's bytes are those that came last");
    let pieces: Vec<&[u8]> = answer.chunks(usize::from(*cut).max(1)).collect();
    let single: Vec<&[u8]> = answer.chunks(1).collect();
    for cut in [pieces, single] {
        assert_eq!(outline_connect(&cut), whole, "how bytes are cut must be invisible");
    }
}

/// A SOCKS5 proxy's side of a handshake.
pub(crate) fn socks_reply(bytes: &[u8]) {
    let whole = outline_socks(bytes);
    assert!(whole.used <= bytes.len(), "no more is taken than came");
    assert!(whole.bound.is_none() || (whole.code.is_none() && !whole.refused), "an answer is one thing");
    // More bytes behind the handshake change nothing about it.
    if whole.bound.is_some() || whole.code.is_some() || whole.refused {
        assert_eq!(outline_socks(&[bytes, b"tunnel"].concat()), whole);
    }
}

/// The answer of a Shadowsocks server: nobody without the key says anything.
pub(crate) fn shadowsocks_stream(bytes: &[u8]) {
    let [cut, answer @ ..] = bytes else { return };
    let pieces: Vec<&[u8]> = answer.chunks(usize::from(*cut).max(1)).collect();
    for (cipher, password) in [("aes-128-gcm", "x"), ("2022-blake3-aes-128-gcm", "AAECAwQFBgcICQoLDA0ODw==")] {
        let whole = outline_stream(cipher, password, &[answer]);
        assert_eq!(outline_stream(cipher, password, &pieces), whole, "how bytes are cut must be invisible");
    }
}
