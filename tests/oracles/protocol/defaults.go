package protocol

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// What an API server does to an object before any implementation sees it.

func defaultNamespace(namespace *corev1.Namespace) {
	if namespace.Labels == nil {
		namespace.Labels = map[string]string{}
	}
	namespace.Labels[corev1.LabelMetadataName] = namespace.Name
}

func defaultPod(pod *corev1.Pod) {
	if pod.Namespace == "" {
		pod.Namespace = corev1.NamespaceDefault
	}
	if pod.Status.Phase == "" {
		pod.Status.Phase = corev1.PodRunning
	}
	if pod.Status.PodIP == "" && len(pod.Status.PodIPs) > 0 {
		pod.Status.PodIP = pod.Status.PodIPs[0].IP
	}
	for i := range pod.Spec.Containers {
		ports := pod.Spec.Containers[i].Ports
		for j := range ports {
			if ports[j].Protocol == "" {
				ports[j].Protocol = corev1.ProtocolTCP
			}
		}
	}
}

// stored defaults a policy and takes it through the encoding in which implementations get it from an API server. That
// encoding cannot tell an empty list from none.
func stored(policy *networkingv1.NetworkPolicy) (*networkingv1.NetworkPolicy, error) {
	if policy.Namespace == "" {
		policy.Namespace = corev1.NamespaceDefault
	}
	if len(policy.Spec.PolicyTypes) == 0 {
		policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(policy.Spec.Egress) > 0 {
			policy.Spec.PolicyTypes = append(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
		}
	}
	for i := range policy.Spec.Egress {
		ports := policy.Spec.Egress[i].Ports
		for j := range ports {
			if ports[j].Protocol == nil {
				tcp := corev1.ProtocolTCP
				ports[j].Protocol = &tcp
			}
		}
	}
	bytes, err := policy.Marshal()
	if err != nil {
		return nil, err
	}
	read := &networkingv1.NetworkPolicy{}
	return read, read.Unmarshal(bytes)
}

// AddressOf is the pod's address in the family of another.
func AddressOf(pod *corev1.Pod, other netip.Addr) (netip.Addr, bool) {
	for _, podIP := range pod.Status.PodIPs {
		if address, err := netip.ParseAddr(podIP.IP); err == nil && address.Is4() == other.Is4() {
			return address, true
		}
	}
	return netip.Addr{}, false
}
