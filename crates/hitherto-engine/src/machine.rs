//! What there is for this process: memory, the machine's or what the container is limited
//! to, and files.

use std::fs;

/// What is assumed where the system does not say.
const MEMORY_BYTES_UNKNOWN: u64 = 4 << 30;
const FILES_MAX_UNKNOWN: usize = 1_024;

/// The least of the machine's memory and the limits of the control groups that
/// this process is in, in bytes.
pub fn read_memory_bytes() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_bytes(&text));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limit_files(&groups).into_iter().filter_map(|file| {
        // `max` is no limit, and no number.
        fs::read_to_string(file).ok()?.trim().parse::<u64>().ok()
    });
    limits.chain(machine).min().unwrap_or(MEMORY_BYTES_UNKNOWN)
}

/// Files that the process may have open.
pub fn read_files_max() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    files_max(&limits).unwrap_or(FILES_MAX_UNKNOWN)
}

/// The limit that holds in `/proc/self/limits`, of two.
fn files_max(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(usize::MAX),
        files => files.parse().ok(),
    }
}

/// The total in `/proc/meminfo`.
fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1 << 10)
}

/// The files that hold a limit: of the process's own groups and of all above.
fn limit_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        let mut path = path.trim_end_matches('/');
        loop {
            files.push(format!("{root}{path}/{name}"));
            match path.rfind('/') {
                Some(end) => path = &path[..end],
                None => break,
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_limited_by_every_group_above_it() {
        assert_eq!(
            limit_files("0::/kubepods/pod7/c1\n"),
            [
                "/sys/fs/cgroup/kubepods/pod7/c1/memory.max",
                "/sys/fs/cgroup/kubepods/pod7/memory.max",
                "/sys/fs/cgroup/kubepods/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
        assert_eq!(
            limit_files("5:memory:/a\n4:cpu:/b\n"),
            [
                "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            ]
        );
    }

    #[test]
    fn a_process_says_how_many_files_it_may_open() {
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files   400   1048576   files\n";
        assert_eq!(files_max(limits), Some(400));
        assert_eq!(files_max("Max open files unlimited unlimited files"), Some(usize::MAX));
        assert_eq!(files_max(""), None);
        assert!(read_files_max() > 0);
    }

    #[test]
    fn a_machine_says_its_total() {
        assert_eq!(total_bytes("MemTotal:       24576 kB\nMemFree: 1 kB\n"), Some(24_576 << 10));
        assert_eq!(total_bytes("nothing"), None);
        assert!(read_memory_bytes() > 0);
    }
}
