"""What a policy of Calico's selects and matches (`projectcalico.org/v3`)."""

import ipaddress
import re

from model import INF, incidr

POLICIES = ("NetworkPolicy", "GlobalNetworkPolicy", "StagedNetworkPolicy", "StagedGlobalNetworkPolicy")
SETS = ("NetworkSet", "GlobalNetworkSet")
FIXED_TIERS = {
    "default": (1_000_000, "Deny"),
    "kube-admin": (1_000, "Pass"),
    "kube-baseline": (10_000_000, "Pass"),
}
NAMESPACE = "projectcalico.org/namespace"
ACCOUNT = "projectcalico.org/serviceaccount"


def tier(item):
    spec = item["spec"]
    return spec.get("order", INF), spec.get("defaultAction", "Deny")


def tie_of_kubernetes(item):
    """What ranks a NetworkPolicy among Calico's policies of its order."""
    meta = item["metadata"]
    return "knp.default.%s/%s/NetworkPolicy" % (meta["name"], meta.get("namespace", "default"))


class Policy:
    def __init__(self, item):
        kind, meta, spec = item["kind"], item["metadata"], item.get("spec") or {}
        self.spec = spec
        self.namespace = None if "Global" in kind else meta.get("namespace", "default")
        self.kind, self.name = kind, meta["name"]
        self.tie = "%s/%s/%s" % (meta["name"], self.namespace or "", kind)
        self.tier = spec.get("tier", "default")
        self.order = spec.get("order")
        self.staged = kind.startswith("Staged")
        self.rules = spec.get("egress") or []
        rules = bool(self.rules)
        self.egress = "Egress" in spec["types"] if "types" in spec else rules

    def selects(self, cluster, pod):
        if not self.egress or cluster.in_host_network(pod):
            return False
        labels = of_pod(cluster, pod)
        spec = self.spec
        if self.namespace is not None and labels[NAMESPACE] != self.namespace:
            return False
        return (
            holds(spec.get("selector", ""), labels)
            and holds(spec.get("namespaceSelector", ""), prefixed(labels, "pcns."))
            and holds(spec.get("serviceAccountSelector", ""), prefixed(labels, "pcsa."))
        )

    def matches(self, rule, cluster, pod, asked):
        source, destination = rule.get("source") or {}, rule.get("destination") or {}
        to = asked.dst.ip
        family = ipaddress.ip_address(to).version
        if rule.get("ipVersion", family) != family:
            return False
        if rule.get("protocol", asked.proto) != asked.proto or rule.get("notProtocol") == asked.proto:
            return False
        # A pod sends from its address of the destination's family.
        own = [at for at in cluster.addresses(pod) if ipaddress.ip_address(at).version == family]
        own_labels, to_labels = [of_pod(cluster, pod)], labels_at(cluster, to)
        return (
            in_nets(source, own[0])
            and self.means(source, own_labels)
            and in_nets(destination, to)
            and self.means(destination, to_labels)
            and self.on_port(destination, asked)
        )

    def means(self, entity, endpoints):
        """Whether one of the endpoints is meant, by their labels."""
        selector, negated = entity.get("selector", ""), entity.get("notSelector", "")
        accounts = entity.get("serviceAccounts") or {}
        spaces = entity.get("namespaceSelector", "")
        names, by_label = accounts.get("names") or [], accounts.get("selector", "")
        if negated and any(holds(negated, labels) for labels in endpoints):
            return False
        if not (selector or negated or names or by_label or spaces):
            return True

        def is_meant(labels):
            if spaces:
                if not in_namespaces(spaces, labels):
                    return False
            elif self.namespace is not None and labels.get(NAMESPACE) != self.namespace:
                return False
            if names and labels.get(ACCOUNT) not in names:
                return False
            return holds(by_label, prefixed(labels, "pcsa.")) and holds(selector, labels)

        if not (selector or names or by_label or spaces) and self.namespace is None:
            # Of `notSelector` alone nothing is left to be.
            return True
        return any(is_meant(labels) for labels in endpoints)

    @staticmethod
    def on_port(entity, asked):
        ports, excluded = entity.get("ports") or [], entity.get("notPorts") or []
        if ports and not any(is_port(port, asked) for port in ports):
            return False
        return not any(is_port(port, asked) for port in excluded)


def as_proposed(policies):
    """The policies once every staged change is made."""
    key = lambda policy: (policy.kind.removeprefix("Staged"), policy.namespace, policy.name)
    made = {key(policy): policy for policy in policies if not policy.staged}
    for policy in policies:
        if policy.staged:
            action = policy.spec.get("stagedAction", "Set")
            if action == "Set":
                made[key(policy)] = policy
            elif action == "Delete":
                made.pop(key(policy), None)
    for policy in made.values():
        policy.staged = False
    return list(made.values())


def is_port(port, asked):
    if isinstance(port, int):
        return asked.port == port
    if re.fullmatch(r"\d+:\d+", port):
        first, last = port.split(":")
        return int(first) <= asked.port <= int(last)
    return any(
        (at["name"], at["port"], at["protocol"]) == (port, asked.port, asked.proto) for at in asked.dst.ports
    )


def in_nets(entity, address):
    nets, excluded = entity.get("nets") or [], entity.get("notNets") or []
    if nets and not any(incidr(address, net) for net in nets):
        return False
    return not any(incidr(address, net) for net in excluded)


def in_namespaces(selector, labels):
    """`all()` is whatever is in a namespace, wherever it stands; a negation holds of what is in none, too."""
    if selector == "global()":
        return NAMESPACE not in labels
    return holds(selector, prefixed(labels, "pcns."), NAMESPACE in labels)


def of_pod(cluster, pod):
    """The labels of a pod, with those its profiles give it."""
    meta, account = pod["metadata"], pod["spec"].get("serviceAccountName", "default")
    namespace = meta["namespace"]
    labels = of_namespace(cluster, namespace)
    for key, value in cluster.accounts.get((namespace, account), {}).items():
        labels["pcsa." + key] = value
    labels["pcsa.projectcalico.org/name"] = account
    labels.update(cluster.labels(pod))
    return {**labels, NAMESPACE: namespace, ACCOUNT: account, "projectcalico.org/orchestrator": "k8s"}


def of_namespace(cluster, namespace):
    labels = {"pcns." + key: value for key, value in cluster.namespaces[namespace].items()}
    labels["pcns.projectcalico.org/name"] = namespace
    return labels


def labels_at(cluster, address):
    """The labels of every endpoint and set that has the address."""
    every = []
    if address in cluster.owners:
        every.append(of_pod(cluster, cluster.owners[address]))
    for item in cluster.of_kind(SETS):
        if any(incidr(address, net) for net in item["spec"].get("nets") or []):
            namespace = item["metadata"].get("namespace", "default")
            of = {} if item["kind"] == "GlobalNetworkSet" else {**of_namespace(cluster, namespace), NAMESPACE: namespace}
            every.append({**of, **cluster.labels(item)})
    return every


def prefixed(labels, prefix):
    """What a selector over namespaces or accounts sees of an endpoint's labels."""
    return {key[len(prefix) :]: value for key, value in labels.items() if key.startswith(prefix)}


TOKEN = re.compile(
    r"[ \t]*(all\(\)|has\(|\(|\)|&&|\|\||!=|==|!|\{|\}|,|not in|in(?=[ \t{])|contains|starts with|ends with"
    r"|'[^']*'|\"[^\"]*\"|[A-Za-z0-9_./-]+)"
)


def holds(selector, labels, everything=True):
    """Whether a selector holds, where `all()` is `everything`; an empty one always does."""
    tokens = TOKEN.findall(selector)
    assert "".join(tokens).replace(" ", "") == re.sub(r"[ \t]", "", selector), selector
    if not tokens:
        return True
    value = either(tokens, labels, everything)
    assert not tokens, selector
    return value


def either(tokens, labels, everything):
    value = both(tokens, labels, everything)
    while tokens and tokens[0] == "||":
        tokens.pop(0)
        other = both(tokens, labels, everything)
        value = value or other
    return value


def both(tokens, labels, everything):
    value = one(tokens, labels, everything)
    while tokens and tokens[0] == "&&":
        tokens.pop(0)
        other = one(tokens, labels, everything)
        value = value and other
    return value


def one(tokens, labels, everything):
    token = tokens.pop(0)
    if token == "!":
        return not one(tokens, labels, everything)
    if token == "all()":
        return everything
    if token == "(":
        value = either(tokens, labels, everything)
        assert tokens.pop(0) == ")"
        return value
    if token == "has(":
        key = tokens.pop(0)
        assert tokens.pop(0) == ")"
        return key in labels
    there, operator = labels.get(token), tokens.pop(0)
    if operator in ("in", "not in"):
        values = []
        assert tokens.pop(0) == "{"
        while (value := tokens.pop(0)) != "}":
            if value != ",":
                values.append(value[1:-1])
        return (there in values) == (operator == "in")
    value = tokens.pop(0)[1:-1]
    if operator == "!=":
        return there != value
    if there is None:
        return False
    return {
        "==": there == value,
        "contains": value in there,
        "starts with": there.startswith(value),
        "ends with": there.endswith(value),
    }[operator]
