//! State that processes share in an object store: nothing lost, nothing doubled, one leader.
//!
//! The store is one in memory whose answers get lost, whose writes come late, and which refuses
//! what it has done, as a store does whose client tries again by itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::BoxStream;
use hitherto_core::{Error, Kind};
use hitherto_objects::Stores;
use hitherto_objects::shared::{Committed, Lease, Member, Root, Standing, Versions, Written};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result as StoreResult,
};

/// A store as bad as stores get.
#[derive(Debug)]
struct Unsteady {
    inner: Arc<InMemory>,
    faults: AtomicU64,
    /// In 1,000.
    bad: u64,
}

/// What happens to one request.
enum Fate {
    Good,
    /// Not done, no answer.
    Lost,
    /// Done, no answer.
    Unanswered,
    /// Done, and refused: the client has tried again by itself.
    Refused,
    /// No answer, and done later.
    Late,
}

impl Unsteady {
    fn fate(&self) -> Fate {
        let mut state = self.faults.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let number = (state ^ (state >> 31)) % 1_000;
        if number >= self.bad {
            return Fate::Good;
        }
        match number % 4 {
            0 => Fate::Lost,
            1 => Fate::Unanswered,
            2 => Fate::Refused,
            _ => Fate::Late,
        }
    }
}

impl fmt::Display for Unsteady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an unsteady store")
    }
}

fn no_answer() -> StoreError {
    StoreError::Generic { store: "unsteady", source: "the connection was closed".into() }
}

#[async_trait]
impl ObjectStore for Unsteady {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> StoreResult<PutResult> {
        let is_conditional = options.mode != PutMode::Overwrite;
        match self.fate() {
            Fate::Good => self.inner.put_opts(location, payload, options).await,
            Fate::Lost => Err(no_answer()),
            Fate::Unanswered => {
                self.inner.put_opts(location, payload, options).await?;
                Err(no_answer())
            }
            Fate::Refused => {
                self.inner.put_opts(location, payload, options).await?;
                let (path, source) = (location.to_string(), "it is there".into());
                match is_conditional {
                    true => Err(StoreError::Precondition { path, source }),
                    false => Err(no_answer()),
                }
            }
            Fate::Late => {
                let (inner, location) = (Arc::clone(&self.inner), location.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    drop(inner.put_opts(&location, payload, options).await);
                });
                Err(no_answer())
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        match self.fate() {
            Fate::Good => self.inner.get_opts(location, options).await,
            _ => Err(no_answer()),
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

const URL: &str = "s3://shared";

fn unsteady(seed: u64, bad: u64) -> (Stores, Arc<InMemory>) {
    let (stores, inner) = (Stores::default(), Arc::new(InMemory::new()));
    let store = Unsteady { inner: Arc::clone(&inner), faults: AtomicU64::new(seed), bad };
    stores.put(URL, Arc::new(store)).unwrap();
    (stores, inner)
}

fn is_unanswered(error: &Error) -> bool {
    assert_eq!(error.kind(), Kind::Unavailable, "{}", error.chain());
    true
}

type Counts = BTreeMap<String, u64>;

fn counts(state: &[u8]) -> Counts {
    serde_json::from_slice(state).unwrap()
}

/// Adds one to what is counted of a writer, whoever else does meanwhile.
fn add_one(versions: &mut Versions, me: &str) {
    let mut goal = None;
    loop {
        let Ok(latest) = versions.latest() else { continue };
        let mut now = latest.map_or_else(Counts::new, |latest| counts(&latest.state));
        let mine = now.entry(me.to_owned()).or_default();
        let goal = *goal.get_or_insert(*mine + 1);
        if *mine == goal {
            return;
        }
        *mine += 1;
        match versions.commit(&serde_json::to_vec(&now).unwrap(), 0) {
            Ok(Committed::Done(_)) => return,
            Ok(Committed::Lost(_)) => {}
            Err(error) => assert!(is_unanswered(&error)),
        }
    }
}

#[test]
fn no_change_of_a_shared_state_is_lost_or_doubled() {
    const WRITERS: u64 = 8;
    const EACH: u64 = 60;
    for (seed, bad) in [(1, 0), (2, 80), (3, 300)] {
        let (stores, _) = unsteady(seed, bad);
        let root = Root::open(&stores, "s3://shared/features").unwrap();
        thread::scope(|threads| {
            for writer in 0..WRITERS {
                let root = root.clone();
                threads.spawn(move || {
                    let me = format!("writer-{writer}");
                    let mut versions = Versions::new(root.clone(), &me);
                    for number in 0..EACH {
                        add_one(&mut versions, &me);
                        if number % 20 == 19 {
                            // One that has just been started.
                            versions = Versions::new(root.clone(), &me);
                        }
                    }
                });
            }
        });
        let mut versions = Versions::new(root, "reader");
        let latest = loop {
            match versions.latest() {
                Ok(latest) => break latest.unwrap().clone(),
                Err(error) => assert!(is_unanswered(&error)),
            }
        };
        let counted = counts(&latest.state);
        assert_eq!(counted.len() as u64, WRITERS);
        assert!(counted.values().all(|count| *count == EACH), "{counted:?}");
        // A version an addition: what a writer did not get an answer for is there once.
        assert_eq!(latest.sequence, WRITERS * EACH, "{bad} in 1,000 are bad");
    }
}

#[test]
fn a_leader_that_slept_changes_nothing() {
    let (stores, _) = unsteady(0, 0);
    let root = Root::open(&stores, URL).unwrap();
    let (mut old, mut new) = (Versions::new(root.clone(), "old"), Versions::new(root, "new"));
    assert!(matches!(old.commit(b"1", 1).unwrap(), Committed::Done(_)));
    new.latest().unwrap();
    assert!(matches!(new.commit(b"1", 2).unwrap(), Committed::Done(_)));
    let refused = old.commit(b"2", 1).unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict);
    assert!(refused.to_string().contains("another server leads"), "{refused}");
    assert_eq!(old.latest().unwrap().unwrap().state, "1");
    assert_eq!(old.commit(b"2", 1).unwrap_err().kind(), Kind::Conflict, "nor after it looked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_changed_is_refused() {
    let (stores, inner) = unsteady(0, 0);
    let root = Root::open(&stores, URL).unwrap();
    let mut versions = Versions::new(root.clone(), "one");
    for state in ["a", "b", "c"] {
        versions.commit(state.as_bytes(), 0).unwrap();
    }
    let path = Path::from("versions/00000000000000000002");
    let bytes = inner.get(&path).await.unwrap().bytes().await.unwrap();
    let mut seen = Versions::new(root.clone(), "two");
    assert_eq!(seen.latest().unwrap().unwrap().state, "c", "where to begin is noted");
    inner.delete(&Path::from("latest")).await.unwrap();
    let mut from_the_first = Versions::new(root.clone(), "two");
    assert_eq!(from_the_first.latest().unwrap().unwrap().state, "c");
    for at in [3, bytes.len() - 1] {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        inner.put(&path, changed.into()).await.unwrap();
        let error = Versions::new(root.clone(), "two").latest().unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{}", error.chain());
    }
}

#[test]
fn a_store_without_conditions_is_refused() {
    #[derive(Debug)]
    struct Careless(InMemory);
    impl fmt::Display for Careless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a careless store")
        }
    }
    #[async_trait]
    impl ObjectStore for Careless {
        async fn put_opts(
            &self,
            location: &Path,
            payload: PutPayload,
            _: PutOptions,
        ) -> StoreResult<PutResult> {
            self.0.put_opts(location, payload, PutOptions::default()).await
        }
        async fn put_multipart_opts(
            &self,
            location: &Path,
            options: PutMultipartOptions,
        ) -> StoreResult<Box<dyn MultipartUpload>> {
            self.0.put_multipart_opts(location, options).await
        }
        async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
            self.0.get_opts(location, options).await
        }
        fn delete_stream(
            &self,
            locations: BoxStream<'static, StoreResult<Path>>,
        ) -> BoxStream<'static, StoreResult<Path>> {
            self.0.delete_stream(locations)
        }
        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
            self.0.list(prefix)
        }
        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
            self.0.list_with_delimiter(prefix).await
        }
        async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> StoreResult<()> {
            self.0.copy_opts(from, to, how).await
        }
    }
    let stores = Stores::default();
    stores.put(URL, Arc::new(Careless(InMemory::new()))).unwrap();
    let error = Root::open(&stores, URL).unwrap().prove("probe").unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("was created again"), "{error}");

    let (stores, _) = unsteady(0, 0);
    let root = Root::open(&stores, "s3://shared/below").unwrap();
    root.prove("probe").unwrap();
    assert!(root.read("probe").unwrap().is_none(), "nothing stays of it");
    assert!(matches!(root.create("probe", "x".into()).unwrap(), Written::Done(_)));
    for url in ["labs", "file:///labs", "s3://", "ftp://host/x"] {
        assert_eq!(Root::open(&stores, url).unwrap_err().kind(), Kind::Invalid, "{url}");
    }
}

/// From when until when somebody believed to lead.
#[derive(Clone, Copy, Debug)]
struct Claim {
    epoch: u64,
    from: Instant,
    until: Instant,
}

/// Leads when it can, dies and sleeps now and then.
fn live(root: &Root, number: u64, term: Duration, end: Instant, claims: &Mutex<Vec<Claim>>) {
    let mut random = number;
    let mut next = move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        random >> 40
    };
    let mut life = 0;
    while Instant::now() < end {
        life += 1;
        let me = Member { id: format!("{number}-{life}"), address: String::new() };
        let mut lease = Lease::new(root.clone(), me, term);
        loop {
            match lease.look(&Instant::now) {
                Ok(Standing::Leads { epoch, until }) => {
                    let from = Instant::now();
                    claims.lock().unwrap().push(Claim { epoch, from, until });
                    assert_eq!(lease.leads(until), None);
                }
                Ok(Standing::Follows(_)) => {}
                Err(error) => assert!(is_unanswered(&error)),
            }
            match next() % 40 {
                // It dies.
                0 => break,
                // It gives up, and believes nothing more from before that on.
                1 => {
                    let now = Instant::now();
                    let led = lease.leads(now);
                    let mut claims = claims.lock().unwrap();
                    let own = claims.iter_mut().filter(|claim| Some(claim.epoch) == led);
                    own.for_each(|claim| claim.until = claim.until.min(now));
                    drop(claims);
                    drop(lease.release());
                }
                // It is stopped.
                2 => thread::sleep(term * 2),
                _ => thread::sleep(term / 10),
            }
            if Instant::now() >= end {
                break;
            }
        }
    }
}

#[test]
fn no_two_lead_at_once() {
    for (seed, bad) in [(5, 0), (6, 150)] {
        let (stores, _) = unsteady(seed, bad);
        let root = Root::open(&stores, URL).unwrap();
        let (term, claims) = (Duration::from_millis(80), Mutex::new(Vec::new()));
        let end = Instant::now() + Duration::from_secs(4);
        thread::scope(|threads| {
            for number in 0..4 {
                let (root, claims) = (&root, &claims);
                threads.spawn(move || live(root, seed * 100 + number, term, end, claims));
            }
        });
        let mut claims = claims.into_inner().unwrap();
        claims.sort_by_key(|claim| (claim.epoch, claim.from));
        let mut leaders = 1;
        for pair in claims.windows(2) {
            if pair[0].epoch != pair[1].epoch {
                leaders += 1;
                assert!(pair[1].from >= pair[0].from, "{pair:?}");
            }
        }
        for (index, claim) in claims.iter().enumerate() {
            let later = claims[index..].iter().find(|later| later.epoch > claim.epoch);
            if let Some(later) = later {
                assert!(claim.until <= later.from, "two led: {claim:?} and {later:?}");
            }
        }
        assert!(leaders > 5, "only {leaders} leaders with {bad} bad in 1,000");
    }
}
