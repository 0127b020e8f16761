//! The most memory that this process ever held.

use std::fs;

use crate::Result;

/// Peak resident set of this process in bytes, as the kernel counted it. Unlike
/// `getrusage`, this count begins with the program and not with the process
/// that started it.
///
/// # Errors
/// Where there is no `/proc`: the peak is measured on Linux only.
pub fn read_peak_rss_bytes() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")
        .map_err(|cause| format!("peak memory is read from /proc/self/status: {cause}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kibibytes: u64 = kibibytes.ok_or("/proc/self/status has no VmHWM in kB")?.trim().parse()?;
    Ok(kibibytes << 10)
}
