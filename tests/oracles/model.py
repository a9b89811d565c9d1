"""An oracle: the independent Python model that lies beside the clone, asked as the others are.

Usage: python3 model.py FOLDER, where FOLDER holds the model. It reads policies by itself; who an address belongs to, and
which names stand for it, is ours here.
"""

import json
import sys

# This file is called as the model is, and lies first on the path.
sys.path[0] = sys.argv[1]
import model


def main():
    for line in sys.stdin:
        case = json.loads(line)
        world = World(case["objects"], case.get("names", {}))
        verdicts = "".join("." if world.allows(flow) else "X" for flow in case["flows"])
        sys.stdout.write(json.dumps({"verdicts": verdicts}) + "\n")
        sys.stdout.flush()


class World:
    def __init__(self, objects, names):
        self.names = names
        self.namespaces, self.nodes, self.pods = {}, {}, {}
        admin, policies, baseline = [], [], []
        for item in objects:
            kind, meta = item["kind"], item["metadata"]
            if kind == "Namespace":
                name = meta["name"]
                labels = dict(meta.get("labels") or {})
                self.namespaces[name] = {**labels, "kubernetes.io/metadata.name": name}
            elif kind == "Node":
                for address in item["status"]["addresses"]:
                    self.nodes[address["address"]] = meta.get("labels") or {}
            elif kind == "Pod":
                self.pods[meta["namespace"] + "/" + meta["name"]] = item
            elif kind == "NetworkPolicy":
                policy = model.np_lower(item)
                if policy:
                    policies.append(policy)
            elif kind in ("ClusterNetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy"):
                tier, policy = model.cnp_lower(item)
                (admin if tier == "admin" else baseline).append(policy)
            else:
                raise ValueError("the model knows no " + kind)
        self.tiers = [
            model.Tier("admin", 1, admin, "next"),
            model.Tier("namespace", 2, policies, "isolate"),
            model.Tier("baseline", 3, baseline, "next"),
        ]
        self.owners = {}
        for pod in self.pods.values():
            if not host(pod) and pod["status"].get("phase") not in ("Succeeded", "Failed"):
                for address in pod["status"].get("podIPs") or []:
                    self.owners[address["ip"]] = pod

    def allows(self, flow):
        pod = self.pods[flow["from"]]
        to = flow["to"]
        if any(own["ip"] == to for own in pod["status"]["podIPs"]):
            # A pod reaches itself, whatever the policies say.
            return True
        meta = pod["metadata"]
        namespace = meta["namespace"]
        source = model.Src(namespace, self.namespaces[namespace], meta.get("labels") or {}, host=host(pod))
        names = tuple(name for name, addresses in self.names.items() if to in addresses)
        asked = model.Flow(source, self.destination(to), flow["port"], flow["protocol"], names)
        return model.evaluate(self.tiers, asked) == "allow"

    def destination(self, to):
        pod = self.owners.get(to)
        if pod:
            meta = pod["metadata"]
            ports = [
                {"name": port.get("name"), "port": port["containerPort"], "protocol": port.get("protocol", "TCP")}
                for container in pod["spec"]["containers"]
                for port in container.get("ports") or []
            ]
            labels = self.namespaces[meta["namespace"]]
            return model.Dst(to, "pod", meta["namespace"], labels, meta.get("labels") or {}, ports)
        if to in self.nodes:
            return model.Dst(to, "node", nodes=tuple(self.nodes[to].items()))
        return model.Dst(to, "outside")


def host(pod):
    return bool(pod["spec"].get("hostNetwork"))


main()
