//! `hitherto doctor`: what is missing or odd, and the command that mends it.
//!
//! ```text
//! Examined   what is looked at: this machine and a repository, or a server
//!         -> SUBJECTS, each a file: reads what there is, and judges it
//!         -> findings: fine, odd or wrong; what was found, and what mends it
//! ```
//!
//! A subject reads in one function and judges in others, which are given what was read: what
//! they say of a full disk needs no full disk. Nothing is changed by looking.
//!
//! | module          | what it looks at                                       |
//! | --------------- | -------------------------------------------------------- |
//! | `finding`       | what a check says                                        |
//! | `machine`       | disks, open files, memory, the clock                     |
//! | `configuration` | hitherto.yaml and the environment                        |
//! | `repository`    | definitions and their sources                            |
//! | `store`         | the store's folder, its format and who holds it          |
//! | `audit`         | the log of calls, and where its keys are               |
//! | `server`        | a server, as its callers see it                          |

mod audit;
mod configuration;
mod finding;
mod machine;
mod repository;
mod server;
mod store;

use std::fmt;
use std::pin::Pin;

use clap::Args;
use hitherto_core::{Error, Result};
use serde::Serialize;

use self::finding::{Finding, Verdict};
use crate::credentials::ShownToServer;
use crate::numbers::counted;
use crate::session::Session;

/// Say what is missing or odd, and how to mend it
///
/// Looks at this machine, the configuration, the definitions and their sources, and the
/// store; and at the server that holds the store. With --server at a server alone, as its
/// callers see it. Changes nothing. Fails if something is wrong, and not if it is odd.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto doctor\n  \
    hitherto doctor --server http://127.0.0.1:7411\n  \
    hitherto doctor --output json")]
pub struct Doctor {
    /// Look at this server instead of the repository
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    shown: ShownToServer,
}

/// What is looked at.
pub struct Examined<'e> {
    session: &'e Session,
    /// The server that was named.
    server: Option<&'e str>,
    shown: &'e ShownToServer,
}

/// Looks at one subject.
type Look = for<'e> fn(&'e Examined<'e>) -> Pin<Box<dyn Future<Output = Vec<Finding>> + 'e>>;

/// Every subject, in the order in which they are shown.
const SUBJECTS: [(&str, Look); 6] = [
    ("machine", |examined| Box::pin(machine::look(examined))),
    ("configuration", |examined| Box::pin(configuration::look(examined))),
    ("repository", |examined| Box::pin(repository::look(examined))),
    ("store", |examined| Box::pin(store::look(examined))),
    ("audit log", |examined| Box::pin(audit::look(examined))),
    ("server", |examined| Box::pin(server::look(examined))),
];

impl Doctor {
    /// Looks and shows what was found.
    ///
    /// # Errors
    /// `Invalid` if something is wrong.
    pub async fn run(self, session: &Session) -> Result<()> {
        let examined = Examined { session, server: self.server.as_deref(), shown: &self.shown };
        let mut report = Report { subjects: Vec::with_capacity(SUBJECTS.len()) };
        for (subject, look) in SUBJECTS {
            let findings = look(&examined).await;
            if !findings.is_empty() {
                report.subjects.push(Subject { subject, findings });
            }
        }
        session.output().result(&report)?;
        match report.count(Verdict::Wrong) {
            0 => Ok(()),
            wrong => Err(Error::invalid(format!(
                "{} wrong; mend what is said above, and look again",
                are(wrong)
            ))),
        }
    }
}

/// What was found.
#[derive(Serialize)]
struct Report {
    subjects: Vec<Subject>,
}

/// What was found of one subject.
#[derive(Serialize)]
struct Subject {
    subject: &'static str,
    findings: Vec<Finding>,
}

impl Report {
    fn count(&self, verdict: Verdict) -> u64 {
        let findings = self.subjects.iter().flat_map(|subject| &subject.findings);
        findings.filter(|finding| finding.verdict == verdict).count() as u64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Subject { subject, findings } in &self.subjects {
            writeln!(f, "{subject}")?;
            findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))?;
        }
        match (self.count(Verdict::Wrong), self.count(Verdict::Odd)) {
            (0, 0) => f.write_str("all is well"),
            (0, odd) => write!(f, "{} odd", are(odd)),
            (wrong, 0) => write!(f, "{} wrong", are(wrong)),
            (wrong, odd) => write!(f, "{} wrong, {odd} odd", are(wrong)),
        }
    }
}

fn are(count: u64) -> String {
    format!("{} {}", counted(count, "thing"), if count == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests;
