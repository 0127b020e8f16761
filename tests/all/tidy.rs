//! Tidiness that a reader would otherwise have to ask for.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a source file, tests aside; past this it is two ideas.
const FILE_LINES_MAX: usize = 500;
/// Characters of a line.
const LINE_CHARS_MAX: usize = 100;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every file of ours with one of these endings.
pub fn files(endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let skipped = ["target", "data", "__pycache__", "node_modules"];
            if path.is_dir() && !skipped.contains(&name.as_str()) && !name.starts_with('.') {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let shown = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push((shown, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "no file ends with {endings:?}");
    found.sort();
    found
}

pub fn is_test(name: &str) -> bool {
    name.contains("tests/") || name.ends_with("tests.rs")
}

#[test]
fn files_are_one_idea_long() {
    for (name, text) in files(&[".rs"]) {
        let lines = text.lines().count();
        assert!(is_test(&name) || lines <= FILE_LINES_MAX, "{name} has {lines} lines");
    }
}

#[test]
fn lines_fit() {
    for (name, text) in files(&[".rs", ".py", ".pyi", ".proto"]) {
        for (number, line) in text.lines().enumerate() {
            let chars = line.chars().count();
            // Tables of messages in tests read better whole.
            let is_exempt = line.contains("http") || is_test(&name);
            assert!(
                chars <= LINE_CHARS_MAX || is_exempt,
                "{name}:{} has {chars} characters",
                number + 1
            );
            assert!(line.trim_end() == line, "{name}:{} ends in white space", number + 1);
        }
    }
}

#[test]
fn every_module_says_what_it_owns() {
    for (name, text) in files(&[".rs"]) {
        let is_documented = text.starts_with("//!") || is_test(&name);
        assert!(is_documented, "{name} does not begin with //!");
    }
}

#[test]
fn nothing_is_left_to_do_or_switched_off() {
    let marks = ["TODO", "FIXME", "XXX", "HACK", "todo!(", "unimplemented!(", "dbg!(", "#[ignore"];
    for (name, text) in files(&[".rs", ".py", ".proto", ".toml", ".sh", "Makefile"]) {
        if name.ends_with("tidy.rs") {
            continue;
        }
        for mark in marks {
            assert!(!text.contains(mark), "{name} contains {mark}");
        }
    }
}

#[test]
fn names_say_what_a_thing_is() {
    let vague = ["Manager", "Helper", "Util", "Common", "Misc"];
    for (name, text) in files(&[".rs"]) {
        for line in text.lines() {
            let declared = ["struct ", "enum ", "trait ", "mod "].iter().find_map(|keyword| {
                line.trim_start().trim_start_matches("pub ").strip_prefix(keyword)
            });
            let declared =
                declared.and_then(|rest| rest.split(|c: char| !c.is_alphanumeric()).next());
            if let Some(declared) = declared {
                let is_vague = vague.iter().any(|word| declared.contains(word));
                assert!(!is_vague, "{name} declares {declared}");
            }
        }
    }
}
