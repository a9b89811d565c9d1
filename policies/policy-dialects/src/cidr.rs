//! Address blocks in CIDR notation, as Go's `netip.ParsePrefix` and Kubernetes read them: a mask is required, leading
//! zeros are refused, bits beyond the prefix are dropped.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::codes::{self, Code};
use crate::decode::Findings;
use crate::yaml::Node;

/// Reads a block; `code` is the dialect's for one that is none.
pub(crate) fn decode(node: Node<'_>, code: Code, findings: &mut Findings) -> Option<IpNet> {
    let text = findings.string(node)?.value;
    match text.parse::<IpNet>() {
        Ok(net) => {
            if net.network() != net.addr() {
                findings.report_help(
                    codes::CIDR_HOST_BITS,
                    node,
                    format!("`{text}` has bits set beyond its prefix"),
                    format!(
                        "it is read as `{}`; write /{} for the one address",
                        net.trunc(),
                        net.max_prefix_len()
                    ),
                );
            }
            Some(unmapped(net.trunc()))
        }
        Err(_) => {
            match text.parse::<IpAddr>() {
                Ok(address) => {
                    let length = if address.is_ipv4() { 32 } else { 128 };
                    findings.report_help(
                        code,
                        node,
                        format!("`{text}` is an address, not a block: unable to parse CIDR"),
                        format!("write `{text}/{length}`"),
                    );
                }
                Err(_) => findings.report_help(
                    code,
                    node,
                    format!("`{text}` is not an address block: unable to parse CIDR"),
                    "write it as 192.0.2.0/24 or 2001:db8::/32",
                ),
            }
            None
        }
    }
}

/// An IPv4-mapped block is the IPv4 block it stands for: there is one kernel table and one meaning.
fn unmapped(net: IpNet) -> IpNet {
    if let IpNet::V6(v6) = net
        && v6.prefix_len() >= 96
        && let Some(address) = v6.addr().to_ipv4_mapped()
        && let Ok(v4) = Ipv4Net::new(Ipv4Addr::from(address.octets()), v6.prefix_len() - 96)
    {
        return IpNet::V4(v4);
    }
    net
}
