//! What a scene is, what is expected of it, and what came of it.

use std::net::IpAddr;
use std::time::Duration;

use gateway_playground::probe::Sight;
use serde::Serialize;

/// One attempt, or a few that belong together, by one client under one `egret run`.
pub(super) struct Scene {
    /// What is tried, in a few words.
    pub(super) title: &'static str,
    /// What it shows, in a sentence.
    pub(super) lesson: &'static str,
    /// The policy, as YAML.
    pub(super) policy: String,
    /// What the client does and what it must see, in order.
    pub(super) acts: Vec<Act>,
    /// What the world must have seen, or not.
    pub(super) world: Vec<World>,
    /// Whether it mostly waits, so that others may go on beside it. What it looks for in the world
    /// must be its own: names and addresses of no other scene.
    pub(super) waits: bool,
}

/// One step of the client.
pub(super) struct Act {
    /// A step of [`gateway_playground::probe`].
    pub(super) step: String,
    /// What the client must see.
    pub(super) expect: Expect,
    /// What happens to the policy file as soon as this step is done.
    pub(super) then: Option<Edit>,
}

/// A change of the policy file under a running `egret run`.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// A policy that is read and takes effect.
    Good(String),
    /// Text that is no policy. The client goes on only after Egret has complained, so that what it
    /// sees then is what a broken edit leaves behind.
    Broken(&'static str),
}

/// What a client must see of a step.
#[derive(Clone, Debug)]
pub(super) enum Expect {
    /// It comes out well, and what was read begins with this.
    Reads(&'static str),
    /// It comes out well with exactly these addresses.
    Addresses(Vec<IpAddr>),
    /// It finds no address, however that is put.
    NoAddress,
    /// It fails with this: an errno, a response code or the C library's words.
    Fails(&'static str),
}

/// What must have reached the world, or not.
#[derive(Clone, Debug)]
pub(super) enum World {
    /// At least one packet to this address and port.
    Reached(IpAddr, u16),
    /// Not one packet to this address.
    NothingTo(IpAddr),
    /// A question for this name.
    Asked(&'static str),
    /// No question for this name or any below it.
    NeverAsked(&'static str),
}

/// One thing that was expected, and what was there.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    /// `client` or `world`.
    pub(super) side: &'static str,
    /// What was tried or looked for.
    pub(super) what: String,
    /// What should be there.
    pub(super) expected: String,
    /// What was there.
    pub(super) seen: String,
    /// Whether the two agree.
    pub(super) right: bool,
}

/// What came of a scene.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Played {
    pub(super) title: &'static str,
    pub(super) checks: Vec<Check>,
    /// Why Egret says it denied what it denied, each once.
    pub(super) reasons: Vec<String>,
    /// What `egret run` wrote to standard error.
    pub(super) stderr: String,
    pub(super) millis: u128,
}

impl Played {
    pub(super) fn as_expected(&self) -> bool {
        self.checks.iter().all(|check| check.right)
    }

    pub(super) fn took(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.millis).unwrap_or(u64::MAX))
    }
}

impl Scene {
    pub(super) fn new(title: &'static str, lesson: &'static str, policy: &str) -> Self {
        Self {
            title,
            lesson,
            policy: policy.to_owned(),
            acts: Vec::new(),
            world: Vec::new(),
            waits: false,
        }
    }

    pub(super) fn waits(mut self) -> Self {
        self.waits = true;
        self
    }

    pub(super) fn act(mut self, step: impl Into<String>, expect: Expect) -> Self {
        self.acts.push(Act {
            step: step.into(),
            expect,
            then: None,
        });
        self
    }

    /// Edits the policy as soon as the step before is done.
    pub(super) fn then(mut self, edit: Edit) -> Self {
        if let Some(act) = self.acts.last_mut() {
            act.then = Some(edit);
        }
        self
    }

    pub(super) fn world(mut self, world: World) -> Self {
        self.world.push(world);
        self
    }
}

impl Expect {
    /// Holds what a client saw against what it should have.
    pub(super) fn check(&self, step: &str, sight: Option<&Sight>) -> Check {
        let expected = match self {
            Self::Reads("") => "works".to_owned(),
            Self::Reads(text) => format!("`{text}`"),
            Self::Addresses(addresses) => list(addresses),
            Self::NoAddress => "no address".to_owned(),
            Self::Fails(error) => (*error).to_owned(),
        };
        let seen = sight.map_or_else(
            || "nothing: the client did not get this far".to_owned(),
            told,
        );
        let right = sight.is_some_and(|sight| match self {
            Self::Reads(text) => {
                sight.ok && sight.text.as_deref().unwrap_or_default().starts_with(text)
            }
            Self::Addresses(addresses) => sight.ok && sight.addresses == *addresses,
            Self::NoAddress => sight.addresses.is_empty(),
            // `until` comes out well, and tells what the step in it failed by.
            Self::Fails(error) if sight.ok => {
                sight.step.starts_with("until ")
                    && !sight.step.starts_with("until ok")
                    && sight.text.as_deref() == Some(error)
            }
            Self::Fails(error) => sight.error.as_deref() == Some(error),
        });
        Check {
            side: "client",
            what: step.to_owned(),
            expected,
            seen,
            right,
        }
    }
}

fn told(sight: &Sight) -> String {
    if let Some(error) = &sight.error {
        return error.clone();
    }
    match &sight.text {
        Some(text) if text == "NOERROR" => sight.records.join(", "),
        Some(text) => format!("`{text}`"),
        None if sight.addresses.is_empty() => "works".to_owned(),
        None => list(&sight.addresses),
    }
}

fn list(addresses: &[IpAddr]) -> String {
    if addresses.is_empty() {
        return "no address".to_owned();
    }
    let texts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    texts.join(", ")
}
