//! `egret run`: one command, from its command line to its exit status.

pub mod judge;
pub mod observation;
pub mod owner;

mod events;
mod failure;
mod policies;
mod sources;
mod surroundings;
mod telling;
mod withheld;
mod words;

#[cfg(test)]
mod tests;

use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dns_bindings::{Limits as LeaseLimits, Timing};
use dns_server::{Config, Server, Sockets};
use ebpf_abi::plan::WorkloadId;
use ebpf_loader::{Kernel, Options, cgroup_level};
use gateway_sandbox::{
    Ended, HeldSignals, HostSockets, Prepared, Running, RunningError, Spec, sweep_leftovers,
};
use gateway_state::{Detail, GatewayState, Mode};
use nix::unistd::geteuid;
use policy_model::Settings;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::events::EventReader;
use self::failure::Failure;
use self::judge::PolicyJudge;
use self::observation::Observer;
use self::owner::{Held, Owner, Request};
use self::policies::Policies;
use self::surroundings::Surroundings;
use self::telling::Telling;
use crate::cli::RunArgs;
use crate::watch::PolicyWatch;

/// Holds a command. Blocks until it has ended and everything made for it is gone.
#[must_use]
pub fn run(args: &RunArgs) -> ExitCode {
    match hold(args) {
        Ok(ended) => ExitCode::from(ended.exit_code()),
        Err(failure) => {
            failure.say();
            ExitCode::from(failure.exit_code())
        }
    }
}

fn hold(args: &RunArgs) -> Result<Ended, Failure> {
    if !geteuid().is_root() {
        return Err(Failure::NotRoot);
    }
    // Signals first: no thread may exist yet that would die of them.
    let signals = HeldSignals::take()?;

    // Everything that can be wrong in what was given is found before anything is made.
    let mut policies = Policies::of(args);
    let given = policies.read()?;
    if let Some(report) = args.report.as_deref()
        && given.has(report)
    {
        return Err(Failure::ReportOverPolicy(report.to_owned()));
    }
    let surroundings = Surroundings::find(args)?;
    if args.policy.is_empty() && !args.quiet {
        words::say("egret run: no --policy: only the guards hold, everything else is allowed");
    }

    for leftover in sweep_leftovers()? {
        if let Err(error) = &leftover.outcome {
            words::say(&format!(
                "egret run: `{}` is left from an earlier run: {error}",
                leftover.dir.display()
            ));
        }
    }
    let mut prepared = Prepared::prepare(spec(args))?;
    let sockets = Sockets::open(0)?;
    prepared.add_slot_route(sockets.port)?;
    let mut kernel = load(&prepared, sockets.port)?;
    let events = kernel.events();

    let (observer, observations) = Observer::new();
    let telling = Telling::start(args, prepared.id().to_string(), observations, &observer)?;
    let warnings = policies.settle(&given, &mut prepared)?;
    let watch = start_watch(&policies);
    // What changed while all this was made ready was not watched yet. What cannot be read again is what it was.
    let given = match policies.read() {
        Ok(again) => again,
        Err(failure) => {
            // A file with another name, which the command may write, is warned of below.
            if warnings.is_empty() {
                failure.say();
                words::say("egret run: the policies that were read first are in force");
            }
            given
        }
    };
    for warning in warnings {
        if !args.quiet {
            words::say(&format!("egret run: {warning}"));
        }
    }
    if let Some(report) = &args.report {
        protect_report(report, &mut prepared)?;
    }
    let (requests, waiting) = mpsc::channel(owner::WAITING);
    let timing = Timing::default();
    // A report is the whole story; without one, only what was denied is of interest.
    let detail = if args.report.is_some() {
        Detail::Everything
    } else {
        Detail::Denials
    };
    let held = Held {
        id: WorkloadId(prepared.cgroup().id()),
        who: policies.who(&prepared),
        mode: if args.audit {
            Mode::Audit
        } else {
            Mode::Enforce
        },
        world: surroundings.world.clone(),
        settings: settings(&timing),
    };
    let state = GatewayState::new(timing, LeaseLimits::default()).telling(detail);
    let mut owner = Owner::new(state, kernel, held, observer.clone());
    Policies::tell(&given, &owner.hold(&given.policies, given.cluster.clone())?);
    let judge = PolicyJudge {
        port: sockets.port,
        view: owner.view(),
        owner: requests.clone(),
        observer,
        detail,
    };

    let (tell, told) = mpsc::channel(owner::EVENTS_WAITING);
    let reader = events
        .map(|events| EventReader::start(events, tell))
        .transpose();
    let reader = reader.map_err(Failure::Runtime)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .thread_name("egret")
        .build()
        .map_err(Failure::Runtime)?;
    let ended = runtime.block_on(async {
        let config = Config::new(surroundings.upstreams.clone());
        let mut tasks = Tasks::new();
        tasks.serve(Server::new(&config, judge), sockets);
        tasks.own(owner, waiting, told, telling.kernel_lost());
        tasks.watch(watch, policies, requests);

        let (program, arguments) = args.command.split_first().ok_or(Failure::NoCommand)?;
        let mut running = prepared.start(program, arguments, signals)?;
        telling.notices(running.notices());
        let ended = tasks.until_ended(&mut running).await?;
        running.close()?;
        // The programs go last: nobody is left to be held by them.
        drop(reader);
        tasks.stop().await;
        Ok::<_, Failure>(ended)
    });
    drop(runtime);
    if let Err(Failure::Running(RunningError::KeeperGone)) = &ended {
        // What a keeper does otherwise. What resists is the next run's, and why this one ended is the news.
        drop(sweep_leftovers());
    }
    let ended = ended?;
    telling.finish();
    Ok(ended)
}

fn start_watch(policies: &Policies) -> Option<PolicyWatch> {
    PolicyWatch::start(&policies.watched())
        .inspect_err(|error| {
            words::say(&format!("egret run: policy files are not watched: {error}"));
        })
        .ok()
}

/// Keeps the report from the command. It may also be a pipe or a terminal, or a stream of ours (`/dev/stderr`) that leads
/// to a file: nothing to protect there.
fn protect_report(report: &Path, prepared: &mut Prepared) -> Result<(), Failure> {
    let is_stream = report.starts_with("/dev") || report.starts_with("/proc");
    if !report.is_file() || is_stream {
        return Ok(());
    }
    prepared.protect(report)?;
    match prepared.reach().follow(report) {
        Ok(way) if way.loose.is_none() => Ok(()),
        Ok(way) => Err(Failure::ReportByLink {
            report: report.to_owned(),
            target: way.target,
        }),
        Err(error) => Err(Failure::ReportGone(error)),
    }
}

fn spec(args: &RunArgs) -> Spec {
    Spec {
        host_sockets: if args.keep_host_sockets {
            HostSockets::Open
        } else {
            HostSockets::Covered
        },
        ..Spec::default()
    }
}

/// The rules' idea of how long a lease lives is the leases' own.
fn settings(timing: &Timing) -> Settings {
    Settings {
        min_ttl: timing.min_ttl,
        grace: timing.grace,
        ..Settings::default()
    }
}

fn load(prepared: &Prepared, port: u16) -> Result<Kernel, Failure> {
    let cgroup = prepared.cgroup();
    let level = match cgroup.level() {
        Some(level) => level,
        None => cgroup_level(cgroup.path()).map_err(Failure::Level)?,
    };
    let mut kernel = Kernel::load(&Options {
        interceptor_port: port,
        cgroup_level: level,
    })?;
    kernel.attach(cgroup.dir().as_fd())?;
    Ok(kernel)
}

/// The tasks of a run. None is detached: a task that ends is noticed, and at the end all are waited for.
struct Tasks {
    set: JoinSet<Option<&'static str>>,
    shutdown: CancellationToken,
}

impl Tasks {
    fn new() -> Self {
        Self {
            set: JoinSet::new(),
            shutdown: CancellationToken::new(),
        }
    }

    fn serve(&mut self, server: Server<PolicyJudge>, sockets: Sockets) {
        let shutdown = self.shutdown.clone();
        self.set.spawn(async move {
            match server.serve(sockets, shutdown).await {
                Ok(()) => None,
                Err(_) => Some("the interceptor cannot use its sockets"),
            }
        });
    }

    /// The owner ends when everybody who asks it is gone, so that nothing observed last is lost.
    fn own(
        &mut self,
        owner: Owner<Kernel>,
        waiting: mpsc::Receiver<Request>,
        told: owner::Events,
        lost: Arc<AtomicU64>,
    ) {
        self.set.spawn(async move {
            let kernel = owner.serve(waiting, told).await;
            lost.store(kernel.dropped_events().unwrap_or(0), Ordering::Relaxed);
            None
        });
    }

    /// Reads policies again when their files change. What is broken or refused leaves the last good rules in force.
    fn watch(
        &mut self,
        watch: Option<PolicyWatch>,
        policies: Policies,
        owner: mpsc::Sender<Request>,
    ) {
        let shutdown = self.shutdown.clone();
        let Some(mut watch) = watch else {
            return;
        };
        self.set.spawn(async move {
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return None,
                    () = watch.changed() => {}
                }
                // Links may lead elsewhere by now. Watched before they are read, so that nothing is missed.
                if let Some(renewed) = start_watch(&policies) {
                    watch = renewed;
                }
                policies.reload(&owner).await;
            }
        });
    }

    /// Waits for the command's end. A task that fails before takes the command with it: it is never left half held.
    async fn until_ended(&mut self, running: &mut Running) -> Result<Ended, Failure> {
        loop {
            tokio::select! {
                ended = running.wait() => return ended.map_err(Failure::from),
                Some(task) = self.set.join_next() => match task {
                    Ok(None) => {}
                    Ok(Some(why)) => return Err(Failure::Task(why)),
                    Err(_) => return Err(Failure::Task("a task of egret panicked")),
                },
            }
        }
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        while self.set.join_next().await.is_some() {}
    }
}
