//! The sandbox over real sockets.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use blackstart::http::{HttpError, Request, Sockets, Transport};
use blackstart::sim::{
    Control, DoorError, Fault, FaultKind, Infrastructure, Sandbox, SandboxFile, SandboxOptions,
};
use http::Method;
use serde_json::{Value, json};

fn options(dir: &std::path::Path, speed: f64) -> SandboxOptions {
    let mut options = SandboxOptions::new(dir.join("state"));
    options.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    options.speed = speed;
    options
}

async fn get(sockets: &Sockets, url: &str) -> Result<(u16, Value), HttpError> {
    let answer = sockets.send(Request::new(Method::GET, url)).await?;
    Ok((answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap_or(Value::Null)))
}

async fn eventually<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    for _ in 0..200 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn the_door_follows_the_terraform_state() {
    let dir = tempfile::tempdir().expect("a folder");
    let state = dir.path().join("terraform.tfstate");
    let mut options = options(dir.path(), 60.0);
    options.terraform_state = Some(state.clone());
    let sandbox = Sandbox::start(options).await.expect("a sandbox");
    let file = sandbox.file().await;
    let sockets = Sockets::new();
    let jobs = format!("{}/v1/jobs", file.nomad);
    assert!(matches!(get(&sockets, &jobs).await, Err(HttpError::Refused(_))));
    assert_eq!(get(&sockets, &format!("{}/index/lag", file.services)).await.expect("an answer").0, 503);
    let instance = |name: &str| json!({"mode": "managed", "type": "terraform_data", "name": name, "instances": [{"attributes": {}}]});
    let all: Vec<Value> = ["tf_tutu", "tf_tete", "tf_tata", "tf_titi"].map(instance).to_vec();
    std::fs::write(&state, json!({"version": 4, "resources": all}).to_string()).expect("a state");
    eventually("Nomad answers", || async { get(&sockets, &jobs).await.is_ok_and(|a| a.0 == 200) }).await;
    let (_, nodes) = get(&sockets, &format!("{}/v1/nodes", file.nomad)).await.expect("nodes");
    assert_eq!(nodes.as_array().map(Vec::len), Some(2));
    assert!(file.database.exists());
    assert_eq!(get(&sockets, &format!("{}/index/lag", file.services)).await.expect("an answer").0, 200);

    // A blocking query that is under way when the server goes is not left hanging.
    let held = tokio::spawn({
        let (sockets, url) = (sockets.clone(), format!("{jobs}?index=999999&wait=60s"));
        async move { get(&sockets, &url).await.map(|a| a.0) }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    std::fs::write(&state, json!({"version": 4, "resources": []}).to_string()).expect("a state");
    eventually("Nomad refuses", || async {
        matches!(get(&sockets, &jobs).await, Err(HttpError::Refused(_)))
    })
    .await;
    let held = tokio::time::timeout(Duration::from_secs(5), held).await.expect("no hang").expect("a task");
    assert!(!matches!(held, Ok(200)), "{held:?}");
    assert!(!file.database.exists());

    // The same port again, without the old jobs.
    std::fs::write(&state, json!({"version": 4, "resources": all, "serial": 2}).to_string())
        .expect("a state");
    eventually("Nomad answers again", || async {
        get(&sockets, &jobs).await.is_ok_and(|a| a.1 == json!([]))
    })
    .await;
    sandbox.shut_down().await.expect("an end");
}

#[tokio::test]
async fn the_file_leads_to_the_control_door() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = options(dir.path(), 100.0);
    let earliest = blackstart::base::Clock::real().now() + jiff::SignedDuration::from_hours(48);
    options.not_before = Some(earliest);
    let state_dir = options.state_dir.clone();
    let sandbox = Sandbox::start(options).await.expect("a sandbox");
    let path = SandboxFile::path(&state_dir);
    assert_eq!(std::fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
    let mut control = Control::find(&state_dir).expect("a sandbox");
    let apart = |control: &Control| {
        let there = control.file().clock.clock().now();
        sandbox.world().clock().now().duration_since(there).as_secs().abs()
    };
    assert!(control.file().clock.clock().now() >= earliest);
    assert!(apart(&control) < 30, "both ends tell one time");
    assert_eq!(control.infrastructure().await.expect("machines"), Infrastructure::whole());
    let before = sandbox.world().clock().now();
    control.set_infrastructure(&Infrastructure::none()).await.expect("a stop");
    control.jump(Duration::from_secs(3 * 86_400)).await.expect("a jump");
    assert!(sandbox.world().clock().now().duration_since(before).as_hours() >= 72);
    control.set_speed(2000.0).await.expect("a speed");
    assert!(apart(&control) < 600);
    assert_eq!(SandboxFile::read(&state_dir).expect("the file").as_ref(), Some(control.file()));
    control.set_infrastructure(&Infrastructure::whole()).await.expect("a start");
    let report = control.report().await.expect("a report");
    assert!(report.types.iter().all(|t| t.generated_lag > 2 * 86_400), "{report:#?}");

    let fault = Fault { path: "/v1/jobs".into(), skip: 0, times: 1, kind: FaultKind::Status(429) };
    control.inject(&fault).await.expect("a fault");
    let sockets = Sockets::new();
    let jobs = format!("{}/v1/jobs", control.file().nomad);
    assert_eq!(get(&sockets, &jobs).await.expect("an answer").0, 429);
    assert_eq!(get(&sockets, &jobs).await.expect("an answer").0, 200);
    let fault = Fault { path: "/v1/jobs".into(), skip: 0, times: 1, kind: FaultKind::Reset };
    control.inject(&fault).await.expect("a fault");
    assert!(matches!(get(&sockets, &jobs).await, Err(HttpError::Broken { .. })));

    // Without its token the door stays shut.
    let report = format!("{}/report", control.file().control);
    assert_eq!(get(&sockets, &report).await.expect("an answer").0, 403);
    control.shut_down().await.expect("an end");
    tokio::time::timeout(Duration::from_secs(5), sandbox.ended()).await.expect("an end").expect("in order");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut options = options(dir.path(), 1.0);
    options.listen = other.local_addr().expect("an address");
    match Sandbox::start(options).await {
        Err(DoorError::Taken { address, .. }) => assert_eq!(address, other.local_addr().expect("an address")),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it started"),
    }
}

#[tokio::test]
async fn the_database_outlives_a_killed_sandbox() {
    let dir = tempfile::tempdir().expect("a folder");
    let sandbox = Sandbox::start(options(dir.path(), 1.0)).await.expect("a sandbox");
    let database = sandbox.file().await.database;
    let change = "update system_parameters set max_number_of_worker_instances = 3";
    rusqlite::Connection::open(&database).expect("a database").execute(change, ()).expect("an update");
    // Another sandbox on the same folder, the first one never having ended in order.
    let second = Sandbox::start(options(dir.path(), 1.0)).await.expect("a sandbox");
    let kept: i64 = rusqlite::Connection::open(&second.file().await.database)
        .expect("a database")
        .query_row("select max_number_of_worker_instances from system_parameters", (), |r| r.get(0))
        .expect("a row");
    assert_eq!(kept, 3);
}
