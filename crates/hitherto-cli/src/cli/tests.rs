use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn help_names_every_exit_code() {
    let help = Cli::command().render_long_help().to_string();
    for kind in Kind::ALL {
        let line = format!("{}  {}", kind.exit_code(), kind.name());
        assert!(help.contains(&line), "{line:?} is not in\n{help}");
    }
}

#[test]
fn every_command_has_an_example() {
    for command in Cli::command().get_subcommands_mut() {
        let name = command.get_name().to_owned();
        let help = command.render_long_help().to_string();
        assert!(help.contains(&format!("  hitherto {name}")), "no example in\n{help}");
    }
}

/// A line that is broken cannot be copied, nor one with words behind it that are no comment.
#[test]
fn examples_are_commands_to_be_copied() {
    let check = |mut command: clap::Command| {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let help = command.render_long_help().to_string();
        for line in examples.lines().filter(|line| line.starts_with("  ")) {
            assert!(help.lines().any(|shown| shown.trim_end() == line), "{line:?} in\n{help}");
            let words = line.split("  ").filter(|words| !words.trim().is_empty());
            let is_comment = |words: &str| words.trim_start().starts_with('#');
            let is_command = line.starts_with("  hitherto ");
            assert!(!is_command || words.skip(1).all(is_comment), "{line:?}");
        }
    };
    let cli = || Cli::command().term_width(HELP_COLUMNS.0);
    check(cli());
    let mut built = cli();
    built.build();
    built.get_subcommands().for_each(|command| check(command.clone()));
}

#[test]
fn a_selection_is_asked_for_once() {
    let parse = |arguments: &[&str]| {
        let all = ["hitherto", "get"].iter().chain(arguments);
        Cli::try_parse_from(all).is_ok()
    };
    assert!(parse(&["--service", "s", "k=1"]));
    assert!(parse(&["--features", "a:b,c:*", "k=1"]));
    assert!(!parse(&["--service", "s", "--features", "a:b", "k=1"]), "both");
    assert!(!parse(&["--features", "nonsense", "k=1"]), "not view:feature");
}
