// An oracle: the NetworkPolicy matcher of cyclonus, asked for egress alone.
//
// The matcher knows pods by labels and takes a flow as already resolved: who an address belongs to, and how its port is
// called. That part is ours here, and the README says how it is done.
package main

import (
	"fmt"
	"net/netip"

	"egret.dev/oracles/protocol"
	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
)

func main() {
	protocol.Serve(open)
}

type court struct {
	policy *matcher.Policy
	// By `namespace/name`, and by address for those that have one of their own.
	peers map[string]*matcher.InternalPeer
	owner map[netip.Addr]*corev1.Pod
}

func open(world *protocol.World) (protocol.Court, error) {
	if len(world.Others) > 0 {
		return nil, fmt.Errorf("the matcher knows no %s", world.Others[0].Kind)
	}
	labels := map[string]map[string]string{}
	for _, namespace := range world.Namespaces {
		labels[namespace.Name] = namespace.Labels
	}
	court := &court{
		policy: matcher.BuildNetworkPolicies(false, world.NetworkPolicies),
		peers:  map[string]*matcher.InternalPeer{},
		owner:  map[netip.Addr]*corev1.Pod{},
	}
	for _, pod := range world.Pods {
		if pod.Spec.HostNetwork {
			// To the matcher, who has no address of his own is outside: neither held nor selected.
			court.peers[key(pod)] = nil
			continue
		}
		court.peers[key(pod)] = &matcher.InternalPeer{
			PodLabels:       pod.Labels,
			NamespaceLabels: labels[pod.Namespace],
			Namespace:       pod.Namespace,
		}
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		for _, podIP := range pod.Status.PodIPs {
			address, err := netip.ParseAddr(podIP.IP)
			if err != nil {
				return nil, err
			}
			court.owner[address] = pod
		}
	}
	return court, nil
}

func (c *court) Ask(flow protocol.Flow) (protocol.Question, error) {
	source, ok := c.peers[flow.From]
	if !ok {
		return nil, fmt.Errorf("no pod %q", flow.From)
	}
	to, err := netip.ParseAddr(flow.To)
	if err != nil {
		return nil, err
	}
	destination := &matcher.TrafficPeer{IP: flow.To}
	name := ""
	if pod := c.owner[to]; pod != nil {
		destination.Internal = c.peers[key(pod)]
		name = portName(pod, flow)
	}
	traffic := &matcher.Traffic{
		Source:           &matcher.TrafficPeer{Internal: source},
		Destination:      destination,
		ResolvedPort:     flow.Port,
		ResolvedPortName: name,
		Protocol:         flow.Protocol,
	}
	return func() (bool, error) {
		return c.policy.IsIngressOrEgressAllowed(traffic, false).IsAllowed(), nil
	}, nil
}

// portName is the first name that the pod gives this port; the matcher takes one.
func portName(pod *corev1.Pod, flow protocol.Flow) string {
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if int(port.ContainerPort) == flow.Port && port.Protocol == flow.Protocol && port.Name != "" {
				return port.Name
			}
		}
	}
	return ""
}

func key(pod *corev1.Pod) string {
	return pod.Namespace + "/" + pod.Name
}
