//! The shape of `egret.dev/v1alpha1` as JSON schema, for API servers and editors.
//!
//! The types below are read by nobody: deriving describes them, and `tests/schema.rs` holds them against the decoder, field by
//! field. What a schema cannot say is said in CEL, in the words of Kubernetes' `x-kubernetes-validations`.
#![expect(dead_code, reason = "only the shape of the types is used")]

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::v1alpha1::limits::{ENTRIES, MEMBERS, NAMES, NETS, PEERS, RULES};

/// `spec` of each kind, with the CEL rules of that kind.
pub fn spec_of(kind: &str) -> Option<Value> {
    let (schema, rules): (Value, &[Cel]) = match kind {
        "EgressPolicy" => (plain::<EgressPolicySpec>(), NAMESPACED),
        "ClusterEgressPolicy" => (plain::<EgressPolicySpec>(), CLUSTER),
        "EgressSet" => (plain::<EgressSetSpec>(), &[]),
        _ => return None,
    };
    let mut schema = schema;
    if !rules.is_empty() {
        schema["x-kubernetes-validations"] = cel(rules);
    }
    Some(schema)
}

type Cel = (&'static str, &'static str);

const NAMESPACED: &[Cel] = &[
    (
        "!has(self.tier) && !has(self.priority)",
        "an EgressPolicy has no tier and no priority: use ClusterEgressPolicy",
    ),
    (
        "!has(self.subject) || !(has(self.subject.namespaces) || has(self.subject.endpoints) || has(self.subject.hostEndpoint))",
        "an EgressPolicy selects in its own namespace: use ClusterEgressPolicy",
    ),
    (
        "!has(self.subject) || !has(self.subject.network) || self.subject.network == 'own'",
        "what runs in the network of a node is of no namespace: use ClusterEgressPolicy",
    ),
];

const CLUSTER: &[Cel] = &[(
    "!has(self.egress) || self.egress.all(r, !has(r.to) || r.to.all(p, !has(p.service) || has(p.service.__namespace__) || (has(p.service.allNamespaces) && p.service.allNamespaces)))",
    "a ClusterEgressPolicy says the namespace of a service, or allNamespaces",
)];

const SUBJECT: &[Cel] = &[
    (
        "!((has(self.namespaces) || has(self.pods) || has(self.serviceAccounts) || has(self.nodes) || has(self.network) || has(self.endpoints) || has(self.hostEndpoint)) && (has(self.unit) || has(self.user) || has(self.cgroup) || has(self.container) || has(self.command)))",
        "a subject chooses by Kubernetes or by plain Linux, not by both",
    ),
    (
        "!(has(self.endpoints) || has(self.hostEndpoint)) || !(has(self.namespaces) || has(self.pods) || has(self.serviceAccounts) || has(self.nodes) || has(self.network) || (has(self.endpoints) && has(self.hostEndpoint)))",
        "endpoints and hostEndpoint stand alone in a subject",
    ),
    (
        "!has(self.network) || self.network == 'own' || !(has(self.namespaces) || has(self.pods) || has(self.serviceAccounts))",
        "what runs in the network of a node is chosen by nodes alone",
    ),
];

const DNS: &[Cel] = &[(
    "!has(self.filter) || !has(self.resolvers) || !self.filter || self.resolvers",
    "names cannot be filtered by a policy that leaves the resolvers alone",
)];

const SERVICE: &[Cel] = &[
    (
        "has(self.name) != has(self.labels)",
        "a service is chosen by name or by labels",
    ),
    (
        "!has(self.allNamespaces) || !self.allNamespaces || !has(self.__namespace__)",
        "a service is in a namespace or in all of them",
    ),
];

const ENDPOINTS: &[Cel] = &[(
    "has(self.selector) || has(self.notSelector) || has(self.nets) || has(self.notNets)",
    "endpoints says something of them",
)];

const CONTAINER: &[Cel] = &[(
    "has(self.name) || (has(self.labels) && size(self.labels) > 0)",
    "a container is chosen by labels, by name or by both",
)];

const RULE: &[Cel] = &[
    (
        "self.action == 'Allow' || !has(self.metadata)",
        "metadata stands in Allow rules only: it opens a guard",
    ),
    (
        "self.action != 'Pass' || !has(self.to) || self.to.all(p, !has(p.fqdn))",
        "a Pass rule cannot name a host: who decides would change when a look-up expires",
    ),
    (
        "self.action == 'Allow' || !has(self.questions)",
        "questions stands in Allow rules only: it says which names may be asked",
    ),
    (
        "!has(self.askOnly) || !self.askOnly || (self.action == 'Allow' && has(self.to) && self.to.all(p, has(p.fqdn)) && !has(self.metadata) && !has(self.ports) && !has(self.exceptPorts) && !has(self.questions))",
        "askOnly stands in Allow rules that name hosts and nothing else",
    ),
];

const PEER: &[Cel] = &[
    (
        "(has(self.endpoints) ? 1 : 0) + (has(self.fqdn) ? 1 : 0) + (has(self.cidr) ? 1 : 0) + (has(self.pods) ? 1 : 0) + (has(self.nodes) ? 1 : 0) + (has(self.remoteNodes) ? 1 : 0) + (has(self.service) ? 1 : 0) + (has(self.entity) ? 1 : 0) + (has(self.set) ? 1 : 0) == 1",
        "an entry names exactly one kind of peer",
    ),
    (
        "!has(self.except) || has(self.cidr)",
        "except belongs to cidr",
    ),
    SCOPE,
    CHAIN,
];

const SCOPE: Cel = (
    "!has(self.scope) || has(self.cidr) || has(self.fqdn)",
    "scope belongs to cidr and fqdn",
);

const CHAIN: Cel = (
    "!has(self.chain) || has(self.fqdn)",
    "chain belongs to fqdn",
);

const MEMBER: &[Cel] = &[
    (
        "has(self.fqdn) != has(self.cidr)",
        "a member is either fqdn or cidr",
    ),
    (
        "!has(self.except) || has(self.cidr)",
        "except belongs to cidr",
    ),
    CHAIN,
];

const PORT: &[Cel] = &[
    (
        "!has(self.endPort) || has(self.port)",
        "endPort needs a port",
    ),
    (
        "!has(self.endPort) || !has(self.port) || self.endPort >= self.port",
        "a range does not end before it starts",
    ),
    (
        "!has(self.name) || (!has(self.port) && !has(self.type))",
        "a port is given by name or by number, not by both",
    ),
    ("!has(self.code) || has(self.type)", "a code needs its type"),
    (
        "!has(self.type) || (has(self.protocol) && (self.protocol == 'ICMP' || self.protocol == 'ICMPv6' || self.protocol == 1 || self.protocol == 58))",
        "type and code belong to ICMP and ICMPv6",
    ),
    (
        "!has(self.protocol) || !(self.protocol == 'ICMP' || self.protocol == 'ICMPv6' || self.protocol == 1 || self.protocol == 58) || !(has(self.port) || has(self.name))",
        "ICMP has no ports",
    ),
    (
        "!has(self.protocol) || (type(self.protocol) == int ? (int(self.protocol) >= 0 && int(self.protocol) <= 255) : (self.protocol == 'TCP' || self.protocol == 'UDP' || self.protocol == 'SCTP' || self.protocol == 'ICMP' || self.protocol == 'ICMPv6'))",
        "a protocol is TCP, UDP, SCTP, ICMP, ICMPv6 or a number up to 255",
    ),
];

fn cel(rules: &[Cel]) -> Value {
    rules
        .iter()
        .map(|(rule, message)| json!({"rule": rule, "message": message}))
        .collect()
}

/// Who is held, and what they may reach.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct EgressPolicySpec {
    /// Before (admin) or after (baseline) what namespaces say. ClusterEgressPolicy only; admin by default.
    tier: Option<Tier>,
    /// Lower first, among policies of one tier. ClusterEgressPolicy only; 1000 by default.
    #[schemars(range(min = 0, max = 1_000_000))]
    priority: Option<i64>,
    /// audit: not in force, its effect is only shown.
    mode: Option<Mode>,
    /// All given parts must match; absent: every workload.
    subject: Option<Subject>,
    /// Whether what no rule decides is denied: true by default for EgressPolicy, false for ClusterEgressPolicy.
    default_deny: Option<bool>,
    /// What happens to look-ups of names.
    dns: Option<Dns>,
    /// How a deny looks: refused at once, or silence.
    deny: Option<Deny>,
    /// Rules, in order.
    #[schemars(length(max = RULES))]
    egress: Option<Vec<Rule>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
enum Tier {
    Admin,
    Baseline,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
enum Mode {
    Enforce,
    Audit,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
enum Deny {
    Reject,
    Drop,
}

#[derive(JsonSchema)]
#[schemars(
    rename_all = "camelCase",
    deny_unknown_fields,
    extend("x-kubernetes-validations" = cel(DNS))
)]
struct Dns {
    /// false: names are learned, and every name may be asked.
    filter: Option<bool>,
    /// false: its names open no DNS server and filter nothing; another rule allows the server.
    resolvers: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(
    rename_all = "camelCase",
    deny_unknown_fields,
    extend("x-kubernetes-validations" = cel(SUBJECT))
)]
struct Subject {
    /// Labels of namespaces. ClusterEgressPolicy only.
    namespaces: Option<Selector>,
    /// Labels of pods.
    pods: Option<Selector>,
    /// Any of these.
    #[schemars(length(min = 1, max = ENTRIES))]
    service_accounts: Option<Vec<Text>>,
    /// Labels of the node the workload runs on.
    nodes: Option<Selector>,
    /// own: only pods with a network of their own. host: what runs in the network of its node, and only that
    /// (ClusterEgressPolicy only, beside `nodes` alone). Absent: pods of either.
    network: Option<Network>,
    /// Pods and host endpoints by an expression over their labels. ClusterEgressPolicy only.
    endpoints: Option<SubjectEndpoints>,
    /// Calico's HostEndpoint of that name. ClusterEgressPolicy only.
    #[schemars(length(min = 1))]
    host_endpoint: Option<String>,
    /// Plain Linux: a systemd unit, `*` for any characters.
    #[schemars(length(min = 1))]
    unit: Option<String>,
    /// Plain Linux: a login name.
    #[schemars(length(min = 1))]
    user: Option<String>,
    /// Plain Linux: a cgroup and those below it, `*` for any characters.
    #[schemars(length(min = 1))]
    cgroup: Option<String>,
    /// Plain Linux: a container.
    container: Option<Container>,
    /// Only (true) or never (false) the command of `egret run`.
    command: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
enum Network {
    Own,
    Host,
}

/// Endpoints by labels and by their own addresses; all given parts must hold.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct SubjectEndpoints {
    /// In Calico's selector language, over the labels Calico knows an endpoint by.
    selector: Expression,
    /// It has an address in one of these.
    #[schemars(length(min = 1, max = NETS))]
    nets: Option<Vec<Cidr>>,
    /// It has no address in any of these.
    #[schemars(length(min = 1, max = NETS))]
    not_nets: Option<Vec<Cidr>>,
}

#[derive(JsonSchema)]
#[schemars(
    rename_all = "camelCase",
    deny_unknown_fields,
    extend("x-kubernetes-validations" = cel(CONTAINER))
)]
struct Container {
    labels: Option<BTreeMap<String, String>>,
    #[schemars(length(min = 1))]
    name: Option<String>,
}

/// All must hold; none selects everything.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Selector {
    match_labels: Option<BTreeMap<String, String>>,
    #[schemars(length(max = ENTRIES))]
    match_expressions: Option<Vec<Requirement>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Option<Vec<String>>,
}

#[derive(JsonSchema)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

#[derive(JsonSchema)]
#[schemars(
    rename_all = "camelCase",
    deny_unknown_fields,
    extend("x-kubernetes-validations" = cel(RULE))
)]
struct Rule {
    /// For people and reports.
    name: Option<String>,
    action: Action,
    /// Any of these; absent: every destination.
    #[schemars(length(min = 1, max = PEERS))]
    to: Option<Vec<Peer>>,
    /// Metadata services that are opened for these subjects.
    #[schemars(length(min = 1, max = ENTRIES))]
    metadata: Option<Vec<MetadataPreset>>,
    /// Any of these; absent: every port and protocol.
    #[schemars(length(min = 1, max = ENTRIES))]
    ports: Option<Vec<Port>>,
    /// Every port and protocol, or those of `ports`, but these.
    #[schemars(length(min = 1, max = ENTRIES))]
    except_ports: Option<Vec<Port>>,
    /// The only names that may be asked of the DNS servers this rule allows. The rule opens known servers and nothing else.
    #[schemars(length(min = 1, max = NAMES))]
    questions: Option<Vec<Pattern>>,
    /// true: its names may be asked, and open no port.
    ask_only: Option<bool>,
    /// Whether the names may hold private addresses.
    allow_private: Option<bool>,
    /// Conditions on TLS, which a proxy checks.
    tls: Option<Tls>,
    /// Any of these requests, which a proxy checks.
    #[schemars(length(min = 1, max = ENTRIES))]
    http: Option<Vec<Http>>,
}

#[derive(JsonSchema)]
enum Action {
    Allow,
    Deny,
    Pass,
    Log,
}

/// One kind of peer.
#[derive(JsonSchema)]
#[schemars(
    rename_all = "camelCase",
    deny_unknown_fields,
    extend("x-kubernetes-validations" = cel(PEER))
)]
struct Peer {
    /// Names: `*.x` is one label below x, `**.x` one or more, `api-*.x` a part of one.
    #[schemars(length(min = 1, max = NAMES))]
    fqdn: Option<Vec<Pattern>>,
    /// Of fqdn: false counts a name only where it was asked itself, not where it led to an address by CNAME.
    chain: Option<bool>,
    cidr: Option<Cidr>,
    /// Exceptions, inside of cidr.
    #[schemars(length(max = ENTRIES))]
    except: Option<Vec<Cidr>>,
    /// Of fqdn and cidr: outside means no pod, node or Service of the cluster and not the host; any, by default, whatever has
    /// such an address.
    scope: Option<Scope>,
    /// Pods, host endpoints and network sets by an expression over their labels.
    endpoints: Option<Endpoints>,
    pods: Option<Pods>,
    nodes: Option<Selector>,
    /// Nodes but the one the workload runs on.
    remote_nodes: Option<Selector>,
    service: Option<Service>,
    entity: Option<Entity>,
    /// The name of an EgressSet.
    #[schemars(length(min = 1))]
    set: Option<String>,
}

/// Pods of the policy's namespace (ClusterEgressPolicy: of every namespace), or of chosen ones.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Pods {
    namespaces: Option<Selector>,
    match_labels: Option<BTreeMap<String, String>>,
    #[schemars(length(max = ENTRIES))]
    match_expressions: Option<Vec<Requirement>>,
    #[schemars(length(min = 1, max = ENTRIES))]
    service_accounts: Option<Vec<Text>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
enum Scope {
    Any,
    Outside,
}

/// The backends of a Service, or of several, on the ports that are its own.
#[derive(JsonSchema)]
#[schemars(
    rename_all = "camelCase",
    deny_unknown_fields,
    extend("x-kubernetes-validations" = cel(SERVICE))
)]
struct Service {
    /// The policy's own by default.
    #[schemars(length(min = 1))]
    namespace: Option<String>,
    /// true: of every namespace.
    all_namespaces: Option<bool>,
    #[schemars(length(min = 1))]
    name: Option<String>,
    /// Every Service that has these.
    labels: Option<Selector>,
    /// true: those backends on the ports of the rule, whatever ports the Service has.
    any_port: Option<bool>,
}

/// Endpoints by everything Calico can say of one; all given parts must hold.
#[derive(JsonSchema)]
#[schemars(
    rename_all = "camelCase",
    deny_unknown_fields,
    extend("x-kubernetes-validations" = cel(ENDPOINTS))
)]
struct Endpoints {
    /// In Calico's selector language, over the labels Calico knows an endpoint by.
    selector: Option<Expression>,
    /// No address of these.
    not_selector: Option<Expression>,
    /// In one of these.
    #[schemars(length(min = 1, max = NETS))]
    nets: Option<Vec<Cidr>>,
    /// In none of these.
    #[schemars(length(min = 1, max = NETS))]
    not_nets: Option<Vec<Cidr>>,
    /// false: `selector` means no network sets.
    network_sets: Option<bool>,
}

/// all: every destination. world: everything outside of the cluster and the host; world-ipv4 and world-ipv6: its halves. dns: the
/// known DNS servers, on their own ports. cluster: pods and nodes. host: the host's own addresses, for a pod those of its
/// node. remote-node: the cluster's other nodes. loopback: 127.0.0.0/8 and ::1 of the host.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum Entity {
    All,
    World,
    #[schemars(rename = "world-ipv4")]
    WorldIpv4,
    #[schemars(rename = "world-ipv6")]
    WorldIpv6,
    Dns,
    Cluster,
    Host,
    RemoteNode,
    Loopback,
    KubeApiserver,
}

/// Ports of one protocol, or ICMP types.
#[derive(JsonSchema)]
#[schemars(
    rename_all = "camelCase",
    deny_unknown_fields,
    extend("x-kubernetes-validations" = cel(PORT))
)]
struct Port {
    /// TCP by default.
    protocol: Option<Protocol>,
    #[schemars(range(min = 1, max = 65_535))]
    port: Option<i64>,
    #[schemars(range(min = 1, max = 65_535))]
    end_port: Option<i64>,
    /// A named port of the destination's containers.
    #[schemars(length(min = 1))]
    name: Option<String>,
    /// ICMP type.
    #[schemars(range(min = 0, max = 255))]
    r#type: Option<i64>,
    /// ICMP code.
    #[schemars(range(min = 0, max = 255))]
    code: Option<i64>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Tls {
    /// match: the server name must be the name that was resolved.
    sni: Option<Sni>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
enum Sni {
    Match,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Http {
    #[schemars(length(max = ENTRIES))]
    methods: Option<Vec<String>>,
    #[schemars(length(max = ENTRIES))]
    paths: Option<Vec<String>>,
}

/// A named list of blocks and names, for `set` of any policy.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct EgressSetSpec {
    #[schemars(length(max = MEMBERS))]
    members: Vec<Member>,
}

#[derive(JsonSchema)]
#[schemars(
    rename_all = "camelCase",
    deny_unknown_fields,
    extend("x-kubernetes-validations" = cel(MEMBER))
)]
struct Member {
    #[schemars(length(min = 1, max = NAMES))]
    fqdn: Option<Vec<Pattern>>,
    chain: Option<bool>,
    scope: Option<Scope>,
    cidr: Option<Cidr>,
    #[schemars(length(max = ENTRIES))]
    except: Option<Vec<Cidr>>,
}

macro_rules! written {
    ($($name:ident = $schema:expr;)*) => {$(
        struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

written! {
    Expression = json_schema!({"type": "string", "minLength": 1, "maxLength": 1024});
    Text = json_schema!({"type": "string", "maxLength": 253});
    Pattern = json_schema!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[-a-zA-Z0-9_.*]+$"});
    Cidr = json_schema!({"type": "string", "maxLength": 64, "pattern": "^[0-9a-fA-F.:]+/[0-9]{1,3}$"});
    Protocol = json_schema!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]});
    MetadataPreset = {
        let names: Vec<&str> = policy_model::Preset::ALL.iter().map(|preset| preset.as_str()).collect();
        json_schema!({"type": "string", "enum": names})
    };
}

/// The schema of `T` without references, titles and nulls: an absent field is absent, as for an API server.
fn plain<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    simplify(&mut schema);
    schema
}

fn simplify(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if !object.contains_key("x-kubernetes-int-or-string")
        && let Some(Value::Array(mut any_of)) = object.remove("anyOf")
    {
        any_of.retain(|one| one != &json!({"type": "null"}));
        if let [Value::Object(only)] = any_of.as_slice() {
            for (key, value) in only.clone() {
                object.entry(key).or_insert(value);
            }
        }
    }
    for key in ["title", "format", "$schema", "default"] {
        object.remove(key);
    }
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        properties.values_mut().for_each(simplify);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(key) {
            simplify(inner);
        }
    }
}
