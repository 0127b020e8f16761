//! Which crate may know which, and one version of each key crate.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

use crate::tidy::{files, is_test};

/// Every edge between our crates that is allowed, and none else.
const EDGES: [(&str, &[&str]); 14] = [
    ("core", &[]),
    ("api", &["core"]),
    ("online", &["core"]),
    ("objects", &["core"]),
    ("offline", &["api", "core", "objects"]),
    ("proto", &["api", "core"]),
    ("client", &["api", "core", "proto"]),
    ("engine", &["api", "core", "offline", "online"]),
    ("server", &["api", "core", "engine", "proto", "trust"]),
    ("store", &["api", "client", "core", "engine"]),
    ("trust", &["api", "core"]),
    ("cli", &["api", "client", "core", "engine", "server", "store", "trust"]),
    ("python", &["api", "cli", "client", "core", "engine", "store"]),
    (
        "benches",
        &[
            "api", "client", "core", "engine", "objects", "offline", "online", "proto", "server",
            "trust",
        ],
    ),
];

/// Third-party crates that exactly these of our crates may name.
const FENCES: [(&str, &[&str]); 9] = [
    ("rocksdb", &["online"]),
    ("datafusion", &["offline"]),
    ("object_store", &["objects", "offline"]),
    ("prost", &["proto", "server"]),
    ("tonic", &["benches", "client", "proto", "server"]),
    ("arrow-flight", &[]),
    ("axum", &["server"]),
    ("clap", &["benches", "cli"]),
    ("pyo3", &["python"]),
];

/// Crates of which two versions would be two types of one name.
const ONE_VERSION: [&str; 11] = [
    "arrow",
    "arrow-array",
    "datafusion",
    "object_store",
    "parquet",
    "prost",
    "pyo3",
    "rocksdb",
    "rustls",
    "tokio",
    "tonic",
];

/// What a client must not link, and whoever checks a log, by how its crates' names begin.
const SERVING: [&str; 7] =
    ["axum", "datafusion", "hitherto-engine", "librocksdb", "object_store", "parquet", "rocksdb"];

/// How callers and their grants are made, and where alone, but for tests.
const DOORS: [(&str, &[&str]); 4] = [
    ("Caller::anonymous", &["crates/hitherto-server/src/secure/callers.rs"]),
    (
        "Caller::workload",
        &[
            "crates/hitherto-trust/src/identity/certificate.rs",
            "crates/hitherto-trust/src/identity/tokens.rs",
        ],
    ),
    ("Grant::of", &["crates/hitherto-server/src/served.rs"]),
    (
        "Grant::in_process",
        &[
            "benches/src/main.rs",
            "crates/hitherto-cli/src/session.rs",
            "crates/hitherto-python/src/process.rs",
        ],
    ),
];

fn metadata() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).exec().unwrap()
}

fn short(name: &str) -> Option<&str> {
    name.strip_prefix("hitherto-").filter(|name| *name != "tests")
}

fn ours(metadata: &Metadata) -> BTreeMap<&str, &Package> {
    let packages = metadata.workspace_packages();
    packages.into_iter().filter_map(|package| Some((short(&package.name)?, package))).collect()
}

#[test]
fn crates_know_each_other_only_along_the_drawn_edges() {
    let metadata = metadata();
    let packages = ours(&metadata);
    let drawn: BTreeMap<&str, &[&str]> = EDGES.into_iter().collect();
    assert_eq!(packages.keys().collect::<Vec<_>>(), drawn.keys().collect::<Vec<_>>());
    for (name, package) in packages {
        for dependency in &package.dependencies {
            // A server's tests ask it as its callers do.
            let is_of_tests = dependency.kind == DependencyKind::Development;
            if let Some(known) = short(&dependency.name).filter(|_| !is_of_tests) {
                assert!(drawn[name].contains(&known), "hitherto-{name} must not know {known}");
            }
        }
    }
}

#[test]
fn key_libraries_stay_behind_their_fence() {
    let metadata = metadata();
    let packages = ours(&metadata);
    for (library, fence) in FENCES {
        let inside: BTreeSet<&str> = fence.iter().copied().collect();
        for (name, package) in &packages {
            let names_it = package.dependencies.iter().any(|dependency| dependency.name == library);
            assert!(!names_it || inside.contains(name), "hitherto-{name} must not know {library}");
        }
    }
}

/// By Cargo's own word on what is linked into it alone: what others of the workspace ask of
/// shared crates does not count.
#[test]
fn a_client_links_nothing_that_serves() {
    links_nothing_that_serves("client", "tonic");
}

/// Whoever checks an audit log needs nothing of what wrote it.
#[test]
fn a_log_is_checked_without_what_serves() {
    links_nothing_that_serves("trust", "ring");
}

fn links_nothing_that_serves(name: &str, needs: &str) {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--manifest-path", manifest])
        .args(["-p", &format!("hitherto-{name}"), "-e", "normal", "--prefix", "none", "-f", "{p}"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let linked: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(linked.contains(&*format!("hitherto-{name}")) && linked.contains(needs), "{tree}");
    let serving = linked.iter().filter(|name| SERVING.iter().any(|one| name.starts_with(one)));
    assert_eq!(serving.collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn callers_and_grants_are_made_at_the_door() {
    for (maker, doors) in DOORS {
        let names_it = |(name, text): &(String, String)| {
            !is_test(name) && !name.starts_with("crates/hitherto-api/") && text.contains(maker)
        };
        let found = files(&[".rs"]).into_iter().filter(names_it).map(|(name, _)| name);
        assert_eq!(found.collect::<Vec<_>>(), doors, "{maker}");
    }
}

#[test]
fn the_core_is_pure() {
    let metadata = metadata();
    let packages = ours(&metadata);
    let allowed = [
        "jiff",
        "schemars",
        "serde",
        "serde-saphyr",
        "serde_json",
        "strsim",
        "thiserror",
        "xxhash-rust",
    ];
    for dependency in &packages["core"].dependencies {
        assert!(
            allowed.contains(&dependency.name.as_str()),
            "core must not know {}",
            dependency.name
        );
    }
}

#[test]
fn key_crates_have_one_version() {
    let metadata = metadata();
    for name in ONE_VERSION {
        let versions: BTreeSet<String> = metadata
            .packages
            .iter()
            .filter(|package| package.name.as_str() == name)
            .map(|package| package.version.to_string())
            .collect();
        assert!(versions.len() <= 1, "{name} has versions {versions:?}");
    }
}

/// A development dependency of its own would give shared crates other features
/// in a test than in a build, and `make demo` and `make test` would not share
/// one build. What the `tests` package depends on anyway changes nothing.
#[test]
fn development_dependencies_add_nothing_to_the_build() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let tests = packages.iter().find(|package| package.name == "hitherto-tests").unwrap();
    for package in &packages {
        for one in &package.dependencies {
            let is_development = one.kind == DependencyKind::Development;
            let is_shared = tests.dependencies.iter().any(|shared| {
                shared.name == one.name
                    && one.features.iter().all(|feature| shared.features.contains(feature))
            });
            assert!(!is_development || is_shared, "{} has {} of its own", package.name, one.name);
        }
    }
}
