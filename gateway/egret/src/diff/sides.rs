//! Both sides, read and compiled, and every workload that is on both compared once for all that share its rulesets.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use policy_cases::Scene;
use policy_engine::{Change, Compiled, Destination, Fleet, Region, What, compile, diff};
use policy_model::{ObjectRef, PodIdentity, Policy, Workload};

use super::{Comparison, DiffVerbError, Group, widens};
use crate::cli::DiffArgs;
use crate::machine;
use crate::policy_files::PolicyFile;
use crate::policy_set::{PolicySet, case_file};

/// The command of `egret run`, as workloads are called.
pub(super) const COMMAND: &str = "command";

/// A set of policies with its world.
#[derive(Debug)]
pub(super) struct Side {
    name: &'static str,
    pub(super) scene: Scene,
}

impl Side {
    pub(super) fn read(
        name: &'static str,
        policies: &[PathBuf],
        args: &DiffArgs,
    ) -> Result<Self, DiffVerbError> {
        let failed = |error| DiffVerbError::Read(name, error);
        let set = PolicySet::read(policies, &args.world, args.namespace.as_deref());
        let mut set = set.map_err(failed)?;
        // A side without any policy is one that can be compared.
        set.reading
            .diagnostics
            .retain(|diagnostic| diagnostic.code != policy_dialects::codes::NO_OBJECT.id);
        let refused = if args.world.is_empty() {
            set.in_doubt([args.namespace.as_deref()])
        } else {
            let pods = set.reading.cluster.pods.keys();
            set.in_doubt(pods.map(|(namespace, _)| Some(&**namespace)))
        };
        if !refused.is_empty() {
            return Err(DiffVerbError::Refused {
                side: name,
                diagnostics: refused,
                files: set.files,
            });
        }
        let (mut scene, _files): (Scene, Vec<PolicyFile>) =
            set.into_scene(case_file()).map_err(failed)?;
        if args.world.is_empty() {
            scene.world = machine::world(scene.world);
        }
        Ok(Self { name, scene })
    }

    fn pods(&self) -> BTreeMap<Arc<str>, Workload> {
        let cluster = self.scene.cluster();
        cluster
            .pods
            .keys()
            .filter_map(|name| {
                let pod = PodIdentity::of_pod(cluster, name)?;
                let called = Arc::from(format!("{}/{}", name.0, name.1));
                Some((called, Workload::of_pod(pod, cluster)))
            })
            .collect()
    }

    /// The rulesets of some workloads of this side.
    fn rulesets(
        &self,
        workloads: &BTreeMap<Arc<str>, Workload>,
    ) -> Result<BTreeMap<Arc<str>, Arc<Compiled>>, DiffVerbError> {
        let Scene {
            policies, world, ..
        } = &self.scene;
        let mut fleet = Fleet::new(world.clone(), self.scene.settings_for(true));
        let mut objects: BTreeMap<&ObjectRef, Vec<Policy>> = BTreeMap::new();
        for policy in policies {
            objects.entry(&policy.id).or_default().push(policy.clone());
        }
        for (object, policies) in objects {
            fleet.set_object(object.clone(), policies);
        }
        for (name, workload) in workloads {
            fleet.set_workload(Arc::clone(name), workload.clone());
        }
        let mut refused = fleet.compile().refused.into_iter();
        if let Some((workload, source)) = refused.next() {
            return Err(DiffVerbError::Compile {
                side: self.name,
                workload,
                more: Some(refused.count()).filter(|more| *more > 0),
                source: Box::new(source),
            });
        }
        Ok(workloads
            .keys()
            .filter_map(|name| Some((Arc::clone(name), Arc::clone(fleet.ruleset(name)?))))
            .collect())
    }

    fn of_command(&self, workload: &Workload) -> Result<Arc<Compiled>, DiffVerbError> {
        let Scene {
            policies, world, ..
        } = &self.scene;
        let compiled = compile(policies, workload, world, &self.scene.settings_for(false));
        compiled
            .map(Arc::new)
            .map_err(|source| DiffVerbError::Compile {
                side: self.name,
                workload: COMMAND.into(),
                more: None,
                source: Box::new(source),
            })
    }
}

/// Compares everybody who is on both sides.
pub(super) fn compare(old: Side, new: Side, args: &DiffArgs) -> Result<Comparison, DiffVerbError> {
    if args.world.is_empty() {
        let workload = command(args);
        let pair = (old.of_command(&workload)?, new.of_command(&workload)?);
        let everybody = BTreeMap::from([(Arc::from(COMMAND), workload)]);
        let groups = grouped(&[(pair, vec![COMMAND.into()])], &everybody)?;
        return Ok(Comparison {
            old,
            new,
            of_pods: false,
            compared: 1,
            only_old: Vec::new(),
            only_new: Vec::new(),
            groups,
        });
    }
    let (mut before, mut after) = (old.pods(), new.pods());
    let only = |these: &BTreeMap<Arc<str>, Workload>, others: &BTreeMap<Arc<str>, Workload>| {
        let names = these.keys().filter(|name| !others.contains_key(*name));
        names.cloned().collect::<Vec<_>>()
    };
    let (only_old, only_new) = (only(&before, &after), only(&after, &before));
    for name in &only_old {
        before.remove(name);
    }
    for name in &only_new {
        after.remove(name);
    }
    if before.is_empty() {
        return Err(DiffVerbError::NoPods);
    }
    let (old_rulesets, new_rulesets) = (old.rulesets(&before)?, new.rulesets(&after)?);
    let mut pairs: Vec<(Pair, Vec<Arc<str>>)> = Vec::new();
    let mut positions: HashMap<(*const Compiled, *const Compiled), usize> = HashMap::new();
    for (name, old) in &old_rulesets {
        let Some(new) = new_rulesets.get(name) else {
            continue;
        };
        let key = (Arc::as_ptr(old), Arc::as_ptr(new));
        let at = *positions.entry(key).or_insert_with(|| {
            pairs.push(((Arc::clone(old), Arc::clone(new)), Vec::new()));
            pairs.len() - 1
        });
        pairs[at].1.push(Arc::clone(name));
    }
    let groups = grouped(&pairs, &after)?;
    Ok(Comparison {
        of_pods: true,
        compared: before.len(),
        only_old,
        only_new,
        groups,
        old,
        new,
    })
}

type Pair = (Arc<Compiled>, Arc<Compiled>);

/// The changes of each pair of rulesets; pairs that change alike are one.
fn grouped(
    pairs: &[(Pair, Vec<Arc<str>>)],
    workloads: &BTreeMap<Arc<str>, Workload>,
) -> Result<Vec<Group>, DiffVerbError> {
    let mut groups: Vec<Group> = Vec::new();
    let mut positions: HashMap<Vec<Change>, usize> = HashMap::new();
    for (pair, names) in pairs {
        let all = changes(pair, names)?;
        // The rulesets are shared, and do not know whose addresses are whose.
        let is_own = |ip: IpAddr| {
            let mut all = names.iter().filter_map(|name| workloads.get(name));
            all.all(|workload| workload.pod.is_own(ip))
        };
        let mut all: Vec<Change> = all
            .into_iter()
            .filter_map(|change| without_own(change, &is_own))
            .collect();
        if all.is_empty() {
            continue;
        }
        // What widens first.
        all.sort_by_key(|change| !widens(change));
        let at = *positions.entry(all.clone()).or_insert_with(|| {
            groups.push(Group {
                workloads: Vec::new(),
                changes: all,
            });
            groups.len() - 1
        });
        groups[at].workloads.extend(names.iter().cloned());
    }
    for group in &mut groups {
        group.workloads.sort_unstable();
    }
    groups.sort_by(|a, b| a.workloads.cmp(&b.workloads));
    Ok(groups)
}

fn changes((old, new): &Pair, names: &[Arc<str>]) -> Result<Vec<Change>, DiffVerbError> {
    diff(old, new).map_err(|source| DiffVerbError::Compare {
        workload: names.first().cloned().unwrap_or_default(),
        source,
    })
}

/// A change without the addresses that are everybody's own; nothing where it is of nothing else.
fn without_own(mut change: Change, is_own: &dyn Fn(IpAddr) -> bool) -> Option<Change> {
    let is_own = |region: &Region| {
        region.net.prefix_len() == region.net.max_prefix_len() && is_own(region.net.addr())
    };
    let is_empty = match &mut change.what {
        What::Flows { to, .. } => {
            to.retain(|to| match to {
                Destination::Net(region) => !is_own(region),
                Destination::Service(..) => true,
            });
            to.is_empty()
        }
        What::Names { on, .. } => {
            on.retain(|region| !is_own(region));
            on.is_empty()
        }
        What::Questions { .. } => false,
    };
    (!is_empty).then_some(change)
}

fn command(args: &DiffArgs) -> Workload {
    let labels: BTreeMap<Arc<str>, Arc<str>> = args
        .labels
        .iter()
        .map(|(key, value)| (Arc::from(key.as_str()), Arc::from(value.as_str())))
        .collect();
    Workload {
        pod: PodIdentity {
            namespace: args.namespace.as_deref().map(Arc::from),
            labels: (!labels.is_empty()).then_some(labels),
            service_account: args.service_account.as_deref().map(Arc::from),
            ..PodIdentity::default()
        },
        ..Workload::command()
    }
}
