//! The demo's internet, and how a scene is played on it.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use gateway_playground::probe::{Sight, sights};
use gateway_playground::{Behaviour, Internet, Options, Packet, Question};
use serde_json::Value;
use tempfile::TempDir;

use super::scene::{Check, Edit, Played, Scene, World};
use super::tour;

/// Longer than any step of a tour may take; then the client is ended and the scene has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long Egret may take to complain about a broken edit.
const COMPLAINT: Duration = Duration::from_secs(10);
/// Appears in the stage's folder when a client that waits may go on.
const GATE: &str = "gate";

/// The internet of the tour, and a folder for policies and reports.
pub(super) struct Stage {
    internet: Internet,
    folder: TempDir,
    program: PathBuf,
}

/// Everything a client wrote, and how it ended.
struct Client {
    child: Child,
    lines: Receiver<String>,
}

impl Stage {
    /// Builds the servers and names that the tour visits.
    pub(super) fn build() -> anyhow::Result<Self> {
        let internet = Internet::build(&Options {
            nameservers: vec![tour::RESOLVER, tour::SECOND_RESOLVER],
            ..Options::default()
        })?;
        for resolver in [
            tour::RESOLVER,
            tour::SECOND_RESOLVER,
            tour::HOSTILE_RESOLVER,
        ] {
            internet.resolver(resolver)?;
        }
        internet.zone(tour::ZONE)?;
        let turns = tour::REBINDING.iter().map(|line| (*line).to_owned());
        internet.behave("rebind.example.com", Behaviour::InTurn(turns.collect()))?;
        internet.behave(
            "smuggler.example.com",
            Behaviour::Smuggle(tour::SMUGGLED.to_owned()),
        )?;
        for (address, label) in tour::WEB {
            internet.web(address.parse()?, label)?;
        }
        for address in tour::ECHO {
            internet.echo(address.parse()?)?;
        }
        Ok(Self {
            internet,
            folder: tempfile::Builder::new()
                .prefix("egret-demo-")
                // The client may be the user who called sudo, and waits for a file in here.
                .permissions(Permissions::from_mode(0o755))
                .tempdir()?,
            program: std::env::current_exe().context("failed to find this program's own file")?,
        })
    }

    /// Runs a command of the user's in the client's namespace, to its end.
    pub(super) fn visit(&self, command: Command) -> anyhow::Result<ExitStatus> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = self.internet.spawn(command);
        let mut child = child.with_context(|| format!("failed to start `{program}`"))?;
        child
            .wait()
            .with_context(|| format!("failed to wait for `{program}`"))
    }

    /// Plays one scene from its first step to what the world saw of it.
    pub(super) fn play(&self, scene: &Scene) -> anyhow::Result<Played> {
        let begun = Instant::now();
        let packets_before = self.internet.packets()?.len();
        let questions_before = self.internet.questions().mark();
        let folder = self.folder.path().join(scene.title.replace(' ', "-"));
        fs::create_dir(&folder).context("failed to make a folder for a scene")?;
        let file = |name: &str| folder.join(name);
        let (policy, report, errors) = (file("policy.yaml"), file("report.jsonl"), file("stderr"));
        let gate = file(GATE);
        put(&policy, &scene.policy)?;

        let mut client = self.start(scene, &folder)?;
        let mut seen = Vec::new();
        while let Some(line) = client.next_line()? {
            let act = scene.acts.get(seen.len());
            seen.extend(sights(line.as_bytes()));
            match act.and_then(|act| act.then.as_ref()) {
                None => {}
                Some(Edit::Good(text)) => put(&policy, text)?,
                Some(Edit::Broken(text)) => {
                    let before = length(&errors);
                    put(&policy, text)?;
                    // Without a complaint the gate stays shut, and the client's wait for it fails.
                    if became_true(|| length(&errors) > before) {
                        put(&gate, "open\n")?;
                    }
                }
            }
        }
        client
            .child
            .wait()
            .context("failed to wait for egret run")?;

        let mut checks = client_checks(scene, &seen);
        let packets = self.internet.packets()?.split_off(packets_before);
        let questions = self.internet.questions().since(questions_before);
        checks.extend(scene.world.iter().map(|w| w.check(&packets, &questions)));
        Ok(Played {
            title: scene.title,
            checks,
            reasons: reasons(&report, &seen),
            stderr: fs::read_to_string(&errors).unwrap_or_default(),
            millis: begun.elapsed().as_millis(),
        })
    }

    /// `egret run --policy … --report … -- egret __probe STEP…`, in the client's namespace.
    fn start(&self, scene: &Scene, folder: &Path) -> anyhow::Result<Client> {
        let mut command = Command::new(&self.program);
        command.arg("run");
        if !scene.policy.is_empty() {
            command.arg("--policy").arg(folder.join("policy.yaml"));
        }
        command.arg("--report").arg(folder.join("report.jsonl"));
        command.arg("--");
        command.arg(&self.program).arg("__probe");
        let gate = folder.join(GATE).display().to_string();
        let steps = scene.acts.iter();
        command.args(steps.map(|act| act.step.replace(tour::GATE, &gate)));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(
            fs::File::create(folder.join("stderr")).context("failed to make a file for errors")?,
        );
        let mut child = self
            .internet
            .spawn(command)
            .context("failed to start egret run")?;
        let output = child.stdout.take().context("the client has no output")?;
        let (sender, lines) = sync_channel(64);
        thread::Builder::new()
            .name("demo-client-output".to_owned())
            .spawn(move || {
                let lines = BufReader::new(output).lines();
                for line in lines.map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            })
            .context("failed to start a reader")?;
        Ok(Client { child, lines })
    }
}

impl Client {
    /// The next line the client wrote; `None` at its end.
    fn next_line(&mut self) -> anyhow::Result<Option<String>> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => bail!("the client said nothing for {PATIENCE:?}"),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Egret takes the client with it. Both fail only where there is nothing left to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl World {
    fn check(&self, packets: &[Packet], questions: &[Question]) -> Check {
        let to = |ip: &IpAddr, port: Option<u16>| {
            packets
                .iter()
                .filter(|p| {
                    p.destination == *ip && port.is_none_or(|port| p.destination_port == port)
                })
                .count()
        };
        let asked = |name: &str| {
            let below = format!(".{name}");
            let of = |q: &&Question| q.name == name || q.name.ends_with(&below);
            questions.iter().filter(of).count()
        };
        let (what, expected, count, right) = match self {
            Self::Reached(ip, port) => {
                let count = to(ip, Some(*port));
                (
                    format!("packets to {ip} port {port}"),
                    "some",
                    count,
                    count > 0,
                )
            }
            Self::NothingTo(ip) => {
                let count = to(ip, None);
                (format!("packets to {ip}"), "none", count, count == 0)
            }
            Self::Asked(name) => {
                let count = asked(name);
                (format!("questions for {name}"), "some", count, count > 0)
            }
            Self::NeverAsked(name) => {
                let count = asked(name);
                (format!("questions for {name}"), "none", count, count == 0)
            }
        };
        Check {
            side: "world",
            what,
            expected: expected.to_owned(),
            seen: if count == 0 {
                "none".to_owned()
            } else {
                count.to_string()
            },
            right,
        }
    }
}

fn client_checks(scene: &Scene, seen: &[Sight]) -> Vec<Check> {
    scene
        .acts
        .iter()
        .enumerate()
        .map(|(number, act)| {
            let shown = act
                .step
                .replace(&format!("file {}", tour::GATE), "waits for a complaint");
            act.expect.check(&shown, seen.get(number))
        })
        .collect()
}

/// What a line of the report is about: a question, a record, or a flow.
fn what_of(line: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match line["kind"].as_str() {
        Some("query") => format!("{} {}", text(&line["name"]), text(&line["type"])),
        Some("guard") => format!("{} {}", text(&line["name"]), text(&line["address"])),
        _ => {
            let to = &line["destination"];
            let port = to["port"].as_u64().unwrap_or_default();
            format!("{} {port}/{}", text(&to["ip"]), text(&to["protocol"]))
        }
    }
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |data| data.len())
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process writes a file: there is nothing to be woken by"
)]
fn became_true(there: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !there() {
        if begun.elapsed() > COMPLAINT {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

/// Why Egret denied what it denied, each once: what it wrote into the report and into its answers.
fn reasons(report: &Path, seen: &[Sight]) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    let lines = fs::read_to_string(report).unwrap_or_default();
    let told = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["verdict"] == "deny")
        .filter_map(|line| Some(format!("{}: {}", what_of(&line), line["reason"].as_str()?)));
    let answered = seen
        .iter()
        .flat_map(|sight| &sight.extended)
        .map(|error| format!("in the answer: {error}"));
    for reason in told.chain(answered) {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

/// A whole new file under the old name: a reader sees the one or the other.
fn put(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, path))
        .with_context(|| format!("failed to write `{}`", path.display()))
}
