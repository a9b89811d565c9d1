package main

import (
	"net"
	"strings"
)

// names answers for the evaluator's cache of DNS answers, which fills itself from packets and nothing else.
type names struct {
	addresses map[string][]string
}

// ContainsIP says whether a name that the pattern covers stands for the address. The pattern is an exact name, or `*.`
// for one or more labels.
func (n *names) ContainsIP(pattern string, ip net.IP) bool {
	for name, addresses := range n.addresses {
		if !covers(pattern, name) {
			continue
		}
		for _, address := range addresses {
			if ip.Equal(net.ParseIP(address)) {
				return true
			}
		}
	}
	return false
}

func covers(pattern, name string) bool {
	suffix, wildcard := strings.CutPrefix(pattern, "*")
	if wildcard {
		return len(name) > len(suffix) && strings.HasSuffix(name, suffix)
	}
	return pattern == name
}
