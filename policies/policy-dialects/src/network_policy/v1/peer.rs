use ipnet::IpNet;

use crate::decode::{Findings, Unknown};
use crate::kubernetes::LabelSelectorSpec;
use crate::yaml::Node;
use crate::{cidr, codes};

/// One entry of `to`.
#[derive(Debug)]
pub(crate) enum PeerSpec<'d> {
    /// At least one of the two; without `namespaces`, pods of the policy's own namespace.
    Pods {
        namespaces: Option<LabelSelectorSpec<'d>>,
        pods: Option<LabelSelectorSpec<'d>>,
    },
    Block {
        net: IpNet,
        except: Vec<IpNet>,
    },
}

/// Reads a peer; sets `unknown` where it has fields nobody knows, which may have been meant to narrow it.
pub(super) fn decode_peer<'d>(
    node: Node<'d>,
    unknown: &mut Unknown,
    findings: &mut Findings,
) -> Option<PeerSpec<'d>> {
    let mut fields = findings.fields(node)?;
    let pods = fields.take("podSelector");
    let namespaces = fields.take("namespaceSelector");
    let block = fields.take("ipBlock");
    let surplus = fields.finish(findings, codes::UNKNOWN_RULE_FIELD);
    note(unknown, surplus);
    let mut selector = |node: Option<Node<'d>>| -> Result<Option<LabelSelectorSpec<'d>>, ()> {
        let Some(node) = node else { return Ok(None) };
        let (selector, surplus) = LabelSelectorSpec::decode_peer(node, findings).ok_or(())?;
        note(unknown, surplus);
        Ok(Some(selector))
    };
    let (pods_spec, namespaces_spec) = (selector(pods), selector(namespaces));
    match (block, pods.or(namespaces)) {
        (None, None) => {
            if surplus == Unknown::None {
                findings.report_help(
                    codes::NETWORK_POLICY_PEER,
                    node,
                    "must specify a peer",
                    "`podSelector: {}` is every pod of this namespace, `namespaceSelector: {}` every pod",
                );
            }
            None
        }
        (Some(_), Some(other)) => {
            findings.report_help(
                codes::NETWORK_POLICY_PEER,
                other,
                "may not specify both ipBlock and another peer",
                "write two entries: peers are alternatives",
            );
            None
        }
        (Some(block), None) => decode_block(block, unknown, findings),
        (None, Some(_)) => Some(PeerSpec::Pods {
            namespaces: namespaces_spec.ok()?,
            pods: pods_spec.ok()?,
        }),
    }
}

fn decode_block<'d>(
    node: Node<'d>,
    unknown: &mut Unknown,
    findings: &mut Findings,
) -> Option<PeerSpec<'d>> {
    let mut fields = findings.fields(node)?;
    let net = fields.take("cidr");
    let except = fields.take("except");
    note(unknown, fields.finish(findings, codes::UNKNOWN_RULE_FIELD));
    let Some(net) = net else {
        findings.report(codes::MISSING_FIELD, node, "`cidr` is missing");
        return None;
    };
    let net = cidr::decode(net, codes::INVALID_CIDR, findings)?;
    let mut exceptions = Vec::new();
    for item in except
        .and_then(|node| findings.list(node))
        .unwrap_or_default()
    {
        let Some(exception) = cidr::decode(item, codes::INVALID_CIDR, findings) else {
            continue;
        };
        // The API server wants a strict part: an exception of the whole block would leave nothing.
        if !net.contains(&exception) || exception.prefix_len() <= net.prefix_len() {
            findings.report_help(
                codes::INVALID_EXCEPT,
                item,
                format!("`{exception}` must be a strict subset of `{net}`"),
                "an exception lies inside of the block and is smaller than it",
            );
        }
        exceptions.push(exception);
    }
    Some(PeerSpec::Block {
        net,
        except: exceptions,
    })
}

fn note(unknown: &mut Unknown, found: Unknown) {
    if found == Unknown::Some {
        *unknown = Unknown::Some;
    }
}
