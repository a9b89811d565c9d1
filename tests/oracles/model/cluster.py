"""Who an address belongs to, and which names stand for it."""

import model

NAME = "kubernetes.io/metadata.name"


class Cluster:
    def __init__(self, objects, names):
        self.names = names
        self.namespaces, self.nodes, self.pods, self.accounts, self.others = {}, {}, {}, {}, []
        for item in objects:
            kind, meta = item["kind"], item["metadata"]
            labels = meta.get("labels") or {}
            if kind == "Namespace":
                self.namespaces[meta["name"]] = {**labels, NAME: meta["name"]}
            elif kind == "Node":
                self.nodes[meta["name"]] = (labels, [at["address"] for at in item["status"]["addresses"]])
            elif kind == "Pod":
                self.pods[meta["namespace"] + "/" + meta["name"]] = item
            elif kind == "ServiceAccount":
                self.accounts[meta["namespace"], meta["name"]] = labels
            else:
                self.others.append(item)
        self.owners = {}
        for pod in self.pods.values():
            if not self.in_host_network(pod) and pod["status"].get("phase") not in ("Succeeded", "Failed"):
                for address in self.addresses(pod):
                    self.owners[address] = pod

    @staticmethod
    def in_host_network(pod):
        return bool(pod["spec"].get("hostNetwork"))

    @staticmethod
    def addresses(pod):
        return [at["ip"] for at in pod["status"].get("podIPs") or []]

    @staticmethod
    def labels(item):
        return item["metadata"].get("labels") or {}

    def of_kind(self, kinds):
        return [item for item in self.others if item["kind"] in kinds]

    def node_at(self, address):
        """The name of the node that has the address."""
        return next((name for name, (_, addresses) in self.nodes.items() if address in addresses), None)

    def asked(self, pod, flow):
        """The flow as the model asks of one."""
        meta = pod["metadata"]
        namespace = meta["namespace"]
        account = pod["spec"].get("serviceAccountName", "default")
        source = model.Src(
            namespace, self.namespaces[namespace], self.labels(pod), host=self.in_host_network(pod), sa=account
        )
        to = flow["to"]
        names = tuple(name for name, addresses in self.names.items() if to in addresses)
        return model.Flow(source, self.destination(to), flow["port"], flow["protocol"], names)

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
            return model.Dst(to, "pod", meta["namespace"], labels, self.labels(pod), ports)
        node = self.node_at(to)
        if node:
            return model.Dst(to, "node", nodes=tuple(self.nodes[node][0].items()))
        return model.Dst(to, "outside")
