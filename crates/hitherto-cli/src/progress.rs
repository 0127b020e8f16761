//! How far a materialization or a copy is: bars on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use hitherto_api::{Progress, Stage};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use parking_lot::Mutex;

use crate::numbers::{counted, rate, span};
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
    fn end(&self, _view: &str, _facts: u64) {}
}

/// A bar for each view, as long as the rows in its files; what comes after reading has no
/// length that is known, and a name instead.
#[derive(Default)]
struct Bars {
    screen: MultiProgress,
    views: Mutex<HashMap<String, Watched>>,
}

/// One view on the screen.
struct Watched {
    bar: ProgressBar,
    begun: Instant,
    is_reading: bool,
}

/// While rows are read, of which there are so many.
const READING: &str = "{prefix:24} {bar:24} {human_pos:>9} facts  {rate}  of {human_len} rows";
/// While how long it takes is not known.
const WORKING: &str = "{prefix:24} {spinner} {msg}  {human_pos} facts  {elapsed}";
/// Done.
const DONE: &str = "{prefix:24} {msg}";

impl Progress for Bars {
    fn begin(&self, view: &str, rows: u64) {
        let bar = self.screen.add(ProgressBar::new(rows));
        show_as(&bar, READING);
        bar.set_prefix(view.to_owned());
        bar.enable_steady_tick(TICK_INTERVAL);
        let watched = Watched { bar, begun: Instant::now(), is_reading: true };
        self.views.lock().insert(view.to_owned(), watched);
    }

    fn stage(&self, view: &str, stage: Stage) {
        if let Some(watched) = self.views.lock().get_mut(view) {
            let is_reading = stage == Stage::Reading;
            if std::mem::replace(&mut watched.is_reading, is_reading) != is_reading {
                show_as(&watched.bar, if is_reading { READING } else { WORKING });
            }
            watched.bar.set_message(stage.to_string());
        }
    }

    fn advance(&self, view: &str, facts: u64) {
        if let Some(Watched { bar, .. }) = self.views.lock().get(view) {
            bar.set_length(bar.length().unwrap_or_default().max(facts));
            bar.set_position(facts);
        }
    }

    fn end(&self, view: &str, facts: u64) {
        if let Some(Watched { bar, begun, .. }) = self.views.lock().remove(view) {
            show_as(&bar, DONE);
            bar.finish_with_message(outcome(facts, begun.elapsed()));
        }
    }
}

fn show_as(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        let per_second = |state: &ProgressState, to: &mut dyn fmt::Write| {
            // A screen that takes no more text is no reason to stop.
            let _ = to.write_str(&rate(state.per_sec()));
        };
        bar.set_style(style.progress_chars("━╸ ").with_key("rate", per_second));
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

/// When a view was begun and when it last had a line, and what is done with it.
struct Pace {
    begun: Instant,
    shown: Instant,
    stage: Stage,
    facts: u64,
}

impl Lines {
    /// Says how far a view is, if it did not for a while.
    fn show(&self, view: &str, change: impl FnOnce(&mut Pace)) {
        let mut views = self.views.lock();
        let Some(pace) = views.get_mut(view) else { return };
        change(pace);
        if pace.shown.elapsed() >= LINE_INTERVAL {
            pace.shown = Instant::now();
            let (stage, facts) = (pace.stage, counted(pace.facts, "fact"));
            self.output.say(match stage {
                Stage::Reading => {
                    format!("{view}: {facts} so far{}", pace_of(pace.facts, pace.begun.elapsed()))
                }
                stage => format!("{view}: {stage}, {facts}"),
            });
        }
    }
}

impl Progress for Lines {
    fn begin(&self, view: &str, _rows: u64) {
        let now = Instant::now();
        let pace = Pace { begun: now, shown: now, stage: Stage::Reading, facts: 0 };
        self.views.lock().insert(view.to_owned(), pace);
    }

    fn stage(&self, view: &str, stage: Stage) {
        self.show(view, |pace| pace.stage = stage);
    }

    fn advance(&self, view: &str, facts: u64) {
        self.show(view, |pace| pace.facts = facts);
    }

    fn end(&self, view: &str, facts: u64) {
        let begun = self.views.lock().remove(view).map(|pace| pace.begun);
        let took = begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        self.output.say(format!("{view}: {}", outcome(facts, took)));
    }
}

/// What happened to a view, in a line.
fn outcome(facts: u64, took: Duration) -> String {
    match facts {
        0 => String::from("nothing new"),
        _ => format!("{} in {}{}", counted(facts, "fact"), span(took), pace_of(facts, took)),
    }
}

/// Facts a second; nothing after so short a time that it says nothing.
fn pace_of(facts: u64, took: Duration) -> String {
    match took < TICK_INTERVAL {
        true => String::new(),
        false => format!(", {}", rate(facts as f64 / took.as_secs_f64())),
    }
}
