//! Compressed bodies: right ones, and bombs.

use std::io::Write;

use flate2::{Compress, Compression, Crc, FlushCompress, Status, write::GzEncoder};

/// `body` in gzip.
pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("writing into memory does not fail");
    encoder.finish().expect("writing into memory does not fail")
}

/// How many line feeds one repeated block of a bomb stands for.
const BLOCK: usize = 1 << 20;

/// A gzip file that decodes to at least `size` line feeds and then `body`: line feeds are blank in JSON and in event
/// streams, so a reader without a limit would find a right answer behind them. Made in time that hardly depends on
/// `size`, as one deflate block is repeated.
pub(crate) fn bomb(size: u64, body: &[u8]) -> Vec<u8> {
    let blocks = size.div_ceil(BLOCK as u64);
    let blanks = vec![b'\n'; BLOCK];
    let block = deflate(&blanks, FlushCompress::Full);
    let tail = deflate(body, FlushCompress::Finish);
    // RFC 1952: magic, deflate, no flags, no time, no extra flags, unknown system.
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut crc = Crc::new();
    for _ in 0..blocks {
        file.extend_from_slice(&block);
        crc.update(&blanks);
    }
    file.extend_from_slice(&tail);
    crc.update(body);
    file.extend_from_slice(&crc.sum().to_le_bytes());
    file.extend_from_slice(&crc.amount().to_le_bytes());
    file
}

fn deflate(bytes: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut coder = Compress::new(Compression::fast(), false);
    let mut out = Vec::with_capacity(bytes.len() / 2 + 1024);
    loop {
        let done = usize::try_from(coder.total_in()).expect("an input in memory fits usize");
        let status = coder.compress_vec(&bytes[done..], &mut out, flush).expect("deflate takes any bytes");
        let all_in = coder.total_in() == bytes.len() as u64;
        if status == Status::StreamEnd || (flush != FlushCompress::Finish && all_in && out.len() < out.capacity()) {
            return out;
        }
        out.reserve(out.capacity().max(1024));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_bomb_is_small_and_decodes_to_what_it_says() {
        let file = bomb(5_000_000, b"{\"end\": true}");
        assert!(file.len() < 60_000, "{}", file.len());
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&file[..]).read_to_end(&mut plain).unwrap();
        assert_eq!(plain.len(), 5 * BLOCK + 13);
        assert!(plain.ends_with(b"\n{\"end\": true}"));
    }
}
