//! A real Nomad agent for the length of a test: `agent -dev` on free ports of the loopback.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub struct Agent {
    child: Child,
    pub address: String,
    dir: tempfile::TempDir,
}

impl Agent {
    /// Starts the binary that `NOMAD_BIN` names; none where it names none.
    pub fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// The same with more in its configuration.
    pub fn start_with(more: &str) -> Option<Self> {
        let binary = PathBuf::from(std::env::var_os("NOMAD_BIN")?);
        let dir = tempfile::tempdir().unwrap();
        let [http, rpc, serf] = free_ports();
        let config = format!(
            r#"
            bind_addr = "127.0.0.1"
            log_level = "WARN"
            disable_update_check = true
            addresses {{
              http = "127.0.0.1"
              rpc  = "127.0.0.1"
              serf = "127.0.0.1"
            }}
            advertise {{
              http = "127.0.0.1"
              rpc  = "127.0.0.1"
              serf = "127.0.0.1"
            }}
            ports {{
              http = {http}
              rpc  = {rpc}
              serf = {serf}
            }}
            limits {{ http_max_conns_per_client = 1000 }}
            client {{
              network_interface = "lo"
              cpu_total_compute = 8000
              memory_total_mb   = 16384
            }}
            plugin "raw_exec" {{
              config {{ enabled = true }}
            }}
            {more}
            "#
        );
        let path = dir.path().join("agent.hcl");
        std::fs::write(&path, config).unwrap();
        let log = std::fs::File::create(dir.path().join("agent.log")).unwrap();
        let child = Command::new(binary)
            .args(["agent", "-dev", "-config"])
            .arg(&path)
            .env_remove("AWS_CA_BUNDLE")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("NOMAD_BIN starts");
        Some(Self { child, address: format!("http://127.0.0.1:{http}"), dir })
    }

    /// What the agent has said, for a test that found it silent.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("agent.log")).unwrap_or_default()
    }
}

impl Drop for Agent {
    /// A dev agent that is asked to end takes its tasks along; one that is killed would leave them.
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let _ = kill(pid, Signal::SIGTERM);
        for _ in 0..150 {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Three ports that were free a moment ago.
fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
