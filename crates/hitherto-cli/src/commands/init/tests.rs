use hitherto_engine::{Config, repository};

use super::*;
use crate::scratch::Scratch;

const NOW: i64 = 1_800_000_000_000_000;

#[test]
fn the_starter_loads() {
    let scratch = Scratch::create("init-loads").expect("a folder");
    let files = write(scratch.path(), NOW).expect("written");
    assert_eq!(files.len(), 6);
    let loaded = repository::load(scratch.path(), None).expect("definitions");
    let counts = |definitions: &hitherto_core::definition::Definitions| {
        (definitions.entities.len(), definitions.views.len(), definitions.services.len())
    };
    assert_eq!(counts(&loaded.definitions), (1, 2, 1));
}

#[test]
fn every_setting_is_shown_with_its_default() {
    let (_, template) = TEMPLATE[0];
    assert!(template.lines().all(|line| line.is_empty() || line.trim().starts_with('#')));

    // A setting has no space after its mark, or, below `server`, two.
    let is_setting = |text: &str| !text.starts_with(' ') || text.starts_with("  ");
    let settings = template.lines().filter_map(|line| line.strip_prefix('#'));
    let settings: Vec<&str> = settings.filter(|text| is_setting(text)).collect();
    assert_eq!(settings.len(), 28, "all of Config and its parts, and the words server and audit");

    let scratch = Scratch::create("init-config").expect("a folder");
    let path = scratch.path().join(hitherto_engine::config::FILE_NAME);
    fs::write(path, settings.join("\n")).expect("written");
    let config = Config::read(scratch.path()).expect("a configuration");
    assert_eq!(config, Config::default());
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let scratch = Scratch::create("init-used").expect("a folder");
    refuse_used(scratch.path()).expect("it is empty");
    fs::write(scratch.path().join("thesis.txt"), "years of work").expect("written");
    let refusal = refuse_used(scratch.path()).expect_err("it is not");
    assert_eq!(refusal.kind(), hitherto_core::Kind::Invalid);
}
