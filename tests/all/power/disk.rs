//! A disk as a loss of power can leave it.
//!
//! ```text
//! file     what was synced   then each page as it was at one of some moments since
//! folder   what was synced   then changes since: kept up to one of them, lost from there on
//! ```
//!
//! A page of a file is written back as a whole, as it is at that moment, and pages in no
//! order: a large write is torn, and of two the later may be there without the earlier, but
//! not within one page.
//!
//! A file's sync says nothing of its name, a folder's sync nothing of what its files have,
//! and what comes later may be on the disk when what came before is not: names survive
//! without content, content without names. A rename is one thing, also between two folders,
//! as in every file system with a journal.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use super::recorder::Op;
use crate::crashes::Dice;

/// What a disk writes as a whole.
const PAGE_BYTES: usize = 4 << 10;
/// Moments at which pages of one file may have been written.
const MOMENTS: usize = 3;

/// Everything below the folder, by number; the folder itself is 0.
pub struct Disk {
    files: BTreeMap<u64, File>,
    folders: BTreeMap<u64, Folder>,
    renames: u64,
}

#[derive(Default)]
struct File {
    synced: Vec<u8>,
    since: Vec<Change>,
}

enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

#[derive(Default)]
struct Folder {
    synced: Names,
    since: Vec<Entry>,
    now: Names,
}

type Names = BTreeMap<OsString, u64>;

/// A name that is given, or taken if there is no number; of a rename, with its number.
#[derive(Clone)]
struct Entry {
    name: OsString,
    id: Option<u64>,
    rename: Option<u64>,
}

impl Disk {
    /// With an empty folder.
    pub fn new() -> Self {
        let folders = BTreeMap::from([(0, Folder::default())]);
        Self { files: BTreeMap::new(), folders, renames: 0 }
    }

    /// Does what was recorded.
    pub fn take(&mut self, op: &Op) {
        match op {
            Op::File { path, id } => {
                self.files.insert(*id, File::default());
                self.name(path, Some(*id), None);
            }
            Op::Folder { path, id } => {
                self.folders.insert(*id, Folder::default());
                self.name(path, Some(*id), None);
            }
            Op::Link { from, to } => {
                let id = self.find(from);
                self.name(to, Some(id), None);
            }
            Op::Rename { from, to } => {
                let id = self.find(from);
                self.renames += 1;
                self.name(from, None, Some(self.renames));
                self.name(to, Some(id), Some(self.renames));
            }
            Op::Remove { path } => self.name(path, None, None),
            Op::Write { id, at, bytes } => self.change(*id, Change::Write(*at, bytes.clone())),
            Op::Truncate { id, bytes } => self.change(*id, Change::Truncate(*bytes)),
            Op::Sync { id } => match self.files.get_mut(id) {
                Some(file) => {
                    let since = std::mem::take(&mut file.since);
                    since.iter().for_each(|change| change.make(&mut file.synced));
                }
                None => self.sync_folder(*id, usize::MAX),
            },
            Op::Mark(_) => {}
        }
    }

    fn change(&mut self, id: u64, change: Change) {
        self.files.get_mut(&id).expect("a file that was made").since.push(change);
    }

    /// The folder that a path is in, and its name there.
    fn parent<'p>(&self, path: &'p Path) -> (u64, &'p OsStr) {
        let parent = path.parent().expect("a path in the folder");
        let id = parent.iter().fold(0, |folder, name| self.folders[&folder].now[name]);
        (id, path.file_name().expect("a name"))
    }

    fn find(&self, path: &Path) -> u64 {
        let (folder, name) = self.parent(path);
        self.folders[&folder].now[name]
    }

    fn name(&mut self, path: &Path, id: Option<u64>, rename: Option<u64>) {
        let (folder, name) = self.parent(path);
        let folder = self.folders.get_mut(&folder).expect("it was found");
        let entry = Entry { name: name.to_owned(), id, rename };
        entry.make(&mut folder.now);
        folder.since.push(entry);
    }

    /// Makes the first changes of a folder durable, and the other halves of renames.
    fn sync_folder(&mut self, id: u64, count: usize) {
        let folder = self.folders.get_mut(&id).expect("a folder that was made");
        let entries: Vec<Entry> = folder.since.drain(..count.min(folder.since.len())).collect();
        entries.iter().for_each(|entry| entry.make(&mut folder.synced));
        for rename in entries.iter().filter_map(|entry| entry.rename) {
            let is_it = |entry: &Entry| entry.rename == Some(rename);
            let other = self
                .folders
                .iter()
                .find_map(|(id, folder)| Some((*id, folder.since.iter().rposition(is_it)? + 1)));
            if let Some((other, count)) = other {
                self.sync_folder(other, count);
            }
        }
    }

    /// Loses power: writes what may be left to `folder`.
    pub fn lose_power(mut self, dice: &mut Dice, folder: &Path) {
        let ids: Vec<u64> = self.folders.keys().copied().collect();
        for id in ids {
            let count = self.folders[&id].since.len();
            let kept = match dice.roll(4) {
                0 => 0,
                1 => count,
                _ => dice.roll(count as u64 + 1) as usize,
            };
            self.sync_folder(id, kept);
        }
        for file in self.files.values_mut() {
            file.lose_power(dice);
        }
        self.write(0, folder);
    }

    fn write(&self, id: u64, folder: &Path) {
        for (name, id) in &self.folders[&id].synced {
            let path = folder.join(name);
            match self.files.get(id) {
                Some(file) => fs::write(&path, &file.synced).unwrap(),
                None => {
                    fs::create_dir(&path).unwrap();
                    self.write(*id, &path);
                }
            }
        }
    }
}

impl File {
    fn lose_power(&mut self, dice: &mut Dice) {
        let since = std::mem::take(&mut self.since);
        let contents: [Vec<u8>; MOMENTS] = std::array::from_fn(|_| {
            let kept = match dice.roll(4) {
                0 => 0,
                1 => since.len(),
                _ => dice.roll(since.len() as u64 + 1) as usize,
            };
            let mut content = self.synced.clone();
            since[..kept].iter().for_each(|change| change.make(&mut content));
            content
        });
        let mut one = || &contents[dice.roll(MOMENTS as u64) as usize];
        self.synced = vec![0; one().len()];
        for (number, page) in self.synced.chunks_mut(PAGE_BYTES).enumerate() {
            let written = one().get(number * PAGE_BYTES..).unwrap_or_default();
            let bytes = written.len().min(page.len());
            page[..bytes].copy_from_slice(&written[..bytes]);
        }
    }
}

impl Change {
    fn make(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(at, bytes) => {
                let (from, to) = (*at as usize, *at as usize + bytes.len());
                content.resize(content.len().max(to), 0);
                content[from..to].copy_from_slice(bytes);
            }
            Self::Truncate(bytes) => content.resize(*bytes as usize, 0),
        }
    }
}

impl Entry {
    fn make(&self, names: &mut Names) {
        match self.id {
            Some(id) => drop(names.insert(self.name.clone(), id)),
            None => drop(names.remove(&self.name)),
        }
    }
}
