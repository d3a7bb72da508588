//! Memory of this process, as the kernel counts it.

/// Resident bytes; `None` where `/proc` does not say.
pub fn resident_bytes() -> Option<u64> {
    resident(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_line_is_understood() {
        assert_eq!(
            resident("Name:\tx\nVmRSS:\t   55000 kB\nThreads:\t3\n"),
            Some(56_320_000)
        );
        assert_eq!(resident("Name:\tx\n"), None);
    }
}
