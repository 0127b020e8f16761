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
