//! The audit log: whether there is one, whether it is whole, and where its keys are.

use std::fs;
use std::path::Path;

use hitherto_core::time::format_timestamp;
use hitherto_engine::config::{AuditConfig, AuditLevel};
use hitherto_engine::disk::check_secret;
use hitherto_server::audit::last_checkpoint;
use hitherto_trust::audit::{PublicKey, Report, Trusted, verify};

use super::Examined;
use super::finding::Finding;
use crate::numbers::{bytes, counted};

/// Bytes of a log that is read from end to end: a larger one takes longer than somebody waits.
const READ_BYTES_MAX: u64 = 1 << 30;

/// Reads and judges.
pub async fn look(examined: &Examined<'_>) -> Vec<Finding> {
    let session = examined.session;
    let (None, Ok(config)) = (examined.server, session.config()) else { return Vec::new() };
    let config = config.audit.within(session.root());
    if config.level == AuditLevel::Off {
        return vec![Finding::fine("level", "off: servers do not record who asks")];
    }
    let mut findings = vec![keys(&config)];
    if !config.folder.is_dir() {
        findings.push(Finding::fine("log", "none yet: it begins with the next `hitherto serve`"));
        return findings;
    }
    let size = size_of(&config.folder);
    if size > READ_BYTES_MAX {
        let found = format!("{}, which was not read", bytes(size));
        findings.push(Finding::odd("log", found, "hitherto audit verify"));
        return findings;
    }
    let checked = PublicKey::read(&config.folder.join("key.pem")).and_then(|key| {
        let since = last_checkpoint(&config.keys)?;
        Ok((since, verify(&config.folder, Trusted { key, since })?))
    });
    findings.push(match checked {
        Ok((since, report)) => log(&report, since.map(|since| since.time)),
        Err(error) => Finding::error("log", &error),
    });
    findings
}

/// Whether whoever reads the log has its keys too.
fn keys(config: &AuditConfig) -> Finding {
    let AuditConfig { folder, keys, .. } = config;
    let check = "keys";
    if keys.starts_with(folder) {
        return Finding::wrong(
            check,
            format!("{} is in the log's own folder: a copy of the log has them", keys.display()),
            "audit.keys in hitherto.yaml: another folder",
        );
    }
    match check_secret(&keys.join("signing.pem")) {
        Ok(()) => Finding::fine(check, format!("in {}: keep a copy elsewhere", keys.display())),
        Err(error) => Finding::error(check, &error),
    }
}

fn size_of(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

/// What was found in it.
fn log(report: &Report, signed: Option<i64>) -> Finding {
    let Report { first, records, problem, .. } = report;
    match problem {
        None => {
            let signed = signed.map(|time| format!(", signed until {}", format_timestamp(time)));
            let whole = counted(records - first, "record");
            Finding::fine("log", format!("{whole}, whole{}", signed.unwrap_or_default()))
        }
        Some(problem) => Finding::wrong(
            "log",
            format!("record {} is not what was written: {}", problem.record, problem.what),
            "hitherto audit verify; keep the folder as it is, and set audit.folder to another",
        ),
    }
}

#[cfg(test)]
mod tests {
    use hitherto_trust::audit::Problem;

    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_log_that_was_changed_is_wrong_and_so_are_keys_in_it() {
        let whole = Report { records: 7, ..Report::default() };
        assert_eq!(log(&whole, Some(0)).verdict, Verdict::Fine);
        let what = String::from("its bytes are not what was written there");
        let problem = Some(Problem { record: 3, file: String::new(), offset: 0, what });
        assert_eq!(log(&Report { problem, ..whole }, None).verdict, Verdict::Wrong);
        let config = AuditConfig::default().within(Path::new("/nowhere"));
        assert_eq!(keys(&config).verdict, Verdict::Fine);
        let inside = AuditConfig { keys: config.folder.join("keys"), ..config };
        assert_eq!(keys(&inside).verdict, Verdict::Wrong);
    }
}
