//! A small disk of its own: a file system that a test fills up.
//!
//! It is mounted in a namespace that nobody else sees, where the test runs again in a process
//! of its own. Who is not root gets one of users, too, where that is allowed; it is not in a
//! chroot. Otherwise a `/dev/shm` that is small is taken, as containers have it. Without any
//! of them the test says that it did not run: root has one everywhere, and so has CI.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Tells the process in a namespace where its disk is.
const SETTING: &str = "HITHERTO_SMALL_DISK";
/// Its size.
const MEGABYTES: u64 = 200;
/// What is small enough to be filled.
const SHARED_BYTES_MAX: u64 = 512 << 20;
const SHARED: &str = "/dev/shm";
/// Mounts it, then becomes the command behind it.
const MOUNTED: &str = r#"mount -t tmpfs -o "size=$1m" tmpfs "$2" && shift 2 && exec "$@""#;

/// Those of root, and those of everybody else.
const NAMESPACES: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];

/// A folder on a disk that nobody else has files on.
#[derive(Clone)]
pub struct SmallDisk(PathBuf);

/// Does work on a small disk, as the test of that name.
#[expect(clippy::print_stdout, reason = "a test that did not run says so")]
pub fn on_small_disk(test: &str, work: impl FnOnce(&SmallDisk)) {
    if let Some(folder) = env::var_os(SETTING) {
        return work(&SmallDisk(folder.into()));
    }
    let folder = tempfile::tempdir().unwrap();
    let is_allowed = |namespaces: &&[&str]| {
        let tried = in_namespace(namespaces, folder.path(), Path::new("true")).output();
        tried.is_ok_and(|ran| ran.status.success())
    };
    if let Some(namespaces) = NAMESPACES.into_iter().find(is_allowed) {
        let mut again = in_namespace(namespaces, folder.path(), &env::current_exe().unwrap());
        again.args([test, "--exact", "--nocapture", "--test-threads=1"]);
        let ran = again.env(SETTING, folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        let talk = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}\n{talk}");
        return;
    }
    match TempDir::new_in(SHARED).ok().filter(|_| is_small(Path::new(SHARED))) {
        Some(shared) => work(&SmallDisk(shared.path().to_owned())),
        None => println!(
            "{test} did not run: it fills a disk, and got none; run it as root, where user \
             namespaces are allowed, or with a /dev/shm of at most 512 MiB"
        ),
    }
}

/// A command that sees a small disk at a folder, which nobody else does.
fn in_namespace(namespaces: &[&str], folder: &Path, command: &Path) -> Command {
    let mut unshared = Command::new("unshare");
    unshared.args(namespaces).args(["sh", "-c", MOUNTED, "sh"]);
    unshared.arg(MEGABYTES.to_string()).args([folder, command]);
    unshared
}

fn is_small(folder: &Path) -> bool {
    let listed = Command::new("df").args(["--output=size", "--block-size=1"]).arg(folder).output();
    let listed = listed.ok().and_then(|listed| String::from_utf8(listed.stdout).ok());
    let size = listed.and_then(|text| text.lines().nth(1)?.trim().parse::<u64>().ok());
    size.is_some_and(|size| size <= SHARED_BYTES_MAX)
}

impl SmallDisk {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Fills it up but for so many bytes.
    pub fn fill(&self, but: usize) {
        let mut filler = vec![7_u8; 64 << 10];
        let mut file = File::create(self.filler()).unwrap();
        while file.write_all(&filler).is_ok() {}
        filler.truncate(1 << 10);
        while file.write_all(&filler).is_ok() {}
        let bytes = file.metadata().unwrap().len();
        file.set_len(bytes - but as u64).unwrap();
    }

    /// Makes room again.
    pub fn clear(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}
