//! The policies of a run: read at its start, and again when their files change.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_sandbox::{Prepared, ProtectError};
use nix::unistd::{Uid, User};
use policy_dialects::Context;
use policy_model::{Cluster, Diagnostic, Level, PodIdentity, Policy, Workload};
use tokio::sync::{mpsc, oneshot};

use crate::cli::RunArgs;
use crate::policy_files::{self, PolicyFile};
use crate::render::{self, Look};
use crate::run::failure::Failure;
use crate::run::owner::{InForce, Request};
use crate::run::sources::Sources;
use crate::run::words::say;

/// Where a run's policies are, and who the command is to them.
#[derive(Debug)]
pub(super) struct Policies {
    paths: Vec<PathBuf>,
    /// Once the command is about to start.
    sources: Option<Sources>,
    pod: PodIdentity,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) policies: Vec<Policy>,
    /// The sets that policies brought with them.
    pub(super) cluster: Cluster,
    pub(super) diagnostics: Vec<Diagnostic>,
    files: Vec<PolicyFile>,
}

impl Given {
    /// Whether a file is one of those that were read, whatever it is called.
    pub(super) fn has(&self, path: &Path) -> bool {
        let identity = |path: &Path| path.metadata().map(|about| (about.dev(), about.ino()));
        let Ok(wanted) = identity(path) else {
            return false;
        };
        self.files
            .iter()
            .any(|file| identity(&file.path).is_ok_and(|found| found == wanted))
    }
}

impl Policies {
    /// The policies a command line names.
    pub(super) fn of(args: &RunArgs) -> Self {
        let labels: BTreeMap<Arc<str>, Arc<str>> = args
            .labels
            .iter()
            .map(|(key, value)| (Arc::from(key.as_str()), Arc::from(value.as_str())))
            .collect();
        Self {
            paths: args.policy.clone(),
            sources: None,
            pod: PodIdentity {
                namespace: args.namespace.as_deref().map(Arc::from),
                labels: (!labels.is_empty()).then_some(labels),
                service_account: args.service_account.as_deref().map(Arc::from),
                ..PodIdentity::default()
            },
        }
    }

    /// The files, folders and links to watch.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        self.sources
            .as_ref()
            .map(Sources::watched)
            .unwrap_or_default()
    }

    /// Settles what a later read may find, and keeps it from the command, which could write its own rules otherwise.
    ///
    /// # Errors
    ///
    /// Where a file is gone again.
    pub(super) fn settle(
        &mut self,
        found: &Given,
        prepared: &mut Prepared,
    ) -> Result<Vec<String>, ProtectError> {
        let sources = Sources::settle(&self.paths, &found.files, prepared)?;
        let warnings = sources.warnings(&found.files);
        self.sources = Some(sources);
        Ok(warnings)
    }

    /// Reads every file.
    ///
    /// # Errors
    ///
    /// One that cannot be read, or holds anything that is refused: nothing of it may come into force then.
    pub(super) fn read(&self) -> Result<Given, Failure> {
        let (files, errors) = match &self.sources {
            None => policy_files::load(&self.paths),
            Some(sources) => {
                let (files, errors, strayed) = sources.load();
                for line in strayed {
                    say(&format!("egret run: {line}"));
                }
                (files, errors)
            }
        };
        if !errors.is_empty() {
            return Err(Failure::Files(errors));
        }
        let texts = files
            .iter()
            .map(|file| (file.name.as_str(), file.text.as_str()));
        let policy_dialects::Reading {
            policies,
            cluster,
            diagnostics,
            ..
        } = policy_dialects::read_set(texts, &self.context());
        if diagnostics
            .iter()
            .any(|diagnostic| diagnostic.level == Level::Refused)
        {
            return Err(Failure::Refused(render::diagnostics(
                &diagnostics,
                &files,
                Look::of_stderr(),
            )));
        }
        Ok(Given {
            policies,
            cluster,
            diagnostics,
            files,
        })
    }

    /// A policy that names no namespace is in the command's.
    fn context(&self) -> Context {
        match &self.pod.namespace {
            Some(namespace) => Context {
                default_namespace: Arc::clone(namespace),
                ..Context::default()
            },
            None => Context::default(),
        }
    }

    /// The command, as policies know it.
    pub(super) fn who(&self, prepared: &Prepared) -> Workload {
        Workload {
            pod: self.pod.clone(),
            user: login_name(prepared.identity().uid),
            ..Workload::command()
        }
    }

    /// Says what the author should know of policies that are in force now.
    pub(super) fn tell(given: &Given, in_force: &InForce) {
        let compiled = &in_force.diagnostics;
        let all: Vec<Diagnostic> = given.diagnostics.iter().chain(compiled).cloned().collect();
        let text = render::diagnostics(&all, &given.files, Look::of_stderr());
        if !text.trim().is_empty() {
            say(text.trim_end());
        }
        // Even with `--quiet`: whoever gave policies must not believe that they hold.
        if in_force.guards_only && !given.files.is_empty() {
            say(
                "egret run: no policy selects the command: only the guards hold, everything else is allowed \
                 (--labels, --namespace and --service-account say who it is)",
            );
        }
    }

    /// Reads the files again and puts them in force; anything wrong leaves the last good rules, and is said.
    pub(super) async fn reload(&self, owner: &mpsc::Sender<Request>) {
        // Reading may wait for a disk or a pipe, and a large set takes its time: questions are answered meanwhile.
        let given = match tokio::task::block_in_place(|| self.read()) {
            Ok(given) => given,
            Err(failure) => {
                failure.say();
                say("egret run: the policies that were in force stay in force");
                return;
            }
        };
        let (done, held) = oneshot::channel();
        let request = Request::Policies {
            policies: given.policies.clone(),
            cluster: given.cluster.clone(),
            done,
        };
        if owner.send(request).await.is_err() {
            return;
        }
        match held.await {
            Ok(Ok(in_force)) => {
                Self::tell(&given, &in_force);
                say("egret run: the changed policies are in force");
            }
            Ok(Err(error)) => {
                Failure::Hold(error).say();
                say("egret run: the policies that were in force stay in force");
            }
            Err(_) => {}
        }
    }
}

/// A user without a name has none in policies either.
fn login_name(uid: u32) -> Option<Arc<str>> {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten()?;
    Some(Arc::from(user.name))
}
