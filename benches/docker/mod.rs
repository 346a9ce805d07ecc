//! A Docker engine of our own with Swarm, in a temporary folder, ended when it is dropped.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::print_stderr,
    unreachable_pub,
    reason = "benchmarks drive the real system"
)]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::common::{Site, Took, measure};

const STACK: &str = r#"version: "3.8"
services:
  web:
    image: warmkeep-bench:1
    command: ["/bin/busybox", "sleep", "1000000"]
    stop_grace_period: 1s
  worker:
    image: warmkeep-bench:1
    command: ["/bin/busybox", "sleep", "1000000"]
    stop_grace_period: 1s
"#;

/// Says loudly that there is no peer.
pub fn skipped(missing: &str) {
    eprintln!("SKIPPED: no docker stack deploy to compare with: {missing}");
    eprintln!("as root on a Debian: apt-get install docker.io iptables busybox-static");
}

/// An engine that runs a stack of two services.
pub struct Docker {
    engine: Child,
    socket: String,
    stack: PathBuf,
}

impl Docker {
    /// An error: what is missing.
    pub fn start(site: &Site) -> Result<Self, String> {
        let dir = site.path("docker");
        fs::create_dir_all(&dir).unwrap();
        let part = |name: &str| dir.join(name).to_string_lossy().into_owned();
        let socket = format!("unix://{}", part("docker.sock"));
        let log = fs::File::create(dir.join("log")).unwrap();
        let engine = Command::new("dockerd")
            .args(["--data-root", &part("data"), "--exec-root", &part("exec")])
            .args(["-H", &socket, "--pidfile", &part("pid")])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|e| format!("dockerd ({e})"))?;
        let mut docker = Self { engine, socket, stack: dir.join("stack.yml") };
        docker.wait_until_ready()?;
        docker.deploy_first()?;
        Ok(docker)
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            if self.engine.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Err("dockerd (it did not start; is this root?)".into());
            }
            if self.docker(&["info", "--format", "{{.ID}}"]).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Err("dockerd (it is not ready after a minute)".into())
    }

    fn deploy_first(&self) -> Result<(), String> {
        let busybox = shell("command -v busybox")?;
        let socket = &self.socket;
        shell(&format!(
            "d=$(mktemp -d) && mkdir $d/bin && cp {} $d/bin/busybox && tar -C $d -c bin | \
             docker -H {socket} import - warmkeep-bench:1; s=$?; rm -rf $d; exit $s",
            busybox.trim()
        ))?;
        self.docker(&["swarm", "init", "--advertise-addr", "127.0.0.1"])?;
        fs::write(&self.stack, STACK).unwrap();
        shell(&self.deploy())?;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            let replicas = self.docker(&["stack", "services", "bench", "--format", "{{.Replicas}}"])?;
            if replicas.lines().filter(|line| *line == "1/1").count() == 2 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Err("a stack that comes up".into())
    }

    fn deploy(&self) -> String {
        format!(
            "docker -H {} stack deploy --resolve-image never -c {} bench >/dev/null",
            self.socket,
            self.stack.display()
        )
    }

    /// So many deploys, one after the other, that change nothing.
    pub fn deploy_without_change(&self, times: usize) -> Took {
        let all = format!("for i in $(seq {times}); do {} || exit 1; done", self.deploy());
        measure(&["bash".to_owned(), "-c".to_owned(), all]).0
    }

    fn docker(&self, arguments: &[&str]) -> Result<String, String> {
        output(Command::new("docker").args(["-H", &self.socket]).args(arguments))
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let _ = self.docker(&["stack", "rm", "bench"]);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30)
            && self.docker(&["ps", "-q"]).is_ok_and(|left| !left.trim().is_empty())
        {
            std::thread::sleep(Duration::from_millis(200));
        }
        let _ = self.docker(&["swarm", "leave", "--force"]);
        let _ = Command::new("kill").arg(self.engine.id().to_string()).output();
        let _ = self.engine.wait();
    }
}

fn shell(line: &str) -> Result<String, String> {
    output(Command::new("bash").args(["-c", line]))
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
