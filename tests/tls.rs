//! Nomad behind certificates, and at a socket in the file system.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[allow(dead_code, reason = "others ask it for more")]
#[path = "nomad_contract/agent.rs"]
mod agent;
mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use agent::Agent;
use common::{Fixture, wait_until};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

/// An authority, with what it has signed.
struct Authority {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

/// A certificate and its key.
struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        Self { certificate: params.self_signed(&key).unwrap(), key }
    }

    fn signs(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        Identity { certificate: params.signed_by(&key, &self.certificate, &self.key).unwrap(), key }
    }
}

impl Identity {
    fn write(&self, fixture: &Fixture, name: &str) {
        fixture.write(&format!("{name}.pem"), &self.certificate.pem());
        fixture.write(&format!("{name}-key.pem"), &self.key.serialize_pem());
    }
}

/// Passes connections on to a server without TLS, for as long as it lives.
struct Front {
    runtime: tokio::runtime::Runtime,
    to: SocketAddr,
}

impl Front {
    fn of(address: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        Self { runtime, to: address.strip_prefix("http://").unwrap().parse().unwrap() }
    }

    /// The address of a door that opens for those the authority has signed.
    fn tls(&self, authority: &Authority, identity: &Identity) -> SocketAddr {
        self.tls_with(authority, identity, pass_on)
    }

    fn tls_with<F: Future<Output = ()> + Send + 'static>(
        &self,
        authority: &Authority,
        identity: &Identity,
        pass_on: impl Fn(TlsStream<TcpStream>, SocketAddr) -> F + Clone + Send + 'static,
    ) -> SocketAddr {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![identity.certificate.der().clone()],
                PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = self.runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let to = self.to;
        self.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, pass_on) = (acceptor.clone(), pass_on.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        pass_on(stream, to).await;
                    }
                });
            }
        });
        address
    }

    /// As [`Self::tls`]; once a registration has been passed on, its answer is cut by what is no TLS.
    fn tls_that_breaks(&self, authority: &Authority, identity: &Identity) -> SocketAddr {
        self.tls_with(authority, identity, pass_on_and_break)
    }

    fn socket(&self, path: &Path) {
        let _inside = self.runtime.enter();
        let listener = UnixListener::bind(path).unwrap();
        let to = self.to;
        self.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass_on(stream, to));
            }
        });
    }
}

async fn pass_on(mut from: impl AsyncRead + AsyncWrite + Unpin, to: SocketAddr) {
    if let Ok(mut to) = TcpStream::connect(to).await {
        let _ = copy_bidirectional(&mut from, &mut to).await;
    }
}

async fn pass_on_and_break(mut from: TlsStream<TcpStream>, to: SocketAddr) {
    let Ok(mut to) = TcpStream::connect(to).await else { return };
    let (mut asked, mut told, mut registers) = (vec![0; 65536], vec![0; 65536], false);
    loop {
        tokio::select! {
            Ok(n) = from.read(&mut asked) => {
                if n == 0 || to.write_all(&asked[..n]).await.is_err() {
                    return;
                }
                registers |= asked.starts_with(b"POST /v1/job/job_creation HTTP");
            }
            Ok(n) = to.read(&mut told) => {
                if registers {
                    let _ = from.get_mut().0.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await;
                    return;
                }
                if n == 0 || from.write_all(&told[..n]).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
}

/// A project whose only environment is the sandbox's Nomad at another door.
fn points_at(fixture: &Fixture, address: &str, more: &str) {
    let text = format!(
        "project = \"cosims\"\nenvironment \"site\" {{\n  nomad {{\n    address = \"{address}\"\n    \
         files = [\"nomad-jobs/*.nomad.hcl\"]\n    {more}\n  }}\n}}\n"
    );
    fixture.write("blackstart.hcl", &text);
}

/// All that it takes.
const WHOLE: &str = r#"ca_cert = "ca.pem"
    client_cert = "cli.pem"
    client_key = "cli-key.pem"
    tls_server_name = "server.global.nomad""#;

const DO: [&str; 7] = ["patch", "image", "job_creation=git-new", "--live-only", "--yes", "-e", "site"];
const LOOK: [&str; 6] = ["patch", "image", "job_creation=git-new", "--dry-run", "-e", "site"];

fn sandbox() -> (Fixture, String) {
    let fixture = Fixture::new();
    let text = fixture.read("blackstart.hcl");
    let own = &text[text.find("environment \"sandbox\"").unwrap()..];
    let (head, rest) = own.split_once("  terraform {").unwrap();
    let (_, tail) = rest.split_once("\n  nomad {").unwrap();
    fixture.write("blackstart.hcl", &format!("project = \"cosims\"\n{head}  nomad {{{tail}"));
    let address = fixture.sandbox(&["--speed", "10"]);
    let task = json!({ "Name": "main", "Driver": "docker", "Config": { "image": "cosims/job_creation:git-5d20c8f1" } });
    let group = json!({ "Name": "main", "Count": 0, "Tasks": [task] });
    fixture.register(&json!({ "ID": "job_creation", "Name": "job_creation", "TaskGroups": [group] }));
    for plan in ["cold-start", "start", "stop"] {
        std::fs::remove_file(fixture.project().join(format!("plans/{plan}.hcl"))).unwrap();
    }
    (fixture, address)
}

#[test]
fn a_nomad_that_wants_a_certificate() {
    let (fixture, address) = sandbox();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let server = ours.signs("server.global.nomad", ExtendedKeyUsagePurpose::ServerAuth);
    ours.signs("cli.global.nomad", ExtendedKeyUsagePurpose::ClientAuth).write(&fixture, "cli");
    theirs.signs("cli.global.nomad", ExtendedKeyUsagePurpose::ClientAuth).write(&fixture, "stranger");
    fixture.write("ca.pem", &ours.certificate.pem());
    fixture.write("other-ca.pem", &theirs.certificate.pem());
    let front = Front::of(&address);
    let https = format!("https://{}", front.tls(&ours, &server));
    let whole = WHOLE;

    points_at(&fixture, &https, whole);
    fixture.ok(&LOOK).says("git-5d20c8f1").says("git-new");

    // Each part is needed, and what is missing is said.
    for (without, with, says) in [
        ("ca_cert = \"ca.pem\"", "", "nomad { ca_cert = … }"),
        ("ca.pem", "other-ca.pem", "nomad { ca_cert = … }"),
        ("tls_server_name = \"server.global.nomad\"", "", "nomad { tls_server_name = … }"),
        ("client_cert = \"cli.pem\"\n    client_key = \"cli-key.pem\"", "", "client_key = … }"),
        (
            "cli.pem\"\n    client_key = \"cli-key",
            "stranger.pem\"\n    client_key = \"stranger-key",
            "client_key = … }",
        ),
        ("cli-key.pem", "stranger-key.pem", "the client certificate"),
        ("ca.pem", "nowhere.pem", "nowhere.pem can't be read"),
        ("ca.pem", "blackstart.hcl", "there is no certificate in it"),
        ("client_key = \"cli-key.pem\"", "", "`client_cert` needs a `client_key` beside it"),
        ("server.global.nomad", "no such name", "can't be the name of a server"),
        ("server.global.nomad", "127.0.0.1", "can't be the name of a server"),
    ] {
        assert!(whole.contains(without), "{without}");
        points_at(&fixture, &https, &whole.replace(without, with));
        fixture.run(&LOOK).code(1).says(says);
    }
    points_at(&fixture, &address.replace("http:", "https:"), whole);
    fixture.run(&LOOK).code(1).says("write http:// in Nomad's address");

    // What has arrived is looked for, whatever becomes of its answer.
    points_at(&fixture, &format!("https://{}", front.tls_that_breaks(&ours, &server)), whole);
    fixture.ok(&DO).says("1 job changed and healthy");
    assert!(image(&address).ends_with("git-new"));

    // As the stock client's variables say, where they are let in.
    points_at(&fixture, &https, "");
    fixture.replace("blackstart.hcl", "  nomad {", "  inherit = [\"NOMAD_*\"]\n  nomad {");
    for (name, value) in [
        ("NOMAD_CACERT", "ca.pem"),
        ("NOMAD_CLIENT_CERT", "cli.pem"),
        ("NOMAD_CLIENT_KEY", "cli-key.pem"),
        ("NOMAD_TLS_SERVER_NAME", "server.global.nomad"),
    ] {
        fixture.run(&LOOK).code(1);
        fixture.set(name, value);
    }
    fixture.ok(&LOOK).says("has the image already");
    fixture.set("NOMAD_ADDR", &https);
    fixture.run(&["job", "diff", "nomad-jobs/job_creation.nomad.hcl", "job:job_creation"]).code(2);
}

#[test]
fn a_real_nomad_that_wants_a_certificate() {
    let fixture = Fixture::new();
    let ours = Authority::new("ours");
    ours.signs("server.global.nomad", ExtendedKeyUsagePurpose::ServerAuth).write(&fixture, "server");
    ours.signs("cli.global.nomad", ExtendedKeyUsagePurpose::ClientAuth).write(&fixture, "cli");
    fixture.write("ca.pem", &ours.certificate.pem());
    let file = |name: &str| fixture.project().join(name).display().to_string();
    let tls = format!(
        "tls {{\n  http = true\n  verify_https_client = true\n  ca_file = \"{}\"\n  cert_file = \"{}\"\n  \
         key_file = \"{}\"\n}}\n",
        file("ca.pem"),
        file("server.pem"),
        file("server-key.pem")
    );
    let Some(agent) = Agent::start_with(&tls) else {
        println!("skipped on a real agent: certificates: NOMAD_BIN is not set");
        return;
    };
    let https = agent.address.replace("http://", "https://");
    for plan in ["cold-start", "start", "stop"] {
        std::fs::remove_file(fixture.project().join(format!("plans/{plan}.hcl"))).unwrap();
    }
    points_at(&fixture, &https, WHOLE);
    wait_until("the agent", || fixture.run(&LOOK).text().contains("no job is registered"));
    points_at(
        &fixture,
        &https,
        &WHOLE.replace("client_cert = \"cli.pem\"\n    client_key = \"cli-key.pem\"", ""),
    );
    fixture.run(&LOOK).code(1).says("client_key = … }");
    points_at(&fixture, &agent.address, WHOLE);
    fixture.run(&LOOK).code(1).says("write https:// in Nomad's address");
}

#[test]
fn a_nomad_at_a_socket() {
    let (fixture, address) = sandbox();
    let path = fixture.path("nomad.sock");
    let unix = format!("unix://{}", path.display());
    points_at(&fixture, &unix, "");
    fixture.run(&LOOK).code(1).says(&format!("no connection to {unix} can be made"));
    let front = Front::of(&address);
    front.socket(&path);
    fixture.ok(&LOOK).says("git-5d20c8f1").says("git-new");
    fixture.ok(&DO);
    assert!(image(&address).ends_with("git-new"));
}

fn image(address: &str) -> String {
    let job = common::get(&format!("{address}/v1/job/job_creation")).unwrap();
    job["TaskGroups"][0]["Tasks"][0]["Config"]["image"].as_str().unwrap().to_owned()
}
