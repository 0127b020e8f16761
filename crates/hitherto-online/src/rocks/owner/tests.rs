use hitherto_core::Kind;

use super::*;

#[test]
fn a_folder_is_free_when_its_store_is_closed_whoever_was_forked_off_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let held = Locked::take(folder.path()).unwrap().unwrap();
    // What a fork leaves to the other process.
    let forked = held.0.try_clone().unwrap();
    let refusal = Locked::take(folder.path()).err().unwrap();
    assert_eq!(refusal.kind(), Kind::Conflict, "{refusal}");
    drop(held);
    assert!(Locked::take(folder.path()).unwrap().is_some());
    drop(forked);
}
