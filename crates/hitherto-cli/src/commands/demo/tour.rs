//! The chapters, in order.

use std::slice::from_ref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hitherto_api::{MaterializeRequest, Materialized, Selection, WhyRequest};
use hitherto_client::Client;
use hitherto_core::Result;
use hitherto_core::definition::ResourceKind;
use hitherto_core::reference::FeatureRef;
use hitherto_core::time::format_timestamp;
use hitherto_engine::selection::Resolved;
use hitherto_engine::{Access, Engine};

use super::fixture::{self, SERVICE};
use super::last_screen::LastScreen;
use super::leak::{self, Case, Comparison};
use super::lookups::{self, Latencies};
use super::narrator::Narrator;
use super::questions::Questions;
use super::server::Server;
use super::story::Story;
use super::training::{self, Builder, Training};
use crate::commands::{materialize, why};
use crate::numbers::{count, counted, span};
use crate::progress::{self, Silence};
use crate::session::Session;
use crate::spine::Spine;

/// Facts of each sort that the explanation lists.
const EXPLAINED: usize = 2;

/// One tour through one repository.
pub struct Tour<'s> {
    session: &'s Session,
    narrator: Narrator,
}

impl<'s> Tour<'s> {
    /// A tour that has not begun.
    pub fn new(session: &'s Session) -> Self {
        Self { session, narrator: Narrator::new(session.output()) }
    }

    /// Takes the tour.
    ///
    /// # Errors
    /// Those of every path that it takes.
    pub async fn take(mut self, builder: Builder) -> Result<LastScreen> {
        self.introduce();
        let engine = Arc::new(self.session.open(Access::ReadWrite)?);
        self.apply(&engine).await?;
        let (materialized, materialize_took) = self.materialize(&engine).await?;
        self.materialize_again(&engine).await?;
        let server = self.serve(&engine).await?;
        let client = Client::connect(server.url()).await?;

        let spine = Spine::read(&self.session.root().join(fixture::SPINE))?;
        let service = Selection::Service(SERVICE.to_owned());
        let resolved = Resolved::new(&engine.catalog().registry, &service)?;
        let all = Selection::Service(fixture::WITH_WINDOWS.to_owned());
        let all = Resolved::new(&engine.catalog().registry, &all)?;
        let questions = Questions::new(&spine, &all.views)?;
        let released = leak::released_features(&resolved);
        let comparison = self.compare(&engine, &spine, &released).await?;
        self.look_up(&client, &questions, &comparison.told(&released)).await?;
        let window: FeatureRef = fixture::WINDOW.parse()?;
        let windows = self.compare(&engine, &spine, from_ref(&window)).await?;
        self.explain(&client, &questions, &windows.cases(&window)).await?;
        let latencies = self.look_up_often(&client, &questions).await?;
        let training = self.train(&client, &spine, server.url(), builder).await?;
        server.stop().await?;
        self.narrator.chapter("What happened, in numbers");
        Ok(LastScreen {
            materialized,
            materialize_took,
            latencies,
            training,
            released: comparison.report,
        })
    }

    fn introduce(&self) {
        self.session.output().say(format!(
            "100 real intensive-care patients, de-identified (the MIMIC-IV demo, in CLIF format).\n\
             Every six hours a model asks: will this patient die in hospital? This tour is about\n\
             what it may know when it asks.\n\n\
             The repository is in {}.",
            self.session.root().display()
        ));
    }

    async fn apply(&mut self, engine: &Engine) -> Result<()> {
        self.narrator.chapter("Apply the definitions");
        let plan = engine.plan(self.session.grant()).await?;
        engine.apply(self.session.grant(), &plan, self.session.now()).await?;
        let created = ResourceKind::ALL
            .into_iter()
            .map(|kind| (plan.changes.iter().filter(|change| change.kind == kind).count(), kind));
        let created = created.filter(|(number, _)| *number > 0);
        let created: Vec<String> =
            created.map(|(number, kind)| counted(number as u64, &kind.to_string())).collect();
        self.narrator.say(format!(
            "Created {}.\nEvery view was checked against the columns and types of its file.",
            created.join(", ")
        ));
        Ok(())
    }

    async fn materialize(&mut self, engine: &Engine) -> Result<(Vec<Materialized>, Duration)> {
        self.narrator.chapter("Materialize: Parquet to the online store");
        let begun = Instant::now();
        let request = MaterializeRequest::default();
        let done = {
            let progress = progress::while_watched(self.session.output());
            engine
                .materialize(self.session.grant(), &request, self.session.now(), &*progress)
                .await?
        };
        let took = begun.elapsed();
        self.narrator.say(materialize::Shown(&done));
        Ok((done, took))
    }

    async fn materialize_again(&mut self, engine: &Engine) -> Result<()> {
        self.narrator.chapter("Materialize again");
        let begun = Instant::now();
        let request = MaterializeRequest::default();
        let done = engine
            .materialize(self.session.grant(), &request, self.session.now(), &Silence)
            .await?;
        let is_idle = |done: &&Materialized| done.is_up_to_date;
        self.narrator.say(format!(
            "{} of {} up to date, {} read, in {}.",
            done.iter().filter(is_idle).count(),
            counted(done.len() as u64, "view"),
            counted(done.iter().map(|done| done.facts).sum(), "fact"),
            span(begun.elapsed())
        ));
        Ok(())
    }

    async fn serve(&mut self, engine: &Arc<Engine>) -> Result<Server> {
        self.narrator.chapter("Serve");
        let server = Server::start(Arc::clone(engine), self.session).await?;
        self.narrator
            .say(format!("gRPC, Arrow Flight and HTTP at {}, in this process.", server.url()));
        Ok(server)
    }

    async fn compare(
        &self,
        engine: &Engine,
        spine: &Spine,
        features: &[FeatureRef],
    ) -> Result<Comparison> {
        let (grant, now) = (self.session.grant(), self.session.now());
        Comparison::new(engine, grant, spine, features, now).await
    }

    async fn look_up(
        &mut self,
        client: &Client,
        questions: &Questions,
        cases: &[Case],
    ) -> Result<()> {
        self.narrator.chapter("Look up, as of a moment");
        let service = Selection::Service(SERVICE.to_owned());
        let story = Story::find(client, questions, cases).await?;
        self.narrator.say(format!(
            "What was known of {} on {}?\n\n",
            questions.entity(story.row),
            format_timestamp(story.asked_at)
        ));
        let shown = lookups::show_one(client, questions, service.clone(), story.row).await?;
        self.narrator.say(shown);

        self.narrator.chapter(&format!("The {} that nobody had yet", story.view()));
        self.narrator.say(story.tell());
        Ok(())
    }

    async fn explain(
        &mut self,
        client: &Client,
        questions: &Questions,
        cases: &[Case],
    ) -> Result<()> {
        self.narrator.chapter("A window over many results, computed here");
        let Some(Case { row, feature, naive, .. }) = cases.first() else {
            self.narrator.say("No moment of the spine has a result in it that nobody had.");
            return Ok(());
        };
        let asked =
            questions.request(*row, questions.at(*row), Selection::Features(vec![feature.clone()]));
        let request = WhyRequest {
            at: asked.as_of,
            facts: Some(EXPLAINED),
            ..WhyRequest::new(&feature.column(), asked.keys)
        };
        let explained = client.why(&request).await?;
        self.narrator.say(format!(
            "The worst creatinine of two days, of single results, each counted from its release\n\
             on. `hitherto why` shows what counts and what does not:\n\n{}\n\n\
             A window over collection times answers {naive:?}, which nobody could know.",
            why::Shown::new(&request.keys, &explained)?
        ));
        Ok(())
    }

    async fn look_up_often(&mut self, client: &Client, questions: &Questions) -> Result<Latencies> {
        self.narrator.chapter("Look up two thousand times");
        let service = Selection::Service(SERVICE.to_owned());
        let latencies = Latencies::measure(client, questions, &service).await?;
        self.narrator.say(format!(
            "{} lookups over gRPC, one after the other. Each asks for one stay and all {}\n\
             features, as of a moment of the spine. Half took at most {}, 99% at most {}.",
            count(latencies.count() as u64),
            latencies.features,
            span(latencies.percentile(0.50)),
            span(latencies.percentile(0.99))
        ));
        Ok(latencies)
    }

    async fn train(
        &mut self,
        client: &Client,
        spine: &Spine,
        url: &str,
        builder: Builder,
    ) -> Result<Training> {
        self.narrator.chapter("Build a training set over the same server");
        let training = match builder {
            Builder::Python(python) => {
                self.narrator.say(format!("{} {} {url}\n\n", python.display(), fixture::SCRIPT));
                training::in_python(python, self.session.root(), url, &self.narrator).await?
            }
            Builder::Here { tip } => {
                self.narrator.say(tip);
                let service = Selection::Service(SERVICE.to_owned());
                training::in_rust(client, spine, service).await?
            }
        };
        self.narrator.say(format!(
            "{} went up, {} of {} columns came back, in {}.",
            counted(spine.rows() as u64, "label row"),
            counted(training.rows, "row"),
            training.columns,
            span(training.took)
        ));
        Ok(training)
    }
}
