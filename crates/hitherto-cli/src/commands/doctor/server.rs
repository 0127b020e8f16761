//! A server, as its callers see it: the one that was named, or the one that holds the store.

use std::net::IpAddr;

use hitherto_core::Error;
use hitherto_engine::server_of;
use hitherto_server::client::Client;

use super::Examined;
use super::finding::Finding;
use crate::numbers::counted;

/// The release of this client.
const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// Reads and judges.
pub async fn look(examined: &Examined<'_>) -> Vec<Finding> {
    let session = examined.session;
    let held = || server_of(session.root(), &session.config().ok()?);
    let Some(url) = examined.server.map(str::to_owned).or_else(held) else { return Vec::new() };
    let client = match examined.shown.connect(&url).await {
        Ok(client) => client,
        Err(error) => return vec![unreachable(examined.server.is_some(), &url, &error)],
    };
    let mut findings = vec![Finding::fine("reached", url.clone())];
    findings.push(health(client.is_serving().await.as_ref().copied()));
    findings.extend(answers(&client, &url, examined.shown.is_nothing()).await);
    findings
}

/// A server that was named is to be there; the one whose note is in the store may be gone.
fn unreachable(is_named: bool, url: &str, error: &Error) -> Finding {
    match is_named {
        true => Finding::error("reached", error),
        false => Finding::fine("reached", format!("none; {url} served this store last")),
    }
}

fn health(is_serving: Result<bool, &Error>) -> Finding {
    match is_serving {
        Ok(true) => Finding::fine("health", "serving"),
        Ok(false) => Finding::wrong(
            "health",
            "it says that it is not serving: it is being stopped",
            "hitherto serve",
        ),
        Err(error) => Finding::error("health", error),
    }
}

/// What it says to somebody with these credentials.
async fn answers(client: &Client, url: &str, shows_nothing: bool) -> Vec<Finding> {
    match client.release_and_catalog().await {
        Err(error) => vec![Finding::error("credentials", &error)],
        Ok((release, catalog)) => {
            let online = catalog.views.iter().filter(|view| view.generation.is_some()).count();
            let views = counted(catalog.views.len() as u64, "view");
            vec![
                credentials(url, shows_nothing),
                version(&release, RELEASE),
                match online == catalog.views.len() {
                    true => Finding::fine("views", format!("{views}, all of them online")),
                    false => Finding::odd(
                        "views",
                        format!("{views}, {} of them to be built", catalog.views.len() - online),
                        format!("hitherto materialize --server {url}"),
                    ),
                },
            ]
        }
    }
}

/// Whether others reach it who show nothing, or read what is said to it.
fn credentials(url: &str, shows_nothing: bool) -> Finding {
    let check = "credentials";
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let mend = "set server.tokenFile and server.tlsCert in its hitherto.yaml (docs/securing.md)";
    match (is_loopback(host), shows_nothing, url.starts_with("https://")) {
        (false, true, _) => Finding::odd(
            check,
            "none asked for: whoever reaches it can read and change everything",
            mend,
        ),
        (false, false, false) => {
            Finding::odd(check, "it speaks plain text: whoever listens can read all of it", mend)
        }
        (_, true, _) => Finding::fine(check, "none asked for, and only this machine reaches it"),
        _ => Finding::fine(check, "they are taken"),
    }
}

fn version(theirs: &str, ours: &str) -> Finding {
    match theirs {
        _ if theirs == ours => Finding::fine("release", ours),
        "" => Finding::odd(
            "release",
            format!("an older one, which does not say which; this is {ours}"),
            "install one release at both ends",
        ),
        _ => Finding::odd(
            "release",
            format!("{theirs}, and this is {ours}"),
            "install one release at both ends",
        ),
    }
}

/// Whether only this machine reaches it.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Verdict;

    #[test]
    fn a_server_that_was_named_is_to_be_there() {
        let error = Error::unavailable("no server answers");
        let judge = |is_named| unreachable(is_named, "http://127.0.0.1:1", &error).verdict;
        assert_eq!([true, false].map(judge), [Verdict::Wrong, Verdict::Fine]);
    }

    #[test]
    fn a_server_that_is_being_stopped_is_wrong() {
        assert_eq!(health(Ok(false)).verdict, Verdict::Wrong);
        assert_eq!(health(Err(&Error::unavailable("gone"))).verdict, Verdict::Wrong);
        assert_eq!(health(Ok(true)).verdict, Verdict::Fine);
    }

    #[test]
    fn whoever_is_reached_by_others_asks_who_they_are_and_whispers() {
        let judge = |url, shows_nothing| credentials(url, shows_nothing).verdict;
        assert_eq!(judge("http://10.0.0.1:7411", true), Verdict::Odd);
        assert_eq!(judge("https://features:7411", true), Verdict::Odd);
        assert_eq!(judge("http://10.0.0.1:7411", false), Verdict::Odd);
        assert_eq!(judge("https://features:7411", false), Verdict::Fine);
        assert_eq!(judge("http://127.0.0.1:7411", true), Verdict::Fine);
        assert_eq!(judge("http://[::1]:7411", true), Verdict::Fine);
    }

    #[test]
    fn two_releases_are_odd() {
        let judged = ["0.1.0", "0.2.0", ""].map(|theirs| version(theirs, "0.1.0").verdict);
        assert_eq!(judged, [Verdict::Fine, Verdict::Odd, Verdict::Odd]);
    }
}
