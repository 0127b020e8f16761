//! Processes that change one state at once: each adds one to its own count in it.

use std::collections::BTreeMap;
use std::thread;
use std::time::Instant;

use hdrhistogram::Histogram;
use hitherto_core::Kind;
use hitherto_objects::Stores;
use hitherto_objects::shared::{Committed, Root, Versions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Result, child};

/// The subcommand of one process.
pub const CHILD: &str = "sharing-child";

/// What one process is to do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Question {
    root: String,
    writer: String,
    commits: u64,
}

/// How it went.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    lost_races: u64,
    unanswered: u64,
    /// Milliseconds from the first try of a change to its success: p50, p99, most.
    millis: [f64; 3],
}

type Counts = BTreeMap<String, u64>;

/// Starts the processes, and counts what they leave.
pub fn run(root: &Root, processes: u64, each: u64) -> Result<Value> {
    let begun = Instant::now();
    let answers: Vec<Answer> = thread::scope(|threads| {
        let asked: Vec<_> = (0..processes)
            .map(|number| {
                let writer = format!("writer-{number}");
                let question = Question { root: root.url(), writer, commits: each };
                threads.spawn(move || child::ask(CHILD, &question))
            })
            .collect();
        asked
            .into_iter()
            .map(|asked| asked.join().map_err(|_| "a thread broke off")?)
            .collect::<Result<_>>()
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut versions = Versions::new(root.clone(), "reader");
    let latest = versions.latest()?.ok_or("nothing was written")?;
    let counts: Counts = serde_json::from_slice(&latest.state)?;
    let is_whole = counts.len() as u64 == processes && counts.values().all(|count| *count == each);
    if !is_whole || latest.sequence != processes * each {
        return Err(format!("{} versions say {counts:?}", latest.sequence).into());
    }
    let sum = |of: fn(&Answer) -> u64| answers.iter().map(of).sum::<u64>();
    let most = |at: usize| answers.iter().map(|answer| answer.millis[at]).fold(0.0, f64::max);
    Ok(json!({
        "versions": latest.sequence,
        "seconds": seconds,
        "versions_per_second": latest.sequence as f64 / seconds,
        "lost_races": sum(|answer| answer.lost_races),
        "unanswered": sum(|answer| answer.unanswered),
        "millis_p50_of_the_slowest": most(0),
        "millis_p99_of_the_slowest": most(1),
        "millis_max": most(2),
    }))
}

/// Makes its changes.
pub fn measure(question: Question) -> Result<Answer> {
    let stores = Stores::default();
    let root = Root::open(&stores, &question.root)?;
    let mut versions = Versions::new(root, &question.writer);
    let mut answer = Answer { lost_races: 0, unanswered: 0, millis: [0.0; 3] };
    let mut micros = Histogram::<u64>::new(3)?;
    for goal in 1..=question.commits {
        let begun = Instant::now();
        while !reach(&mut versions, &question.writer, goal, &mut answer)? {}
        micros.record((begun.elapsed().as_micros() as u64).max(1))?;
    }
    let at = |quantile| micros.value_at_quantile(quantile) as f64 / 1_000.0;
    answer.millis = [at(0.5), at(0.99), at(1.0)];
    Ok(answer)
}

/// Tries to bring the own count to `goal`; whether it is there.
fn reach(versions: &mut Versions, me: &str, goal: u64, answer: &mut Answer) -> Result<bool> {
    let latest = versions.latest()?;
    let mut counts = match latest {
        Some(latest) => serde_json::from_slice(&latest.state)?,
        None => Counts::new(),
    };
    let mine = counts.entry(me.to_owned()).or_default();
    if *mine >= goal {
        return Ok(true);
    }
    *mine += 1;
    match versions.commit(&serde_json::to_vec(&counts)?, 0) {
        Ok(Committed::Done(_)) => Ok(true),
        Ok(Committed::Lost(_)) => {
            answer.lost_races += 1;
            Ok(false)
        }
        Err(error) if error.kind() == Kind::Unavailable => {
            answer.unanswered += 1;
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}
