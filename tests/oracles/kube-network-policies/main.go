// An oracle: the evaluator of kube-network-policies, asked for egress alone.
//
// Its informers are made but never started; their stores are filled with each set. So what judges is the evaluator as
// it runs in a cluster, with its own way from an address to a pod, only without an API server.
package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"egret.dev/oracles/protocol"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/kube-network-policies/pkg/api"
	"sigs.k8s.io/kube-network-policies/pkg/network"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
	"sigs.k8s.io/kube-network-policies/pkg/podinfo"
	oldplugins "sigs.k8s.io/kube-network-policies/plugins/npa-v1alpha1"
	newplugins "sigs.k8s.io/kube-network-policies/plugins/npa-v1alpha2"
	"sigs.k8s.io/network-policy-api/apis/v1alpha1"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"
	policyinformers "sigs.k8s.io/network-policy-api/pkg/client/informers/externalversions"
)

func main() {
	machine, err := newMachine()
	if err != nil {
		panic(err)
	}
	protocol.Serve(machine.open)
}

// machine is everything that lives longer than a set.
type machine struct {
	engine *networkpolicy.PolicyEngine
	names  *names

	namespaces, pods, nodes, policies cache.Indexer
	admin, baseline, cluster          cache.Indexer

	world *protocol.World
}

// The node whose dataplane is being asked. Evaluation does not depend on it.
const nodeName = "here"

func newMachine() (*machine, error) {
	core := informers.NewSharedInformerFactory(nil, 0)
	policy := policyinformers.NewSharedInformerFactory(nil, 0).Policy()
	namespaces := core.Core().V1().Namespaces()
	pods := core.Core().V1().Pods()
	nodes := core.Core().V1().Nodes()
	standard := core.Networking().V1().NetworkPolicies()
	admin := policy.V1alpha1().AdminNetworkPolicies()
	baseline := policy.V1alpha1().BaselineAdminNetworkPolicies()
	cluster := policy.V1alpha2().ClusterNetworkPolicies()

	addresses, err := podinfo.NewInformerResolver(pods.Informer())
	if err != nil {
		return nil, err
	}
	names := &names{}
	// The order of the published programs. They are built for one generation of the API each; here both stand side by
	// side, and a set has objects of one of them.
	evaluators := []api.PolicyEvaluator{
		oldplugins.NewAdminNetworkPolicy(admin, names),
		newplugins.NewClusterNetworkPolicy(v1alpha2.AdminTier, cluster, names, nodes.Lister()),
		networkpolicy.NewStandardNetworkPolicy(nodeName, namespaces, pods, standard),
		newplugins.NewClusterNetworkPolicy(v1alpha2.BaselineTier, cluster, names, nodes.Lister()),
		oldplugins.NewBaselineAdminNetworkPolicy(baseline),
	}
	for i, evaluator := range evaluators {
		evaluators[i] = egressOnly{evaluator}
	}
	provider := podinfo.NewInformerProvider(pods, namespaces, nodes, []podinfo.IPResolver{addresses})
	return &machine{
		engine:     networkpolicy.NewPolicyEngine(provider, evaluators),
		names:      names,
		namespaces: namespaces.Informer().GetIndexer(),
		pods:       pods.Informer().GetIndexer(),
		nodes:      nodes.Informer().GetIndexer(),
		policies:   standard.Informer().GetIndexer(),
		admin:      admin.Informer().GetIndexer(),
		baseline:   baseline.Informer().GetIndexer(),
		cluster:    cluster.Informer().GetIndexer(),
	}, nil
}

// egressOnly leaves the destination's ingress policies out of the verdict.
type egressOnly struct{ api.PolicyEvaluator }

func (egressOnly) EvaluateIngress(context.Context, *network.Packet, *api.PodInfo, *api.PodInfo) (api.Verdict, error) {
	return api.VerdictNext, nil
}

func (m *machine) open(world *protocol.World) (protocol.Court, error) {
	var admin, baseline, cluster []any
	for _, other := range world.Others {
		switch other.APIVersion + " " + other.Kind {
		case "policy.networking.k8s.io/v1alpha1 AdminNetworkPolicy":
			policy, err := protocol.Decode[v1alpha1.AdminNetworkPolicy](other)
			if err != nil {
				return nil, err
			}
			for i := range policy.Spec.Egress {
				defaultPorts(policy.Spec.Egress[i].Ports)
			}
			admin = append(admin, policy)
		case "policy.networking.k8s.io/v1alpha1 BaselineAdminNetworkPolicy":
			policy, err := protocol.Decode[v1alpha1.BaselineAdminNetworkPolicy](other)
			if err != nil {
				return nil, err
			}
			for i := range policy.Spec.Egress {
				defaultPorts(policy.Spec.Egress[i].Ports)
			}
			baseline = append(baseline, policy)
		case "policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy":
			policy, err := protocol.Decode[v1alpha2.ClusterNetworkPolicy](other)
			if err != nil {
				return nil, err
			}
			cluster = append(cluster, policy)
		default:
			return nil, fmt.Errorf("no evaluator knows %s %s", other.APIVersion, other.Kind)
		}
	}
	for _, fill := range []struct {
		store   cache.Indexer
		objects []any
	}{
		{m.namespaces, objects(world.Namespaces)},
		{m.pods, objects(world.Pods)},
		{m.nodes, objects(world.Nodes)},
		{m.policies, objects(world.NetworkPolicies)},
		{m.admin, admin},
		{m.baseline, baseline},
		{m.cluster, cluster},
	} {
		if err := fill.store.Replace(fill.objects, ""); err != nil {
			return nil, err
		}
	}
	m.names.addresses = world.Names
	m.world = world
	return m, nil
}

// Ask asks the engine as the dataplane does: by addresses.
func (m *machine) Ask(flow protocol.Flow) (protocol.Question, error) {
	pod := m.world.Pod(flow.From)
	if pod == nil {
		return nil, fmt.Errorf("no pod %q", flow.From)
	}
	to, err := netip.ParseAddr(flow.To)
	if err != nil {
		return nil, err
	}
	from, ok := protocol.AddressOf(pod, to)
	if !ok {
		return nil, fmt.Errorf("%s has no address in the family of %s", flow.From, flow.To)
	}
	packet := &network.Packet{
		Family:  family(to),
		SrcIP:   net.IP(from.AsSlice()),
		DstIP:   net.IP(to.AsSlice()),
		Proto:   flow.Protocol,
		SrcPort: 40000,
		DstPort: flow.Port,
	}
	return func() (bool, error) {
		return m.engine.EvaluatePacket(context.Background(), packet)
	}, nil
}

func family(address netip.Addr) corev1.IPFamily {
	if address.Is4() {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

// defaultPorts gives the protocol that the schema of the API gives.
func defaultPorts(ports *[]v1alpha1.AdminNetworkPolicyPort) {
	if ports == nil {
		return
	}
	for i := range *ports {
		port := &(*ports)[i]
		if port.PortNumber != nil && port.PortNumber.Protocol == "" {
			port.PortNumber.Protocol = corev1.ProtocolTCP
		}
		if port.PortRange != nil && port.PortRange.Protocol == "" {
			port.PortRange.Protocol = corev1.ProtocolTCP
		}
	}
}

func objects[T any](typed []T) []any {
	all := make([]any, len(typed))
	for i, object := range typed {
		all[i] = object
	}
	return all
}
