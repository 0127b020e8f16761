//! Kill -9 at any moment: what was answered has its record.
//!
//! A child process, this test binary again, appends records and says each one that was written,
//! as an answer leaves. Its parent kills it, and looks for what it said.
//!
//! ```text
//! HITHERTO_AUDIT_KILLS=500 cargo test -p hitherto-trust kills
//! ```

use std::collections::HashSet;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;

use super::*;

/// Kills of one test run, unless `HITHERTO_AUDIT_KILLS` says otherwise.
const KILLS: u64 = 20;
const KILLS_SETTING: &str = "HITHERTO_AUDIT_KILLS";
/// Tells a child where it works, and with which number it begins.
const CHILD_SETTING: &str = "HITHERTO_AUDIT_CHILD";

/// What a child does until it is killed. Run by itself it does nothing.
#[test]
fn child() {
    let Ok(setting) = env::var(CHILD_SETTING) else { return };
    let (begin, folder) = setting.split_once(' ').unwrap();
    let (begin, folder) = (begin.parse::<u64>().unwrap(), PathBuf::from(folder));
    let last = folder.join("last");
    let log = Log::open(Options {
        folder: folder.join("log"),
        signer: Signer::read_or_make(&folder.join("signing.pem")).unwrap(),
        clock: Arc::new(|| NOW),
        checkpoint: Duration::from_millis(70),
        file_bytes: 60_000,
        retention: None,
        remembered: fs::read_to_string(&last).ok(),
        remember: Box::new(move |note| {
            fs::write(last.with_extension("writing"), note).unwrap();
            fs::rename(last.with_extension("writing"), &last).unwrap();
            Ok(())
        }),
    });
    let log = log.unwrap();
    thread::scope(|threads| {
        for writer in 0..2 {
            let log = &log;
            threads.spawn(move || {
                for number in (begin + writer..).step_by(2) {
                    log.append(&lookup(number)).unwrap();
                    let mut output = std::io::stdout().lock();
                    writeln!(output, "answered {number}").unwrap();
                    output.flush().unwrap();
                }
            });
        }
    });
}

#[test]
fn what_was_answered_has_its_record_after_kill_9() {
    let kills = env::var(KILLS_SETTING).map_or(KILLS, |text| text.parse().unwrap());
    let place = Place::new();
    place.signer();
    let mut dice = Dice(11);
    let mut answered: Vec<u64> = Vec::new();
    for kill in 0..kills {
        let begin = kill * 10_000_000;
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["audit::tests::kills::child", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD_SETTING, format!("{begin} {}", place.folder.path().display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let reader = thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            let number = |line: String| line.strip_prefix("answered ")?.parse::<u64>().ok();
            lines.filter_map(number).collect::<Vec<_>>()
        });
        thread::sleep(Duration::from_millis(20 + dice.roll(160)));
        assert_eq!(child.try_wait().unwrap(), None, "kill {kill}: the child ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        let now = reader.join().unwrap();
        let report = place.verify();
        assert_eq!(report.problem, None, "kill {kill}: {report:?}");
        let records = read(&place.log()).unwrap().map(|record| record.unwrap().1);
        let calls: Vec<u64> =
            records.filter(|record| record.call >= begin).map(|record| record.call).collect();
        let written: HashSet<u64> = calls.iter().copied().collect();
        let missed = now.iter().find(|number| !written.contains(number) && **number >= begin);
        assert_eq!(missed, None, "kill {kill}: an answer without its record");
        let calls = calls.iter().filter(|call| **call > begin).count();
        assert!(calls <= written.len(), "kill {kill}: each once");
        answered.extend(now);
        if kill % 50 == 49 {
            // One log for all of them would be read again and again.
            fs::remove_dir_all(place.log()).unwrap();
            fs::remove_file(place.remembered()).unwrap();
        }
    }
    assert!(answered.len() as u64 > kills * 10, "{} answers", answered.len());
}
