//! Address blocks in CIDR notation, as Go's `netip.ParsePrefix` and Kubernetes read them: a mask is required, leading
//! zeros are refused, bits beyond the prefix are dropped.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::codes::{self, Code};
use crate::decode::Findings;
use crate::yaml::{Node, Typed};

/// Reads a block, or an address alone, which is the block of that one address.
pub(crate) fn decode_or_address(
    node: Node<'_>,
    code: Code,
    findings: &mut Findings,
) -> Option<IpNet> {
    match node.typed() {
        Some(Typed::Str(text)) if let Ok(address) = text.parse::<IpAddr>() => {
            Some(IpNet::from(address.to_canonical()))
        }
        _ => decode(node, code, findings),
    }
}

/// Reads a block; `code` is the dialect's for one that is none.
pub(crate) fn decode(node: Node<'_>, code: Code, findings: &mut Findings) -> Option<IpNet> {
    let text = findings.string(node)?.value;
    match parse(text) {
        Some(net) => {
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
        None => {
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
                    if has_leading_zero(text) {
                        "leave out leading zeros: some read them as octal, some as nothing"
                    } else {
                        "write it as 192.0.2.0/24 or 2001:db8::/32"
                    },
                ),
            }
            None
        }
    }
}

/// A block that has bits set beyond its prefix.
pub(crate) fn with_host_bits(text: &str) -> Option<IpNet> {
    parse(text).filter(|net| net.network() != net.addr())
}

/// `ipnet` itself is laxer: it takes leading zeros for decimal, where others take them for octal.
fn parse(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    let plain = length == "0"
        || (!length.starts_with('0') && length.bytes().all(|digit| digit.is_ascii_digit()));
    let length = length.parse().ok().filter(|_| plain)?;
    IpNet::new(address.parse().ok()?, length).ok()
}

/// Whether a part of an IPv4 address has a zero before other digits, which old API servers take for decimal.
fn has_leading_zero(text: &str) -> bool {
    let address = text.split('/').next().unwrap_or(text);
    address.contains('.')
        && address
            .split('.')
            .any(|part| part.len() > 1 && part.starts_with('0'))
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

/// IPv4-mapped prefixes are IPv4, as every engine reads them; bits beyond the prefix have no effect.
pub(crate) fn canonical(net: IpNet) -> IpNet {
    let net = net.trunc();
    let IpNet::V6(v6) = net else { return net };
    let v4 = v6.addr().to_ipv4_mapped();
    let length = v6.prefix_len().checked_sub(96);
    match v4.zip(length) {
        Some((v4, length)) => IpNet::new(IpAddr::V4(v4), length).unwrap_or(net),
        None => net,
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::parse;

    #[test_case("10.0.0.0/8", true; "a block")]
    #[test_case("0.0.0.0/0", true; "everything")]
    #[test_case("2001:db8::/32", true; "ipv6")]
    #[test_case("10.1.2.3/8", true; "bits beyond the prefix")]
    #[test_case("010.0.0.0/8", false; "a leading zero")]
    #[test_case("10.0.0.0/08", false; "a leading zero in the length")]
    #[test_case("10.0.0.0/+8", false; "a sign")]
    #[test_case("10.0.0.0/33", false; "too long")]
    #[test_case("10.0.0.0/", false; "no length")]
    #[test_case("10.0.0/8", false; "three parts")]
    #[test_case("fe80::%eth0/64", false; "a zone")]
    #[test_case("10.0.0.0", false; "an address")]
    fn blocks(text: &str, expected: bool) {
        assert_eq!(parse(text).is_some(), expected);
    }
}
