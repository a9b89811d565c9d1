//! No text makes the reader panic or take long: random bytes, and policies with pieces cut, doubled and swapped.

use crate::support::read_text;

const SEEDS: &[&str] = &[
    "apiVersion: egret.dev/v1alpha1\nkind: ClusterEgressPolicy\nmetadata: {name: a}\nspec:\n  tier: admin\n  subject: {pods: {matchExpressions: [{key: app, operator: In, values: [x]}]}}\n  egress:\n    - {action: Allow, to: [{fqdn: [\"*.example.com\"]}, {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}], ports: [{port: 443}, {protocol: ICMP, type: 8}]}\n    - action: Allow\n      metadata: [aws-imds]\n",
    "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: b\nspecs:\n  - endpointSelector: &all {matchLabels: {\"k8s:app\": web}}\n    egress:\n      - toFQDNs: [{matchName: a.example}, {matchPattern: \"**.b.example\"}]\n        toPorts: [{ports: [{port: \"8000\", endPort: 8010, protocol: TCP}]}]\n      - toPorts: [{ports: [{port: \"53\", protocol: ANY}], rules: {dns: [{matchPattern: \"*\"}]}}]\n      - icmps: [{fields: [{type: EchoRequest, family: IPv6}]}]\n  - endpointSelector: *all\n    egressDeny: [{toEntities: [world]}]\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: c, namespace: n}\nspec:\n  podSelector: {matchLabels: {app: web}}\n  policyTypes: [Egress]\n  egress:\n    - to: [{podSelector: {}, namespaceSelector: {matchExpressions: [{key: a, operator: NotIn, values: [b]}]}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]\n      ports: [{port: http}, {protocol: UDP, port: 53, endPort: 60}]\n",
    "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: d}\nspec:\n  tier: Admin\n  priority: 5\n  subject: {pods: {podSelector: {}}}\n  egress:\n    - {action: Accept, to: [{domainNames: [\"*.example.com\"]}, {nodes: {}}], protocols: [{tcp: {destinationPort: {range: {start: 1, end: 9}}}}]}\n    - {action: Deny, to: [{networks: [0.0.0.0/0, \"::/0\"]}, {}]}\n---\napiVersion: policy.networking.k8s.io/v1alpha1\nkind: BaselineAdminNetworkPolicy\nmetadata: {name: default}\nspec:\n  subject: {namespaces: {}}\n  egress: [{action: Deny, to: [{pods: {namespaceSelector: {}, podSelector: {}}}], ports: [{portNumber: {port: 80}}, {namedPort: a}]}]\n",
    "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"kind\": \"X\", \"apiVersion\": \"y\"}, null, [], 7]}",
    "a: |\n  text\n  more\nb: >-\n  folded\n--- \n? complex\n: value\n...\n%YAML 1.2\n---\n'quoted': \"\\u00e9\\x41\"\n<<: {a: b}\n",
];

#[test]
fn mutated_policies_never_panic() {
    let seed = std::env::var("EGRET_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x5eed_u64);
    let rounds: u32 = std::env::var("EGRET_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(20_000);
    println!("EGRET_SEED={seed}");
    let mut random = Random(seed);
    for round in 0..rounds {
        let mut bytes = SEEDS[random.below(SEEDS.len())].as_bytes().to_vec();
        if round % 10 == 0 {
            bytes = (0..random.below(200)).map(|_| random.byte()).collect();
        }
        for _ in 0..=random.below(8) {
            random.mutate(&mut bytes);
        }
        let text = String::from_utf8_lossy(&bytes);
        let (policies, diagnostics) = read_text(&text);
        assert!(
            text.trim().is_empty() || policies.len() + diagnostics.len() < 100_000,
            "an answer far larger than the question"
        );
    }
}

/// A xorshift generator: reproducible, and no dependency.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).expect("small")).expect("small")
    }

    fn byte(&mut self) -> u8 {
        const LIKELY: &[u8] = b"-:[]{}\"'|>&*!#%,? \n\t\r~<@`\\.0123456789abcxyz\xff\xc3\xe2";
        LIKELY[self.below(LIKELY.len())]
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            bytes.push(self.byte());
            return;
        }
        let (a, b) = (self.below(bytes.len()), self.below(bytes.len()));
        let (low, high) = (a.min(b), a.max(b));
        match self.below(6) {
            0 => bytes[a] = self.byte(),
            1 => bytes.insert(a, self.byte()),
            2 => {
                bytes.drain(low..high.min(low + 20));
            }
            3 => {
                let piece: Vec<u8> = bytes[low..high.min(low + 60)].to_vec();
                bytes.splice(a..a, piece);
            }
            4 => bytes.swap(a, b),
            _ => bytes.truncate(high),
        }
    }
}
