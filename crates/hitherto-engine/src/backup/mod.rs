//! BACKUP and RESTORE: a store as it is at one moment, and back.
//!
//! ```text
//! <backup>/backup.json    what there is, each file with its size and fingerprint
//!         /online         the online store: catalog, rows, the log of pushed facts
//!         /pushed         the files of pushed facts
//!         /backup.hmac    its seal, if the repository has a key for that: see `seal`
//! ```
//!
//! Definitions, sources and optimized copies are not in it: the first two are the
//! repository's own, the last are written again. Lookups and pushes go on while a backup
//! is taken. It has its name when it is whole; restoring checks every byte before the
//! store has its own.

mod seal;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use hitherto_api::Grant;
use hitherto_core::{Error, Result};
use hitherto_offline::files::SourceFile;
use serde::{Deserialize, Serialize};

use self::seal::Key;
use crate::disk::{self, unreadable, unwritable};
use crate::{Config, Engine};

/// The form of backups that this release writes.
const FORMAT: u32 = 1;
const RECORD_FILE: &str = "backup.json";
/// What a backup has, and a store's folder too.
const PARTS: [&str; 2] = ["online", "pushed"];

/// How files that never change get into a backup on the disk of their store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackupFiles {
    /// By a second name, where the disk allows it: nearly free. What damages the store's file
    /// damages the backup's.
    #[default]
    Linked,
    /// As copies.
    Copied,
}

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// The form of backup and record; a newer one is refused.
    format: u32,
    /// When it was taken, microseconds UTC.
    pub taken_at: i64,
    /// Its files.
    files: Vec<FileRecord>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileRecord {
    /// Relative to the backup.
    name: String,
    bytes: u64,
    /// XXH3-128 of its content.
    fingerprint: String,
}

impl Backup {
    /// Files in it.
    pub fn files(&self) -> u64 {
        self.files.len() as u64
    }

    /// Their size.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Its files, in `folder`.
    fn paths(&self, folder: &Path) -> Vec<PathBuf> {
        self.files.iter().map(|file| folder.join(&file.name)).collect()
    }

    /// Refuses a backup that would write anything outside of its parts.
    fn check_names(&self, folder: &Path) -> Result<()> {
        let is_inside = |file: &FileRecord| {
            let mut names = Path::new(&file.name).components();
            let is_part = names.next().is_some_and(|part| {
                PARTS.iter().any(|name| part == Component::Normal((*name).as_ref()))
            });
            is_part && names.all(|name| matches!(name, Component::Normal(_)))
        };
        match self.files.iter().find(|file| !is_inside(file)) {
            None => Ok(()),
            Some(file) => Err(Error::corrupt(format!(
                "{} names the file {:?}, which is in no part of a backup; use another backup",
                folder.join(RECORD_FILE).display(),
                file.name
            ))),
        }
    }

    /// Reads the record of a backup; with its bytes.
    fn read(folder: &Path) -> Result<(Self, Vec<u8>)> {
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        let path = folder.join(RECORD_FILE);
        let json = fs::read(&path).map_err(|cause| {
            Error::not_found(format!(
                "there is no backup at {}; name the folder that `hitherto backup` wrote",
                folder.display()
            ))
            .with_source(cause)
        })?;
        let damaged = |cause| {
            Error::corrupt(format!(
                "{} is not the record of a backup; use another backup",
                path.display()
            ))
            .with_source(cause)
        };
        let Form { format } = serde_json::from_slice(&json).map_err(damaged)?;
        if format > FORMAT {
            return Err(Error::invalid(format!(
                "the backup {} has format {format}, this release reads up to {FORMAT}; use the \
                 release that took it or a newer one",
                folder.display()
            )));
        }
        Ok((serde_json::from_slice(&json).map_err(damaged)?, json))
    }
}

impl Engine {
    /// Takes a backup at `now` into `folder`, which must not be there yet, and seals it if
    /// the repository has a key for that.
    ///
    /// # Errors
    /// `Conflict` when the folder is there, `Unavailable` when it cannot be written,
    /// `Invalid` on a repository opened for reading, or when its key is none.
    pub fn backup(&self, _: &Grant, folder: &Path, how: BackupFiles, now: i64) -> Result<Backup> {
        let key = self.backup_key.as_deref().map(Key::read).transpose()?;
        if folder.exists() {
            return Err(Error::conflict(format!(
                "{} is there already; name a new folder",
                folder.display()
            )));
        }
        let writing = disk::with_suffix(folder, "writing");
        if writing.exists() {
            // It may be anybody's: nothing is removed that this backup did not make.
            return Err(Error::conflict(format!(
                "{} is there, of a backup that goes on or did not end; remove it, or name another \
                 folder",
                writing.display()
            )));
        }
        disk::make_folders(&writing)?;
        let written = self.write_backup(&writing, how, now).and_then(|(backup, json)| {
            key.map_or(Ok(()), |key| key.seal(&writing, &json, &backup.paths(&writing)))?;
            disk::sync_folders(&writing)?;
            disk::put_in_place(&writing, folder)?;
            Ok(backup)
        });
        written.inspect_err(|_| {
            let removed = disk::remove(&writing);
            removed.unwrap_or_else(|error| tracing::warn!(%error, "a backup was left behind"));
        })
    }

    /// Writes files and record of a backup; returns it with the bytes of its record.
    fn write_backup(
        &self,
        writing: &Path,
        how: BackupFiles,
        now: i64,
    ) -> Result<(Backup, Vec<u8>)> {
        let pushed = self.copy_store(&writing.join(PARTS[0]))?;
        for path in pushed {
            let name = path.strip_prefix(&self.pushed).unwrap_or(&path);
            let copy = writing.join(PARTS[1]).join(name);
            let parent = copy.parent().unwrap_or(&copy);
            // They never change, so that a second name is as good as a copy.
            disk::make_folders(parent)?;
            fs::hard_link(&path, &copy)
                .or_else(|_| copy_synced(&path, &copy))
                .map_err(|cause| unwritable(&copy, cause))?;
        }
        let mut paths = Vec::new();
        list(writing, &mut paths)?;
        paths.sort();
        if how == BackupFiles::Copied {
            paths.iter().try_for_each(|path| part(path))?;
        }
        let files = paths.into_iter().map(|path| {
            let file = SourceFile::describe(writing, path)?;
            let fingerprint = file.read_fingerprint()?;
            Ok(FileRecord { name: file.name, bytes: file.bytes, fingerprint })
        });
        let backup = Backup { format: FORMAT, taken_at: now, files: files.collect::<Result<_>>()? };
        let json = serde_json::to_vec_pretty(&backup).map_err(|cause| {
            Error::internal("the record of a backup cannot be written").with_source(cause)
        })?;
        disk::write_whole(&writing.join(RECORD_FILE), &json)?;
        Ok((backup, json))
    }
}

/// Puts a backup in the place of the store of the repository in `root`, which must have
/// none.
///
/// # Errors
/// `NotFound` without a backup, `Corrupt` naming a file that is not as it was written, or a
/// seal that is not that of the key which `config` names; `Invalid` for what is no key,
/// `Conflict` when the repository has a store, `Unavailable` when it cannot be written.
pub fn restore(_: &Grant, folder: &Path, root: &Path, config: &Config) -> Result<Backup> {
    let key = config.backup_key.as_ref().map(|file| Key::read(&root.join(file))).transpose()?;
    let (backup, json) = Backup::read(folder)?;
    let store = root.join(&config.store);
    if PARTS.iter().any(|part| store.join(part).exists()) {
        return Err(Error::conflict(format!(
            "the repository has a store; move the folder {} away first",
            store.display()
        )));
    }
    backup.check_names(folder)?;
    let restoring = store.join("restoring");
    let had_folder = store.exists();
    let restored = copy_checked(&backup, folder, &restoring)
        // The copies are what will be read.
        .and_then(|()| {
            key.map_or(Ok(()), |key| key.check(folder, &json, &backup.paths(&restoring)))
        })
        .and_then(|()| move_parts(&restoring, &store))
        .and_then(|()| disk::remove(&restoring));
    if restored.is_err() {
        // What failed is said; whatever cannot be removed either goes with the next restore.
        let _ = disk::remove(&restoring);
        if !had_folder {
            let _ = fs::remove_dir(&store);
        }
    }
    restored.map(|()| backup)
}

/// Copies a backup's files to a new folder and checks every byte of the copies.
fn copy_checked(backup: &Backup, folder: &Path, restoring: &Path) -> Result<()> {
    disk::remove(restoring)?;
    for part in PARTS {
        disk::make_folders(&restoring.join(part))?;
    }
    for file in &backup.files {
        let (from, to) = (folder.join(&file.name), restoring.join(&file.name));
        let parent = to.parent().unwrap_or(&to);
        disk::make_folders(parent)?;
        let damaged = || {
            Error::corrupt(format!(
                "{} is not as it was when the backup was taken; nothing was changed, use another \
                 backup",
                from.display()
            ))
        };
        copy_synced(&from, &to).map_err(|cause| match cause.kind() {
            std::io::ErrorKind::NotFound => damaged().with_source(cause),
            _ => unwritable(&to, cause),
        })?;
        // The copy is what will be read.
        let copy = SourceFile::describe(restoring, to)?;
        if copy.bytes != file.bytes || copy.read_fingerprint()? != file.fingerprint {
            return Err(damaged());
        }
    }
    disk::sync_folders(restoring)
}

/// Pushed facts first: they are of no harm without the store that names them.
fn move_parts(restoring: &Path, store: &Path) -> Result<()> {
    let mut parts = PARTS.iter().rev();
    parts.try_for_each(|part| disk::put_in_place(&restoring.join(part), &store.join(part)))
}

/// Makes a file of a backup its own, if the store has it under another name.
fn part(path: &Path) -> Result<()> {
    let names = fs::metadata(path).map_err(|cause| unwritable(path, cause))?.nlink();
    if names == 1 {
        return Ok(());
    }
    let copy = disk::with_suffix(path, "copy");
    copy_synced(path, &copy).map_err(|cause| unwritable(&copy, cause))?;
    disk::put_in_place(&copy, path)
}

/// Copies a file's content, durably; the copy is its owner's.
fn copy_synced(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut from = File::open(from)?;
    let mut to = disk::create(to).map_err(std::io::Error::other)?;
    std::io::copy(&mut from, &mut to)?;
    to.sync_all()
}

fn list(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable = |cause| unreadable(folder, cause);
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        match path.is_dir() {
            true => list(&path, paths)?,
            false => paths.push(path),
        }
    }
    Ok(())
}
