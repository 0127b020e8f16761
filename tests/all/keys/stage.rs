//! A repository with one view over one store, and the steps that scripts take.
//!
//! ```text
//! file NAME FACTS          a file of the source
//! apply                    the definitions
//! materialize NOW          incremental
//! full NOW                 into a new generation
//! push NAME NOW FACTS      one batch
//! rollback
//! retain NOW               horizons
//! compact                  what is not needed goes; RocksDB only
//! put GENERATION FACTS     in the store alone
//! load GENERATION BENEATH FACTS
//! drop GENERATION
//! ```
//!
//! Facts are written `entity@event=value`, or `entity@event/known=value`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use hitherto_api::MaterializeMode;
use hitherto_core::key::{OwnedPart, encode_part};
use hitherto_core::rule::Times;
use hitherto_engine::{Config, Engine};
use hitherto_online::memory::MemoryStore;
use hitherto_online::rocks::RocksStore;
use hitherto_online::{Beneath, Fact, GenerationId, OnlineStore, RowStore};

use super::shown::{self, MINUTE, Shown};
use crate::pushing::push;
use crate::repo::{Repo, apply, batch, grant, materialize, write_parquet};
use crate::stores::rocks;

const YAML: &str = "
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay, type: string }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: labs }
spec:
  entity: stay
  source: { parquet: labs, eventTime: at, knownTime: known }
  features: [{ name: value, type: int64 }]
  online: { history: 1h }
";

/// Where keys are written.
enum Store {
    Disk(Arc<RocksStore>),
    Memory(Arc<MemoryStore>),
}

impl Store {
    fn rows(&self) -> &dyn RowStore {
        match self {
            Store::Disk(store) => &**store,
            Store::Memory(store) => &**store,
        }
    }
}

pub struct Stage {
    repo: Repo,
    engine: Engine,
    store: Store,
}

/// One fact of a script.
struct Told {
    entity: String,
    times: Times,
    value: i64,
}

impl Told {
    fn read(word: &str) -> Self {
        let (entity, rest) = word.split_once('@').unwrap();
        let (times, value) = rest.split_once('=').unwrap();
        let (event, known) = times.split_once('/').unwrap_or((times, times));
        let times = Times { event: minute(event), known: minute(known) };
        Self { entity: entity.to_owned(), times, value: value.parse().unwrap() }
    }
}

fn minute(word: &str) -> i64 {
    word.parse::<i64>().unwrap() * MINUTE
}

fn told(words: &[&str]) -> Vec<Told> {
    words.iter().map(|word| Told::read(word)).collect()
}

fn to_batch(facts: &[Told]) -> RecordBatch {
    let times = |of: fn(&Told) -> i64| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(facts.iter().map(of)))
    };
    let stays = facts.iter().map(|fact| fact.entity.as_str());
    batch(vec![
        ("stay", Arc::new(StringArray::from_iter_values(stays)) as ArrayRef),
        ("at", times(|fact| fact.times.event)),
        ("known", times(|fact| fact.times.known)),
        ("value", Arc::new(Int64Array::from_iter_values(facts.iter().map(|fact| fact.value)))),
    ])
}

impl Stage {
    pub fn on_disk() -> Self {
        let repo = Repo::new(YAML);
        let store =
            Arc::new(rocks(&repo.path().join(Config::default().store).join("online")).unwrap());
        Self { engine: engine(&repo, Arc::clone(&store)), store: Store::Disk(store), repo }
    }

    pub fn in_memory() -> Self {
        let (repo, store) = (Repo::new(YAML), Arc::<MemoryStore>::default());
        Self { engine: engine(&repo, Arc::clone(&store)), store: Store::Memory(store), repo }
    }

    /// Whether the store has this step.
    pub fn can(&self, step: &str) -> bool {
        step != "compact" || matches!(self.store, Store::Disk(..))
    }

    /// Everything that is in the store.
    pub fn shown(&self) -> Shown {
        let mut all = Shown::new();
        let mut add =
            |family: &str, key: &[u8], value: &[u8]| shown::add(&mut all, family, key, value);
        match &self.store {
            Store::Disk(store) => store.show_all(&mut add).unwrap(),
            Store::Memory(store) => store.show_all(&mut add),
        }
        all
    }

    pub async fn take(&mut self, step: &str) {
        let words: Vec<&str> = step.split(' ').collect();
        match words[..] {
            ["file", name, ref facts @ ..] => {
                let folder = self.repo.path().join("labs");
                std::fs::create_dir_all(&folder).unwrap();
                write_parquet(&folder.join(format!("{name}.parquet")), &to_batch(&told(facts)));
            }
            ["apply"] => apply(&self.engine).await,
            ["materialize", now] => {
                materialize(&self.engine, MaterializeMode::Incremental, minute(now)).await;
            }
            ["full", now] => {
                drop(materialize(&self.engine, MaterializeMode::Full, minute(now)).await)
            }
            ["push", name, now, ref facts @ ..] => {
                push(&self.engine, "labs", to_batch(&told(facts)), name, minute(now)).unwrap();
            }
            ["rollback"] => drop(self.engine.rollback(grant(), "labs").await.unwrap()),
            ["retain", now] => assert_eq!(self.engine.retain(minute(now)).await.unwrap(), 1),
            ["compact"] => match &self.store {
                Store::Disk(store) => store.compact().unwrap(),
                Store::Memory(_) => unreachable!("it has no such step"),
            },
            ["put", number, ref facts @ ..] => {
                let (facts, id) = (self.rows_of(&told(facts)), generation(number));
                let facts = facts.iter().map(|(entity_key, times, row)| Fact {
                    entity_key,
                    times: *times,
                    row,
                });
                self.store.rows().put(id, &facts.collect::<Vec<_>>()).unwrap();
            }
            ["load", number, beneath, ref facts @ ..] => {
                let beneath = match beneath {
                    "nothing" => Beneath::Nothing,
                    "rows" => Beneath::Rows,
                    other => panic!("{other} is beneath nothing"),
                };
                self.load(generation(number), beneath, &told(facts));
            }
            ["drop", number] => self.store.rows().drop_generation(generation(number)).unwrap(),
            _ => panic!("{step:?} is no step"),
        }
    }

    /// Facts as the view stores them: entity keys, times and rows.
    fn rows_of(&self, facts: &[Told]) -> Vec<(Vec<u8>, Times, Vec<u8>)> {
        let catalog = self.engine.catalog();
        let view = catalog.registry.view("labs").unwrap();
        let schema = view.row_schema();
        let row = |fact: &Told| {
            let (mut key, mut row) = (Vec::new(), Vec::new());
            let part = OwnedPart::Bytes(fact.entity.clone().into_bytes());
            encode_part(&mut key, &view.keys[0].data_type, part.borrow()).unwrap();
            schema.write(&mut row, fact.times, 0).set_fixed(0, &fact.value.to_le_bytes());
            (key, fact.times, row)
        };
        facts.iter().map(row).collect()
    }

    /// Loads the last fact of each entity as its latest row and all of them as history;
    /// they are told by entity, newest first.
    fn load(&self, id: GenerationId, beneath: Beneath, facts: &[Told]) {
        let load = self.store.rows().load(id, beneath).unwrap();
        let mut part = load.part().unwrap();
        let mut loaded: Option<Vec<u8>> = None;
        for (key, times, row) in self.rows_of(facts) {
            if loaded.as_ref() != Some(&key) {
                part.put_latest(&key, &row).unwrap();
            }
            part.put_history(&key, times, &row).unwrap();
            loaded = Some(key);
        }
        part.finish().unwrap();
        load.finish().unwrap();
    }
}

fn engine(repo: &Repo, store: impl Into<OnlineStore>) -> Engine {
    Engine::with_store(repo.path(), store, &Config::default()).unwrap()
}

/// A generation of the script's view.
fn generation(number: &str) -> GenerationId {
    GenerationId { view: 1, number: number.parse().unwrap() }
}
