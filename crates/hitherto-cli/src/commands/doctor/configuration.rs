//! The configuration: what is set where, and whether it can be.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::CommandFactory;
use hitherto_core::name::suggestion;
use hitherto_engine::config::{FILE_NAME, ServerConfig};
use hitherto_engine::{Config, read_memory_bytes};
use hitherto_server::Security;
use serde_json::Value;

use super::Examined;
use super::finding::Finding;
use super::server::is_loopback;
use crate::cli::Cli;
use crate::numbers::{bytes, counted};
use crate::session::wall_clock;

/// What names of our variables begin with.
const PREFIX: &str = "HITHERTO_";
/// Variables that no option of the command line has.
const OTHER_VARIABLES: [&str; 2] = ["HITHERTO_CACHE", "HITHERTO_BIN"];

/// Reads and judges.
pub async fn look(examined: &Examined<'_>) -> Vec<Finding> {
    let variables: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with(PREFIX))
        .collect();
    let mut findings = vec![environment(&variables, &known_variables())];
    let session = examined.session;
    if examined.server.is_some() || !session.root().is_dir() {
        return findings;
    }
    match session.config() {
        Err(error) => findings.push(Finding::error("hitherto.yaml", &error)),
        Ok(config) => {
            findings.push(settings(&config));
            findings.push(memory(&config, read_memory_bytes()));
            findings.push(threads(&config, Config { threads: 0, ..config.clone() }.threads()));
            let server = config.server.within(session.root());
            findings.push(match Security::read(&server, Arc::new(wall_clock)) {
                Ok(security) => listening(&server, security.is_open()),
                Err(error) => Finding::error("server", &error),
            });
        }
    }
    findings
}

/// Every variable that an option takes its value from.
fn known_variables() -> Vec<String> {
    let mut names: Vec<String> = OTHER_VARIABLES.map(str::to_owned).to_vec();
    let mut commands = vec![Cli::command()];
    while let Some(command) = commands.pop() {
        let variables = command.get_arguments().filter_map(clap::Arg::get_env);
        names.extend(variables.filter_map(|name| name.to_str()).map(str::to_owned));
        commands.extend(command.get_subcommands().cloned());
    }
    names.sort();
    names.dedup();
    names
}

fn environment(set: &[String], known: &[String]) -> Finding {
    let check = "environment";
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    match set.iter().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Finding::odd(
            check,
            format!(
                "{unknown} is set, which means nothing to this release{}",
                suggestion(unknown, known.iter().copied())
            ),
            format!("unset {unknown}"),
        ),
        None if set.is_empty() => Finding::fine(check, "no variable changes anything"),
        None => Finding::fine(check, format!("{} set", set.join(", "))),
    }
}

/// What the file says otherwise than the defaults.
fn settings(config: &Config) -> Finding {
    let of = |config: &Config| flat(&serde_json::to_value(config).unwrap_or_default());
    let defaults = of(&Config::default());
    let set: Vec<String> = of(config)
        .into_iter()
        .filter(|(name, value)| defaults.get(name) != Some(value))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Finding::fine(
        FILE_NAME,
        match set.len() {
            0 => String::from("every setting has its default"),
            n => format!("{} of its own: {}", counted(n as u64, "setting"), set.join(", ")),
        },
    )
}

/// Settings by their path, such as `server.listen`.
fn flat(settings: &Value) -> BTreeMap<String, String> {
    let mut flattened = BTreeMap::new();
    for (name, value) in settings.as_object().into_iter().flatten() {
        match value {
            Value::Object(_) => flattened.extend(
                flat(value).into_iter().map(|(inner, value)| (format!("{name}.{inner}"), value)),
            ),
            Value::String(text) => drop(flattened.insert(name.clone(), text.clone())),
            value => drop(flattened.insert(name.clone(), value.to_string())),
        }
    }
    flattened
}

fn memory(config: &Config, limit: u64) -> Finding {
    let asked = config.memory_bytes().saturating_add(config.cache.bytes());
    let found = format!(
        "memory {} and cache {} of {}",
        bytes(config.memory_bytes()),
        bytes(config.cache.bytes()),
        bytes(limit)
    );
    match asked > limit {
        true => Finding::wrong(
            "memory",
            found,
            "set memory and cache in hitherto.yaml to less than there is: the process would be \
             killed",
        ),
        false => Finding::fine("memory", found),
    }
}

fn threads(config: &Config, cores: usize) -> Finding {
    let threads = config.threads();
    let found =
        format!("{} on {}", counted(threads as u64, "thread"), counted(cores as u64, "core"));
    match threads > 2 * cores {
        true => Finding::odd("threads", found, "leave threads out of hitherto.yaml: one a core"),
        false => Finding::fine("threads", found),
    }
}

/// Where `hitherto serve` would listen, and who could reach it.
fn listening(server: &ServerConfig, is_open: bool) -> Finding {
    let check = "server";
    let host = server.listen.rsplit_once(':').map_or(server.listen.as_str(), |(host, _)| host);
    let words = "set server.tokenFile and server.tlsCert in hitherto.yaml \
                 (docs/operate/securing.md)";
    match (is_loopback(host), is_open) {
        (false, true) if server.allow_anonymous => Finding::odd(
            check,
            format!(
                "hitherto serve would listen on {}, where whoever reaches it can read and change \
                 everything",
                server.listen
            ),
            words,
        ),
        (false, true) => Finding::wrong(
            check,
            format!(
                "hitherto serve would refuse to listen on {}, which others reach, and ask nobody \
                 who they are",
                server.listen
            ),
            words,
        ),
        _ => Finding::fine(check, format!("hitherto serve would listen on {}", server.listen)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Verdict;

    #[test]
    fn a_misspelt_variable_is_odd() {
        let known = known_variables();
        assert!(known.contains(&String::from("HITHERTO_TOKEN")), "{known:?}");
        let judge = |name: &str| environment(&[name.to_owned()], &known);
        assert_eq!(judge("HITHERTO_REPO").verdict, Verdict::Fine);
        let odd = judge("HITHERTO_REPOS");
        assert_eq!(odd.verdict, Verdict::Odd);
        assert!(odd.found.contains("did you mean \"HITHERTO_REPO\"?"), "{odd:?}");
    }

    #[test]
    fn settings_say_what_is_not_a_default() {
        let mut config = Config::default();
        assert!(settings(&config).found.contains("default"));
        config.server.listen = String::from("127.0.0.1:1");
        assert_eq!(settings(&config).found, "1 setting of its own: server.listen=127.0.0.1:1");
    }

    #[test]
    fn more_memory_than_there_is_is_wrong() {
        let config = Config { memory: "4GiB".parse().unwrap(), ..Config::default() };
        let judged = [4 << 30, 8 << 30].map(|limit| memory(&config, limit).verdict);
        assert_eq!(judged, [Verdict::Wrong, Verdict::Fine]);
    }

    #[test]
    fn more_threads_than_cores_are_odd() {
        let config = Config { threads: 9, ..Config::default() };
        assert_eq!(
            [4, 8].map(|cores| threads(&config, cores).verdict),
            [Verdict::Odd, Verdict::Fine]
        );
    }

    #[test]
    fn a_port_that_others_reach_asks_who_they_are() {
        let judge = |listen: &str, is_open, allow_anonymous| {
            let listen = listen.to_owned();
            let server = ServerConfig { listen, allow_anonymous, ..ServerConfig::default() };
            listening(&server, is_open).verdict
        };
        assert_eq!(judge("0.0.0.0:7411", true, false), Verdict::Wrong);
        assert_eq!(judge("0.0.0.0:7411", true, true), Verdict::Odd);
        assert_eq!(judge("0.0.0.0:7411", false, false), Verdict::Fine);
        assert_eq!(judge("127.0.0.1:7411", true, false), Verdict::Fine);
    }
}
