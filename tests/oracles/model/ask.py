"""An oracle: the independent Python model that lies beside the clone, asked as the others are.

Usage: python3 ask.py FOLDER, where FOLDER holds the model. It reads the policies of the Kubernetes APIs by itself, and ranks
those of every dialect. Who an address belongs to, which names stand for it, and what a rule of Calico's or Cilium's matches
is ours here, in the files beside this one.
"""

import json
import sys

sys.path.append(sys.argv[1])
import mixes
import model

import calico
import cilium
from cluster import Cluster

# The one destination of the model's world, which is made anew for each flow.
TO = "to"
KUBERNETES = ("ClusterNetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy")


def main():
    for line in sys.stdin:
        case = json.loads(line)
        policies = Policies(case["objects"], case.get("names", {}), case.get("proposed", False))
        verdicts = "".join("." if policies.allow(flow) else "X" for flow in case["flows"])
        sys.stdout.write(json.dumps({"verdicts": verdicts}) + "\n")
        sys.stdout.flush()


class Policies:
    def __init__(self, objects, names, proposed):
        self.cluster = Cluster(objects, names)
        self.network, self.kubernetes, self.calico, self.cilium = [], [], [], []
        self.tiers = dict(calico.FIXED_TIERS)
        for item in self.cluster.others:
            kind = item["kind"]
            if kind == "NetworkPolicy" and item["apiVersion"] == "networking.k8s.io/v1":
                policy = model.np_lower(item)
                if policy:
                    self.network.append((calico.tie_of_kubernetes(item), policy))
            elif kind in KUBERNETES:
                tier, policy = model.cnp_lower(item)
                self.kubernetes.append((tier, policy))
            elif kind == "Tier":
                self.tiers[item["metadata"]["name"]] = calico.tier(item)
            elif kind in calico.POLICIES:
                self.calico.append(calico.Policy(item))
            elif kind in cilium.POLICIES:
                self.cilium.extend(cilium.policies(item))
            elif kind not in calico.SETS and kind not in cilium.SETS:
                raise ValueError("the model knows no " + kind)
        if proposed:
            self.calico = calico.as_proposed(self.calico)
        self.network.sort(key=lambda policy: policy[0])
        self.kubernetes.sort(key=lambda policy: (policy[1].order, policy[1].name))

    def allow(self, flow):
        cluster = self.cluster
        pod = cluster.pods[flow["from"]]
        if not cluster.in_host_network(pod) and flow["to"] in cluster.addresses(pod):
            # A pod reaches itself, whatever the policies say.
            return True
        asked = cluster.asked(pod, flow)
        world = self.world(pod, asked)
        flow = mixes.F((TO, asked.port))
        mixes.PORTS = (asked.port,)
        mixes.DST = {TO: (asked.dst.ip, "out" if asked.dst.cls == "outside" else "in")}
        mixes.TIERS = self.tiers
        said = model.evaluate(mixes.low(world, "patched"), flow)
        # Where one engine alone reads them all, the model has a transcription of it.
        if not world["cil"]:
            same(said, mixes.calico_native(world, flow), world)
        elif not world["cal"]:
            same(said, mixes.cilium_native(world, flow, "any"), world)
        return said == "allow"

    def world(self, pod, asked):
        """What the model ranks: the policies that select the pod, with the rules that match what is asked."""
        world = {"np": [], "cnp": [], "cal": [], "cil": []}
        ports = (asked.port,)
        anything = ("any", None)
        ties = []
        for tie, policy in self.network:
            if policy.select(asked.src):
                rules = [(anything, ports) for rule in policy.rules if rule.match(asked)]
                world["np"].append({"rules": rules})
                ties.append(tie)
        for tier, policy in self.kubernetes:
            if policy.select(asked.src):
                rules = [(anything, ports, rule.action) for rule in policy.rules if rule.match(asked)]
                (priority,) = policy.order
                world["cnp"].append({"tier": tier.capitalize(), "prio": priority, "rules": rules})
        for policy in self.calico:
            if policy.selects(self.cluster, pod):
                rules = [
                    (anything, ports, rule["action"])
                    for rule in policy.rules
                    if policy.matches(rule, self.cluster, pod, asked)
                ]
                world["cal"].append(
                    {
                        "tier": policy.tier,
                        "order": policy.order,
                        "name": name_among(ties, policy.tie),
                        "staged": policy.staged,
                        "rules": rules,
                    }
                )
        for policy in self.cilium:
            if policy.selects(self.cluster, pod):
                peers = [policy.peers(rule, self.cluster, pod, asked) for rule in policy.allow]
                denied = [policy.peers(rule, self.cluster, pod, asked) for rule in policy.deny]
                world["cil"].append(
                    {
                        "edd": policy.isolates,
                        "allow": [(peer, ports) for some in peers for peer in some],
                        "deny": [(peer, ports) for some in denied for peer in some],
                    }
                )
        return world


def name_among(ties, tie):
    """A name by which the model ranks a policy of Calico's where Calico does, among NetworkPolicies `np0`, `np1`… that have
    these ties, in order."""
    before = sum(1 for other in ties if other < tie)
    return ("np%d~" % (before - 1) if before else "m~") + tie + "~"


def same(said, native, world):
    if said != native:
        raise ValueError("the model says %s and its transcription %s of %s" % (said, native, json.dumps(world)))


main()
