//! A server, as its callers see it: the one that was named, or the one that holds the store.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use hitherto_client::{Client, Token};
use hitherto_core::{Error, Kind, Result};
use hitherto_engine::server_of;

use super::Examined;
use super::finding::Finding;
use super::store::is_held;
use crate::numbers::counted;

/// The release of this client.
const RELEASE: &str = env!("CARGO_PKG_VERSION");
/// How long it may take to answer one question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads and judges.
pub async fn look(examined: &Examined<'_>) -> Vec<Finding> {
    let session = examined.session;
    let (url, shown) = match examined.server {
        Some(url) => (url.to_owned(), examined.shown.clone()),
        None => {
            let Ok(config) = session.config() else { return Vec::new() };
            let Some(url) = server_of(session.root(), &config) else { return Vec::new() };
            if is_held(session.root(), &config) == Some(false) {
                return vec![gone(&url)];
            }
            // Whoever reads this repository has the token that its server asks for.
            let file = config.server.within(session.root()).token_file;
            (url, examined.shown.or_token(file.and_then(|file| first_token(&file))))
        }
    };
    let client = match shown.connect(&url).await {
        Ok(client) => client,
        Err(error) => return vec![unreachable(examined.server.is_some(), &url, &error)],
    };
    let mut findings = vec![Finding::fine("reached", url.clone())];
    let is_serving = answered(client.is_serving()).await;
    findings.push(health(is_serving.as_ref().copied()));
    if matches!(is_serving, Ok(true)) {
        findings.extend(pushes(answered(client.takes_pushes()).await));
    }
    // Whoever does not say this much says nothing else.
    if is_serving.is_ok() {
        findings.extend(answers(&client, &url, shown.is_nothing()).await);
    }
    findings
}

/// An answer that comes in time.
async fn answered<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(ANSWER_TIMEOUT, answer).await.unwrap_or_else(|_| {
        let seconds = ANSWER_TIMEOUT.as_secs();
        Err(Error::unavailable(format!("it does not answer within {seconds} s; look at its log")))
    })
}

/// The first token of a file that stands in it: of others it has digests.
fn first_token(file: &Path) -> Option<Token> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.find_map(|line| line.parse().ok())
}

/// A server that was named is to be there; the one whose note is in the store may be gone.
fn unreachable(is_named: bool, url: &str, error: &Error) -> Finding {
    match (is_named, error.kind()) {
        (true, _) => Finding::error("reached", error),
        (false, Kind::Unavailable) => {
            Finding::fine("reached", format!("none; {url} served this store last"))
        }
        (false, _) => Finding::odd(
            "reached",
            format!("{url} served this store last: {}", error.chain()),
            "show it what it asks for, or say whom to trust: --token, --ca, --cert",
        ),
    }
}

/// Its note is in the store, and it is not: whoever answers there now is another.
fn gone(url: &str) -> Finding {
    let found = format!(
        "none: {url} served this store last, and no process of this machine has it open now; \
         look at one elsewhere with --server"
    );
    Finding::fine("reached", found)
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

/// Nothing to say of one that takes them.
fn pushes(takes_pushes: Result<bool>) -> Option<Finding> {
    match takes_pushes {
        Ok(true) => None,
        Ok(false) => Some(Finding::wrong(
            "pushes",
            "it refuses pushes: the disk of its store is full, or was",
            "make room there; it goes on by itself",
        )),
        Err(error) => Some(Finding::error("pushes", &error)),
    }
}

/// What it says to somebody with these credentials.
async fn answers(client: &Client, url: &str, shows_nothing: bool) -> Vec<Finding> {
    match answered(client.release_and_catalog()).await {
        Err(error) if error.kind() == Kind::Denied => vec![denied(&error, shows_nothing)],
        Err(error) => vec![Finding::error("views", &error)],
        Ok((release, catalog)) => {
            let to_be_built = catalog.to_be_built().count();
            let views = counted(catalog.registry.views.len() as u64, "view");
            vec![
                credentials(url, shows_nothing),
                version(&release, RELEASE),
                match to_be_built {
                    0 => Finding::fine("views", format!("{views}, all of them online")),
                    _ => Finding::odd(
                        "views",
                        format!("{views}, {to_be_built} of them to be built"),
                        format!("hitherto materialize --server {url}"),
                    ),
                },
            ]
        }
    }
}

/// What was shown is not enough.
fn denied(error: &Error, shows_nothing: bool) -> Finding {
    let found = match shows_nothing {
        true => error.chain(),
        false => format!("it does not take what was shown: {}", error.chain()),
    };
    let mend = "show it a token of its tokenFile (--token, or HITHERTO_TOKEN), or a certificate";
    Finding::wrong("credentials", found, mend)
}

/// Whether others reach it who show nothing, or read what is said to it.
fn credentials(url: &str, shows_nothing: bool) -> Finding {
    let check = "credentials";
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let mend = "set server.tokenFile and server.tlsCert in its hitherto.yaml \
                (docs/operate/securing.md)";
    match (is_loopback(host), shows_nothing, url.starts_with("https://")) {
        (false, true, _) => Finding::odd(
            check,
            "none asked for: whoever reaches it can read and change everything",
            mend,
        ),
        (false, false, false) => {
            Finding::odd(check, "it speaks plain text: whoever listens can read all of it", mend)
        }
        (_, true, _) => Finding::fine(
            check,
            "none asked for: whoever reaches its port can read and change everything, which is \
             only this machine if it listens on a loopback address",
        ),
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
        let untrusted = Error::denied("its certificate is not trusted");
        assert_eq!(unreachable(false, "https://[::1]:1", &untrusted).verdict, Verdict::Odd);
    }

    #[test]
    fn what_it_does_not_take_is_wrong() {
        let denied = [true, false].map(|nothing| denied(&Error::denied("a token"), nothing));
        assert_eq!(denied.each_ref().map(|finding| finding.verdict), [Verdict::Wrong; 2]);
        assert_eq!(denied[0].found, "a token");
        assert!(denied[1].found.starts_with("it does not take what was shown"), "{denied:?}");
    }

    #[test]
    fn the_first_token_of_a_file_is_no_comment() {
        let scratch = crate::scratch::Scratch::create("doctor-token").unwrap();
        let file = scratch.path().join("tokens");
        assert!(first_token(&file).is_none(), "no file");
        fs::write(&file, "# ours\n\n").unwrap();
        assert!(first_token(&file).is_none(), "no token");
        fs::write(&file, "# ours\n\n  0123456789abcdef\nanother\n").unwrap();
        assert!(first_token(&file).is_some());
    }

    #[test]
    fn a_server_that_is_being_stopped_is_wrong() {
        assert_eq!(health(Ok(false)).verdict, Verdict::Wrong);
        assert_eq!(health(Err(&Error::unavailable("gone"))).verdict, Verdict::Wrong);
        assert_eq!(health(Ok(true)).verdict, Verdict::Fine);
    }

    #[test]
    fn a_server_that_refuses_pushes_is_wrong() {
        assert!(pushes(Ok(true)).is_none());
        assert_eq!(pushes(Ok(false)).unwrap().verdict, Verdict::Wrong);
        assert_eq!(pushes(Err(Error::unavailable("gone"))).unwrap().verdict, Verdict::Wrong);
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
