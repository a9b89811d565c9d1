use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::client::{Client, Request};
use crate::programs::{Programs, output};

/// An API server on the loopback of this process's network namespace, and its store. Both end when this is dropped.
#[derive(Debug)]
pub(crate) struct ApiServer {
    // In this order: without its store the server does not end.
    server: Running,
    store: Running,
    state: TempDir,
    programs: Programs,
}

const URL: &str = "https://127.0.0.1:6443";

/// Anybody on this loopback may ask, and nobody else is there.
const TOKEN: &str = "who-is-in-this-namespace";

/// Three seconds on a quiet machine.
const READY: Duration = Duration::from_secs(120);

/// How long a program may take to end by itself.
const END: Duration = Duration::from_secs(30);

impl ApiServer {
    /// Takes this process into a network namespace of its own, from which nothing can leave, and starts the server there. No
    /// other thread may run yet: only this one is taken along.
    pub(crate) fn start(programs: Programs) -> anyhow::Result<Self> {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
            .context("failed to make a network namespace, which needs root")?;
        let mut up = Command::new("ip");
        up.args(["link", "set", "lo", "up"]);
        output(up)?;
        let state = TempDir::with_prefix("egret-apiserver-")
            .context("failed to make a folder for the server's state")?;
        let folder = state.path();
        let mut key = Command::new(programs.client());
        key.arg("-key").arg(folder.join("accounts.key"));
        output(key)?;
        fs::write(
            folder.join("tokens.csv"),
            format!("{TOKEN},admin,admin,system:masters\n"),
        )?;
        let store = Running::start(
            Command::new(programs.etcd())
                .arg("--data-dir")
                .arg(folder.join("etcd"))
                .args(["--unsafe-no-fsync", "--log-level=warn"]),
            folder,
            "etcd",
        )?;
        let server = Running::start(&mut server(&programs, folder), folder, "kube-apiserver")?;
        let started = Self {
            server,
            store,
            state,
            programs,
        };
        started.wait()?;
        Ok(started)
    }

    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::start(
            Command::new(self.programs.client())
                .args(["-url", URL, "-token", TOKEN, "-ca"])
                .arg(self.state.path().join("certificates/apiserver.crt")),
        )
    }

    fn wait(&self) -> anyhow::Result<()> {
        let certificate = self.state.path().join("certificates/apiserver.crt");
        let ready = || Request {
            method: "GET",
            path: "/readyz".into(),
            body: None,
        };
        until(READY, "the API server to be ready", || {
            if !certificate.is_file() {
                return Ok(false);
            }
            Ok(self.client()?.ask(ready())?.is_accepted())
        })
        .with_context(|| self.server.tail())
        .with_context(|| self.store.tail())
    }
}

fn server(programs: &Programs, folder: &Path) -> Command {
    let mut server = Command::new(programs.kube_apiserver());
    let file = |flag: &str, name: &str| format!("--{flag}={}", folder.join(name).display());
    server
        .args([
            "--etcd-servers=http://127.0.0.1:2379",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--secure-port=6443",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--endpoint-reconciler-type=none",
            "--authorization-mode=AlwaysAllow",
            // Nobody makes accounts here.
            "--disable-admission-plugins=ServiceAccount",
            // Objects are asked about by the ten thousand.
            "--max-mutating-requests-inflight=0",
            "--max-requests-inflight=0",
            "--enable-priority-and-fairness=false",
        ])
        .arg(file("cert-dir", "certificates"))
        .arg(file("token-auth-file", "tokens.csv"))
        .arg(file("service-account-key-file", "accounts.key"))
        .arg(file("service-account-signing-key-file", "accounts.key"));
    server
}

/// Asks again until it is so.
pub(crate) fn until(
    limit: Duration,
    what: &str,
    mut so: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !so()? {
        ensure!(begun.elapsed() < limit, "waited {limit:?} for {what}");
        pause();
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "between two looks at a condition, in no runtime"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

/// A program that runs, and where its words go.
#[derive(Debug)]
struct Running {
    child: Child,
    log: std::path::PathBuf,
}

impl Running {
    /// It does not outlive this process, however that ends.
    fn start(command: &mut Command, folder: &Path, name: &str) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file =
            File::create(&log).with_context(|| format!("failed to make `{}`", log.display()))?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("failed to start {name}"))?;
        Ok(Self { child, log })
    }

    /// What it said last.
    fn tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn end(&mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGTERM)?;
        until(END, "a program to end", || {
            Ok(self.child.try_wait()?.is_some())
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.end().is_err() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}
