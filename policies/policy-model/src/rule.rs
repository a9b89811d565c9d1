use std::sync::Arc;

use dns_names::NamePattern;

use crate::origin::Origin;
use crate::peer::Peer;
use crate::ports::{NamedPorts, Ports};

/// One rule: a match (any of `peers`, and any of `ports`) and what to do with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its number in the object as the author counts, from 0; the policies of one object share the numbering.
    pub index: u32,
    pub name: Option<Arc<str>>,
    pub origin: Origin,
    pub action: Action,
    pub peers: Peers,
    pub ports: Ports,
    pub named_ports: NamedPorts,
    /// Cilium's `rules.dns`: the names that may be asked of the servers this rule allows. Such a rule opens known
    /// resolvers only, because no other server's queries pass the filter.
    pub questions: Option<Vec<NamePattern>>,
    /// Whether its names may hold private addresses ([`World::is_private`](crate::World::is_private)).
    pub allow_private: bool,
    /// SNI the proxy would have to see. Until a proxy enforces it, a rule that has it is closed.
    pub sni: Option<SniCondition>,
    /// HTTP requests the proxy would have to see; likewise.
    pub http: Vec<HttpMatch>,
    /// Why Egret cannot enforce this rule (a [`Diagnostic`](crate::Diagnostic) code): an Allow then matches nothing, a
    /// Deny or Pass denies everything.
    pub closed: Option<&'static str>,
}

impl Rule {
    /// A rule with an action and a place, for any peer and any port; the rest is for the caller to fill in.
    pub const fn new(index: u32, action: Action, origin: Origin) -> Self {
        Self {
            index,
            name: None,
            origin,
            action,
            peers: Peers::Any,
            ports: Ports::Any,
            named_ports: NamedPorts {
                any_of: Vec::new(),
                none_of: Vec::new(),
                except: Vec::new(),
            },
            questions: None,
            allow_private: false,
            sni: None,
            http: Vec::new(),
            closed: None,
        }
    }
}

/// What a rule does with the flows it matches.
///
/// FQDN peers stand only in Allow, Deny and Log. A Deny by name acts on the question: the name is refused, and the Allow
/// rules behind it in the walk learn nothing from it; addresses are not denied. A Pass by name cannot be judged on
/// addresses (an expiring lease would open something) and is closed by the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    Allow,
    Deny,
    /// On to the next tier.
    Pass,
    /// Noted, and evaluation goes on.
    Log,
}

impl Action {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Pass => "pass",
            Self::Log => "log",
        }
    }
}

/// Whom a rule is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Peers {
    /// No peer was given: every destination, of every class.
    Any,
    /// Any of these; an empty list matches nothing.
    Of(Vec<Peer>),
}

impl Peers {
    /// The peers that were given: none where none was, which means everything.
    pub fn given(&self) -> &[Peer] {
        match self {
            Self::Any => &[],
            Self::Of(peers) => peers,
        }
    }
}

/// A condition on the server name of a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SniCondition {
    /// It must be the name that was resolved (native `tls: {sni: match}`).
    Match,
    /// It must match one of these (Cilium `serverNames`).
    Names(Vec<NamePattern>),
}

/// A condition on an HTTP request: all that is given must hold; an empty list is no condition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpMatch {
    pub methods: Vec<TextPattern>,
    pub paths: Vec<TextPattern>,
    pub hosts: Vec<TextPattern>,
    /// All of these.
    pub headers: Vec<HeaderMatch>,
}

/// A header that must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderMatch {
    /// In lower case.
    pub name: Arc<str>,
    /// Nothing: whatever its value.
    pub value: Option<TextPattern>,
}

/// How a text of a request is compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextPattern {
    Exact(Arc<str>),
    /// `*` at the end stands for any characters (native).
    Glob(Arc<str>),
    /// A regular expression for the whole text (Cilium).
    Regex(Arc<str>),
}

impl TextPattern {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Glob(text) | Self::Regex(text) => text,
        }
    }
}
