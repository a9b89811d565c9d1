use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policy_model::{ObjectRef, Policy, Selects, Settings, Workload, World};

use crate::compile::lowering::Here;
use crate::compile::{CompileError, Compiled, compile_selected, replaced, unknown_subject};

use index::{PolicyIndex, PolicyNumber};
use touch::Touch;

mod index;
mod touch;

/// The rulesets of many workloads, kept up to date while policies, workloads and the world change.
///
/// Workloads that the same policies select share one ruleset. A change marks what it touches, [`compile`](Self::compile)
/// makes that anew and nothing else. What cannot be compiled keeps its last ruleset.
#[derive(Debug)]
pub struct Fleet {
    settings: Settings,
    world: Arc<World>,
    policies: PolicyIndex,
    /// What staged changes replace or remove, and whether that must be found anew.
    replaced: Option<BTreeSet<ObjectRef>>,
    /// By namespace, because most policies are for one.
    identities: BTreeMap<Option<Arc<str>>, BTreeMap<Workload, Identity>>,
    workloads: BTreeMap<Arc<str>, Workload>,
    rulesets: BTreeMap<RulesetKey, Shared>,
    /// Identities whose policies may be others than they were, or whose ruleset is outdated.
    stale: BTreeSet<Workload>,
    /// Rulesets that must be made anew. They hold until that succeeds.
    outdated: BTreeSet<RulesetKey>,
}

/// A ruleset, and by how many identities it is used.
#[derive(Debug)]
struct Shared {
    compiled: Arc<Compiled>,
    users: usize,
}

/// Workloads of which the same is known.
#[derive(Debug, Default)]
struct Identity {
    members: BTreeSet<Arc<str>>,
    selected: Vec<PolicyNumber>,
    ruleset: Option<RulesetKey>,
}

/// What a ruleset depends on beside the world: its policies, in order, and the node where a rule means the workload's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct RulesetKey {
    policies: Arc<[PolicyNumber]>,
    node: Option<Arc<str>>,
}

/// What [`Fleet::compile`] did.
#[derive(Debug, Default)]
pub struct Compilation {
    /// The workloads that have another ruleset now, in order.
    pub switched: Vec<Arc<str>>,
    /// How many rulesets were made.
    pub made: usize,
    /// The workloads whose policies cannot be compiled, with the reason: they keep what they had.
    pub refused: Vec<(Arc<str>, CompileError)>,
}

impl Fleet {
    pub fn new(world: World, settings: Settings) -> Self {
        Self {
            settings,
            world: Arc::new(world),
            policies: PolicyIndex::default(),
            replaced: None,
            identities: BTreeMap::new(),
            workloads: BTreeMap::new(),
            rulesets: BTreeMap::new(),
            stale: BTreeSet::new(),
            outdated: BTreeSet::new(),
        }
    }

    /// Puts the policies of one object in place of those it had; an empty list takes it away.
    pub fn set_object(&mut self, object: ObjectRef, policies: Vec<Policy>) {
        let policies: Vec<Arc<Policy>> = policies.into_iter().map(Arc::new).collect();
        let change = self.policies.replace(object, policies);
        self.replaced = None;
        let asked: Vec<&BTreeMap<Workload, Identity>> = match &change.namespaces {
            // A workload of which no namespace is known may be in any.
            Some(namespaces) => namespaces
                .iter()
                .map(|namespace| Some(Arc::clone(namespace)))
                .chain([None])
                .filter_map(|namespace| self.identities.get(&namespace))
                .collect(),
            None => self.identities.values().collect(),
        };
        for (workload, identity) in asked.into_iter().flatten() {
            let had = change
                .removed
                .iter()
                .any(|number| identity.selected.binary_search(number).is_ok());
            let has = || {
                change
                    .added
                    .iter()
                    .any(|policy| policy.subject.selects(workload) != Selects::No)
            };
            if had || has() {
                self.stale.insert(workload.clone());
            }
        }
        // A staged change decides in which ruling others stand, wherever those select.
        for id in &change.replaces {
            self.mark_policies(&self.policies.of_id(id));
        }
    }

    /// Puts a workload in, or another in its place: then it has no ruleset before the next [`compile`](Self::compile).
    /// `name` is the caller's.
    pub fn set_workload(&mut self, name: Arc<str>, workload: Workload) {
        self.remove_workload(&name);
        self.workloads.insert(Arc::clone(&name), workload.clone());
        let alike = self
            .identities
            .entry(workload.pod.namespace.clone())
            .or_default();
        let identity = alike.entry(workload.clone()).or_default();
        if identity.members.is_empty() {
            self.stale.insert(workload);
        }
        identity.members.insert(name);
    }

    pub fn remove_workload(&mut self, name: &str) {
        let Some(workload) = self.workloads.remove(name) else {
            return;
        };
        let Some(alike) = self.identities.get_mut(&workload.pod.namespace) else {
            return;
        };
        if let Some(identity) = alike.get_mut(&workload) {
            identity.members.remove(name);
            if identity.members.is_empty() {
                let gone = alike.remove(&workload);
                self.stale.remove(&workload);
                self.release(gone.and_then(|identity| identity.ruleset));
            }
        }
    }

    /// Puts another world in place. Only rulesets whose rules mean something that differs are made anew; the others go on
    /// in the new world as they are.
    pub fn set_world(&mut self, world: World) {
        let old = std::mem::replace(&mut self.world, Arc::new(world));
        let touch = Touch::between(&old, &self.world);
        let touched: BTreeSet<PolicyNumber> = self
            .policies
            .iter()
            .filter(|(_, policy)| touch.touches(policy))
            .map(|(number, _)| number)
            .collect();
        for (key, Shared { compiled, .. }) in &mut self.rulesets {
            let is_touched = touch.touches_all()
                || (touch.touches_classes() && compiled.ruleset.tells_classes_apart())
                || key.policies.iter().any(|number| touched.contains(number));
            if is_touched {
                self.outdated.insert(key.clone());
            } else {
                Arc::make_mut(compiled).ruleset.world = Arc::clone(&self.world);
            }
        }
        self.mark_outdated();
    }

    /// Makes anew what was touched since the last time.
    pub fn compile(&mut self) -> Compilation {
        let mut done = Compilation::default();
        let replaced = self.replaced.take().unwrap_or_else(|| {
            let policies = self.policies.iter().map(|(_, policy)| &**policy);
            replaced(policies)
        });
        for workload in std::mem::take(&mut self.stale) {
            match self.ruleset_for(&workload, &replaced, &mut done.made) {
                Ok((selected, key)) => {
                    let Some(identity) = identity_mut(&mut self.identities, &workload) else {
                        continue;
                    };
                    identity.selected = selected;
                    let before = identity.ruleset.replace(key.clone());
                    done.switched.extend(identity.members.iter().cloned());
                    if let Some(shared) = self.rulesets.get_mut(&key) {
                        shared.users += 1;
                    }
                    self.release(before);
                }
                Err(error) => {
                    let members = identity_mut(&mut self.identities, &workload);
                    let members = members.into_iter().flat_map(|identity| &identity.members);
                    done.refused
                        .extend(members.map(|member| (Arc::clone(member), error.clone())));
                    // Whatever mends it need not touch what the workload has.
                    self.stale.insert(workload);
                }
            }
        }
        self.replaced = Some(replaced);
        done.switched.sort_unstable();
        done
    }

    /// The ruleset of a workload, as of the last [`compile`](Self::compile). Others may share it, so it says nothing of the
    /// workload's own addresses ([`PodIdentity::is_own`](policy_model::PodIdentity::is_own)).
    pub fn ruleset(&self, name: &str) -> Option<&Arc<Compiled>> {
        let workload = self.workloads.get(name)?;
        let identity = self
            .identities
            .get(&workload.pod.namespace)?
            .get(workload)?;
        let shared = self.rulesets.get(identity.ruleset.as_ref()?)?;
        Some(&shared.compiled)
    }

    /// Every ruleset, each once.
    pub fn rulesets(&self) -> impl Iterator<Item = &Arc<Compiled>> {
        self.rulesets.values().map(|shared| &shared.compiled)
    }

    fn ruleset_for(
        &mut self,
        workload: &Workload,
        replaced: &BTreeSet<ObjectRef>,
        made: &mut usize,
    ) -> Result<(Vec<PolicyNumber>, RulesetKey), CompileError> {
        let mut selected = Vec::new();
        let mut policies = Vec::new();
        for (number, policy) in self.policies.candidates(workload) {
            match policy.subject.selects(workload) {
                Selects::Yes => {
                    selected.push(number);
                    policies.push(Arc::clone(policy));
                }
                Selects::No => {}
                Selects::Unknown => return Err(unknown_subject(policy)),
            }
        }
        let own_node = policies.iter().any(|policy| touch::means_own_node(policy));
        let key = RulesetKey {
            policies: selected.as_slice().into(),
            node: workload.pod.node.clone().filter(|_| own_node),
        };
        if !self.rulesets.contains_key(&key) || self.outdated.contains(&key) {
            let here = Here {
                workload,
                world: &self.world,
                settings: &self.settings,
            };
            let compiled = compile_selected(policies, replaced, here)?;
            let compiled = Arc::new(compiled);
            match self.rulesets.get_mut(&key) {
                Some(shared) => shared.compiled = compiled,
                None => {
                    let shared = Shared { compiled, users: 0 };
                    self.rulesets.insert(key.clone(), shared);
                }
            }
            self.outdated.remove(&key);
            *made += 1;
        }
        Ok((selected, key))
    }

    fn mark_policies(&mut self, numbers: &BTreeSet<PolicyNumber>) {
        let has_one = |key: &&RulesetKey| key.policies.iter().any(|one| numbers.contains(one));
        let touched = self.rulesets.keys().filter(has_one).cloned();
        self.outdated.extend(touched);
        self.mark_outdated();
    }

    fn mark_outdated(&mut self) {
        for (workload, identity) in self.identities.values().flatten() {
            let key = identity.ruleset.as_ref();
            if key.is_some_and(|key| self.outdated.contains(key)) {
                self.stale.insert(workload.clone());
            }
        }
    }

    /// One identity less uses a ruleset; the last one takes it away.
    fn release(&mut self, key: Option<RulesetKey>) {
        let Some(key) = key else { return };
        if let Some(shared) = self.rulesets.get_mut(&key) {
            shared.users -= 1;
            if shared.users == 0 {
                self.rulesets.remove(&key);
                self.outdated.remove(&key);
            }
        }
    }
}

fn identity_mut<'f>(
    identities: &'f mut BTreeMap<Option<Arc<str>>, BTreeMap<Workload, Identity>>,
    workload: &Workload,
) -> Option<&'f mut Identity> {
    identities
        .get_mut(&workload.pod.namespace)?
        .get_mut(workload)
}
