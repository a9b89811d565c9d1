"""The model's own worlds, written as the objects a user writes, one set a line with what the model says of it.

Usage: python3 worlds.py FOLDER named          the cases that shaped the model, by name
       python3 worlds.py FOLDER random SEED N  worlds of its generators
"""

import contextlib
import io
import json
import random
import sys

sys.path.append(sys.argv[1])
import mixes

KIND = {"np": "NetworkPolicy", "cnp": "ClusterNetworkPolicy", "cil": "CiliumClusterwideNetworkPolicy"}
NAMESPACE = "default"


def main():
    if sys.argv[2] == "named":
        # It says what it found when it is read.
        with contextlib.redirect_stdout(io.StringIO()):
            import named
        for name, what, world, flow, verdict in named.S:
            tell(name + ": " + what, world, [(flow, verdict)])
        for name, what, world, flow in named.M:
            tell(name + ": " + what, world, [(flow, verdict_of(world, flow))])
    else:
        seed, count = int(sys.argv[3]), int(sys.argv[4])
        chance = random.Random(seed)
        for number in range(count):
            world = some_world(chance)
            tell("world %d" % number, world, [(tuple(flow), verdict_of(world, flow)) for flow in mixes.ALLF])


def verdict_of(world, flow):
    return mixes.evaluate(mixes.low(world, "patched"), mixes.F(flow))


def some_world(chance):
    many = lambda make, most: [make(chance) for _ in range(chance.randint(0, most))]
    world = {"np": many(mixes.g_np, 2), "cnp": many(mixes.g_cnp, 3), "cal": [], "cil": []}
    which = chance.random()
    if which < 0.75:
        world["cal"] = many(mixes.g_cal, 4)
    if which > 0.25:
        world["cil"] = many(mixes.g_cil, 3)
    return world


def tell(name, world, judged):
    flows = [
        {"from": NAMESPACE + "/source", "to": mixes.DST[to][0], "port": port, "protocol": "TCP"}
        for (to, port), _ in judged
    ]
    verdicts = "".join("." if verdict == "allow" else "X" for _, verdict in judged)
    print(json.dumps({"name": name, "objects": objects(world), "flows": flows, "verdicts": verdicts}))


def objects(world):
    found = [item("v1", "Namespace", NAMESPACE)]
    node = item("v1", "Node", "node")
    node["status"] = {"addresses": [{"type": "InternalIP", "address": mixes.DST["node"][0]}]}
    found.append(node)
    for name, address in [("source", "10.1.0.9"), *((name, mixes.DST[name][0]) for name in ("podA", "podB"))]:
        pod = item("v1", "Pod", name.lower(), NAMESPACE)
        pod["metadata"]["labels"] = {"pod": name}
        pod["spec"] = {"nodeName": "node", "containers": []}
        pod["status"] = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        found.append(pod)
    for name, (order, action) in mixes.TIERS.items():
        if name != "default":
            found.append(item("projectcalico.org/v3", "Tier", name, spec={"order": order, "defaultAction": action}))
    found += [network_policy(number, policy) for number, policy in enumerate(world["np"])]
    found += [cluster_policy(number, policy) for number, policy in enumerate(world["cnp"])]
    found += [calico_policy(number, policy) for number, policy in enumerate(world["cal"])]
    cilium = [cilium_policy(number, policy) for number, policy in enumerate(world["cil"])]
    found += [policy for policy in cilium if policy]
    return found


def item(version, kind, name, namespace=None, spec=None):
    made = {"apiVersion": version, "kind": kind, "metadata": {"name": name}}
    if namespace:
        made["metadata"]["namespace"] = namespace
    if spec is not None:
        made["spec"] = spec
    return made


def pods(names):
    return {"matchExpressions": [{"key": "pod", "operator": "In", "values": list(names)}]}


def network_policy(number, policy):
    rules = []
    for (kind, value), ports in policy["rules"]:
        rule = {"ports": [{"protocol": "TCP", "port": port} for port in ports]}
        if kind == "cidr":
            rule["to"] = [{"ipBlock": {"cidr": value}}]
        elif kind == "pods":
            rule["to"] = [{"podSelector": pods(value)}]
        rules.append(rule)
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": rules}
    return item("networking.k8s.io/v1", KIND["np"], "np%d" % number, NAMESPACE, spec)


def cluster_policy(number, policy):
    rules = []
    for (kind, value), ports, action in policy["rules"]:
        if kind == "pods":
            peer = {"pods": {"namespaceSelector": {}, "podSelector": pods(value)}}
        else:
            peer = {"networks": [value or "0.0.0.0/0"]}
        protocols = [{"tcp": {"destinationPort": {"number": port}}} for port in ports]
        rules.append({"action": {"Allow": "Accept"}.get(action, action), "to": [peer], "protocols": protocols})
    spec = {
        "tier": policy["tier"],
        "priority": policy["prio"],
        "subject": {"namespaces": {}},
        "egress": rules,
    }
    return item("policy.networking.k8s.io/v1alpha2", KIND["cnp"], "cnp%d" % number, spec=spec)


def calico_policy(number, policy):
    rules = []
    for (kind, value), ports, action in policy["rules"]:
        to = {"ports": list(ports)}
        if kind == "cidr":
            to["nets"] = [value]
        elif kind == "pods":
            to["selector"] = "pod in {%s}" % ", ".join("'%s'" % name for name in value)
        rules.append({"action": action, "protocol": "TCP", "destination": to})
    spec = {"tier": policy["tier"], "types": ["Egress"], "egress": rules}
    if policy["order"] is not None:
        spec["order"] = policy["order"]
    kind = "StagedGlobalNetworkPolicy" if policy["staged"] else "GlobalNetworkPolicy"
    return item("projectcalico.org/v3", kind, policy["name"] + str(number), spec=spec)


def cilium_policy(number, policy):
    def rule(peer, ports):
        kind, value = peer
        made = {"toPorts": [{"ports": [{"protocol": "TCP", "port": str(port)} for port in ports]}]}
        if kind == "cidr":
            made["toCIDR"] = [value]
        elif kind == "pods":
            made["toEndpoints"] = [pods(value)]
        return made

    spec = {"endpointSelector": {}, "enableDefaultDeny": {"egress": policy["edd"]}}
    for key, rules in (("egress", policy["allow"]), ("egressDeny", policy["deny"])):
        if rules:
            spec[key] = [rule(*one) for one in rules]
    if not policy["allow"] and not policy["deny"]:
        if not policy["edd"]:
            # It says nothing at all, which Cilium refuses.
            return None
        spec["egress"] = [{}]
    return item("cilium.io/v2", KIND["cil"], "cil%d" % number, spec=spec)


main()
