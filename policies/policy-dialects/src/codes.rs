//! Every diagnostic code, its level and its meaning, in one table; `docs` are generated from [`ALL`].
//!
//! A code is a promise: scripts filter by it. Codes are added, never renamed or given another meaning.

use policy_model::Level;

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// What is printed and what scripts filter by.
    pub id: &'static str,
    /// How bad it is, always the same for one code.
    pub level: Level,
    /// What it says, in one line.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($(#[doc = $section:literal])? $name:ident = $level:ident $id:literal $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: Code = Code { id: $id, level: Level::$level, meaning: $meaning };)*

        /// Every code, in the order in which the documentation lists them.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    // Text.
    YAML_SYNTAX = Refused "yaml-syntax" "the document is not YAML";
    YAML_DUPLICATE_KEY = Refused "yaml-duplicate-key" "a key stands twice in one mapping, so it is unclear which one counts";
    YAML_LIMIT = Refused "yaml-limit" "the file is larger, deeper or has more aliases than a policy file may have";
    YAML_SURPRISING_NUMBER = Lint "yaml-surprising-number" "a number is written so that it means another one than it seems to";

    // Objects.
    NOT_AN_OBJECT = Refused "not-an-object" "the document is not an object with apiVersion, kind and metadata.name";
    NO_OBJECT = Refused "no-object" "the file is empty, or holds only comments";
    UNKNOWN_KIND = Refused "unknown-kind" "the object is of a kind no dialect has";
    UNSUPPORTED_DIALECT = Refused "unsupported-dialect" "the object is a policy of a dialect this version cannot enforce";
    UNSUPPORTED_VERSION = Refused "unsupported-version" "the apiVersion is not one this version reads";
    DUPLICATE_OBJECT = Refused "duplicate-object" "two objects have the same kind, namespace and name";
    WRONG_TYPE = Refused "wrong-type" "a value is of another type than the field";
    MISSING_FIELD = Refused "missing-field" "a field that must be there is not";
    UNKNOWN_FIELD = Refused "unknown-field" "a field that does not exist stands where it could change who is selected or what is enforced";
    UNKNOWN_RULE_FIELD = Closed "unknown-rule-field" "a field that does not exist stands in a rule, so the rule matches nothing";
    UNKNOWN_TOP_LEVEL_FIELD = Lint "unknown-top-level-field" "a field beside spec or in metadata does not exist and has no effect";
    POLICY_IN_WORLD = Refused "policy-in-world" "a file that describes a cluster holds a policy, which would not be in force";
    WORLD_IN_POLICIES = Refused "world-in-policies" "a file of policies holds an object that describes a cluster, and no cluster is described";
    IMPOSSIBLE_NAME = Lint "impossible-name" "a test file has an answer to something that is no DNS name, which nobody can have asked";
    INVALID_NAME = Refused "invalid-name" "a name or namespace is not one Kubernetes allows";
    INVALID_VALUE = Refused "invalid-value" "a value is not one of those the field may have";
    INVALID_SELECTOR = Refused "invalid-selector" "a label selector could not be read, so it is unclear who is selected";
    INVALID_CIDR = Refused "invalid-cidr" "not an address block in CIDR notation";
    INVALID_EXCEPT = Refused "invalid-except" "an exception does not lie inside the block it belongs to";
    INVALID_PORT = Refused "invalid-port" "not a port, or a range that ends before it starts";
    INVALID_PATTERN = Refused "invalid-pattern" "not a name or pattern of this dialect";
    EMPTY_MEANS_EVERYTHING = Lint "empty-list-means-everything" "an empty list limits nothing in this dialect, as if it were not there";
    KEY_WITHOUT_VALUE = Lint "key-without-value" "a key has no value, so an API server drops it, and it counts as if it were not there";
    EMPTY_LIST = Refused "empty-list" "an empty list where it is unclear whether everything or nothing is meant";
    CIDR_HOST_BITS = Lint "cidr-host-bits" "an address block has bits set beyond its prefix; they have no effect";

    UNREACHABLE_RULE = Lint "unreachable-rule" "a rule before it in the same object says the same already, so it has no effect";
    SHADOWED_RULE = Lint "shadowed-rule" "a rule before it in the same object covers it and decides otherwise";
    WILDCARD_WIDE = Lint "wildcard-wide" "a wildcard covers names that anybody can have";
    FQDN_IN_CLUSTER = Lint "fqdn-in-cluster" "a rule names a host of the cluster's own zone";
    ALLOW_OPENS_GUARD = Lint "allow-opens-guard" "a rule opens a guarded metadata address";
    GUARD_STAYS_CLOSED = Lint "guard-stays-closed" "a rule covers a guarded metadata address and does not open it";
    COVERS_HOST = Lint "covers-host" "a native block covers the machine itself, for a command that shares its network";
    DNS_NOT_ALLOWED = Lint "dns-not-allowed" "workloads are denied what no rule allows, are allowed what is reached by name, and may ask no DNS server";
    DNS_NODE_LOCAL = Lint "dns-node-local" "a rule for DNS means pods, and pods of this cluster ask a cache on their node";
    ORDER_TIE = Lint "order-tie" "two policies have one rank and decide differently, so the one whose name comes first decides";
    ONE_FAMILY = Lint "one-family" "blocks of one address family stand in a rule, and the cluster has both";
    SERVICE_PORT = Lint "service-port" "a rule has the port of a Service, and the pods behind it listen on another";
    POLICY_LIMIT = Refused "policy-limit" "the policies together are over a limit";

    // Native.
    NATIVE_CLUSTER_FIELD = Refused "native-cluster-field" "tier, priority and subject.namespaces belong to ClusterEgressPolicy";
    NATIVE_PEER = Refused "native-peer" "an entry of `to` has no peer or more than one kind of peer";
    NATIVE_SUBJECT = Refused "native-subject" "a subject mixes Kubernetes and plain Linux, or chooses in two ways";
    NATIVE_PASS_BY_NAME = Refused "native-pass-by-name" "a Pass rule cannot name a host: an expired look-up would change who decides";
    NATIVE_METADATA_ACTION = Refused "native-metadata-action" "metadata presets open a guard and stand in Allow rules only";
    NATIVE_QUESTIONS = Refused "native-questions" "questions say which names may be asked, and stand in Allow rules only";
    NATIVE_DNS = Refused "native-dns" "a policy filters names and leaves the resolvers alone, which exclude each other";
    NATIVE_SET = Closed "native-set" "a rule names an EgressSet that is not among the objects given";
    NATIVE_TOO_MANY = Refused "native-too-many" "a list is longer than it may be";
    NATIVE_TLS = Closed "native-tls" "TLS conditions need the proxy, which this version does not have";
    NATIVE_HTTP = Closed "native-http" "HTTP conditions need the proxy, which this version does not have";
    NATIVE_DENY_BY_NAME = Lint "native-deny-by-name" "a Deny rule with names refuses the names; their addresses stay reachable by other rules";
    NATIVE_DENY_FIRST = Lint "native-deny-first" "a Deny rule of a namespaced policy stands behind an Allow, and holds before it all the same";
    NATIVE_ALLOW_PRIVATE = Lint "native-allow-private" "allowPrivate has an effect only on names of Allow rules";
    NATIVE_PASS_IN_NAMESPACE = Lint "native-pass-in-namespace" "a Pass of a namespaced policy leaves the rules of every namespaced policy";
    NATIVE_LOG = Lint "native-log" "a Log rule changes nothing: a report has every ruling, with or without it";
    NATIVE_SUBJECT_LATER = Lint "native-subject-later" "units, users, cgroups and containers are chosen by `egret host`, which this version does not have";

    // Conversion into another dialect.
    CONVERT_SUBJECT = Refused "convert-subject" "the other dialect cannot say whom the policy selects, so it is left out";
    CONVERT_STAGED = Refused "convert-staged" "the other dialect has no staged changes of policies in force, so it is left out";
    CONVERT_TIER = Closed "convert-tier" "the other dialect has fewer tiers, and what the policy passes on or ends in changes";
    CONVERT_CLOSED = Closed "convert-closed" "the rule is not in force where it comes from, and stays so";
    CONVERT_PEER = Closed "convert-peer" "the other dialect cannot say which destinations are meant";
    CONVERT_WIDER = Closed "convert-wider" "the other dialect means more by the same words, so more may be allowed";
    CONVERT_QUESTIONS = Closed "convert-questions" "the other dialect does not limit look-ups of names as much: more names may be asked, and of more servers; nothing else opens by it";
    CONVERT_NARROWER = Closed "convert-narrower" "the other dialect means less by the same words, so less is allowed";
    CONVERT_ORDER = Closed "convert-order" "the other dialect has no order of rules: a Deny holds before every Allow, and an Allow behind a Pass or an end is left out, so less is allowed";
    CONVERT_DENY = Closed "convert-deny" "the other dialect cannot say what is denied, so it is left out and more may be allowed";
    CONVERT_NODE_PODS = Lint "convert-node-pods" "the other dialect never selects pods in the network of their node, host endpoints and what is no pod";
    CONVERT_MANNER = Lint "convert-manner" "the other dialect cannot say how a deny looks or what is only noted; no verdict changes";
    CONVERT_HOST_NETWORK = Lint "convert-host-network" "the other dialect also selects pods in the network of their node";
    CONVERT_LEFT_BEHIND = Closed "convert-left-behind" "the policy means network sets or host endpoints, which are no policies and are not written";
    CONVERT_ENTERPRISE = Lint "convert-enterprise" "names need Calico Enterprise or Cloud; elsewhere the set they stand in is empty, and less is allowed";
    CONVERT_PORTS = Closed "convert-ports" "the other dialect cannot say which ports or protocols are meant";

    // Cilium: what its own admission refuses.
    CILIUM_SUBJECT = Refused "cilium-subject" "the endpointSelector asks for something Egret cannot know of a pod";
    CILIUM_OTHER_NAMESPACE = Lint "cilium-other-namespace" "a namespaced policy selects pods of another namespace; its own is meant";
    CILIUM_SELECTORS = Refused "cilium-selectors" "a rule has both endpointSelector and nodeSelector, or neither";
    CILIUM_NODE_SELECTOR_NAMESPACED = Refused "cilium-node-selector-namespaced" "nodeSelector belongs to CiliumClusterwideNetworkPolicy";
    CILIUM_NO_RULES = Refused "cilium-no-rules" "a rule has none of ingress, ingressDeny, egress, egressDeny";
    CILIUM_NO_SPEC = Refused "cilium-no-spec" "a policy has neither spec nor specs";
    CILIUM_L3_COMBINATION = Refused "cilium-l3-combination" "an egress rule has two kinds of peer, which Cilium does not combine";
    CILIUM_NEEDS_FLAG = Lint "cilium-needs-flag" "what Cilium's agent accepts only with a flag that is off by default";
    CILIUM_NODES_FLAG = Refused "cilium-nodes-flag" "toNodes needs Cilium's flag enable-node-selector-labels";
    CILIUM_EMPTY_PEERS = Refused "cilium-empty-peers" "toFQDNs: [] or toGroups: [] would mean every destination in Cilium";
    CILIUM_ENTITY = Refused "cilium-entity" "not an entity of Cilium";
    CILIUM_FQDN = Refused "cilium-fqdn" "a name selector Cilium does not accept";
    CILIUM_CIDR = Refused "cilium-cidr" "an address block Cilium does not accept";
    CILIUM_PORT = Refused "cilium-port" "a port Cilium does not accept";
    CILIUM_TOO_MANY = Refused "cilium-too-many" "more ports or ICMP types than Cilium accepts in one rule";
    CILIUM_ICMP = Refused "cilium-icmp" "an ICMP rule Cilium does not accept";
    CILIUM_ICMPS_WITH_PORTS = Refused "cilium-icmps-with-ports" "icmps and toPorts stand in one rule";
    CILIUM_L7 = Refused "cilium-l7" "layer 7 rules Cilium does not accept here";
    CILIUM_SERVER_NAME = Refused "cilium-server-name" "a server name Cilium does not accept";
    CILIUM_LISTENER = Refused "cilium-listener" "a listener beside layer 7 rules";
    CILIUM_DENY_FIELD = Refused "cilium-deny-field" "a field egressDeny does not have";

    // Cilium: what Egret cannot enforce yet.
    CILIUM_TO_ENDPOINTS = Closed "cilium-to-endpoints" "a selector of toEndpoints asks for something Egret cannot know of a pod";
    CILIUM_TO_SERVICES = Closed "cilium-to-services" "an entry of toServices names Services in no way, or in two";
    CILIUM_TO_GROUPS = Closed "cilium-to-groups" "toGroups needs a cloud's API, which Egret does not ask";
    CILIUM_TO_REQUIRES = Closed "cilium-to-requires" "toRequires was removed from Cilium and has no meaning";
    CILIUM_CIDR_GROUP = Closed "cilium-cidr-group" "no CiliumCIDRGroup of that name or those labels is among the objects given";
    CILIUM_CLUSTER_ENTITY = Closed "cilium-cluster-entity" "the entity is known to Cilium's own agents alone";
    CILIUM_NAMED_PORT = Closed "cilium-named-port" "a DNS rule stands on a port given by name, and names are filtered on known servers only";
    CILIUM_SERVER_NAMES = Closed "cilium-server-names" "serverNames need the proxy, which this version does not have";
    CILIUM_HTTP = Closed "cilium-http" "HTTP rules need the proxy, which this version does not have";
    CILIUM_HTTP_HOST = Closed "cilium-http-host" "a host of an HTTP rule is no regular expression, which Cilium's proxy does not take";
    CILIUM_L7_OTHER = Closed "cilium-l7-other" "layer 7 rules of this kind are not enforced by Egret";
    CILIUM_TLS = Closed "cilium-tls" "TLS termination and origination are not done by Egret";
    CILIUM_ENVOY_LISTENER = Closed "cilium-envoy-listener" "traffic is not sent to Envoy listeners by Egret";
    CILIUM_AUTHENTICATION = Closed "cilium-authentication" "mutual authentication is not done by Egret";

    // Cilium: what surprises.
    CILIUM_DENY_ONLY_ISOLATES = Lint "cilium-deny-only-isolates" "a policy with only egressDeny denies all other egress too";
    CILIUM_SELECTS_EVERYTHING = Lint "cilium-selects-everything" "a clusterwide policy selects every pod of every namespace, kube-system's too";
    CILIUM_DNS_WILDCARD = Lint "cilium-dns-wildcard" "every name may be asked, so data can leave inside of names";
    CILIUM_DNS_WITHOUT_NAMES = Lint "cilium-dns-without-names" "a DNS rule without matchName and matchPattern allows only the root name";
    CILIUM_INGRESS = Lint "cilium-ingress" "ingress rules are not enforced: Egret holds egress";
    CILIUM_RESERVED_LABEL = Lint "cilium-reserved-label" "a reserved label selects no pod";
    CILIUM_IDENTITY_LABEL = Lint "cilium-identity-label" "a selector uses a label that Cilium's agent leaves out of identities by default";
    CILIUM_NODE_SUBJECT = Lint "cilium-node-subject" "a nodeSelector is about the nodes' own traffic, not about the pods on them";
    CILIUM_CIDR_IN_CLUSTER = Lint "cilium-cidr-in-cluster" "a block holds addresses of the cluster, which blocks never mean in Cilium";
    CILIUM_SERVICE_ANY_NAMESPACE = Lint "cilium-service-any-namespace" "a Service is named without its namespace, so every namespace is meant";
    CILIUM_SERVICE_KUBERNETES = Lint "cilium-service-kubernetes" "the API server is named by its Service, which Cilium advises against";
    CILIUM_DNS_LIMITS = Lint "cilium-dns-limits" "rules.dns limits which names may be asked even where nothing is denied by default";
    CILIUM_EMPTY_PORTS = Lint "cilium-empty-ports" "an empty ports list makes no entry, so it matches nothing";
    CILIUM_EMPTY_LIST = Lint "cilium-empty-list" "an empty list of peers allows nothing";

    // Calico: what its own admission refuses.
    CALICO_SELECTOR = Refused "calico-selector" "not a selector of Calico's language";
    CALICO_GLOBAL = Refused "calico-global" "global() stands alone, and only in the namespaceSelector of a source or destination";
    CALICO_LABEL = Refused "calico-label" "a label that Calico gives by itself is written";
    CALICO_TIER = Refused "calico-tier" "a Tier that Calico does not accept";
    CALICO_TIER_MISSING = Refused "calico-tier-missing" "a policy is in a tier that is not there";
    CALICO_TYPES = Refused "calico-types" "types are empty, or name one twice";
    CALICO_TOO_MANY = Refused "calico-too-many" "more rules, blocks, ports or HTTP matches than Calico accepts";
    CALICO_NETS = Refused "calico-nets" "address blocks Calico does not accept, or of both families in one rule";
    CALICO_PROTOCOL = Refused "calico-protocol" "a protocol Calico does not know";
    CALICO_PORT = Refused "calico-port" "not a port, a range or a port's name";
    CALICO_PORTS_PROTOCOL = Refused "calico-ports-protocol" "ports without a protocol that has ports";
    CALICO_ICMP = Refused "calico-icmp" "an ICMP match Calico does not accept";
    CALICO_SERVICES = Refused "calico-services" "a service match Calico does not accept";
    CALICO_HTTP = Refused "calico-http" "an HTTP match where Calico does not accept one: in egress, or in a rule that does not Allow";
    CALICO_DOMAIN = Refused "calico-domain" "a name Calico Enterprise does not accept, or one where it accepts none";
    CALICO_FORWARD = Refused "calico-forward" "doNotTrack, preDNAT and applyOnForward contradict each other";
    CALICO_STAGED = Refused "calico-staged" "a staged policy that deletes says more than which policy";
    CALICO_HOST_ENDPOINT = Refused "calico-host-endpoint" "a HostEndpoint that Calico does not accept";

    // Calico: what Egret cannot enforce.
    CALICO_EMPTIED_DESTINATION = Closed "calico-emptied-destination" "the destination of an Allow is empty: its domains may have been dropped by a server that does not know them";
    CALICO_SOURCE_PORTS = Closed "calico-source-ports" "Egret does not judge by the port a flow comes from";
    CALICO_DOMAIN_BESIDE = Closed "calico-domain-beside" "domains stand beside a condition on addresses, which cannot be held together";
    CALICO_SERVICES_FAMILY = Closed "calico-services-family" "Services stand beside a condition on the address family, which cannot be held together";
    CALICO_PROFILE_SOURCE = Closed "calico-profile-source" "a profile's rule has a condition on the source";

    // Calico: what surprises.
    CALICO_INGRESS = Lint "calico-ingress" "ingress rules are not enforced: Egret holds egress";
    CALICO_UNKNOWN_INGRESS_FIELD = Lint "calico-unknown-ingress-field" "a field that does not exist stands in an ingress rule";
    CALICO_INGRESS_ONLY = Lint "calico-ingress-only" "a policy without types and rules is for ingress only, and denies no egress";
    CALICO_EGRESS_WITHOUT_TYPE = Lint "calico-egress-without-type" "egress rules stand in a policy whose types do not name Egress";
    CALICO_NOT_DEFAULTED = Lint "calico-not-defaulted" "nothing is defaulted in crd.projectcalico.org/v1: without types, a policy is for both ways";
    CALICO_NAME_TIER = Lint "calico-name-tier" "a policy's name does not begin with its tier";
    CALICO_SELECTS_EVERYTHING = Lint "calico-selects-everything" "a global policy selects host endpoints or kube-system too";
    CALICO_NOT_SELECTOR_NAMESPACE = Lint "calico-not-selector-namespace" "notSelector in a namespaced policy is about the own namespace only";
    CALICO_EMPTY_LIST = Lint "calico-empty-list" "an empty list restricts nothing";
    CALICO_EMPTY_SET = Lint "calico-empty-set" "a network set is empty; its domains may have been dropped by a server that does not know them";
    CALICO_DOMAIN_DENY = Lint "calico-domain-deny" "a rule that does not Allow selects a network set whose names do not count there";
    CALICO_DO_NOT_TRACK = Lint "calico-do-not-track" "an untracked policy is for host endpoints only, before every tier";
    CALICO_APPLY_ON_FORWARD = Lint "calico-apply-on-forward" "flows a host forwards for others are not judged";
    CALICO_STAGED_IDLE = Lint "calico-staged-idle" "a staged policy that learns or is ignored changes nothing";
    CALICO_STAGED_MISSING = Lint "calico-staged-missing" "a staged policy deletes a policy that is not there";
    CALICO_PROFILE = Lint "calico-profile" "rules of profiles are deprecated, and hold for host endpoints only";
    CALICO_PROFILE_MISSING = Lint "calico-profile-missing" "a host endpoint names a profile that is not there";
    CALICO_HOST_ENDPOINT_DENIES = Lint "calico-host-endpoint-denies" "a host endpoint without profiles denies what no policy allows";
    CALICO_HOST_ENDPOINT_ADDRESSES = Lint "calico-host-endpoint-addresses" "a host endpoint has no addresses, so no rule means it as a destination";

    // NetworkPolicy: what the API server refuses.
    NETWORK_POLICY_PEER = Refused "network-policy-peer" "an entry of `to` has no peer, or an ipBlock beside selectors";

    // NetworkPolicy: what surprises.
    NETWORK_POLICY_NO_SELECTOR = Lint "network-policy-no-selector" "podSelector is absent, so every pod of the namespace is selected";
    NETWORK_POLICY_NAMESPACE = Lint "network-policy-namespace" "a policy names no namespace; the one it is applied in is meant";
    NETWORK_POLICY_INGRESS = Lint "network-policy-ingress" "what a policy says of ingress is not enforced: Egret holds egress";
    NETWORK_POLICY_EGRESS_IGNORED = Lint "network-policy-egress-ignored" "a policy says something of egress and is no policy for egress, so it denies nothing";

    NETWORK_POLICY_BLOCK_BESIDE_CILIUM = Lint "network-policy-block-beside-cilium" "a block holds addresses of pods or nodes, which no block means where Cilium enforces it";

    // ClusterNetworkPolicy, AdminNetworkPolicy and BaselineAdminNetworkPolicy: what the API server refuses.
    CLUSTER_NETWORK_POLICY_SUBJECT = Refused "cluster-network-policy-subject" "a subject has not exactly one of namespaces and pods";
    CLUSTER_NETWORK_POLICY_ONE_OF = Refused "cluster-network-policy-one-of" "two fields are set where exactly one may be";
    CLUSTER_NETWORK_POLICY_TOO_MANY = Refused "cluster-network-policy-too-many" "more rules, peers, ports, blocks or names than the API takes";
    CLUSTER_NETWORK_POLICY_DUPLICATE = Refused "cluster-network-policy-duplicate" "a block or name stands twice in one peer";
    CLUSTER_NETWORK_POLICY_NAMED_PORT = Refused "cluster-network-policy-named-port" "a named port beside networks, nodes or names, which have none";
    CLUSTER_NETWORK_POLICY_BASELINE_NAME = Refused "cluster-network-policy-baseline-name" "a BaselineAdminNetworkPolicy has another name than `default`";

    // The same: what fails closed, as the API says.
    CLUSTER_NETWORK_POLICY_PEER = Closed "cluster-network-policy-peer" "a peer of no known kind: an Accept matches nothing, a Deny or Pass denies everything";
    CLUSTER_NETWORK_POLICY_PROTOCOL = Closed "cluster-network-policy-protocol" "a protocol or port of no known kind: an Accept matches nothing, a Deny or Pass denies everything";
    CLUSTER_NETWORK_POLICY_DENY_BY_NAME = Closed "cluster-network-policy-deny-by-name" "domainNames in a Deny or Pass, which the API does not support: the rule denies everything";

    // The same: what surprises.
    CLUSTER_NETWORK_POLICY_BASELINE_BY_NAME = Lint "cluster-network-policy-baseline-by-name" "domainNames in the Baseline tier, which newer versions of the API refuse";
    CLUSTER_NETWORK_POLICY_EXPERIMENTAL = Lint "cluster-network-policy-experimental" "domainNames and nodes exist in the experimental channel; another server drops them, and the rule fails closed";
    CLUSTER_NETWORK_POLICY_PORT_NAME = Lint "cluster-network-policy-port-name" "no container port can have this name, so it matches nothing";
    CLUSTER_NETWORK_POLICY_SELECTS_EVERYTHING = Lint "cluster-network-policy-selects-everything" "a policy that denies selects every pod of every namespace, kube-system's too";
    CLUSTER_NETWORK_POLICY_DENIES_CLUSTER = Lint "cluster-network-policy-denies-cluster" "a Deny of every address denies pods, Services, nodes and the cluster's DNS too";
    CLUSTER_NETWORK_POLICY_TWO_APIS = Lint "cluster-network-policy-two-apis" "an AdminNetworkPolicy and a ClusterNetworkPolicy decide differently, and no text says which goes first";
    CLUSTER_NETWORK_POLICY_INGRESS = Lint "cluster-network-policy-ingress" "ingress rules are not enforced: Egret holds egress";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ALL;

    #[test]
    fn codes_are_unique_and_readable() {
        let ids: BTreeSet<&str> = ALL.iter().map(|code| code.id).collect();
        assert_eq!(ids.len(), ALL.len());
        for code in ALL {
            assert!(
                code.id
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{}",
                code.id
            );
            assert!(
                !code.meaning.ends_with('.') && !code.meaning.is_empty(),
                "{}",
                code.id
            );
        }
    }
}
