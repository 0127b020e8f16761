//! TLS, tokens and certificates, as callers meet them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use futures::FutureExt;
use hitherto_core::Error;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use super::*;
use hitherto_client::Credentials;

pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub const NEXT_TOKEN: &str = "fedcba9876543210fedcba9876543210";

/// A folder of PEM files, and the CA that signs them.
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

pub fn write_secret(path: &std::path::Path, content: String) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

impl Authority {
    /// Writes its own certificate to `ca.pem`.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        write_secret(&folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem());
        Self { folder, issuer: Issuer::new(params, key) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a certificate for `host`, and its key, to one file.
    pub fn sign(&self, name: &str, host: &str, years: std::ops::Range<i32>) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.start, 1, 1);
        params.not_after = date_time_ymd(years.end, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = self.path(name);
        write_secret(&path, certificate.pem() + &key.serialize_pem());
        (path.clone(), path)
    }

    /// The settings of a server that has its certificate from here.
    pub fn settings(&self) -> ServerConfig {
        let (cert, key) = self.sign("server.pem", "127.0.0.1", 2020..2090);
        ServerConfig { tls_cert: Some(cert), tls_key: Some(key), ..ServerConfig::default() }
    }

    pub fn trusted(&self) -> Credentials {
        Credentials { ca: Some(self.path("ca.pem")), ..Credentials::default() }
    }
}

/// What the clock says by which tokens expire.
fn wall_clock() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_micros() as i64
}

async fn look_up(url: &str, credentials: &Credentials) -> Result<()> {
    let client = Client::connect_with(url, credentials).await?;
    client.lookup(&lookup("deterioration_v1", None)).await.map(drop)
}

/// That a call is refused, of this kind and with these words.
async fn check_refused(url: &str, credentials: &Credentials, kind: Kind, words: &str) {
    let error = look_up(url, credentials).await.unwrap_err();
    assert!(error.chain().contains(words), "{}", error.chain());
    assert_eq!(error.kind(), kind, "{}", error.chain());
}

/// Waits for what a renewed file brings about.
async fn eventually(url: &str, credentials: &Credentials, is_so: fn(&Result<()>) -> bool) {
    let begun = Instant::now();
    while !is_so(&look_up(url, credentials).await) {
        assert!(begun.elapsed() < Duration::from_secs(20), "not renewed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The answer to an HTTP/1 request in plain text.
async fn ask(url: &str, head: &str) -> String {
    let address = url.split_once("://").unwrap().1;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_trusted_is_answered_over_tls() {
    let authority = Authority::new();
    let server = Secured::start(&authority.settings()).await;
    let url = &server.url;
    look_up(url, &authority.trusted()).await.unwrap();

    let other = Authority::new();
    check_refused(url, &other.trusted(), Kind::Denied, "is not trusted").await;
    let renamed = url.replace("127.0.0.1", "localhost");
    check_refused(&renamed, &authority.trusted(), Kind::Denied, "is for another name").await;
    let plain = url.replace("https", "http");
    check_refused(&plain, &Credentials::default(), Kind::Invalid, "write https://").await;
    let answer = ask(url, "GET /healthz HTTP/1.1\r\nHost: here").await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("write https://"), "{answer}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_to_a_plain_port_is_told_so() {
    let server = Secured::start(&ServerConfig::default()).await;
    let url = server.url.replace("http", "https");
    let authority = Authority::new();
    check_refused(&url, &authority.trusted(), Kind::Invalid, "speaks no TLS; write http://").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
    let authority = Authority::new();
    let settings = authority.settings();
    let server = Secured::start(&settings).await;
    let (url, trusted) = (&server.url, authority.trusted());
    let channel = Client::connect_with(url, &trusted).await.unwrap();

    let expired = |outcome: &Result<()>| {
        outcome.as_ref().is_err_and(|error| error.to_string().contains("has expired"))
    };
    authority.sign("server.pem", "127.0.0.1", 2019..2020);
    eventually(url, &trusted, expired).await;
    // A connection that is open stays, whatever its certificate has become.
    channel.lookup(&lookup("deterioration_v1", None)).await.unwrap();
    authority.sign("server.pem", "127.0.0.1", 2020..2090);
    eventually(url, &trusted, Result::is_ok).await;
    fs::write(settings.tls_cert.unwrap(), "-----BEGIN CERT").unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    look_up(url, &trusted).await.unwrap();
    drop(channel);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_ca_for_callers_answers_those_who_have_a_certificate() {
    let authority = Authority::new();
    let client_ca = Some(authority.path("ca.pem"));
    let server = Secured::start(&ServerConfig { client_ca, ..authority.settings() }).await;
    let url = &server.url;
    check_refused(url, &authority.trusted(), Kind::Denied, "asks for a certificate").await;
    let identity = authority.sign("client.pem", "client", 2020..2090);
    let known = Credentials { identity: Some(identity), ..authority.trusted() };
    look_up(url, &known).await.unwrap();
    let identity = Authority::new().sign("client.pem", "client", 2020..2090);
    let gone = Credentials { identity: Some(identity), ..authority.trusted() };
    assert_eq!(look_up(url, &gone).await.unwrap_err().kind(), Kind::Unavailable, "no such file");
    let other = Authority::new();
    let identity = other.sign("client.pem", "client", 2020..2090);
    let unknown = Credentials { identity: Some(identity), ..authority.trusted() };
    let error = look_up(url, &unknown).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Denied | Kind::Unavailable), "{}", error.chain());
    assert!(error.to_string().contains("this client's certificate"), "{error}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_on_every_wire() {
    let authority = Authority::new();
    let token_file = authority.path("tokens");
    write_secret(&token_file, TOKEN.to_owned());
    let settings = ServerConfig { token_file: Some(token_file.clone()), ..Default::default() };
    // Not if others can read it.
    fs::set_permissions(&token_file, Permissions::from_mode(0o644)).unwrap();
    let error = Security::read(&settings, Arc::new(wall_clock)).err().unwrap();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("chmod 600"), "{error}");
    fs::set_permissions(&token_file, Permissions::from_mode(0o600)).unwrap();
    let server = Secured::start(&settings).await;
    let url = &server.url;
    let with =
        |token: &str| Credentials { token: Some(token.parse().unwrap()), ..Credentials::default() };
    look_up(url, &with(TOKEN)).await.unwrap();
    let words = "asks for a token, and none that it knows was shown";
    check_refused(url, &Credentials::default(), Kind::Denied, words).await;
    check_refused(url, &with(NEXT_TOKEN), Kind::Denied, words).await;

    // Flight.
    let (spine, request) = (spine(), training("deterioration_v1"));
    let nobody = Client::connect(url).await.unwrap();
    let refused = nobody.training_set(&request, spine.clone()).await;
    assert_eq!(refused.unwrap_err().kind(), Kind::Denied);
    let known = Client::connect_with(url, &with(TOKEN)).await.unwrap();
    known.training_set(&request, spine.clone()).await.unwrap();

    // HTTP, where health is for everybody, as it is over gRPC.
    let answer = ask(url, "GET /metrics HTTP/1.1\r\nHost: here").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.to_lowercase().contains("www-authenticate: bearer"), "{answer}");
    assert!(answer.contains("\"kind\":\"denied\"") && answer.contains(words), "{answer}");
    let head = format!("GET /metrics HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {TOKEN}");
    assert!(ask(url, &head).await.starts_with("HTTP/1.1 200"));
    assert!(ask(url, "GET /healthz HTTP/1.1\r\nHost: here").await.starts_with("HTTP/1.1 200"));
    let channel = tonic::transport::Endpoint::from_shared(url.clone()).unwrap();
    let mut health = HealthClient::new(channel.connect().await.unwrap());
    let asked = HealthCheckRequest { service: String::new() };
    assert_eq!(health.check(asked).await.unwrap().into_inner().status, 1);

    // Both while one follows the other.
    fs::write(&token_file, format!("{TOKEN}\n{NEXT_TOKEN}\n")).unwrap();
    eventually(url, &with(NEXT_TOKEN), Result::is_ok).await;
    look_up(url, &with(TOKEN)).await.unwrap();
    fs::write(&token_file, NEXT_TOKEN).unwrap();
    eventually(url, &with(TOKEN), Result::is_err).await;
    drop((nobody, known, health));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_begin_a_handshake_and_fall_silent_delay_nobody() {
    let authority = Authority::new();
    let server = Secured::start(&authority.settings()).await;
    let address = server.url.trim_start_matches("https://");
    let mut silent = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[22]).await.unwrap();
        silent.push(stream);
    }
    let begun = Instant::now();
    look_up(&server.url, &authority.trusted()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(silent);
    server.stop().await;
}

/// The commands of the documents that make certificates, for this machine's address.
fn recipe() -> String {
    let document = include_str!("../../../../docs/operate/securing.md");
    let section = document.split("\n## ").find(|section| section.starts_with("TLS")).unwrap();
    let lines = section.lines().filter_map(|line| line.strip_prefix("    "));
    let commands = lines.filter(|line| !line.starts_with("hitherto"));
    commands.collect::<Vec<_>>().join("\n").replace("IP:10.0.0.7", "IP:127.0.0.1")
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_are_made_as_the_documents_say_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("sh")
        .args(["-ec", &recipe()])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let path = |name: &str| folder.path().join(name);
    let settings = ServerConfig {
        tls_cert: Some(path("tls.crt")),
        tls_key: Some(path("tls.key")),
        client_ca: Some(path("ca.crt")),
        ..ServerConfig::default()
    };
    let server = Secured::start(&settings).await;
    let identity = Some((path("client.crt"), path("client.key")));
    let credentials = Credentials { ca: Some(path("ca.crt")), identity, token: None };
    look_up(&server.url, &credentials).await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_denied_is_counted_and_waits_for_that_answer() {
    let authority = Authority::new();
    let token_file = authority.path("tokens");
    write_secret(&token_file, TOKEN.to_owned());
    let settings = ServerConfig { token_file: Some(token_file), ..Default::default() };
    let server = Secured::start(&settings).await;
    let begun = Instant::now();
    for _ in 0..3 {
        ask(&server.url, "GET /metrics HTTP/1.1\r\nHost: here").await;
    }
    assert!(begun.elapsed() > Duration::from_millis(600), "{:?}", begun.elapsed());
    let head = format!("GET /metrics HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {TOKEN}");
    let metrics = ask(&server.url, &head).await;
    assert!(metrics.contains("hitherto_requests_denied_total 3"), "{metrics}");
    server.stop().await;
}

#[test]
fn settings_that_secure_nothing_are_refused() {
    let authority = Authority::new();
    let settings = authority.settings();
    let check = |settings: ServerConfig, kind, words: &str| {
        let error: Error = Security::read(&settings, Arc::new(wall_clock)).err().unwrap();
        assert!(error.chain().contains(words), "{}", error.chain());
        assert_eq!(error.kind(), kind);
    };
    let plain = ServerConfig::default();
    let ca = Some(authority.path("ca.pem"));
    let tls_key = settings.tls_key.clone();
    check(ServerConfig { tls_key, ..plain.clone() }, Kind::Invalid, "without server.tlsCert");
    let client_ca = ca.clone();
    check(ServerConfig { client_ca, ..plain.clone() }, Kind::Invalid, "without server.tlsCert");
    let tls_key = ca.clone();
    check(ServerConfig { tls_key, ..settings.clone() }, Kind::Invalid, "ca.pem has no key");
    let (_, tls_key) = authority.sign("other.pem", "127.0.0.1", 2020..2090);
    let tls_key = Some(tls_key);
    check(ServerConfig { tls_key, ..settings }, Kind::Invalid, "not a certificate and its key");
    let token_file = Some(authority.path("none"));
    check(ServerConfig { token_file, ..plain }, Kind::Unavailable, "cannot be read");
}

/// A running server that may ask for something.
pub struct Secured {
    pub url: String,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<()>>,
    _folder: TempDir,
}

impl Secured {
    pub async fn start(config: &ServerConfig) -> Self {
        Self::start_at(config, Arc::new(wall_clock)).await
    }

    /// The same, where tokens and certificates expire by this clock.
    pub async fn start_at(config: &ServerConfig, wall: Clock) -> Self {
        Self::start_recorded(config, wall, None).await
    }

    /// The same with a log of its calls.
    pub async fn start_recorded(
        config: &ServerConfig,
        wall: Clock,
        audit: Option<Arc<Audit>>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = Arc::new(repository(folder.path()).await);
        let security = Security::read(config, wall).unwrap();
        let listener = bind("127.0.0.1:0").await.unwrap();
        let scheme = if security.is_encrypted() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let (config, clock): (_, Clock) = (config.clone(), Arc::new(|| NOW));
        let shutdown = stopped.map(drop);
        let options = ServeOptions { listener, security, config, clock, audit, shutdown };
        Self { url, stop, served: tokio::spawn(serve(engine, options)), _folder: folder }
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap().unwrap();
    }
}
