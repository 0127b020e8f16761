//! One world, many ways to store it, one answer.
//!
//! A world's facts are written in any order to any number of files with row
//! groups of any size, some of them twice, and are read by one to eight
//! threads; they come at once, file by file, or file by file and then again in
//! one file or in a full run; between the runs the store stays as it is, is
//! compacted, or is closed and opened. Nothing of that may change an answer: values, statuses
//! and times of lookups and values of training sets equal those of the plain
//! way, which is one file and one run, and those of the oracle.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use hitherto_api::{FeatureNames, KeyColumn, MaterializeMode, Selection, TrainingSetRequest};
use hitherto_core::column::{Status, Values};
use hitherto_core::key::OwnedPart;
use hitherto_core::rule::Times;
use hitherto_engine::{Access, Config, Engine};
use hitherto_online::OnlineStore;
use hitherto_online::memory::MemoryStore;
use hitherto_online::rocks::{RocksOptions, RocksStore};
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::oracle::{Answer, Fact};
use crate::parity;
use crate::repo::{self, Repo, grant, lookup, materialize};
use crate::world::{World, worlds};

/// After every fact of a world; long before that its history begins.
const NOW: i64 = 1_000;
/// Files of one source at most.
const FILES: usize = 5;
/// Facts that the choices of a [`Storage`] are drawn for; later ones repeat them.
const CHOICES: usize = 60;

/// One way to store a world.
#[derive(Clone, Debug)]
struct Storage {
    /// Ranks by which facts are ordered before they are written.
    order: Vec<usize>,
    /// The file that a fact goes to.
    file: Vec<usize>,
    /// The file that a fact goes to as well.
    copy: Vec<Option<usize>>,
    row_group_rows: usize,
    threads: usize,
    arrival: Arrival,
    between_runs: Between,
    store: Store,
    /// When the runs take place: facts may still lie in the future.
    now: i64,
    /// Rows in one batch of the spine.
    spine_batch_rows: usize,
}

/// How files come to the store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Arrival {
    AllAtOnce,
    FileByFile,
    /// And at last all of it once more, into a new generation.
    FileByFileThenFull,
    /// And at last in one file instead of many, as compaction leaves it.
    FileByFileThenMerged,
}

/// The online store. RocksDB waits for the disk at every step, so most ways
/// use the mirror.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Store {
    Rocks,
    Mirror,
}

/// What happens between two runs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Between {
    Nothing,
    CloseAndOpen,
    /// RocksDB rewrites its files; the mirror has none.
    Compact,
}

/// An engine and the store below it.
struct Open {
    engine: Engine,
    rocks: Option<Arc<RocksStore>>,
}

fn plain() -> Storage {
    Storage {
        order: (0..CHOICES).collect(),
        file: vec![0; CHOICES],
        copy: vec![None; CHOICES],
        row_group_rows: 1_000_000,
        threads: 1,
        arrival: Arrival::AllAtOnce,
        between_runs: Between::Nothing,
        store: Store::Mirror,
        now: NOW,
        spine_batch_rows: 1_000_000,
    }
}

fn storages() -> impl Strategy<Value = Storage> {
    let facts = (
        Just((0..CHOICES).collect::<Vec<_>>()).prop_shuffle(),
        prop::collection::vec(0..FILES, CHOICES),
        prop::collection::vec(prop::option::weighted(0.3, 0..FILES), CHOICES),
    );
    let reading = (prop::sample::select(vec![1_usize, 7, 1_000]), 1..=8_usize);
    let arrivals = vec![
        Arrival::AllAtOnce,
        Arrival::FileByFile,
        Arrival::FileByFileThenFull,
        Arrival::FileByFileThenMerged,
    ];
    let between = vec![Between::Nothing, Between::CloseAndOpen, Between::Compact];
    let store = prop_oneof![1 => Just(Store::Rocks), 2 => Just(Store::Mirror)];
    let coming = (prop::sample::select(arrivals), prop::sample::select(between), store, 0..80_i64);
    (facts, reading, coming, 1..20_usize).prop_map(|(facts, reading, coming, spine_batch_rows)| {
        let ((order, file, copy), (row_group_rows, threads)) = (facts, reading);
        let (arrival, between_runs, store, now) = coming;
        Storage {
            order,
            file,
            copy,
            row_group_rows,
            threads,
            arrival,
            between_runs,
            store,
            now,
            spine_batch_rows,
        }
    })
}

impl Storage {
    /// The facts of each file, in the order in which they are written.
    fn files(&self, facts: &[Fact]) -> Vec<Vec<Fact>> {
        let mut indexes: Vec<usize> = (0..facts.len()).collect();
        indexes.sort_by_key(|index| (self.order[index % CHOICES], *index));
        let mut files = vec![Vec::new(); FILES];
        for index in indexes {
            let choice = index % CHOICES;
            files[self.file[choice]].push(facts[index].clone());
            if let Some(file) = self.copy[choice] {
                files[file].push(facts[index].clone());
            }
        }
        files
    }

    fn write(&self, repo: &Repo, name: &str, facts: &[Fact]) {
        let batch = repo::batch(parity::columns(facts));
        let properties = WriterProperties::builder();
        let properties = properties.set_max_row_group_row_count(Some(self.row_group_rows)).build();
        repo::write_parquet_as(&repo.path().join("facts").join(name), &batch, properties);
    }

    fn open(&self, repo: &Repo, mirror: &Arc<MemoryStore>) -> Open {
        let config = Config { threads: self.threads, ..Config::default() };
        let rocks = (self.store == Store::Rocks).then(|| {
            let folder = repo.path().join(&config.store).join("online");
            let options = RocksOptions::default();
            Arc::new(RocksStore::open(&folder, Access::ReadWrite, options).unwrap())
        });
        let store: OnlineStore = match &rocks {
            Some(rocks) => Arc::clone(rocks).into(),
            None => Arc::clone(mirror).into(),
        };
        Open { engine: Engine::with_store(repo.path(), store, &config).unwrap(), rocks }
    }

    fn between_runs(&self, open: Open, repo: &Repo, mirror: &Arc<MemoryStore>) -> Open {
        match self.between_runs {
            Between::Nothing => open,
            Between::CloseAndOpen => {
                drop(open);
                self.open(repo, mirror)
            }
            Between::Compact => {
                open.rocks.iter().for_each(|rocks| rocks.compact().unwrap());
                open
            }
        }
    }

    /// Stores a world this way.
    async fn store(&self, repo: &Repo, world: &World) -> Engine {
        fs::create_dir_all(repo.path().join("facts")).unwrap();
        self.write(repo, "0.parquet", &[]);
        let mirror = Arc::new(MemoryStore::default());
        let mut open = self.open(repo, &mirror);
        repo::apply(&open.engine).await;
        let next = |open| self.between_runs(open, repo, &mirror);
        let files = self.files(&world.facts);
        for (number, facts) in files.iter().enumerate() {
            self.write(repo, &format!("{number}.parquet"), facts);
            if self.arrival != Arrival::AllAtOnce {
                open = next(open);
                materialize(&open.engine, MaterializeMode::Incremental, self.now).await;
            }
        }
        open = next(open);
        let last = match self.arrival {
            Arrival::FileByFile => return open.engine,
            Arrival::AllAtOnce => MaterializeMode::Incremental,
            Arrival::FileByFileThenFull => MaterializeMode::Full,
            Arrival::FileByFileThenMerged => {
                for number in 0..FILES {
                    fs::remove_file(repo.path().join(format!("facts/{number}.parquet"))).unwrap();
                }
                self.write(repo, "merged.parquet", &files.concat());
                MaterializeMode::Incremental
            }
        };
        materialize(&open.engine, last, self.now).await;
        next(open).engine
    }

    /// A training set over the world's spine, in batches of this storage's size.
    async fn train(&self, engine: &Engine, spine: &RecordBatch, known_by: Option<i64>) -> Trained {
        let request = TrainingSetRequest {
            selection: Selection::features(["facts:value"]).unwrap(),
            timestamp: String::from("at"),
            timezone: None,
            known_by,
            known: None,
            names: FeatureNames::Short,
        };
        let starts = (0..spine.num_rows()).step_by(self.spine_batch_rows);
        let batches = starts
            .map(|start| spine.slice(start, self.spine_batch_rows.min(spine.num_rows() - start)));
        let running = engine
            .training_set(grant(), &request, (batches.collect(), spine.schema()), i64::MAX)
            .await;
        let mut running = running.unwrap();
        let mut batches = Vec::new();
        while let Some(batch) = running.next().await {
            batches.push(batch.unwrap());
        }
        let all = concat_batches(&running.schema(), &batches).unwrap();
        assert_eq!(&all.project(&[0, 1, 2]).unwrap(), spine, "the spine passes through");
        all.column(3).as_primitive::<Int64Type>().iter().collect()
    }
}

/// One answer of a lookup, with the times of the fact that gave it.
type LookedUp = (Answer, Option<Times>);
/// The values of a training set, in the spine's order.
type Trained = Vec<Option<i64>>;

/// Everything that can be asked of a stored world, an answer for each spine row.
struct Answers {
    looked_up: Vec<LookedUp>,
    trained: Trained,
    trained_by_cutoff: Trained,
}

impl Answers {
    /// What one spine row is answered: in a lookup, in training, by the cutoff.
    fn row(&self, row: usize) -> (&LookedUp, Option<i64>, Option<i64>) {
        (&self.looked_up[row], self.trained[row], self.trained_by_cutoff[row])
    }
}

async fn ask(storage: &Storage, engine: &Engine, world: &World) -> Answers {
    let spine = parity::spine(world);
    Answers {
        looked_up: look_up(engine, world),
        trained: storage.train(engine, &spine, None).await,
        trained_by_cutoff: storage.train(engine, &spine, world.known_by).await,
    }
}

/// Every spine row as of its own time; rows of one time are one lookup.
fn look_up(engine: &Engine, world: &World) -> Vec<LookedUp> {
    let mut rows_at: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (row, (_, _, at)) in world.spine.iter().enumerate() {
        rows_at.entry(*at).or_default().push(row);
    }
    let mut answers = vec![(Answer::NotFound, None); world.spine.len()];
    for (at, rows) in rows_at {
        let column = |name: &str, part: fn(&World, usize) -> &Option<String>| KeyColumn {
            name: name.to_owned(),
            parts: rows
                .iter()
                .map(|row| part(world, *row).clone().map(|part| OwnedPart::Bytes(part.into())))
                .collect(),
        };
        let keys = vec![
            column("first", |world, row| &world.spine[row].0),
            column("second", |world, row| &world.spine[row].1),
        ];
        let found = lookup(engine, &["facts:value"], keys, Some(at), NOW).unwrap();
        for (index, row) in rows.into_iter().enumerate() {
            let answer = match (found.columns[0].status(index), &found.columns[0].values) {
                (Status::Present, Values::I64(values)) => Answer::Value(values[index]),
                (Status::Null, _) => Answer::Null,
                (Status::NotFound, _) => Answer::NotFound,
                (Status::Expired, _) => Answer::Expired,
                other => panic!("unexpected column {other:?}"),
            };
            answers[row] = (answer, found.times[0].times[index]);
        }
    }
    answers
}

/// Stores the world the plain way and these ways, and compares every answer.
async fn check(world: &World, storages: &[Storage]) {
    let repo = Repo::new(&parity::definitions(world.ttl));
    let engine = plain().store(&repo, world).await;
    let expected = ask(&plain(), &engine, world).await;
    let oracle = parity::expected(world, None);
    let answers: Vec<Answer> =
        expected.looked_up.iter().map(|(answer, _)| answer.clone()).collect();
    assert_eq!(answers, oracle, "lookups, the plain way");
    assert_eq!(expected.trained, parity::values(&oracle), "training set, the plain way");
    let oracle = parity::values(&parity::expected(world, world.known_by));
    assert_eq!(expected.trained_by_cutoff, oracle, "training set by {:?}", world.known_by);
    for storage in storages {
        let repo = Repo::new(&parity::definitions(world.ttl));
        let engine = storage.store(&repo, world).await;
        let found = ask(storage, &engine, world).await;
        for row in 0..world.spine.len() {
            let (asked, found, expected) = (&world.spine[row], found.row(row), expected.row(row));
            assert_eq!(found, expected, "spine row {row}, {asked:?}, {storage:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn however_a_world_is_stored_it_answers_the_same(
        world in worlds(),
        storages in prop::collection::vec(storages(), 3),
    ) {
        Runtime::new().unwrap().block_on(check(&world, &storages));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2,
        max_shrink_iters: 20,
        ..ProptestConfig::default()
    })]

    /// Forty worlds as one, its spine repeated until it spans several batches
    /// of the product's own size.
    #[test]
    fn however_a_crowded_world_is_stored_it_answers_the_same(
        many in prop::collection::vec(worlds(), 40),
        storages in prop::collection::vec(storages(), 2),
    ) {
        let mut world = World { facts: Vec::new(), spine: Vec::new(), ..many[0].clone() };
        for one in &many {
            world.facts.extend(one.facts.iter().cloned());
            world.spine.extend(one.spine.iter().cloned());
        }
        let rows = 2 * hitherto_core::limits::BATCH_ROWS + 1;
        world.spine = world.spine.iter().cloned().cycle().take(rows).collect();
        let wide = |storage: Storage| Storage {
            spine_batch_rows: storage.spine_batch_rows * 1_000,
            ..storage
        };
        let storages: Vec<Storage> = storages.into_iter().map(wide).collect();
        Runtime::new().unwrap().block_on(check(&world, &storages));
    }
}
