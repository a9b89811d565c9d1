//! Who asks, as the command line names him.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use policy_cases::FromSpec;
use policy_model::{NamespacedName, Workload};

use crate::cli::ExplainArgs;

/// A workload by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Pod(NamespacedName),
    /// The command of `egret run`, or what else runs on a plain machine.
    Plain(Plain, Arc<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    Command,
    Unit,
    User,
    Cgroup,
}

/// Why `--from` names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SourceError {
    #[error(
        "--from `{0}` is not known: a pod is NAMESPACE/NAME or pod/NAMESPACE/NAME, what runs without a cluster `command`, `unit:NAME`, `user:NAME` or `cgroup:PATH`"
    )]
    Unknown(String),
    #[error("--from `{0}`: a {1} asks for nothing by itself; name a pod, NAMESPACE/NAME")]
    NoWorkload(String, &'static str),
    #[error(
        "--from `{0}` is no pod, and --world describes a cluster: --from names the pod that asks, NAMESPACE/NAME"
    )]
    NoPod(String),
    #[error(
        "--labels, --namespace and --service-account say who a command is; `{0}` has what --world says of it"
    )]
    PodIsKnown(String),
}

impl Source {
    /// Reads `--from`, and whether it fits to what else is said.
    pub(super) fn parse(args: &ExplainArgs) -> Result<Self, SourceError> {
        let text = args.from.as_str();
        let source = Self::named(text)?;
        let is_described =
            !args.labels.is_empty() || args.namespace.is_some() || args.service_account.is_some();
        match &source {
            Self::Plain(..) if !args.world.is_empty() => Err(SourceError::NoPod(text.to_owned())),
            Self::Pod(_) if is_described => Err(SourceError::PodIsKnown(text.to_owned())),
            Self::Pod(_) | Self::Plain(..) => Ok(source),
        }
    }

    fn named(text: &str) -> Result<Self, SourceError> {
        let unknown = || SourceError::Unknown(text.to_owned());
        let plain = |kind, name: &str| Ok(Self::Plain(kind, Arc::from(name)));
        match text.split_once(':') {
            None if text == "command" => return plain(Plain::Command, text),
            Some(("unit", name)) if !name.is_empty() => return plain(Plain::Unit, name),
            Some(("user", name)) if !name.is_empty() => return plain(Plain::User, name),
            Some(("cgroup", path)) if !path.is_empty() => return plain(Plain::Cgroup, path),
            Some(_) => return Err(unknown()),
            None => {}
        }
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(unknown());
        }
        match parts.as_slice() {
            ["service", _, _] => Err(SourceError::NoWorkload(text.to_owned(), "Service")),
            ["node", _] => Err(SourceError::NoWorkload(text.to_owned(), "node")),
            ["pod", namespace, name] | [namespace, name] => {
                Ok(Self::Pod((Arc::from(*namespace), Arc::from(*name))))
            }
            _ => Err(unknown()),
        }
    }

    /// The same as a test file says it.
    pub(super) fn spec(&self) -> FromSpec {
        match self {
            Self::Pod((namespace, name)) => FromSpec::Pod {
                namespace: Arc::clone(namespace),
                name: Arc::clone(name),
            },
            Self::Plain(Plain::Command, _) => FromSpec::Command,
            Self::Plain(Plain::Unit, name) => FromSpec::Unit(Arc::clone(name)),
            Self::Plain(Plain::User, name) => FromSpec::User(Arc::clone(name)),
            Self::Plain(Plain::Cgroup, path) => FromSpec::Cgroup(Arc::clone(path)),
        }
    }

    /// The namespace it is in, where that is known.
    pub(super) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Pod((namespace, _)) => Some(namespace),
            Self::Plain(..) => None,
        }
    }

    /// What the command line says of somebody whom no world describes.
    pub(super) fn add_what_is_said(&self, args: &ExplainArgs, workload: &mut Workload) {
        if matches!(self, Self::Pod(_)) {
            return;
        }
        let labels: BTreeMap<Arc<str>, Arc<str>> = args
            .labels
            .iter()
            .map(|(key, value)| (Arc::from(key.as_str()), Arc::from(value.as_str())))
            .collect();
        workload.pod.namespace = args.namespace.as_deref().map(Arc::from);
        workload.pod.labels = (!labels.is_empty()).then_some(labels);
        workload.pod.service_account = args.service_account.as_deref().map(Arc::from);
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod((namespace, name)) => write!(f, "{namespace}/{name}"),
            Self::Plain(Plain::Command, _) => f.write_str("command"),
            Self::Plain(Plain::Unit, name) => write!(f, "unit:{name}"),
            Self::Plain(Plain::User, name) => write!(f, "user:{name}"),
            Self::Plain(Plain::Cgroup, path) => write!(f, "cgroup:{path}"),
        }
    }
}
