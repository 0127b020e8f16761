//! Others check the same log: openssl its signatures, Python's hashlib its chain.

use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::*;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operate/verify_audit.py");

/// Whether a program is there.
#[expect(clippy::print_stdout, reason = "a test that did not run says so")]
fn has(program: &str) -> bool {
    let is_there = Command::new(program).arg("--version").output().is_ok();
    if !is_there {
        println!("{program} is not on this machine, so that it judges nothing");
    }
    is_there
}

fn openssl(folder: &Path, arguments: &[&str]) -> bool {
    let ran = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    ran.status.success()
}

#[test]
fn openssl_checks_a_checkpoint_and_makes_a_key() {
    if !has("openssl") {
        return;
    }
    let place = Place::new();
    let here = place.folder.path();
    assert!(openssl(here, &["genpkey", "-algorithm", "ed25519", "-out", "signing.pem"]));
    drop(place.open());
    let note = fs::read_to_string(place.remembered()).unwrap();
    let (text, signature) = note.split_once("\n\n").unwrap();
    let signature = signature.trim().rsplit(' ').next().unwrap();
    let signature = BASE64_STANDARD.decode(signature).unwrap();
    fs::write(here.join("text"), format!("{text}\n")).unwrap();
    fs::write(here.join("signature"), &signature[4..]).unwrap();
    let check = [
        "pkeyutl",
        "-verify",
        "-rawin",
        "-pubin",
        "-inkey",
        "log/key.pem",
        "-in",
        "text",
        "-sigfile",
        "signature",
    ];
    assert!(openssl(here, &check));
    fs::write(here.join("text"), text).unwrap();
    assert!(!openssl(here, &check), "a byte less");
    // Our own keys are keys of openssl's.
    fs::remove_file(place.key()).unwrap();
    let ours = place.signer().public().to_pem();
    assert!(openssl(here, &["pkey", "-in", "signing.pem", "-pubout", "-out", "public.pem"]));
    assert_eq!(fs::read_to_string(here.join("public.pem")).unwrap(), ours);
}

fn judge(folder: &Path) -> (bool, String) {
    let ran = Command::new("python3").arg(SCRIPT).arg(folder).output().unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    (ran.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn a_script_of_hashlib_finds_the_same() {
    if !has("python3") || !has("openssl") {
        return;
    }
    let place = super::tamper::closed();
    let (is_good, said) = judge(&place.log());
    let report = place.verify();
    assert!(is_good, "{said}");
    assert!(said.contains(&format!("{} records", report.records)), "{said}");
    let path = super::super::segment::path_of(&place.log(), 0);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (is_good, said) = judge(&place.log());
    let record = place.verify().problem.unwrap().record;
    assert!(!is_good && said.contains(&format!("record {record}")), "{record}: {said}");
}
