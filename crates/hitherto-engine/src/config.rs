//! The repository's one configuration file, `hitherto.yaml`.
//!
//! Every setting has a default; a file with a wrong one stops the process
//! before anything is opened.

mod audit;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hitherto_core::limits::{
    CONNECTIONS_MAX, CONNECTIONS_RESERVED, LOOKUP_WAIT_MILLIS_MAX, LOOKUPS_IN_FLIGHT_MAX,
    REQUEST_MEMORY_BYTES, SQL_ROWS_MAX, SQL_SECONDS_MAX, TRAINING_SETS_IN_FLIGHT_MAX,
};
use hitherto_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::disk::{not_utf8, unreadable};
use crate::machine::{read_files_max, read_memory_bytes};

pub use audit::{AuditConfig, AuditLevel, Span};

/// The name of the configuration file in a repository's root.
pub const FILE_NAME: &str = "hitherto.yaml";

/// All settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// The store's folder, relative to the repository.
    pub store: PathBuf,
    /// Memory for materialization and training sets; larger work spills or takes
    /// more passes.
    pub memory: Memory,
    /// Memory for the online store: half for rows and short histories, half for
    /// decompressed blocks.
    pub cache: Bytes,
    /// Threads for scans and compaction; 0 is one a core.
    pub threads: usize,
    /// A file with the key that backups are sealed with, relative to the repository; restoring
    /// then takes only what has that seal.
    pub backup_key: Option<PathBuf>,
    /// Settings of `hitherto serve`.
    pub server: ServerConfig,
    /// What a server records of its calls.
    pub audit: AuditConfig,
}

/// Settings of `hitherto serve`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ServerConfig {
    /// Address for gRPC, Flight and HTTP.
    pub listen: String,
    /// Lookups answered at a time; further ones are refused.
    pub lookups_in_flight_max: usize,
    /// Milliseconds that lookups may wait for a thread, all of them for longer than a burst
    /// lasts; those that wait longer are then refused.
    pub lookup_wait_millis_max: u64,
    /// Lookups that take longer are logged with how they are answered, in
    /// milliseconds.
    pub slow_lookup_millis: u64,
    /// Training sets built at a time; further ones are refused.
    pub training_sets_in_flight_max: usize,
    /// Rows of a spine that a caller's SQL may give.
    pub sql_rows_max: u64,
    /// How long it may compute for them, in seconds.
    pub sql_seconds_max: u64,
    /// Memory for what callers send and are sent, beside `memory` and `cache`; who would
    /// take more is refused.
    pub request_memory: Bytes,
    /// Connections at a time; one more takes the place of one that is idle. 0 is half of the
    /// files that the process may open, and 4,096 at most.
    pub connections_max: usize,
    /// How long a stop waits for requests in flight, in seconds.
    pub drain_seconds: u64,
    /// A PEM file with the server's certificate and those between it and its CA, relative
    /// to the repository, as the next three. With it and its key the port speaks TLS.
    pub tls_cert: Option<PathBuf>,
    /// A PEM file with the certificate's key.
    pub tls_key: Option<PathBuf>,
    /// A PEM file with the CAs of callers, who then need a certificate of one of them.
    pub client_ca: Option<PathBuf>,
    /// A file that says whose tokens are; callers then need one of them.
    pub token_file: Option<PathBuf>,
    /// Answer everybody also where others than this machine reach the port.
    pub allow_anonymous: bool,
    /// The folder in which callers may have backups written, by a name of theirs, relative
    /// to the repository; without it they may not.
    pub backups: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: PathBuf::from(".hitherto"),
            memory: Memory::Half,
            cache: Bytes(256 << 20),
            threads: 0,
            backup_key: None,
            server: ServerConfig::default(),
            audit: AuditConfig::default(),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: String::from("127.0.0.1:7411"),
            lookups_in_flight_max: LOOKUPS_IN_FLIGHT_MAX,
            lookup_wait_millis_max: LOOKUP_WAIT_MILLIS_MAX,
            slow_lookup_millis: 100,
            training_sets_in_flight_max: TRAINING_SETS_IN_FLIGHT_MAX,
            sql_rows_max: SQL_ROWS_MAX,
            sql_seconds_max: SQL_SECONDS_MAX,
            request_memory: Bytes(REQUEST_MEMORY_BYTES),
            connections_max: 0,
            drain_seconds: 20,
            tls_cert: None,
            tls_key: None,
            client_ca: None,
            token_file: None,
            allow_anonymous: false,
            backups: None,
        }
    }
}

impl ServerConfig {
    /// Connections to have at a time, beside those for health.
    ///
    /// # Errors
    /// `Invalid` when the process may not open so many files, with those that a store needs.
    pub fn connections_max(&self) -> Result<usize> {
        let files = read_files_max() / 2;
        let room = files.saturating_sub(CONNECTIONS_RESERVED).max(1);
        match self.connections_max {
            0 => Ok(room.min(CONNECTIONS_MAX)),
            connections if connections <= room => Ok(connections),
            connections => Err(Error::invalid(format!(
                "server.connectionsMax is {connections}, and half of the files that the process \
                 may open leaves {room}; set fewer, or raise the limit, for example with \
                 `ulimit -n`"
            ))),
        }
    }

    /// The same, its files named from where the process runs and not from the repository.
    pub fn within(self, root: &Path) -> Self {
        let within = |file: Option<PathBuf>| file.map(|file| root.join(file));
        Self {
            tls_cert: within(self.tls_cert),
            tls_key: within(self.tls_key),
            client_ca: within(self.client_ca),
            token_file: within(self.token_file),
            backups: within(self.backups),
            ..self
        }
    }
}

impl Config {
    /// Reads the configuration of the repository in `root`; defaults if it has
    /// no such file.
    ///
    /// # Errors
    /// `Invalid` with file, line and what is wrong.
    pub fn read(root: &Path) -> Result<Self> {
        let path = root.join(FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::InvalidData => {
                return Err(not_utf8(&path, cause));
            }
            Err(cause) => return Err(unreadable(&path, cause)),
        };
        let is_blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        if text.lines().all(is_blank) {
            return Ok(Self::default());
        }
        serde_saphyr::from_str(&text).map_err(|cause| {
            Error::invalid(format!(
                "{} is not a configuration; mend it, or begin with the one that `hitherto init` \
                 writes: {cause}",
                path.display()
            ))
        })
    }

    /// Memory to use: the setting, or half of what there is.
    pub fn memory_bytes(&self) -> u64 {
        match self.memory {
            Memory::Half => read_memory_bytes() / 2,
            Memory::Bytes(bytes) => bytes.bytes(),
        }
    }

    /// Threads to use: the setting, or one a core.
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}

/// A share of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Memory {
    /// Half of what the machine or the container has, written `half`.
    Half,
    /// So much.
    Bytes(Bytes),
}

impl FromStr for Memory {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.trim() {
            "half" => Ok(Memory::Half),
            size => size.parse().map(Memory::Bytes),
        }
    }
}

impl TryFrom<String> for Memory {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Memory> for String {
    fn from(memory: Memory) -> String {
        match memory {
            Memory::Half => String::from("half"),
            Memory::Bytes(bytes) => bytes.to_string(),
        }
    }
}

/// A number of bytes, written `512MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(u64);

/// Units of written sizes, largest first.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Bytes {
    /// The count.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Bytes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let trimmed = text.trim();
        UNITS
            .iter()
            .find_map(|(unit, size)| trimmed.strip_suffix(unit).map(|number| (number, size)))
            .and_then(|(number, size)| number.trim().parse::<u64>().ok()?.checked_mul(*size))
            .map(Bytes)
            .ok_or_else(|| Error::invalid(format!("{text:?} is not a size; write 512MiB or 4GiB")))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().find(|(_, size)| self.0.is_multiple_of(*size) && self.0 >= *size);
        let (unit, size) = exact.copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

impl TryFrom<String> for Bytes {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> String {
        bytes.to_string()
    }
}
