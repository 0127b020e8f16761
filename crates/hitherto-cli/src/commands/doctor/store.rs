//! The store: its folder, its format, who holds it, and what was left behind.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hitherto_core::time::format_timestamp;
use hitherto_engine::{Access, Config, Engine, lock_of, owner_of};
use rustix::fs::{Access as Permission, access};

use super::Examined;
use super::finding::Finding;

/// Reads and judges.
pub async fn look(examined: &Examined<'_>) -> Vec<Finding> {
    let session = examined.session;
    let (None, Ok(config)) = (examined.server, session.config()) else { return Vec::new() };
    let store = session.root().join(&config.store);
    let mut findings = vec![permissions(&store, session.root())];
    match session.open(Access::ReadOnly) {
        Ok(engine) => {
            let catalog = engine.catalog();
            findings.push(Finding::fine("format", "one that this release reads and writes"));
            let built = catalog.built().map(|published| published.generation.materialized_at);
            findings.extend(times(built.max(), session.now()));
            findings.push(match is_held(session.root(), &config) {
                Some(false) => Finding::fine("held by", "nobody"),
                Some(true) => Finding::fine("held by", owner_of(session.root(), &config)),
                None => Finding::fine(
                    "held by",
                    format!(
                        "nobody can say: this system has no table of locks; last by {}",
                        owner_of(session.root(), &config)
                    ),
                ),
            });
        }
        Err(_) if !Engine::has_store(session.root(), &config) => findings.push(Finding::odd(
            "store",
            format!("there is none at {}: nothing was applied yet", store.display()),
            "hitherto apply",
        )),
        Err(error) => findings.push(Finding::error("store", &error)),
    }
    findings.extend(leftovers(&store));
    findings
}

/// Whether this user may write, and whether everybody may.
fn permissions(store: &Path, root: &Path) -> Finding {
    let check = "folder";
    let folder = if store.is_dir() { store } else { root };
    if access(folder, Permission::WRITE_OK | Permission::EXEC_OK).is_err() {
        return Finding::odd(
            check,
            format!(
                "{} cannot be written by this user: nothing but reading works",
                folder.display()
            ),
            format!("sudo chown -R $USER {}", folder.display()),
        );
    }
    match fs::metadata(folder) {
        Ok(metadata) if metadata.mode() & 0o002 != 0 && metadata.mode() & 0o1000 == 0 => {
            Finding::odd(
                check,
                format!("{} can be written by everybody", folder.display()),
                format!("chmod -R o-w {}", folder.display()),
            )
        }
        _ => Finding::fine(check, format!("{} can be written", folder.display())),
    }
}

/// What was built after now: the clock, or another machine's, is wrong.
fn times(built: Option<i64>, now: i64) -> Option<Finding> {
    let built = built.filter(|built| *built > now)?;
    Some(Finding::odd(
        "times",
        format!(
            "the store was built at {}, which is later than now, {}",
            format_timestamp(built),
            format_timestamp(now)
        ),
        "timedatectl set-ntp true (or --now, if the store was built with it)",
    ))
}

/// Whether a process of this machine has the store open for writing, by the system's table
/// of locks; `None` where it has none.
pub(super) fn is_held(root: &Path, config: &Config) -> Option<bool> {
    let locks = fs::read_to_string("/proc/locks").ok()?;
    Some(fs::metadata(lock_of(root, config)).is_ok_and(|lock| is_locked(lock.ino(), &locks)))
}

/// Whether a line of `/proc/locks` is about this inode: `... 4711 fe:00:131 0 EOF`.
fn is_locked(inode: u64, locks: &str) -> bool {
    let of_line = |line: &str| -> Option<u64> {
        let file = line.split_whitespace().find(|word| word.matches(':').count() == 2)?;
        file.rsplit_once(':')?.1.parse().ok()
    };
    locks.lines().any(|line| of_line(line) == Some(inode))
}

/// What a process left behind that was killed.
fn leftovers(store: &Path) -> Option<Finding> {
    let restoring = store.join("restoring");
    restoring.exists().then(|| {
        Finding::odd(
            "left behind",
            format!("{}, by a restore that runs or was killed", restoring.display()),
            format!("rm -r {}, if none runs", restoring.display()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Verdict;
    use crate::scratch::Scratch;

    #[test]
    fn what_everybody_can_write_is_odd() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = Scratch::create("doctor-folder").unwrap();
        let judge = |mode| {
            fs::set_permissions(scratch.path(), fs::Permissions::from_mode(mode)).unwrap();
            permissions(scratch.path(), scratch.path()).verdict
        };
        assert_eq!([0o777, 0o755].map(judge), [Verdict::Odd, Verdict::Fine]);
        assert_eq!(
            permissions(Path::new("/no/store"), Path::new("/no/root")).verdict,
            Verdict::Odd
        );
    }

    #[test]
    fn a_store_of_tomorrow_is_odd() {
        assert_eq!(times(Some(11), 10).map(|finding| finding.verdict), Some(Verdict::Odd));
        assert_eq!([Some(10), None].map(|built| times(built, 10)), [None, None]);
    }

    #[test]
    fn a_lock_is_found_in_the_table_of_locks() {
        let locks = "1: POSIX  ADVISORY  WRITE 4711 fe:00:131 0 EOF\n";
        assert_eq!([131, 13, 0].map(|inode| is_locked(inode, locks)), [true, false, false]);
        assert!(!is_locked(131, ""));
    }

    #[test]
    fn a_store_is_held_while_it_is_open_for_writing() {
        let scratch = Scratch::create("doctor-lock").unwrap();
        let held = || is_held(scratch.path(), &Config::default()).unwrap_or_default();
        assert!(!held(), "there is none");
        let open = || Engine::open(scratch.path(), &Config::default(), Access::ReadWrite);
        let engine = open().unwrap();
        // Where the system has no table nobody can say.
        assert_eq!(held(), Path::new("/proc/locks").exists());
        drop(engine);
        assert!(!held());
    }

    #[test]
    fn what_a_killed_restore_left_is_odd() {
        let scratch = Scratch::create("doctor-restore").unwrap();
        assert_eq!(leftovers(scratch.path()), None);
        fs::create_dir(scratch.path().join("restoring")).unwrap();
        assert_eq!(leftovers(scratch.path()).map(|finding| finding.verdict), Some(Verdict::Odd));
    }
}
