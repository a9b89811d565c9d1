//! A test file joined with the policies and the world it names, and each of its tests made ready to run.

mod destination;
mod resolvers;
mod trial;
mod who;

use std::sync::Arc;
use std::time::Duration;

use dns_names::{Name, Rcode, Resolution};
use policy_dialects::{Context, Others, Reading, codes, read_with_world};
use policy_model::{Cluster, DefaultVerdict, Diagnostic, Level, Policy, Settings, Time, World};

use crate::file::{CaseFile, Check, Closed};

pub use resolvers::resolver;
pub use trial::{Question, Trial, TrialKind};

/// "Now" of every test file, since boot: late enough for any age.
pub const EPOCH: Time = Duration::from_secs(1_000_000_000);

/// A file's name and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileText {
    pub name: String,
    pub text: String,
}

/// Everything the tests of one file share.
#[derive(Debug)]
pub struct Scene {
    pub file: CaseFile,
    pub policies: Vec<Policy>,
    /// Of the policies.
    pub diagnostics: Vec<Diagnostic>,
    /// Of the files of the world: what may surprise, since anything worse is a [`SceneError::World`].
    pub world_diagnostics: Vec<Diagnostic>,
    /// Without the parts that depend on who asks; see [`Trial::settings`].
    pub settings: Settings,
    pub world: World,
    pub responses: Vec<Response>,
    /// Tells scenes apart without a look at what is in them.
    pub(crate) identity: Arc<()>,
}

/// A response that was seen.
#[derive(Debug, Clone)]
pub struct Response {
    pub resolution: Resolution,
    /// When it was seen.
    pub at: Time,
    /// Whether anything is learned from it.
    pub trusted: bool,
}

/// Why a file's tests cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// The world could not be read.
    #[error("the world could not be read")]
    World(Vec<Diagnostic>),
    #[error("the answers to `{question}` form no chain")]
    Chain {
        question: Name,
        #[source]
        source: dns_names::ChainError,
    },
    #[error(
        "settings.resolvers: the world has no Service `{service}` with a cluster address and a port for DNS"
    )]
    ResolverService { service: Arc<str> },
}

impl Scene {
    /// Joins a file with the texts of its `policies` and its `world`.
    ///
    /// # Errors
    /// The world or the responses make no sense. What is wrong with policies is in [`Scene::diagnostics`].
    pub fn prepare(
        file: CaseFile,
        policies: &[FileText],
        world: &[FileText],
    ) -> Result<Self, SceneError> {
        let context = Context {
            others: Others::World,
            network_policy_cidr: file.settings.network_policy_cidr,
            ..Context::default()
        };
        let inline = file
            .inline
            .as_ref()
            .map(|inline| (&*file.source, &*inline.text));
        let texts = policies
            .iter()
            .map(|file| (file.name.as_str(), file.text.as_str()))
            .chain(inline);
        let world = world
            .iter()
            .map(|file| (file.name.as_str(), file.text.as_str()));
        let reading = read_with_world(texts, world, &context);
        Self::of_reading(file, reading)
    }

    /// The same with policies and a world that were read already.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn of_reading(file: CaseFile, reading: Reading) -> Result<Self, SceneError> {
        let Reading {
            policies,
            cluster,
            mut diagnostics,
            world_diagnostics,
        } = reading;
        if world_diagnostics
            .iter()
            .any(|diagnostic| diagnostic.level != Level::Lint)
        {
            return Err(SceneError::World(world_diagnostics));
        }
        if let Some(inline) = &file.inline {
            for diagnostic in diagnostics
                .iter_mut()
                .filter(|diagnostic| *diagnostic.origin.source == *file.source)
            {
                diagnostic.origin.column += inline.indent;
            }
        }
        let settings = Settings {
            guards: file.settings.guards,
            cluster_domain: file.settings.cluster_domain.clone(),
            network_policy_cidr: file.settings.network_policy_cidr,
            grace: Duration::from_secs(file.settings.grace.into()),
            ..Settings::default()
        };
        let world = World {
            resolvers: resolvers::known(&file.settings, &cluster)?,
            cluster: cluster.into(),
            ..World::default()
        };
        let responses =
            file.responses
                .iter()
                .filter(|response| response.rcode == Rcode::NOERROR)
                .map(|response| {
                    let resolution = Resolution::follow(&response.query, &response.records)
                        .map_err(|source| SceneError::Chain {
                            question: response.query.clone(),
                            source,
                        })?;
                    let at = EPOCH.saturating_sub(Duration::from_secs(response.age.into()));
                    Ok(Response {
                        resolution,
                        at,
                        trusted: response.trusted,
                    })
                })
                .collect::<Result<_, SceneError>>()?;
        Ok(Self {
            file,
            policies,
            diagnostics,
            world_diagnostics,
            settings,
            world,
            responses,
            identity: Arc::new(()),
        })
    }

    /// The diagnostics that fail the file: refused and closed ones that no test expects.
    pub fn unexpected(&self) -> Vec<&Diagnostic> {
        let accepted = |diagnostic: &Diagnostic| match diagnostic.level {
            Level::Lint => true,
            // No policy is refused by it; what holds without any is what the tests say.
            Level::Refused if diagnostic.code == codes::NO_OBJECT.id => true,
            Level::Closed if self.file.settings.closed == Closed::Accept => true,
            Level::Closed | Level::Refused => {
                self.file.tests.iter().any(|test| match &test.check {
                    Check::Diagnostic(expected) => expected.expects(diagnostic),
                    Check::Flow(_) | Check::Query(_) | Check::Learned(_) => false,
                })
            }
        };
        self.diagnostics
            .iter()
            .filter(|diagnostic| !accepted(diagnostic))
            .collect()
    }

    /// What is set for who asks: for a pod that is allowed which no policy denies, and the cluster has its own zone.
    pub fn settings_for(&self, is_pod: bool) -> Settings {
        Settings {
            default: if is_pod {
                DefaultVerdict::Allow
            } else {
                DefaultVerdict::DenyOnceSelected
            },
            cluster_domain: self
                .settings
                .cluster_domain
                .clone()
                .or_else(|| is_pod.then(trial::default_cluster_domain)),
            ..self.settings.clone()
        }
    }

    /// The objects of the cluster.
    pub fn cluster(&self) -> &Cluster {
        self.world.cluster.objects()
    }
}

/// The last instant at which an address of a response holds.
fn expiry(response: &Response, ttl: u32, settings: &Settings) -> Time {
    response.at + settings.min_ttl.max(Duration::from_secs(ttl.into())) + settings.grace
}
