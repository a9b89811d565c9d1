//! Questions: how many a second, how fast, and at what cost, cached and not.
//!
//! The upstream of all is one unbound in the world that answers from memory, so that it is nobody's
//! bottleneck; the client is dnsperf, at full speed for the rate and at a steady 1,000 a second for
//! the latency. Peers run in the client's namespace, as Egret's interceptor does.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use gateway_playground::{Internet, Options, probe};
use tempfile::TempDir;

use super::Plan;
use super::shell_session::{Session, cpu_seconds};
use super::table::Table;

const UPSTREAM: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53));
const UNBOUND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
const COREDNS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// Names that are asked again and again.
const CACHED: u32 = 1_000;
/// Names that are asked once: more than anybody answers in one measurement.
const FRESH: u32 = 600_000;
/// Addresses that fresh names have, in turn. On the real internet many names share few addresses; all
/// names on one address is measured besides, as the worst that an upstream can do.
const ADDRESSES: u32 = 250;
/// Questions a second while latency is measured.
const STEADY: u32 = 1_000;

/// Rate, CPU and latency of Egret and of every peer that is installed.
pub(crate) fn measure(plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    for tool in ["dnsperf", "unbound"] {
        ensure!(
            installed(tool),
            "`{tool}` is not installed (apt-get install {tool})"
        );
    }
    let bench = Bench::build()?;
    // unbound first: what Egret is held against.
    let mut subjects = vec![bench.unbound()?];
    match bench.coredns() {
        Ok(coredns) => subjects.push(coredns),
        Err(error) => table.miss("coredns", &format!("{error:#}")),
    }
    subjects.push(bench.egret(plan)?);
    subjects.push(bench.direct()?);
    for kind in [Kind::Cached, Kind::Fresh, Kind::Shared] {
        for subject in &mut subjects {
            let figures = bench
                .load(plan, subject, kind)
                .with_context(|| format!("{} questions to {}", kind.word(), subject.name))?;
            let word = kind.word();
            let name = subject.name;
            table.add(&format!("{word} questions"), "1/s", name, figures.rate);
            table.add(&format!("{word} lost"), "%", name, figures.lost);
            table.add(&format!("{word} server cpu"), "us/query", name, figures.cpu);
            table.add(&format!("{word} p50"), "us", name, figures.p50);
            table.add(&format!("{word} p99"), "us", name, figures.p99);
        }
    }
    Ok(())
}

struct Bench {
    internet: Internet,
    folder: TempDir,
    upstream: Ended,
}

/// Whoever is asked.
struct Subject {
    name: &'static str,
    /// The address that the client asks.
    server: IpAddr,
    client: Session,
    /// The server's process, where it is not the client's own.
    process: Option<u32>,
    /// Kept for its end.
    _daemon: Option<Ended>,
    /// Fresh names are never used twice.
    fresh_files: u32,
}

/// A child that ends with its owner.
struct Ended(Child);

#[derive(Clone, Copy)]
enum Kind {
    Cached,
    Fresh,
    Shared,
}

struct Load {
    rate: f64,
    lost: f64,
    cpu: f64,
    p50: f64,
    p99: f64,
}

impl Bench {
    fn build() -> anyhow::Result<Self> {
        let internet = Internet::build(&Options {
            nameservers: vec![UPSTREAM],
            capture: false,
            ..Options::default()
        })?;
        internet.own(UPSTREAM)?;
        let folder = tempfile::tempdir().context("failed to make a folder")?;
        let conf = folder.path().join("upstream.conf");
        let mut zones = String::from("server:\n");
        for number in 1..=ADDRESSES {
            let zone = format!("z{}.bench.example.", number - 1);
            writeln!(zones, "  local-zone: \"{zone}\" redirect")?;
            writeln!(zones, "  local-data: \"{zone} 3600 A 203.0.113.{number}\"")?;
        }
        fs::write(&conf, unbound_conf(UPSTREAM, &zones))?;
        let upstream = Ended(
            internet
                .world()
                .spawn(daemon("unbound", &["-d", "-c"], &conf))?,
        );
        let bench = Self {
            internet,
            folder,
            upstream,
        };
        bench.wait_for(UPSTREAM)?;
        Ok(bench)
    }

    /// The upstream itself, asked without anybody between: nobody can be faster on fresh names.
    fn direct(&self) -> anyhow::Result<Subject> {
        Ok(Subject {
            name: "upstream",
            server: UPSTREAM,
            client: Session::start(&self.internet, Command::new("sh"))?,
            process: Some(self.upstream.0.id()),
            _daemon: None,
            fresh_files: 0,
        })
    }

    fn unbound(&self) -> anyhow::Result<Subject> {
        let conf = self.folder.path().join("unbound.conf");
        let forward = format!("forward-zone:\n  name: \".\"\n  forward-addr: {UPSTREAM}\n");
        fs::write(&conf, unbound_conf(UNBOUND, &forward))?;
        self.peer("unbound", UNBOUND, daemon("unbound", &["-d", "-c"], &conf))
    }

    fn coredns(&self) -> anyhow::Result<Subject> {
        let program = std::env::var("COREDNS").unwrap_or_else(|_| "coredns".to_owned());
        ensure!(
            installed(&program),
            "not on the path; set COREDNS to a binary to compare with it"
        );
        let conf = self.folder.path().join("Corefile");
        fs::write(
            &conf,
            format!(".:53 {{\n  bind {COREDNS}\n  cache 3600\n  forward . {UPSTREAM}\n}}\n"),
        )?;
        self.peer("coredns", COREDNS, daemon(&program, &["-conf"], &conf))
    }

    fn peer(
        &self,
        name: &'static str,
        server: IpAddr,
        command: Command,
    ) -> anyhow::Result<Subject> {
        let process = Ended(
            self.internet
                .spawn(command)
                .with_context(|| format!("failed to start {name}"))?,
        );
        self.wait_for(server)?;
        Ok(Subject {
            name,
            server,
            client: Session::start(&self.internet, Command::new("sh"))?,
            process: Some(process.0.id()),
            _daemon: Some(process),
            fresh_files: 0,
        })
    }

    fn egret(&self, plan: &Plan) -> anyhow::Result<Subject> {
        let policy = self.folder.path().join("policy.yaml");
        fs::write(
            &policy,
            "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: bench}\nspec:\n  \
             egress:\n    - action: Allow\n      to: [{fqdn: [\"**.bench.example\"]}]\n",
        )?;
        let mut command = Command::new(&plan.egret);
        command.args(["run", "--quiet", "--upstream", &UPSTREAM.to_string()]);
        command.arg("--policy").arg(&policy).args(["--", "sh"]);
        Ok(Subject {
            name: "egret",
            server: UPSTREAM,
            client: Session::start(&self.internet, command)?,
            process: None,
            _daemon: None,
            fresh_files: 0,
        })
    }

    fn load(&self, plan: &Plan, subject: &mut Subject, kind: Kind) -> anyhow::Result<Load> {
        let seconds = plan.seconds;
        let data = self.questions(subject, kind)?;
        let perf = format!("dnsperf -s {} -d", subject.server);
        if matches!(kind, Kind::Cached) {
            subject.client.run(&format!("{perf} {data} -n 1 -q 20"))?;
        }
        let before = subject.cpu()?;
        let runs = match kind {
            Kind::Cached => "",
            Kind::Fresh | Kind::Shared => "-n 1",
        };
        let fast = subject
            .client
            .run(&format!("{perf} {data} -l {seconds} -c 8 -q 200 {runs}"))?;
        let cpu = subject.cpu()? - before;
        let completed = number(&fast, "Queries completed:")?;
        ensure!(completed > 0.0, "no question was answered");

        let data = self.questions(subject, kind)?;
        let steady = subject
            .client
            .run(&format!("{perf} {data} -l {seconds} -Q {STEADY} -v {runs}"))?;
        let mut latencies: Vec<f64> = steady.iter().filter_map(|line| latency(line)).collect();
        latencies.sort_by(f64::total_cmp);
        Ok(Load {
            rate: number(&fast, "Queries per second:")?,
            lost: 100.0 * number(&fast, "Queries lost:")? / number(&fast, "Queries sent:")?,
            cpu: cpu * 1e6 / completed,
            p50: at(&latencies, 50).context("no latency was printed")?,
            p99: at(&latencies, 99).context("no latency was printed")?,
        })
    }

    /// The questions of one measurement, in a file.
    fn questions(&self, subject: &mut Subject, kind: Kind) -> anyhow::Result<String> {
        let (name, count, zones) = match kind {
            Kind::Cached => ("cached".to_owned(), CACHED, ADDRESSES),
            Kind::Fresh | Kind::Shared => {
                subject.fresh_files += 1;
                let zones = if matches!(kind, Kind::Fresh) {
                    ADDRESSES
                } else {
                    1
                };
                let name = format!("fresh-{}-{}", subject.name, subject.fresh_files);
                (name, FRESH, zones)
            }
        };
        let path = self.folder.path().join(&name);
        let mut text = String::new();
        for number in 0..count {
            writeln!(text, "{name}-{number}.z{}.bench.example A", number % zones)?;
        }
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    /// Waits until a server answers.
    fn wait_for(&self, server: IpAddr) -> anyhow::Result<()> {
        let step = vec![format!("until ok ask ready.z0.bench.example A @{server}")];
        let seen = self.internet.client().run(move || probe::take_all(&step))?;
        if seen.iter().all(|sight| sight.ok) {
            Ok(())
        } else {
            bail!("the server at {server} does not answer: {seen:?}")
        }
    }
}

impl Subject {
    fn cpu(&self) -> anyhow::Result<f64> {
        match self.process {
            Some(process) => cpu_seconds(process),
            None => self.client.cpu_seconds(),
        }
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Fresh => "uncached",
            Self::Shared => "uncached, one address,",
        }
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail only where there is nothing left to end.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn unbound_conf(interface: IpAddr, rest: &str) -> String {
    format!(
        "server:\n  interface: {interface}\n  access-control: 0.0.0.0/0 allow\n  do-daemonize: no\n  \
         username: \"\"\n  chroot: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  verbosity: 0\n  \
         num-threads: 2\n  so-reuseport: yes\n  module-config: \"iterator\"\n  \
         do-not-query-localhost: no\n  msg-cache-size: 128m\n  rrset-cache-size: 256m\n  \
         minimal-responses: yes\n  outgoing-range: 4096\n  num-queries-per-thread: 2048\n\
         remote-control:\n  control-enable: no\n{rest}"
    )
}

fn daemon(program: &str, options: &[&str], conf: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(options).arg(conf);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn installed(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .any(|folder| folder.join(program).is_file())
}

/// The number behind a label in dnsperf's summary.
fn number(output: &[String], label: &str) -> anyhow::Result<f64> {
    output
        .iter()
        .find_map(|line| line.trim().strip_prefix(label))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("dnsperf printed no `{label}`:\n{}", output.join("\n")))
}

/// Microseconds from a line of `dnsperf -v`: `> NOERROR name type 0.000123`.
fn latency(line: &str) -> Option<f64> {
    let words: Vec<&str> = line.strip_prefix("> ")?.split_whitespace().collect();
    let seconds: f64 = words.last()?.parse().ok()?;
    (words.first() == Some(&"NOERROR")).then_some(seconds * 1e6)
}

fn at(sorted: &[f64], percent: usize) -> Option<f64> {
    sorted
        .get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_dnsperf_is_read() {
        let output: Vec<String> = [
            "Statistics:",
            "",
            "  Queries sent:         100",
            "  Queries lost:         2 (2.00%)",
            "  Queries per second:   12345.678901",
        ]
        .map(str::to_owned)
        .to_vec();
        assert_eq!(number(&output, "Queries lost:").ok(), Some(2.0));
        assert_eq!(
            number(&output, "Queries per second:").ok(),
            Some(12345.678901)
        );
        assert!(number(&output, "Queries completed:").is_err());
    }

    #[test]
    fn latencies_count_only_for_answers() {
        assert_eq!(latency("> NOERROR a.example A 0.000250"), Some(250.0));
        assert_eq!(latency("> SERVFAIL a.example A 0.000250"), None);
        assert_eq!(latency("Statistics:"), None);
        assert_eq!(at(&[1.0, 2.0, 3.0, 4.0], 50), Some(3.0));
        assert_eq!(at(&[1.0], 99), Some(1.0));
        assert_eq!(at(&[], 99), None);
    }
}
