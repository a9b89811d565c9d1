"""What a policy of Cilium's selects and matches (`cilium.io/v2`)."""

import re

from model import incidr, lsel

POLICIES = ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")
SETS = ("CiliumCIDRGroup",)
NAMESPACE = "io.kubernetes.pod.namespace"
ACCOUNT = "io.cilium.k8s.policy.serviceaccount"
OF_NAMESPACE = "io.cilium.k8s.namespace.labels."
ANYWHERE = ("any", None)
HERE, NOWHERE = ("pods", ("to",)), ("pods", ())


def policies(item):
    """Each spec is a policy."""
    specs = ([item["spec"]] if "spec" in item else []) + (item.get("specs") or [])
    namespace = None if "Clusterwide" in item["kind"] else item["metadata"].get("namespace", "default")
    return [Policy(spec, namespace) for spec in specs]


class Policy:
    def __init__(self, spec, namespace):
        self.spec, self.namespace = spec, namespace
        self.allow, self.deny = spec.get("egress") or [], spec.get("egressDeny") or []
        default = (spec.get("enableDefaultDeny") or {}).get("egress")
        self.isolates = bool(self.allow or self.deny) if default is None else default

    def selects(self, cluster, pod):
        if not (self.allow or self.deny):
            return False
        if "nodeSelector" in self.spec:
            node, _ = cluster.nodes[pod["spec"]["nodeName"]]
            return cluster.in_host_network(pod) and lsel(self.spec["nodeSelector"], node)
        labels = of_pod(cluster, pod)
        return (
            not cluster.in_host_network(pod)
            and self.namespace in (None, labels[NAMESPACE])
            and lsel(bare(self.spec["endpointSelector"]), labels)
        )

    def peers(self, rule, cluster, pod, asked):
        """The rule's peers, as far as its ports are those of the flow. The model knows what a block means."""
        ports = rule.get("toPorts") or []
        if ports and not any(on_port(port, asked) for entry in ports for port in entry.get("ports") or []):
            return []
        member = next((key for key in rule if key.startswith("to") and key != "toPorts"), None)
        if member is None:
            return [ANYWHERE] if ports else []
        outside = asked.dst.cls == "outside"
        if member == "toCIDR":
            return [("cidr", block) for block in rule[member]]
        if member == "toCIDRSet":
            return [peer for entry in rule[member] for peer in blocks(entry, cluster, asked)]
        found = {
            "toEntities": lambda entity: is_entity(entity, cluster, pod, asked),
            "toEndpoints": lambda selector: self.is_endpoint(selector, cluster, asked),
            "toNodes": lambda selector: is_remote_node(selector, cluster, pod, asked),
            "toFQDNs": lambda entry: outside and any(is_name(entry, name) for name in asked.names),
        }[member]
        return [HERE if any(found(entry) for entry in rule[member]) else NOWHERE]

    def is_endpoint(self, selector, cluster, asked):
        pod = cluster.owners.get(asked.dst.ip)
        if pod is None:
            return False
        selector, labels = bare(selector), of_pod(cluster, pod)
        if self.namespace is not None and not names_namespace(selector) and labels[NAMESPACE] != self.namespace:
            return False
        return lsel(selector, labels)


def blocks(entry, cluster, asked):
    if any(incidr(asked.dst.ip, block) for block in entry.get("except") or []):
        return []
    if "cidr" in entry:
        return [("cidr", entry["cidr"])]
    peers = []
    for group in cluster.of_kind(SETS):
        if "cidrGroupRef" in entry:
            meant = group["metadata"]["name"] == entry["cidrGroupRef"]
        else:
            meant = lsel(entry["cidrGroupSelector"], cluster.labels(group))
        if meant:
            peers += [("cidr", block) for block in group["spec"]["externalCIDRs"]]
    return peers


def is_entity(entity, cluster, pod, asked):
    cls, node = asked.dst.cls, cluster.node_at(asked.dst.ip)
    own = pod["spec"]["nodeName"]
    return {
        "all": True,
        "world": cls == "outside",
        "cluster": cls != "outside",
        "host": cls == "node" and node == own,
        "remote-node": cls == "node" and node != own,
        "none": False,
    }[entity]


def is_remote_node(selector, cluster, pod, asked):
    """The node the pod runs on is `host`, and no remote node."""
    own = cluster.node_at(asked.dst.ip) == pod["spec"]["nodeName"]
    return asked.dst.cls == "node" and not own and lsel(bare(selector), dict(asked.dst.nodes))


def on_port(port, asked):
    protocol = port.get("protocol", "ANY")
    if protocol not in ("ANY", asked.proto):
        return False
    if not re.fullmatch(r"\d+", port["port"]):
        return any((at["name"], at["port"], at["protocol"]) == (port["port"], asked.port, asked.proto) for at in asked.dst.ports)
    first = int(port["port"])
    return first == 0 or first <= asked.port <= port.get("endPort", first)


def is_name(entry, name):
    if "matchName" in entry:
        return name == entry["matchName"].lower().rstrip(".")
    pattern = entry["matchPattern"].lower().rstrip(".")
    if pattern == "*":
        return True
    regex = ""
    if pattern.startswith("**."):
        regex, pattern = r"([-a-z0-9_]+\.)+", pattern[3:]
    regex += re.escape(pattern).replace(r"\*", "[-a-z0-9_]*")
    return re.fullmatch(regex, name) is not None


def of_pod(cluster, pod):
    meta = pod["metadata"]
    of_namespace = cluster.namespaces[meta["namespace"]]
    return {
        **cluster.labels(pod),
        **{OF_NAMESPACE + key: value for key, value in of_namespace.items()},
        NAMESPACE: meta["namespace"],
        ACCOUNT: pod["spec"].get("serviceAccountName", "default"),
    }


def bare(selector):
    """The selector, its keys without the source of the label."""
    key = lambda key: re.sub(r"^(k8s|any):", "", key)
    labels = {key(at): value for at, value in (selector.get("matchLabels") or {}).items()}
    expressions = [{**one, "key": key(one["key"])} for one in selector.get("matchExpressions") or []]
    return {"matchLabels": labels, "matchExpressions": expressions}


def names_namespace(selector):
    keys = list(selector["matchLabels"]) + [one["key"] for one in selector["matchExpressions"]]
    return any(key == NAMESPACE or key.startswith(OF_NAMESPACE) for key in keys)
