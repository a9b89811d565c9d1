//! Policies with the cluster around them, as the files of a command line say it together.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use policy_cases::{CaseFile, Scene, SceneError, SettingsSpec};
use policy_dialects::{Context, Others, Reading, could_select, read_with_world};
use policy_model::{ClusterMap, Diagnostic, Level};

use crate::policy_files::{self, PolicyFile, PolicyFileError};

/// What the files say, and the files.
#[derive(Debug)]
pub struct PolicySet {
    pub reading: Reading,
    /// Those of the policies first.
    pub files: Vec<PolicyFile>,
}

/// Why there is nothing to judge by.
#[derive(Debug, thiserror::Error)]
pub enum PolicySetError {
    #[error("a path could not be read")]
    Files(Vec<PolicyFileError>),
    /// To leave out a part of the cluster could free somebody, or hold him.
    #[error("the world could not be read")]
    World(Vec<Diagnostic>, Vec<PolicyFile>),
    #[error("the world makes no sense")]
    Scene(#[source] SceneError),
}

impl PolicySet {
    /// Reads files of policies, and with them files that describe a cluster. Where there are such, objects of a cluster may
    /// stand among the policies too; else they are refused.
    ///
    /// # Errors
    /// A path that cannot be read, or a world that has anything wrong with it. What is wrong with policies is in
    /// [`Reading::diagnostics`].
    pub fn read(
        policies: &[PathBuf],
        world: &[PathBuf],
        namespace: Option<&str>,
    ) -> Result<Self, PolicySetError> {
        let (policies, mut errors) = policy_files::load(policies);
        let (around, more) = policy_files::load(world);
        errors.extend(more);
        if !errors.is_empty() {
            return Err(PolicySetError::Files(errors));
        }
        let mut around = without(around, &policies);
        let context = Context {
            default_namespace: Arc::from(namespace.unwrap_or("default")),
            others: if world.is_empty() {
                Others::Refuse
            } else {
                Others::World
            },
            ..Context::default()
        };
        let reading = read_with_world(texts(&policies), texts(&around), &context);
        let mut files = policies;
        files.append(&mut around);
        let worse_than_lint = |diagnostic: &Diagnostic| diagnostic.level != Level::Lint;
        if reading.world_diagnostics.iter().any(worse_than_lint) {
            return Err(PolicySetError::World(reading.world_diagnostics, files));
        }
        Ok(Self { reading, files })
    }

    /// What is refused and could have selected a workload of one of these namespaces; one that nobody knows may be any.
    pub fn in_doubt<'n>(
        &self,
        namespaces: impl IntoIterator<Item = Option<&'n str>> + Clone,
    ) -> Vec<Diagnostic> {
        let could = |diagnostic: &&Diagnostic| {
            let mut namespaces = namespaces.clone().into_iter();
            diagnostic.level == Level::Refused
                && diagnostic.object.as_ref().is_none_or(|object| {
                    namespaces.any(|namespace| could_select(object, namespace))
                })
        };
        let refused = self.reading.diagnostics.iter();
        refused.filter(could).cloned().collect()
    }

    /// The same as a scene of tests, with everything a test's sources and destinations are looked up in.
    ///
    /// # Errors
    /// The world has no resolver where its DNS Service should be.
    pub fn into_scene(self, file: CaseFile) -> Result<(Scene, Vec<PolicyFile>), PolicySetError> {
        let scene = Scene::of_reading(file, self.reading).map_err(PolicySetError::Scene)?;
        Ok((scene, self.files))
    }
}

/// A file of tests that nobody wrote, for what a command line asks.
#[must_use]
pub fn case_file() -> CaseFile {
    CaseFile {
        source: Arc::from("command line"),
        policies: Vec::new(),
        world: Vec::new(),
        inline: None,
        settings: SettingsSpec::default(),
        responses: Vec::new(),
        tests: Vec::new(),
        lints: Vec::new(),
    }
}

/// What has an address, as `--to` of `egret explain` names it.
#[must_use]
pub fn object_at(map: &ClusterMap, ip: IpAddr) -> Option<String> {
    let cluster = map.objects();
    if let Some((name, _)) = cluster.node_at(ip) {
        Some(format!("node/{name}"))
    } else if let Some((namespace, name)) = map.service_of(ip) {
        Some(format!("service/{namespace}/{name}"))
    } else {
        let ((namespace, name), _) = cluster.pod_at(ip)?;
        Some(format!("pod/{namespace}/{name}"))
    }
}

/// The files of a world that are not among the policies too: what is in both lists holds policies and the cluster around
/// them, and is read once.
#[must_use]
pub fn without(mut world: Vec<PolicyFile>, policies: &[PolicyFile]) -> Vec<PolicyFile> {
    let identity = |file: &PolicyFile| {
        let found = file.path.canonicalize();
        found.unwrap_or_else(|_| file.path.clone())
    };
    let known: BTreeSet<PathBuf> = policies.iter().map(identity).collect();
    world.retain(|file| !known.contains(&identity(file)));
    world
}

/// Names and texts, as readers take them.
pub fn texts(files: &[PolicyFile]) -> impl Iterator<Item = (&str, &str)> {
    files
        .iter()
        .map(|file| (file.name.as_str(), file.text.as_str()))
}
