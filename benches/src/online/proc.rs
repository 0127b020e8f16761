//! What the system says about a process.

use std::fs;

use crate::Result;

/// Ticks of a second in `/proc`: 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// Seconds on a core, its own and the kernel's for it.
    pub cpu_seconds: f64,
    /// Calls that read files. Sockets are read by other calls.
    pub reads: u64,
}

impl Used {
    /// Reads what `pid` has used until now.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn read(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let io = fs::read_to_string(format!("/proc/{pid}/io"))?;
        Ok(Self {
            cpu_seconds: cpu_ticks(&stat).ok_or("/proc/PID/stat is not as expected")?
                / TICKS_PER_SECOND,
            reads: reads(&io).ok_or("/proc/PID/io has no syscr")?,
        })
    }

    /// What was used since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            reads: self.reads - before.reads,
        }
    }
}

/// Fields 14 and 15. The second field is a name in parentheses that may hold
/// anything, so counting begins after the last of them.
pub fn cpu_ticks(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn reads(io: &str) -> Option<u64> {
    io.lines().find_map(|line| line.strip_prefix("syscr:"))?.trim().parse().ok()
}
