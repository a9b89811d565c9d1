// Package protocol is what every oracle of this folder speaks: sets of Kubernetes objects and flows come in, a line of
// verdicts for each set goes out. The README beside it describes the lines.
package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Set is one line of input.
type Set struct {
	// Objects of any kind, as an author would write them: nothing is defaulted yet.
	Objects []json.RawMessage `json:"objects"`
	// Names says which addresses a name stands for while the flows are judged.
	Names map[string][]string `json:"names,omitempty"`
	Flows []Flow              `json:"flows"`
}

// Flow is a connection that a pod begins.
type Flow struct {
	// From is `namespace/name` of the pod.
	From string `json:"from"`
	// To is an address, whoever it belongs to.
	To       string          `json:"to"`
	Port     int             `json:"port"`
	Protocol corev1.Protocol `json:"protocol"`
}

// World is a set after its objects were read and defaulted.
type World struct {
	Namespaces      []*corev1.Namespace
	Pods            []*corev1.Pod
	Nodes           []*corev1.Node
	NetworkPolicies []*networkingv1.NetworkPolicy
	// Others are of kinds that only some oracles know.
	Others []Other
	Names  map[string][]string

	podByName map[string]*corev1.Pod
}

// Other is an object this package does not know.
type Other struct {
	metav1.TypeMeta
	Text json.RawMessage
}

// Read reads the objects of a set. An unknown field is an error: a misspelt one would be a rule that nobody judges.
func (s *Set) Read() (*World, error) {
	world := &World{Names: s.Names, podByName: map[string]*corev1.Pod{}}
	for _, text := range s.Objects {
		if err := world.add(text); err != nil {
			return nil, err
		}
	}
	return world, nil
}

func (w *World) add(text json.RawMessage) error {
	var meta metav1.TypeMeta
	if err := json.Unmarshal(text, &meta); err != nil {
		return err
	}
	switch meta.APIVersion + " " + meta.Kind {
	case "v1 Namespace":
		namespace, err := decode[corev1.Namespace](text)
		if err != nil {
			return err
		}
		defaultNamespace(namespace)
		w.Namespaces = append(w.Namespaces, namespace)
	case "v1 Pod":
		pod, err := decode[corev1.Pod](text)
		if err != nil {
			return err
		}
		defaultPod(pod)
		w.Pods = append(w.Pods, pod)
		w.podByName[pod.Namespace+"/"+pod.Name] = pod
	case "v1 Node":
		node, err := decode[corev1.Node](text)
		if err != nil {
			return err
		}
		w.Nodes = append(w.Nodes, node)
	case "networking.k8s.io/v1 NetworkPolicy":
		policy, err := decode[networkingv1.NetworkPolicy](text)
		if err != nil {
			return err
		}
		if policy, err = stored(policy); err != nil {
			return err
		}
		w.NetworkPolicies = append(w.NetworkPolicies, policy)
	default:
		w.Others = append(w.Others, Other{TypeMeta: meta, Text: text})
	}
	return nil
}

// Pod is the pod of that `namespace/name`, or nil.
func (w *World) Pod(name string) *corev1.Pod {
	return w.podByName[name]
}

// Decode reads an object of a kind that only some oracles know.
func Decode[T any](other Other) (*T, error) {
	return decode[T](other.Text)
}

func decode[T any](text json.RawMessage) (*T, error) {
	object := new(T)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(object); err != nil {
		return nil, fmt.Errorf("%w in %s", err, text)
	}
	return object, nil
}
