//! What names of Allow rules cover that their author may not expect.

use dns_names::NamePattern;
use policy_model::{Action, Peer, Peers, Policy, Rule};

use crate::codes;
use crate::decode::Findings;

/// Zones in which anybody can have a name; a wildcard right below them allows strangers.
const SHARED: &[&str] = &[
    "amazonaws.com",
    "s3.amazonaws.com",
    "cloudfront.net",
    "windows.net",
    "blob.core.windows.net",
    "azurewebsites.net",
    "azureedge.net",
    "storage.googleapis.com",
    "appspot.com",
    "run.app",
    "github.io",
    "gitlab.io",
    "herokuapp.com",
    "netlify.app",
    "vercel.app",
    "workers.dev",
    "pages.dev",
    "ngrok.io",
    "co.uk",
    "org.uk",
    "com.au",
    "co.jp",
    "com.br",
];

/// Top-level zones nobody can register a name in (RFC 2606, RFC 6761, RFC 6762, RFC 8375), and those of private networks.
const PRIVATE: &[&str] = &[
    "test",
    "example",
    "invalid",
    "localhost",
    "local",
    "internal",
    "arpa",
    "lan",
    "corp",
    "home",
];

/// The zone of a cluster whose operator chose no other.
const CLUSTER_ZONE: &str = "cluster.local";

pub(super) fn lint(policy: &Policy, findings: &mut Findings) {
    for rule in &policy.rules {
        let Peers::Of(peers) = &rule.peers else {
            continue;
        };
        if rule.action != Action::Allow || rule.closed.is_some() {
            continue;
        }
        for peer in peers {
            if let Peer::Fqdn(peer) = peer {
                lint_pattern(&peer.pattern, rule, findings);
            }
        }
    }
}

fn lint_pattern(pattern: &NamePattern, rule: &Rule, findings: &mut Findings) {
    let Some(zone) = pattern.zone() else {
        return;
    };
    let zone = zone.without_dot();
    if is_under(zone, CLUSTER_ZONE) {
        findings.report_origin(
            codes::FQDN_IN_CLUSTER,
            rule.origin.clone(),
            format!("`{pattern}` is a name of the cluster's own zone"),
            "name pods or a service instead: they are known at once, whoever asks, and whichever address they have",
        );
        return;
    }
    if pattern.exact().is_some() {
        return;
    }
    let top = zone.rsplit('.').next().unwrap_or(zone);
    let open_to_all = pattern.is_match_all()
        || !zone.contains('.') && !PRIVATE.contains(&top)
        || SHARED.contains(&zone);
    if open_to_all {
        findings.report_origin(
            codes::WILDCARD_WIDE,
            rule.origin.clone(),
            format!(
                "`{pattern}` is wider than it looks, because anybody can have such a name: it covers {}",
                pattern.covers()
            ),
            "name the hosts, or a zone that belongs to one owner",
        );
    }
}

fn is_under(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
