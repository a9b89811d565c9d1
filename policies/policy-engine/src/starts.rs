use std::net::IpAddr;

use ipnet::IpNet;

/// The first addresses of sorted prefixes, close together, so that a search among thousands touches little memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Starts {
    v4: Vec<u32>,
    v6: Vec<u128>,
}

impl Starts {
    /// `nets` are sorted: IPv4 first, then by address and length.
    pub(crate) fn of(nets: impl Iterator<Item = IpNet>) -> Self {
        let mut starts = Self::default();
        for net in nets {
            match net {
                IpNet::V4(net) => starts.v4.push(net.addr().to_bits()),
                IpNet::V6(net) => starts.v6.push(net.addr().to_bits()),
            }
        }
        starts.v4.shrink_to_fit();
        starts.v6.shrink_to_fit();
        starts
    }

    /// The last prefix of the family that begins at the address or before it: those that cover the address are that one and
    /// its covers.
    pub(crate) fn last_at_or_before(&self, ip: IpAddr) -> Option<usize> {
        match ip {
            IpAddr::V4(ip) => {
                let after = self.v4.partition_point(|start| *start <= ip.to_bits());
                after.checked_sub(1)
            }
            IpAddr::V6(ip) => {
                let after = self.v6.partition_point(|start| *start <= ip.to_bits());
                Some(self.v4.len() + after.checked_sub(1)?)
            }
        }
    }
}
