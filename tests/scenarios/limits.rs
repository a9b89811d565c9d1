//! Policies that are larger than what is compiled, or than the kernel's tables: refused as a whole, and said.
//! The other limits are the compiler's own tests (`policy-engine`): text of that size takes long to read unoptimized.

use std::ffi::OsStr;
use std::fmt::Write as _;

use test_case::test_case;
use testkit::Lab;

use crate::in_lab;

#[test_case(&too_many_rules(), "the limit is 65536"; "rules")]
#[test_case(&too_many_port_rows(), "`PORTS` would have"; "the kernels port table")]
fn over_a_limit_nothing_starts_and_a_reload_leaves_the_last_good_rules(policy: &str, said: &str) {
    in_lab(|lab| {
        let ran = lab.folder().join("ran");
        let outcome = lab.held(policy).run([OsStr::new("touch"), ran.as_os_str()]);
        assert_eq!(outcome.code, Some(125), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
        assert!(!ran.exists());

        let gate = lab.folder().join("gate");
        let wait = format!("file {}", gate.display());
        let mut running = lab.held(&Lab::allowing(&["v4.example.com"])).start_probe(&[
            "tcp v4.example.com:7 before",
            &wait,
            "tcp v4.example.com:7 after",
            "tcp 198.51.100.66:7 x",
            "tcp 203.0.113.1:64 x",
            "until ok tcp forbidden.example.org:7 mended",
        ]);
        assert_eq!(running.sight().text.as_deref(), Some("before"));
        running.edit_policy(policy);
        running.wait_for_stderr("stay in force");
        assert!(running.stderr().contains(said), "{}", running.stderr());
        std::fs::write(&gate, "").unwrap();
        let seen: Vec<_> = (0..4).map(|_| running.sight()).collect();
        assert_eq!(seen[1].text.as_deref(), Some("after"), "{seen:#?}");
        assert_eq!(seen[2].error.as_deref(), Some("EPERM"), "{seen:#?}");
        assert_eq!(seen[3].error.as_deref(), Some("EPERM"), "{seen:#?}");
        running.edit_policy(&Lab::allowing(&["forbidden.example.org"]));
        assert_eq!(running.sight().text.as_deref(), Some("mended"));
        assert_eq!(running.finish().code, Some(0));
    });
}

/// As many policies as it takes, each as long as one may be.
fn too_many_rules() -> String {
    let rule = "    - {action: Allow, to: [{cidr: 203.0.113.0/24}]}\n";
    let policies = (0..129).map(|number| policy(&format!("p{number}"), &rule.repeat(512)));
    policies.collect()
}

/// Every address of a hundred and ten has a list of its own, of ten thousand rows: ranges that fit no power of two.
fn too_many_port_rows() -> String {
    let mut rules = String::new();
    for rule in 0..16 {
        let ranges: Vec<String> = (0..64)
            .map(|range| (rule * 64 + range) * 64)
            .map(|start| format!("{{port: {}, endPort: {}}}", start + 1, start + 62))
            .collect();
        writeln!(
            rules,
            "    - {{action: Allow, to: [{{cidr: 203.0.113.0/24}}], ports: [{}]}}",
            ranges.join(", ")
        )
        .unwrap();
    }
    for host in 1..=110 {
        writeln!(
            rules,
            "    - {{action: Allow, to: [{{cidr: 203.0.113.{host}/32}}], ports: [{{port: {}}}]}}",
            host * 64
        )
        .unwrap();
    }
    policy("ports", &rules)
}

fn policy(name: &str, rules: &str) -> String {
    format!(
        "apiVersion: egret.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: {name}}}\nspec:\n  egress:\n{rules}---\n"
    )
}
