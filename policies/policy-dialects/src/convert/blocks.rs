//! Blocks in the words of dialects that have fewer of them.

use ipnet::IpNet;
use policy_model::{Guarded, World};

use crate::cidr::canonical;

/// Addresses that clusters, hosts and private networks have: a block that holds some of them could mean pods and nodes.
const NOT_PUBLIC: [&str; 10] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::/127",
    "fc00::/7",
    "fe80::/10",
];

/// What of a block is not public; nothing where all of it is not.
pub(crate) fn private_parts(net: IpNet) -> Option<Vec<IpNet>> {
    let private: Vec<IpNet> = NOT_PUBLIC
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    if private.iter().any(|private| private.contains(&net)) {
        return None;
    }
    Some(
        private
            .into_iter()
            .filter(|private| net.contains(private))
            .collect(),
    )
}

/// Whether a block is the one address of a metadata service.
pub(crate) fn is_guarded_address(net: IpNet) -> bool {
    let net = canonical(net);
    net.prefix_len() == net.max_prefix_len()
        && World::default().guarded(net.addr()) == Some(Guarded::Metadata)
}

/// A block without some of its parts, as blocks; nothing where they are more than `most`.
pub(crate) fn without(net: IpNet, except: &[IpNet], most: usize) -> Option<Vec<IpNet>> {
    let mut left = Vec::new();
    let mut open = vec![net];
    while let Some(block) = open.pop() {
        if except.iter().any(|except| except.contains(&block)) || means_nothing(block) {
            continue;
        }
        if !except.iter().any(|except| block.contains(except)) {
            left.push(block);
            if left.len() > most {
                return None;
            }
            continue;
        }
        let halves = block.subnets(block.prefix_len().saturating_add(1)).ok()?;
        let mut halves: Vec<IpNet> = halves.collect();
        halves.reverse();
        open.append(&mut halves);
    }
    Some(left)
}

/// A block of IPv6 never means IPv4, not even where it is written inside.
fn means_nothing(block: IpNet) -> bool {
    matches!(block, IpNet::V6(_)) && matches!(canonical(block), IpNet::V4(_))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("10.0.0.0/8", &[], 9, "10.0.0.0/8"; "nothing is taken")]
    #[test_case("10.0.0.0/8", &["10.0.0.0/8"], 9, ""; "all is taken")]
    #[test_case("10.0.0.0/8", &["192.0.2.0/24"], 9, "10.0.0.0/8"; "what lies elsewhere")]
    #[test_case("10.0.0.0/30", &["10.0.0.1/32"], 9, "10.0.0.0/32 10.0.0.2/31"; "one address")]
    #[test_case("10.0.0.0/30", &["10.0.0.1/32", "10.0.0.2/32"], 9, "10.0.0.0/32 10.0.0.3/32"; "two addresses")]
    #[test_case("::fffe:0:0/95", &["::fffe:0:0/97"], 9, "::fffe:8000:0/97"; "ipv4 inside of ipv6")]
    #[test_case("0.0.0.0/0", &["10.0.0.1/32"], 31, "-"; "too many")]
    fn parts(net: &str, except: &[&str], most: usize, expected: &str) {
        let except: Vec<IpNet> = except.iter().map(|net| net.parse().unwrap()).collect();
        let found = without(net.parse().unwrap(), &except, most).map(|nets| {
            let texts: Vec<String> = nets.iter().map(ToString::to_string).collect();
            texts.join(" ")
        });
        assert_eq!(found.as_deref().unwrap_or("-"), expected);
    }
}
