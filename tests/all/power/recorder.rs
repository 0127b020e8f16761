//! Records what this process does to a folder, in its order: writes, names, syncs.
//!
//! Everything that is linked into this binary, RocksDB and the standard library, calls the
//! functions of the C library by name. Those that change a disk are defined here under the
//! same names, so that the linker takes these; they make the system call themselves, and
//! write down what came of it if it was below the folder. Nothing has to be installed or
//! mounted, and nobody else's files are touched.
//!
//! Not recorded: what the C library calls within itself (`fopen`, which RocksDB uses for its
//! LOG) and memory that is mapped, which nothing here writes.

#![expect(unsafe_code, reason = "functions of the C library are unsafe to define and to call")]

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::fs;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use libc::{c_char, c_int, c_long, c_uint, c_void, iovec, mode_t, off_t, size_t, ssize_t};

/// One thing that was done. Paths are relative to the folder; a file or folder keeps its
/// number for as long as it lives, whatever its names.
#[derive(Clone, Debug)]
pub enum Op {
    File {
        path: PathBuf,
        id: u64,
    },
    Folder {
        path: PathBuf,
        id: u64,
    },
    Link {
        from: PathBuf,
        to: PathBuf,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    Write {
        id: u64,
        at: u64,
        bytes: Vec<u8>,
    },
    Truncate {
        id: u64,
        bytes: u64,
    },
    Sync {
        id: u64,
    },
    /// What the test has to say at this moment.
    Mark(String),
}

static IS_ON: AtomicBool = AtomicBool::new(false);
static TAPE: Mutex<Tape> = Mutex::new(Tape::new());
/// Held by whoever records.
static RECORDING: Mutex<()> = Mutex::new(());

/// What is recorded so far.
struct Tape {
    root: PathBuf,
    /// A folder in it that is not recorded.
    but: PathBuf,
    device: u64,
    /// The numbers of files and folders that are there, by the system's.
    ids: BTreeMap<u64, u64>,
    next: u64,
    ops: Vec<Op>,
}

/// A recording that goes on until it is dropped. The folder itself has the number 0.
pub struct Recording {
    _alone: MutexGuard<'static, ()>,
}

impl Recording {
    /// Records what is done below `root`, but not below `but`.
    pub fn begin(root: &Path, but: &Path) -> Self {
        let _alone = RECORDING.lock().unwrap_or_else(PoisonError::into_inner);
        let found = fs::metadata(root).unwrap();
        *tape() = Tape {
            root: root.to_owned(),
            but: but.to_owned(),
            device: found.dev(),
            ids: BTreeMap::from([(found.ino(), 0)]),
            next: 1,
            ops: Vec::new(),
        };
        IS_ON.store(true, Ordering::SeqCst);
        Self { _alone }
    }

    /// Says something at this moment.
    pub fn mark(&self, text: String) {
        tape().ops.push(Op::Mark(text));
    }

    /// Ends the recording.
    pub fn end(self) -> Vec<Op> {
        std::mem::take(&mut tape().ops)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        IS_ON.store(false, Ordering::SeqCst);
        *tape() = Tape::new();
    }
}

fn tape() -> MutexGuard<'static, Tape> {
    TAPE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tape {
    const fn new() -> Self {
        Self {
            root: PathBuf::new(),
            but: PathBuf::new(),
            device: 0,
            ids: BTreeMap::new(),
            next: 1,
            ops: Vec::new(),
        }
    }

    /// A path as it is recorded, if it is.
    fn place(&self, path: &Path) -> Option<PathBuf> {
        let is_other = path.starts_with(&self.but);
        path.strip_prefix(&self.root).ok().filter(|_| !is_other).map(Path::to_owned)
    }

    /// The number of what is open, if it is recorded.
    fn id(&self, file: c_int) -> Option<u64> {
        let found = stat(file)?;
        self.ids.get(&found.st_ino).copied().filter(|_| found.st_dev == self.device)
    }

    /// The system's number of what has no other name: it is something else's afterwards.
    fn last_name(&self, path: &Path) -> Option<u64> {
        let found = self.root.join(path).symlink_metadata().ok()?;
        (found.is_dir() || found.nlink() == 1).then_some(found.ino())
    }

    /// Notes what was done, if it was, and forgets what is no more.
    fn name(&mut self, done: c_int, gone: Option<u64>, op: impl FnOnce() -> Op) -> c_int {
        if done == 0 {
            gone.map(|inode| self.ids.remove(&inode));
            self.ops.push(op());
        }
        done
    }

    /// Gives something new a number.
    fn number(&mut self, inode: u64) -> u64 {
        let id = self.next;
        self.next += 1;
        self.ids.insert(inode, id);
        id
    }
}

fn stat(file: c_int) -> Option<libc::stat> {
    let mut found = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the pointer is to room for what is written, which is read if it was.
    unsafe { (libc::fstat(file, found.as_mut_ptr()) == 0).then(|| found.assume_init()) }
}

/// The path that a call means.
///
/// # Safety
/// `path` is a string of C.
unsafe fn path_of(folder: c_int, path: *const c_char) -> PathBuf {
    // SAFETY: as above.
    let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()));
    if path.is_absolute() {
        return path.to_owned();
    }
    let base = match folder {
        libc::AT_FDCWD => std::env::current_dir(),
        folder => fs::read_link(format!("/proc/self/fd/{folder}")),
    };
    base.unwrap_or_default().join(path)
}

/// The tape, held, and what a call is about; none if that is not recorded. Whoever holds it
/// is the only one who changes what is recorded, so that what is noted was in this order.
fn held<T>(find: impl FnOnce(&Tape) -> Option<T>) -> Option<(MutexGuard<'static, Tape>, T)> {
    if !IS_ON.load(Ordering::SeqCst) {
        return None;
    }
    let tape = tape();
    let found = find(&tape)?;
    Some((tape, found))
}

/// Opens a file, and notes that it is new, or empty from now on.
///
/// # Safety
/// As that of the system's `openat`.
unsafe fn open_at(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the arguments are passed on as they came.
    let real = || unsafe { libc::syscall(libc::SYS_openat, folder, path, flags, mode as c_uint) };
    let changes = flags & (libc::O_CREAT | libc::O_TRUNC) != 0;
    // SAFETY: as above.
    let place = |tape: &Tape| tape.place(&unsafe { path_of(folder, path) });
    let Some((mut tape, path)) = held(|tape| changes.then(|| place(tape))?) else {
        return real() as c_int;
    };
    let was_there = tape.root.join(&path).symlink_metadata().is_ok();
    let opened = real() as c_int;
    if let Some(found) = stat(opened) {
        if !was_there {
            let id = tape.number(found.st_ino);
            tape.ops.push(Op::File { path, id });
        } else if flags & libc::O_TRUNC != 0
            && let Some(id) = tape.id(opened)
        {
            tape.ops.push(Op::Truncate { id, bytes: 0 });
        }
    }
    opened
}

/// Writes, and notes what was written where; `at` is none for where the file stands.
///
/// # Safety
/// `bytes` has what `real` writes.
unsafe fn write_at(
    file: c_int,
    parts: &[iovec],
    at: Option<off_t>,
    real: impl FnOnce() -> c_long,
) -> ssize_t {
    let Some((mut tape, id)) = held(|tape| tape.id(file)) else { return real() as ssize_t };
    let done = real();
    if done > 0 {
        let mut bytes = Vec::new();
        for part in parts {
            // SAFETY: as above.
            let part =
                unsafe { std::slice::from_raw_parts(part.iov_base.cast::<u8>(), part.iov_len) };
            bytes.extend_from_slice(part);
        }
        bytes.truncate(done as usize);
        // SAFETY: it takes and gives numbers.
        let end = || unsafe { libc::lseek(file, 0, libc::SEEK_CUR) };
        let at = at.unwrap_or_else(|| end() - done as off_t) as u64;
        tape.ops.push(Op::Write { id, at, bytes });
    }
    done as ssize_t
}

/// Says that it is durable. What is recorded is not synced in fact: no power is lost.
fn sync(file: c_int, call: c_long) -> c_int {
    match held(|tape| tape.id(file)) {
        Some((mut tape, id)) => {
            tape.ops.push(Op::Sync { id });
            0
        }
        // SAFETY: it takes and gives numbers.
        None => unsafe { libc::syscall(call, file) as c_int },
    }
}

/// Gives a file another name, or one more.
///
/// # Safety
/// As that of the system's `renameat2` and `linkat`.
unsafe fn name(
    from: (c_int, *const c_char),
    to: (c_int, *const c_char),
    real: impl FnOnce() -> c_long,
    op: impl FnOnce(PathBuf, PathBuf) -> Op,
) -> c_int {
    // SAFETY: as above.
    let place = |tape: &Tape, (folder, path)| tape.place(&unsafe { path_of(folder, path) });
    let found = held(|tape| place(tape, from).or_else(|| place(tape, to)));
    let Some((mut tape, _)) = found else { return real() as c_int };
    let both = place(&tape, from).zip(place(&tape, to));
    let (from, to) = both.expect("nothing is moved in or out of what is recorded");
    let gone = tape.last_name(&to);
    tape.name(real() as c_int, gone, || op(from, to))
}

/// Takes a name away.
///
/// # Safety
/// As that of the system's `unlinkat`.
unsafe fn remove(folder: c_int, path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: the arguments are passed on as they came.
    let real = || unsafe { libc::syscall(libc::SYS_unlinkat, folder, path, flags) as c_int };
    // SAFETY: as above.
    let place = |tape: &Tape| tape.place(&unsafe { path_of(folder, path) });
    let Some((mut tape, path)) = held(place) else { return real() };
    let gone = tape.last_name(&path);
    tape.name(real(), gone, || Op::Remove { path })
}

/// Makes a folder.
///
/// # Safety
/// As that of the system's `mkdirat`.
unsafe fn make_folder(folder: c_int, path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the arguments are passed on as they came.
    let real = || unsafe { libc::syscall(libc::SYS_mkdirat, folder, path, mode) as c_int };
    // SAFETY: as above.
    let place = |tape: &Tape| tape.place(&unsafe { path_of(folder, path) });
    let Some((mut tape, path)) = held(place) else { return real() };
    let done = real();
    if done == 0 {
        let found = tape.root.join(&path).metadata();
        let id = tape.number(found.expect("it was made").ino());
        tape.ops.push(Op::Folder { path, id });
    }
    done
}

fn truncate(file: c_int, bytes: off_t) -> c_int {
    let held = held(|tape| tape.id(file));
    // SAFETY: it takes and gives numbers.
    let done = unsafe { libc::syscall(libc::SYS_ftruncate, file, bytes) as c_int };
    if let (Some((mut tape, id)), 0) = (held, done) {
        tape.ops.push(Op::Truncate { id, bytes: bytes as u64 });
    }
    done
}

/// Refuses to copy within the system, so that whoever asks reads and writes instead.
fn refuse() -> ssize_t {
    // SAFETY: every thread has a place for it.
    unsafe { *libc::__errno_location() = libc::EINVAL };
    -1
}

// From here on: the functions of the C library. Each is called as its documentation says,
// and does what that says.

macro_rules! define {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty { $body:expr })*) => {
        $(#[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            #[allow(unused_unsafe, reason = "some are safe")]
            // SAFETY: the arguments are passed on as they came.
            unsafe { $body }
        })*
    };
}

const HERE: c_int = libc::AT_FDCWD;

define! {
    open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
        open_at(HERE, path, flags, mode)
    }
    open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
        open_at(HERE, path, flags, mode)
    }
    openat(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
        open_at(folder, path, flags, mode)
    }
    openat64(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
        open_at(folder, path, flags, mode)
    }
    creat(path: *const c_char, mode: mode_t) -> c_int {
        open_at(HERE, path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode)
    }
    write(file: c_int, bytes: *const c_void, count: size_t) -> ssize_t {{
        let part = iovec { iov_base: bytes.cast_mut(), iov_len: count };
        write_at(file, &[part], None, || libc::syscall(libc::SYS_write, file, bytes, count))
    }}
    pwrite(file: c_int, bytes: *const c_void, count: size_t, at: off_t) -> ssize_t {
        pwrite64(file, bytes, count, at)
    }
    pwrite64(file: c_int, bytes: *const c_void, count: size_t, at: off_t) -> ssize_t {{
        let part = iovec { iov_base: bytes.cast_mut(), iov_len: count };
        let real = || libc::syscall(libc::SYS_pwrite64, file, bytes, count, at);
        write_at(file, &[part], Some(at), real)
    }}
    writev(file: c_int, parts: *const iovec, count: c_int) -> ssize_t {{
        let all = std::slice::from_raw_parts(parts, count as usize);
        write_at(file, all, None, || libc::syscall(libc::SYS_writev, file, parts, count))
    }}
    ftruncate(file: c_int, bytes: off_t) -> c_int { truncate(file, bytes) }
    ftruncate64(file: c_int, bytes: off_t) -> c_int { truncate(file, bytes) }
    fsync(file: c_int) -> c_int { sync(file, libc::SYS_fsync) }
    fdatasync(file: c_int) -> c_int { sync(file, libc::SYS_fdatasync) }
    rename(from: *const c_char, to: *const c_char) -> c_int {
        renameat2(HERE, from, HERE, to, 0)
    }
    renameat(from_in: c_int, from: *const c_char, to_in: c_int, to: *const c_char) -> c_int {
        renameat2(from_in, from, to_in, to, 0)
    }
    renameat2(
        from_in: c_int, from: *const c_char, to_in: c_int, to: *const c_char, how: c_uint
    ) -> c_int {
        name(
            (from_in, from),
            (to_in, to),
            || libc::syscall(libc::SYS_renameat2, from_in, from, to_in, to, how),
            |from, to| Op::Rename { from, to },
        )
    }
    link(from: *const c_char, to: *const c_char) -> c_int { linkat(HERE, from, HERE, to, 0) }
    linkat(
        from_in: c_int, from: *const c_char, to_in: c_int, to: *const c_char, how: c_int
    ) -> c_int {
        name(
            (from_in, from),
            (to_in, to),
            || libc::syscall(libc::SYS_linkat, from_in, from, to_in, to, how),
            |from, to| Op::Link { from, to },
        )
    }
    unlink(path: *const c_char) -> c_int { remove(HERE, path, 0) }
    unlinkat(folder: c_int, path: *const c_char, flags: c_int) -> c_int {
        remove(folder, path, flags)
    }
    rmdir(path: *const c_char) -> c_int { remove(HERE, path, libc::AT_REMOVEDIR) }
    mkdir(path: *const c_char, mode: mode_t) -> c_int { make_folder(HERE, path, mode) }
    mkdirat(folder: c_int, path: *const c_char, mode: mode_t) -> c_int {
        make_folder(folder, path, mode)
    }
    copy_file_range(
        from: c_int, from_at: *mut off_t, to: c_int, to_at: *mut off_t, count: size_t, how: c_uint
    ) -> ssize_t {
        match held(|tape| tape.id(to)) {
            Some(_) => refuse(),
            None => libc::syscall(
                libc::SYS_copy_file_range, from, from_at, to, to_at, count, how
            ) as ssize_t,
        }
    }
    sendfile64(to: c_int, from: c_int, from_at: *mut off_t, count: size_t) -> ssize_t {
        match held(|tape| tape.id(to)) {
            Some(_) => refuse(),
            None => libc::syscall(libc::SYS_sendfile, to, from, from_at, count) as ssize_t,
        }
    }
}
