use dns_names::{Grammar, NamePattern};

use crate::codes;
use crate::decode::Findings;
use crate::yaml::Node;

/// Reads a list of Enterprise's names: `domains` and `allowedEgressDomains`.
pub(super) fn decode(node: Node<'_>, findings: &mut Findings) -> Vec<NamePattern> {
    findings
        .strings(node)
        .unwrap_or_default()
        .into_iter()
        .filter_map(
            |text| match NamePattern::parse(Grammar::Calico, text.value) {
                Ok(pattern) => Some(pattern),
                Err(error) => {
                    let help = error
                        .help()
                        .unwrap_or("write a name such as `api.example.com` or `*.example.com`");
                    findings.report_help(codes::CALICO_DOMAIN, text.node, error.to_string(), help);
                    None
                }
            },
        )
        .collect()
}
