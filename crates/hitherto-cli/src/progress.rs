//! How far materialization is: bars on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hitherto_engine::{Materialized, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::numbers::{count, counted, span};
use crate::output::Output;

/// At most one plain line a view in this time: a log is read, not watched.
const LINE_INTERVAL: Duration = Duration::from_secs(1);
/// How often a bar moves while nothing is reported: a still bar looks dead.
const TICK_INTERVAL: Duration = Duration::from_millis(100);

/// Progress as suits where stderr goes. Bars go when it is dropped: drop it
/// before the result is shown.
pub fn on(output: Output) -> Box<dyn Progress> {
    match is_watched(output) {
        true => Box::new(Bars::default()),
        false => Box::new(Lines { output, views: Mutex::default() }),
    }
}

/// Progress for somebody who watches, and silence otherwise.
pub fn while_watched(output: Output) -> Box<dyn Progress> {
    match is_watched(output) {
        true => Box::new(Bars::default()),
        false => Box::new(Silence),
    }
}

fn is_watched(output: Output) -> bool {
    output.has_terminal() && !output.is_json()
}

/// Nobody is told.
pub struct Silence;

impl Progress for Silence {
    fn begin(&self, _view: &str, _rows: u64) {}
    fn advance(&self, _view: &str, _facts: u64) {}
    fn end(&self, _done: &Materialized) {}
}

/// A bar for each view. Its length is the rows in the files, of which the
/// view's SQL may drop any number, so the end can come early.
#[derive(Default)]
struct Bars {
    screen: MultiProgress,
    views: Mutex<HashMap<String, (ProgressBar, Instant)>>,
}

impl Progress for Bars {
    fn begin(&self, view: &str, rows: u64) {
        let bar = self.screen.add(ProgressBar::new(rows));
        let style = "{prefix:24} {bar:24} {human_pos:>9} facts  {per_sec}  of {human_len} rows";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar.set_prefix(view.to_owned());
        bar.enable_steady_tick(TICK_INTERVAL);
        locked(&self.views).insert(view.to_owned(), (bar, Instant::now()));
    }

    fn advance(&self, view: &str, facts: u64) {
        if let Some((bar, _)) = locked(&self.views).get(view) {
            bar.set_position(facts);
        }
    }

    fn end(&self, done: &Materialized) {
        if let Some((bar, begun)) = locked(&self.views).remove(&done.view) {
            if let Ok(style) = ProgressStyle::with_template("{prefix:24} {msg}") {
                bar.set_style(style);
            }
            bar.finish_with_message(outcome(done, begun.elapsed()));
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // The result says the same; a screen that cannot be cleared keeps it.
        let _ = self.screen.clear();
    }
}

/// A line now and then.
struct Lines {
    output: Output,
    views: Mutex<HashMap<String, Pace>>,
}

/// When a view was begun and when it last had a line.
struct Pace {
    begun: Instant,
    shown: Instant,
}

impl Progress for Lines {
    fn begin(&self, view: &str, _rows: u64) {
        let now = Instant::now();
        locked(&self.views).insert(view.to_owned(), Pace { begun: now, shown: now });
    }

    fn advance(&self, view: &str, facts: u64) {
        let mut views = locked(&self.views);
        let Some(pace) = views.get_mut(view) else { return };
        if pace.shown.elapsed() >= LINE_INTERVAL {
            pace.shown = Instant::now();
            let rate = rate(facts, pace.begun.elapsed());
            self.output.say(format!("{view}: {} so far{rate}", counted(facts, "fact")));
        }
    }

    fn end(&self, done: &Materialized) {
        let begun = locked(&self.views).remove(&done.view).map(|pace| pace.begun);
        let took = begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        self.output.say(format!("{}: {}", done.view, outcome(done, took)));
    }
}

/// What happened to a view, in a line.
fn outcome(done: &Materialized, took: Duration) -> String {
    if done.is_up_to_date {
        return String::from("up to date");
    }
    format!(
        "{} of {} in {}{}",
        counted(done.facts, "fact"),
        counted(done.entities, "entity"),
        span(took),
        rate(done.facts, took)
    )
}

/// Facts a second; nothing after so short a time that it says nothing.
fn rate(facts: u64, took: Duration) -> String {
    match took < TICK_INTERVAL {
        true => String::new(),
        false => {
            let each_second = facts as f64 / took.as_secs_f64();
            format!(", {} a second", count(each_second as u64))
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
