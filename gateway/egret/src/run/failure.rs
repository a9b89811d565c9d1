//! What can go wrong before and around the command, and its exit status.

use ebpf_loader::{AttachError, LoadError};
use gateway_sandbox::{
    CleanupError, PrepareError, ProtectError, RunDirError, RunningError, SignalError,
    SlotRouteError, StartError,
};

use gateway_state::PolicyError;
use policy_engine::CompileError;

use crate::policy_files::PolicyFileError;
use crate::render::chain;
use crate::run::owner::HoldError;
use crate::run::words::say;

/// Egret's own failures end with it, as with env(1) and timeout(1).
const EGRET_FAILED: u8 = 125;

/// Why a command was not run, or not to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(
        "it holds a command in the kernel (cgroup, namespaces, BPF programs), which needs root: run it with sudo; the \
         command itself then runs as you"
    )]
    NotRoot,
    #[error("policies could not be read")]
    Files(Vec<PolicyFileError>),
    /// The diagnostics, as text with places and excerpts.
    #[error("policies were refused")]
    Refused(String),
    #[error("the policies cannot be put in force")]
    Hold(#[from] HoldError),
    #[error("this machine's DNS servers are not known; name one with `--upstream`")]
    Resolvers(#[source] dns_server::DiscoverError),
    #[error("this machine's addresses are not known")]
    Addresses(#[source] nix::Error),
    #[error("the report cannot be written")]
    Report(#[source] gateway_observe::ReportError),
    #[error("`{}` is a policy, and the report would be written over it", .0.display())]
    ReportOverPolicy(std::path::PathBuf),
    #[error(
        "the report `{}` is a link that the command could replace; name `{}` itself",
        report.display(),
        target.display()
    )]
    ReportByLink {
        report: std::path::PathBuf,
        target: std::path::PathBuf,
    },
    #[error("the report is gone again")]
    ReportGone(#[source] std::io::Error),
    #[error("`/etc/resolv.conf` cannot be read")]
    ResolvConf(#[source] std::io::Error),
    #[error("no command was given")]
    NoCommand,
    #[error("the interceptor cannot listen")]
    Listen(#[from] dns_server::OpenError),
    #[error("the kernel cannot hold a command")]
    Load(#[from] LoadError),
    #[error("the kernel cannot hold the command's cgroup")]
    Attach(#[from] AttachError),
    #[error("the depth of the command's cgroup is not known")]
    Level(#[source] std::io::Error),
    #[error("signals cannot be forwarded")]
    Signals(#[from] SignalError),
    #[error("what earlier runs left cannot be removed")]
    Leftovers(#[from] RunDirError),
    #[error("the command's walls cannot be prepared")]
    Prepare(#[from] PrepareError),
    #[error("the IPv6 addresses of the interceptor cannot be made")]
    SlotRoute(#[from] SlotRouteError),
    #[error("policies and report cannot be kept from the command")]
    Protect(#[from] ProtectError),
    #[error("the command was not started")]
    Start(#[from] StartError),
    #[error("the command's end was not seen")]
    Running(#[from] RunningError),
    #[error("not everything made for the command could be removed")]
    Cleanup(#[from] CleanupError),
    #[error("the runtime cannot be started")]
    Runtime(#[source] std::io::Error),
    #[error("{0}; the command was killed, so that it is never left unheld")]
    Task(&'static str),
}

impl Failure {
    /// 125, or what the sandbox says of a command that cannot be executed (126) or is not there (127).
    #[must_use]
    pub(super) fn exit_code(&self) -> u8 {
        if let Self::Start(error) = self {
            error.exit_code()
        } else {
            EGRET_FAILED
        }
    }

    /// What to do about it, where that is known and not said already.
    fn help(&self) -> Option<&'static str> {
        let unknown_subject = matches!(
            self,
            Self::Hold(HoldError::Policy(PolicyError::Compile(
                CompileError::UnknownSubject { .. }
            )))
        );
        unknown_subject.then_some(
            "say who the command is with `--labels k=v,…`, `--namespace` and `--service-account`, or give the policy a \
             subject of plain Linux",
        )
    }

    /// Says on standard error what went wrong, with its causes.
    pub(super) fn say(&self) {
        if let Self::Files(errors) = self {
            for error in errors {
                say(&format!("egret run: {}", chain(error)));
            }
        }
        if let Self::Refused(diagnostics) = self {
            say(diagnostics.trim_end());
        }
        say(&format!("egret run: {}", chain(self)));
        if let Some(help) = self.help() {
            say(&format!("egret run: {help}"));
        }
    }
}
