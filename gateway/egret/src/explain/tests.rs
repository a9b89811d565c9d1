use clap::Parser as _;
use test_case::test_case;

use super::*;
use crate::cli::{Cli, Verb};

const POLICY: &str = "\
apiVersion: egret.dev/v1alpha1
kind: EgressPolicy
metadata: {name: ci}
spec:
  egress:
  - name: source
    action: Allow
    to: [{fqdn: [\"*.example.com\"]}]
    ports: [{port: 443}]
  - action: Allow
    to: [{cidr: 198.51.100.0/24}]
    ports: [{protocol: ICMP, type: 8}]
";

/// Runs the verb on files in a folder of their own.
#[expect(clippy::unwrap_in_result, reason = "a test's own files can be written")]
fn explain_with(files: &[(&str, &str)], line: &str) -> Result<Answer, ExplainError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let line = line.replace('@', &format!("{}/", folder.path().display()));
    let Verb::Explain(args) =
        Cli::try_parse_from(["egret", "explain"].into_iter().chain(line.split(' ')))
            .unwrap()
            .verb
    else {
        panic!("explain")
    };
    explain(&args)
}

fn answered(line: &str) -> Answer {
    explain_with(&[("ci.yaml", POLICY)], &format!("--policy @ci.yaml {line}")).unwrap()
}

/// The text without the folder's name, which changes.
fn told(answer: &Answer) -> String {
    let text = text::answer(answer, Look::Plain);
    text.lines()
        .map(|line| match line.find("/ci.yaml") {
            Some(at) => {
                let start = line[..at].rfind(' ').map_or(0, |space| space + 1);
                format!("{}{}\n", &line[..start], &line[at + 1..])
            }
            None => format!("{line}\n"),
        })
        .collect()
}

#[test]
fn an_allow_begins_with_the_verdict_and_the_rule() {
    let answer = answered("--to api.example.com --port 443");
    assert_eq!(answer.verdict(), Verdict::Allow);
    let ip = answer.flows[0].enforced.flow.ip;
    let text = told(&answer);
    assert!(
        text.starts_with(&format!(
            "\
allow  api.example.com 443/TCP

  because   allow, rule 0 `source` of EgressPolicy/ci, tier namespace/union
  at        ci.yaml:6:5
  by name   api.example.com stands for {ip} for 60 s more
"
        )),
        "{text}"
    );
    assert!(text.contains("\n  namespace/union  decided\n    -> allow  ci.yaml:6  EgressPolicy/ci rule 0 `source`  matches by api.example.com\n"), "{text}");
}

#[test]
fn a_deny_names_the_nearest_rule() {
    let answer = answered("--to api.example.com --port 80");
    assert_eq!(answer.verdict(), Verdict::Deny);
    let text = told(&answer);
    assert!(
        text.contains("  because   no rule allows it, and what no rule allows is denied by\n            EgressPolicy/ci  ci.yaml:4:1\n"),
        "{text}"
    );
    assert!(
        text.contains(
            "  nearest   ci.yaml:6  EgressPolicy/ci rule 0 `source`: another port or protocol\n"
        ),
        "{text}"
    );
}

#[test]
fn a_name_that_may_not_be_asked_is_denied_for_that() {
    let answer = answered("--to tracker.example.org --port 443");
    assert_eq!(answer.verdict(), Verdict::Deny);
    let text = told(&answer);
    assert!(
        text.contains("  because   tracker.example.org may not be asked: no rule names it, names are filtered by EgressPolicy/ci\n"),
        "{text}"
    );
    assert!(text.contains("NXDOMAIN"), "{text}");
}

#[test_case("{query: gone.example.com, rcode: NXDOMAIN}"; "no such name")]
#[test_case("{query: gone.example.com, answers: []}"; "no answer")]
#[test_case("{query: gone.example.com, answers: [{type: CNAME, data: a.example.net, ttl: 60}]}"; "an alias of nothing")]
fn a_name_without_an_address_is_not_reached_at_a_made_up_one(response: &str) {
    let answer = explain_with(
        &[
            ("ci.yaml", POLICY),
            ("dns.yaml", &format!("- {response}\n")),
        ],
        "--policy @ci.yaml --dns @dns.yaml --to gone.example.com --port 443",
    )
    .unwrap();
    assert_eq!(
        (answer.verdict(), answer.would(), answer.fresh),
        (Verdict::Deny, Verdict::Deny, false)
    );
    let text = told(&answer);
    assert!(
        text.contains(
            "  because   no answer to the name holds an address\n  look-up   may be asked: "
        ),
        "{text}"
    );
    let json = json::answer(&answer);
    assert!(json.contains("\"code\": \"no-address\""), "{json}");
}

#[test]
fn icmp_is_asked_by_type() {
    assert_eq!(
        answered("--to 198.51.100.1 --port 8/ICMP").verdict(),
        Verdict::Allow
    );
    assert_eq!(
        answered("--to 198.51.100.1 --port 13/ICMP").verdict(),
        Verdict::Deny
    );
}

#[test]
fn answers_age() {
    let dns =
        "- {query: api.example.com, answers: [{type: A, data: 203.0.113.7, ttl: 60}], age: 5}\n";
    let at = |seconds: u32| {
        explain_with(
            &[("ci.yaml", POLICY), ("dns.yaml", dns)],
            &format!(
                "--policy @ci.yaml --dns @dns.yaml --at {seconds} --to 203.0.113.7 --port 443"
            ),
        )
        .unwrap()
    };
    assert_eq!(at(55).verdict(), Verdict::Allow);
    let over = at(56);
    assert_eq!(over.verdict(), Verdict::Deny);
    assert!(
        told(&over).contains("would match by api.example.com, which is over"),
        "{}",
        told(&over)
    );
}

#[test]
fn a_refused_policy_leaves_no_answer_but_for_the_best_effort() {
    let broken = "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: b}\nspec: {egres: []}\n";
    let files = [("ci.yaml", POLICY), ("b.yaml", broken)];
    let line = "--policy @ci.yaml --policy @b.yaml --to 192.0.2.1 --port 1";
    assert!(matches!(
        explain_with(&files, line),
        Err(ExplainError::Refused(_))
    ));
    assert!(explain_with(&files, &format!("{line} --best-effort")).is_ok());
}

#[test]
fn a_selector_needs_to_know_the_labels() {
    let selecting = POLICY.replace(
        "spec:\n",
        "spec:\n  subject: {pods: {matchLabels: {app: web}}}\n",
    );
    let files = [("ci.yaml", selecting.as_str())];
    let line = "--policy @ci.yaml --to 192.0.2.1 --port 1";
    assert!(matches!(
        explain_with(&files, line),
        Err(ExplainError::Compile(_))
    ));
    let labelled = explain_with(&files, &format!("{line} --labels app=web")).unwrap();
    assert_eq!(labelled.verdict(), Verdict::Deny);
    let others = explain_with(&files, &format!("{line} --labels app=db")).unwrap();
    assert_eq!(others.verdict(), Verdict::Allow);
}

#[test]
fn nobody_knows_a_pod_or_a_file_that_is_not_there() {
    let line = "--policy @ci.yaml --to 192.0.2.1 --port 1 --from prod/web-0";
    assert!(matches!(
        explain_with(&[("ci.yaml", POLICY)], line),
        Err(ExplainError::Need(..))
    ));
    let line = "--policy @nothing.yaml --to 192.0.2.1 --port 1";
    assert!(matches!(
        explain_with(&[], line),
        Err(ExplainError::Files(_))
    ));
    let line = "--policy @ci.yaml --to 192.0.2.1 --port 1 --dns @nothing.yaml";
    assert!(matches!(
        explain_with(&[("ci.yaml", POLICY)], line),
        Err(ExplainError::ReadAnswers { .. })
    ));
}

#[test]
fn json_tells_the_same() {
    let answer = answered("--to api.example.com --port 443");
    let json: serde_json::Value = serde_json::from_str(&json::answer(&answer)).unwrap();
    assert_eq!(json["verdict"], "allow");
    assert_eq!(json["reason"]["code"], "rule");
    assert_eq!(json["reason"]["rule"]["line"], 6);
    assert_eq!(
        json["addresses"][0]["tiers"][0]["rules"][0]["decides"],
        true
    );
    assert_eq!(
        json["addresses"][0]["tiers"][0]["rules"][1]["miss"],
        "address"
    );
    assert_eq!(json["made_up"], true);
}

#[test]
fn audit_shows_what_would_be() {
    let audited = POLICY.replace("spec:\n", "spec:\n  mode: audit\n");
    let answer = explain_with(
        &[("ci.yaml", &audited)],
        "--policy @ci.yaml --to 192.0.2.1 --port 443",
    )
    .unwrap();
    assert_eq!(
        (answer.verdict(), answer.would()),
        (Verdict::Allow, Verdict::Deny)
    );
    let told = told(&answer);
    assert!(
        told.contains("would be deny with every staged and audit policy in force"),
        "{told}"
    );
    assert!(
        told.contains("would     no rule allows it, isolated by EgressPolicy/ci"),
        "{told}"
    );
    let json: serde_json::Value = serde_json::from_str(&json::answer(&answer)).unwrap();
    let reason = &json["addresses"][0]["would_reason"];
    assert_eq!(reason["code"], "isolated");
    assert_eq!(reason["policies"][0]["name"], "ci");
}

const WORLD: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: prod, labels: {app: web}}
spec: {nodeName: n1}
status: {podIP: 10.0.0.5}
---
apiVersion: v1
kind: Pod
metadata: {name: db-0, namespace: prod, labels: {app: db}}
spec: {nodeName: n1}
status: {podIP: 10.0.0.7}
---
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 192.168.1.1}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: prod}
spec: {clusterIP: 10.96.0.7, selector: {app: db}, ports: [{port: 5432, targetPort: 5433}]}
";

const OF_PODS: &str = "\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: prod}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {matchLabels: {app: db}}}]
    ports: [{port: 5433}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: prod}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Egress]
  egress:
  - to: [{ipBlock: {cidr: 192.168.1.1/32}}]
";

fn in_cluster(line: &str) -> Result<Answer, ExplainError> {
    let files = [("ci.yaml", OF_PODS), ("world.yaml", WORLD)];
    explain_with(
        &files,
        &format!("--policy @ci.yaml --world @world.yaml {line}"),
    )
}

#[test_case("prod/web-0", "service/prod/db", 5432, Verdict::Allow, "rule"; "a service is its backends")]
#[test_case("prod/web-0", "10.96.0.7", 5432, Verdict::Allow, "rule"; "the service by its address")]
#[test_case("prod/web-0", "db.prod.svc.cluster.local", 5432, Verdict::Allow, "rule"; "the service by its name")]
#[test_case("pod/prod/web-0", "pod/prod/db-0", 5433, Verdict::Allow, "rule"; "a pod")]
#[test_case("prod/web-0", "pod/prod/db-0", 5432, Verdict::Deny, "isolated"; "another port of a pod")]
#[test_case("prod/web-0", "pod/prod/web-0", 22, Verdict::Allow, "own-address"; "itself")]
#[test_case("prod/db-0", "pod/prod/db-0", 22, Verdict::Allow, "own-address"; "itself too")]
#[test_case("prod/db-0", "service/prod/db", 5432, Verdict::Deny, "isolated"; "a service that leads back")]
#[test_case("prod/db-0", "node/n1", 10250, Verdict::Allow, "rule"; "a node")]
#[test_case("prod/web-0", "node/n1", 10250, Verdict::Deny, "isolated"; "a node that others may reach")]
fn pods_ask(from: &str, to: &str, port: u16, verdict: Verdict, why: &str) {
    let answer = in_cluster(&format!("--from {from} --to {to} --port {port}")).unwrap();
    let story = &answer.flows[0].enforced;
    assert_eq!((answer.verdict(), story.reason.code()), (verdict, why));
    assert!(!answer.fresh);
}

#[test]
fn a_service_tells_the_walk_of_a_backend() {
    let answer = in_cluster("--from prod/web-0 --to service/prod/db --port 5432").unwrap();
    let text = told(&answer);
    assert!(
        text.starts_with("allow  prod/web-0 to service/prod/db 5432/TCP\n"),
        "{text}"
    );
    assert!(
        text.contains(
            "\nthe walk of service/prod/db (10.96.0.7)\n  service          judged as its backends; told of pod/prod/db-0 (10.0.0.7) port 5433\n"
        ),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(&json::answer(&answer)).unwrap();
    assert_eq!(json["from"], "prod/web-0");
    assert_eq!(json["addresses"][0]["object"], "service/prod/db");
    assert_eq!(json["addresses"][0]["backend"]["object"], "pod/prod/db-0");
}

#[test]
fn a_deny_tells_of_a_rule_that_is_for_others() {
    let answer = in_cluster("--from prod/web-0 --to node/n1 --port 10250").unwrap();
    let text = told(&answer);
    assert!(
        text.ends_with("  selector         ci.yaml:18  NetworkPolicy/prod/db rule 0 would allow it, and its policy selects other workloads\n"),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(&json::answer(&answer)).unwrap();
    assert_eq!(json["addresses"][0]["of_others"][0]["line"], 18);
}

#[test]
fn a_guard_is_opened_by_no_wide_rule_for_others() {
    let wide = OF_PODS.replace("192.168.1.1/32", "0.0.0.0/0");
    let files = [("ci.yaml", wide.as_str()), ("world.yaml", WORLD)];
    for (to, reason, others) in [
        ("192.0.2.1", "isolated", true),
        ("169.254.169.254", "guard-metadata", false),
    ] {
        let line =
            format!("--policy @ci.yaml --world @world.yaml --from prod/web-0 --to {to} --port 80");
        let answer = explain_with(&files, &line).unwrap();
        assert_eq!(answer.flows[0].enforced.reason.code(), reason);
        let text = told(&answer);
        assert_eq!(text.contains("would allow it"), others, "{text}");
    }
}

#[test_case("--from prod/web-9 --to node/n1 --port 1", "the question needs pod `prod/web-9`, which is not in the world"; "an unknown pod asks")]
#[test_case("--from prod/web-0 --to pod/prod/web-9 --port 1", "the question needs pod `prod/web-9`, which is not in the world"; "an unknown pod is asked for")]
#[test_case("--from prod/web-0 --to node/n9 --port 1", "the question needs node `n9`, which is not in the world"; "an unknown node")]
#[test_case("--from prod/web-0 --to service/prod/db --port 80", "Service `prod/db` has no port 80/TCP in the world"; "a port the service does not have")]
#[test_case("--from prod/web-0 --to no.prod.svc.cluster.local --port 80", "`no.prod.svc.cluster.local` is a name of the cluster's own zone, and --world has no Service of that name"; "an unknown name of the cluster")]
#[test_case("--to node/n1 --port 80", "--from `command` is no pod, and --world describes a cluster: --from names the pod that asks, NAMESPACE/NAME"; "nobody asks")]
#[test_case("--from service/prod/db --to node/n1 --port 80", "--from `service/prod/db`: a Service asks for nothing by itself; name a pod, NAMESPACE/NAME"; "a service asks")]
#[test_case("--from a/b/c/d --to node/n1 --port 80", "--from `a/b/c/d` is not known: a pod is NAMESPACE/NAME or pod/NAMESPACE/NAME, what runs without a cluster `command`, `unit:NAME`, `user:NAME` or `cgroup:PATH`"; "nobody can be called so")]
#[test_case("--from prod/web-0 --to node/n1 --port 80 --labels a=b", "--labels, --namespace and --service-account say who a command is; `prod/web-0` has what --world says of it"; "other labels for a pod")]
fn what_the_world_does_not_have_is_no_answer(line: &str, expected: &str) {
    assert_eq!(in_cluster(line).unwrap_err().to_string(), expected);
}

#[test]
fn a_refused_policy_of_another_namespace_is_in_nobodys_way() {
    let broken = OF_PODS.replace("cidr: 192.168.1.1/32", "cidr: x");
    let line = "--policy @ci.yaml --world @world.yaml --to 192.0.2.1 --port 80 --from prod/web-0";
    let files = [("ci.yaml", broken.as_str()), ("world.yaml", WORLD)];
    assert!(matches!(
        explain_with(&files, line),
        Err(ExplainError::Refused(_))
    ));
    let elsewhere = broken.replace("{name: db, namespace: prod}", "{name: db, namespace: test}");
    let files = [("ci.yaml", elsewhere.as_str()), ("world.yaml", WORLD)];
    assert_eq!(explain_with(&files, line).unwrap().verdict(), Verdict::Deny);
}

#[test]
fn a_world_may_lie_in_the_file_of_the_policies() {
    let all = format!("{WORLD}---\n{OF_PODS}");
    let line =
        "--policy @all.yaml --world @all.yaml --from prod/web-0 --to pod/prod/db-0 --port 5433";
    let answer = explain_with(&[("all.yaml", &all)], line).unwrap();
    assert_eq!(answer.verdict(), Verdict::Allow);
}

#[test]
fn calicos_sets_are_known_without_a_world() {
    let sets = "\
apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: partners, labels: {role: partner}}
spec: {nets: [198.51.100.0/24]}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: out}
spec:
  types: [Egress]
  egress:
  - {action: Allow, destination: {selector: role == 'partner'}}
";
    let answer = |to: &str| {
        let line =
            format!("--policy @sets.yaml --to {to} --port 443 --labels app=x --namespace prod");
        explain_with(&[("sets.yaml", sets)], &line)
            .unwrap()
            .verdict()
    };
    assert_eq!(answer("198.51.100.7"), Verdict::Allow);
    assert_eq!(answer("192.0.2.1"), Verdict::Deny);
}

#[test]
fn answers_age_for_pods_too() {
    let policy = POLICY.replace("{name: ci}", "{name: ci, namespace: prod}");
    let dns =
        "- {query: api.example.com, answers: [{type: A, data: 203.0.113.7, ttl: 60}], age: 5}\n";
    let files = [
        ("ci.yaml", policy.as_str()),
        ("dns.yaml", dns),
        ("world.yaml", WORLD),
    ];
    let at = |seconds: u32| {
        let line = format!(
            "--policy @ci.yaml --world @world.yaml --dns @dns.yaml --at {seconds} --from prod/web-0 --to 203.0.113.7 --port 443"
        );
        explain_with(&files, &line).unwrap()
    };
    assert_eq!(at(55).verdict(), Verdict::Allow);
    let over = told(&at(56));
    assert!(over.contains("which is over"), "{over}");
}
