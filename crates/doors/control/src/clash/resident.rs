//! How much memory the process holds.

use std::path::Path;

use tradewind_runtime::files;

/// Bytes of memory that the process holds now; 0 where the system does not tell (it is asked on Linux only).
pub(crate) fn resident_bytes() -> u64 {
    files::read_text(Path::new("/proc/self/status"), 64 * 1024).ok().and_then(|status| parse(&status)).unwrap_or(0)
}

fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found() {
        assert_eq!(parse("Name:\tx\nVmRSS:\t    12 kB\nThreads:\t1\n"), Some(12 * 1024));
        for wrong in ["", "VmRSS:", "VmRSS: x kB", "VmRSS: 1", "VmRSS: 99999999999999999999 kB"] {
            assert_eq!(parse(wrong), None);
        }
        assert_eq!(resident_bytes() > 0, cfg!(target_os = "linux"));
    }
}
