//! Processes that lead one after the other, while their leader is killed or stopped.
//!
//! Each says on its stdout from when until when it believes to lead. Whoever started them looks
//! whether two believed so at once.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use hitherto_core::Kind;
use hitherto_objects::Stores;
use hitherto_objects::shared::{Lease, Member, Root, Standing};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::now;
use crate::{Result, child};

/// The subcommand of one process.
pub const MEMBER: &str = "sharing-member";

/// Processes that can lead.
const MEMBERS: usize = 3;
/// How often one looks within a term.
const LOOKS: u32 = 20;

/// What one process is to do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Question {
    root: String,
    id: String,
    term: Duration,
}

/// What it believes, in microseconds UTC.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claim {
    id: String,
    epoch: u64,
    from: i64,
    until: i64,
}

/// Leads when it can, until it is killed or nobody listens any more.
///
/// # Errors
/// When the lease is none.
pub fn serve() -> Result<()> {
    let Question { root, id, term } = child::question()?;
    let stores = Stores::default();
    let root = Root::open(&stores, &root)?;
    let mut lease = Lease::new(root, Member { id: id.clone(), address: String::new() }, term);
    let mut stdout = std::io::stdout();
    loop {
        // The earlier of both clocks' readings: what is claimed is never more than believed.
        let (wall, begun) = (now(), Instant::now());
        match lease.look(&Instant::now) {
            Ok(Standing::Leads { epoch, until }) => {
                let left = until.saturating_duration_since(begun).as_micros() as i64;
                let claim = Claim { id: id.clone(), epoch, from: now(), until: wall + left };
                if writeln!(stdout, "{}", serde_json::to_string(&claim)?).is_err() {
                    return Ok(());
                }
                stdout.flush()?;
            }
            Ok(Standing::Follows(_)) => {}
            Err(error) if error.kind() == Kind::Unavailable => {}
            Err(error) => return Err(error.into()),
        }
        thread::sleep(term / LOOKS);
    }
}

/// One process, and its number among all that were started.
struct Started {
    id: String,
    child: Child,
}

/// Kills and stops leaders.
pub fn run(root: &Root, kills: u64, stops: u64, term: Duration) -> Result<Value> {
    let root = root.folder("leaders");
    let (tell, told) = channel();
    let mut count = 0;
    let mut start = || {
        count += 1;
        start_member(&root, &format!("member-{count}"), term, tell.clone())
    };
    let mut members = (0..MEMBERS).map(|_| start()).collect::<Result<Vec<_>>>()?;
    let mut claims: Vec<Claim> = Vec::new();
    let mut takeovers = Histogram::<u64>::new(3)?;
    let mut leader = wait_for(&told, &mut claims, |_| true, term)?;
    for number in 0..kills + stops {
        // It leads for a while, and is not always disturbed at the same point of its term.
        let pause = term / 4 + term.mul_f64((number % 17) as f64 / 17.0);
        collect(&told, &mut claims, pause);
        leader = claims.last().cloned().unwrap_or(leader);
        let place = members.iter().position(|member| member.id == leader.id);
        let place = place.ok_or("a leader that nobody started")?;
        let begun = Instant::now();
        let is_other = |claim: &Claim| claim.epoch > leader.epoch;
        if number % (kills + stops) < kills {
            members[place].child.kill()?;
            members[place].child.wait()?;
            leader = wait_for(&told, &mut claims, is_other, term)?;
            members[place] = start()?;
        } else {
            signal(&members[place].child, "-STOP")?;
            leader = wait_for(&told, &mut claims, is_other, term)?;
            signal(&members[place].child, "-CONT")?;
        }
        takeovers.record(begun.elapsed().as_millis() as u64)?;
        if number % 25 == 24 {
            eprintln!("{} leaders disturbed", number + 1);
        }
    }
    collect(&told, &mut claims, term);
    for member in &mut members {
        member.child.kill()?;
        member.child.wait()?;
    }
    let epochs = check(&mut claims)?;
    Ok(json!({
        "term_seconds": term.as_secs_f64(),
        "kills": kills,
        "stops": stops,
        "leaders": epochs,
        "claims": claims.len(),
        "two_at_once": 0,
        "takeover_millis_p50": takeovers.value_at_quantile(0.5),
        "takeover_millis_max": takeovers.max(),
    }))
}

fn start_member(root: &Root, id: &str, term: Duration, tell: Sender<Claim>) -> Result<Started> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(MEMBER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let question = Question { root: root.url(), id: id.to_owned(), term };
    let stdin = child.stdin.as_mut().ok_or("a member was started without pipes")?;
    writeln!(stdin, "{}", serde_json::to_string(&question)?)?;
    let stdout = child.stdout.take().ok_or("a member was started without pipes")?;
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
            let Ok(claim) = serde_json::from_str(&line) else { return };
            if tell.send(claim).is_err() {
                return;
            }
        }
    });
    Ok(Started { id: id.to_owned(), child })
}

/// Takes what is claimed until somebody whom `is_it` accepts leads.
fn wait_for(
    told: &Receiver<Claim>,
    claims: &mut Vec<Claim>,
    is_it: impl Fn(&Claim) -> bool,
    term: Duration,
) -> Result<Claim> {
    let patience = term * 20 + Duration::from_secs(30);
    loop {
        let claim = told.recv_timeout(patience).map_err(|_| "nobody leads")?;
        claims.push(claim.clone());
        if is_it(&claim) {
            return Ok(claim);
        }
    }
}

/// Takes what is claimed for a while.
fn collect(told: &Receiver<Claim>, claims: &mut Vec<Claim>, pause: Duration) {
    let end = Instant::now() + pause;
    loop {
        match told.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(claim) => claims.push(claim),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn signal(child: &Child, name: &str) -> Result<()> {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status()?;
    status.success().then_some(()).ok_or_else(|| "kill failed".into())
}

/// Sees that no two led at once; how many led.
fn check(claims: &mut [Claim]) -> Result<u64> {
    claims.sort_by_key(|claim| (claim.epoch, claim.from));
    let mut epochs = 0;
    let mut last: Option<&Claim> = None;
    // The latest that anybody of an earlier epoch believed to lead.
    let mut ended = i64::MIN;
    for claim in claims.iter() {
        if last.is_none_or(|last| last.epoch != claim.epoch) {
            epochs += 1;
            let before = claims.iter().filter(|other| other.epoch < claim.epoch);
            ended = before.map(|other| other.until).max().unwrap_or(i64::MIN);
        }
        let is_one = last.is_none_or(|last| last.epoch != claim.epoch || last.id == claim.id);
        if !is_one || claim.from < ended {
            return Err(format!("two led at once: {last:?} and {claim:?}").into());
        }
        last = Some(claim);
    }
    Ok(epochs)
}
