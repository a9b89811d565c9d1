use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ports::{PortMatch, Protocol};

/// Every address a cloud answers metadata on. The guard closes them all, on every port but 53.
///
/// Port 53 stays an ordinary flow: 169.254.169.254 and 168.63.129.16 are the DNS servers of some clouds, and names cannot
/// be learned without them. Not the whole of 169.254.0.0/16: node-local caches and cloud resolvers live there.
pub const METADATA_ADDRESSES: [IpAddr; 11] = [
    SHARED,
    SHARED_V6,
    ECS,
    EKS,
    EKS_V6,
    ALIBABA,
    AZURE_WIRE,
    ORACLE,
    SCALEWAY,
    GCP_V6,
    SCALEWAY_V6,
];

/// Names that stand for metadata services. Asking them is refused where names are seen, until a preset opens them.
pub const METADATA_NAMES: [&str; 6] = [
    "metadata.google.internal.",
    "metadata.goog.",
    "metadata.",
    "instance-data.",
    "instance-data.ec2.internal.",
    "metadata.azure.internal.",
];

const SHARED: IpAddr = v4(169, 254, 169, 254);
const SHARED_V6: IpAddr = v6(0xfd00, 0x0ec2, 0x0254);
const ECS: IpAddr = v4(169, 254, 170, 2);
const EKS: IpAddr = v4(169, 254, 170, 23);
const EKS_V6: IpAddr = v6(0xfd00, 0x0ec2, 0x0023);
const ALIBABA: IpAddr = v4(100, 100, 100, 200);
const AZURE_WIRE: IpAddr = v4(168, 63, 129, 16);
const ORACLE: IpAddr = v4(192, 0, 0, 192);
const SCALEWAY: IpAddr = v4(169, 254, 42, 42);
const SCALEWAY_V6: IpAddr = v6(0xfd00, 0x0042, 0x0042);
const GCP_V6: IpAddr = v6(0xfd20, 0x00ce, 0x0254);

/// A cloud's metadata service, as written in `metadata: [aws-imds, gcp]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Preset {
    /// EC2 instance metadata (IMDS).
    AwsImds,
    /// ECS task credentials.
    AwsEcs,
    /// EKS Pod Identity.
    AwsEks,
    Gcp,
    Azure,
    Alibaba,
    Oracle,
    OpenStack,
    DigitalOcean,
    Hetzner,
    Scaleway,
}

impl Preset {
    pub const ALL: [Self; 11] = [
        Self::AwsImds,
        Self::AwsEcs,
        Self::AwsEks,
        Self::Gcp,
        Self::Azure,
        Self::Alibaba,
        Self::Oracle,
        Self::OpenStack,
        Self::DigitalOcean,
        Self::Hetzner,
        Self::Scaleway,
    ];

    /// The word a policy writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwsImds => "aws-imds",
            Self::AwsEcs => "aws-ecs",
            Self::AwsEks => "aws-eks",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
            Self::Alibaba => "alibaba",
            Self::Oracle => "oracle",
            Self::OpenStack => "openstack",
            Self::DigitalOcean => "digitalocean",
            Self::Hetzner => "hetzner",
            Self::Scaleway => "scaleway",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == text)
    }

    pub const fn addresses(self) -> &'static [IpAddr] {
        match self {
            Self::AwsImds => &[SHARED, SHARED_V6],
            Self::AwsEcs => &[ECS],
            Self::AwsEks => &[EKS, EKS_V6],
            Self::Gcp => &[SHARED, GCP_V6],
            Self::Azure => &[SHARED, AZURE_WIRE],
            Self::Alibaba => &[ALIBABA],
            Self::Oracle => &[SHARED, ORACLE],
            Self::OpenStack | Self::DigitalOcean | Self::Hetzner => &[SHARED],
            Self::Scaleway => &[SCALEWAY, SCALEWAY_V6],
        }
    }

    /// The ports the service listens on; the preset opens no other.
    pub const fn ports(self) -> &'static [PortMatch] {
        const HTTP: &[PortMatch] = &[PortMatch::port(Protocol::TCP, 80)];
        match self {
            // 32526 is the health channel of Azure's guest agent, on 168.63.129.16.
            Self::Azure => {
                const PORTS: &[PortMatch] = &[
                    PortMatch::port(Protocol::TCP, 80),
                    PortMatch::port(Protocol::TCP, 32_526),
                ];
                PORTS
            }
            Self::AwsImds
            | Self::AwsEcs
            | Self::AwsEks
            | Self::Gcp
            | Self::Alibaba
            | Self::Oracle
            | Self::OpenStack
            | Self::DigitalOcean
            | Self::Hetzner
            | Self::Scaleway => HTTP,
        }
    }

    /// The guarded names that stand for this service.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::AwsImds => &["instance-data.", "instance-data.ec2.internal."],
            Self::Gcp => &["metadata.google.internal.", "metadata.goog.", "metadata."],
            Self::Azure => &["metadata.azure.internal."],
            Self::AwsEcs
            | Self::AwsEks
            | Self::Alibaba
            | Self::Oracle
            | Self::OpenStack
            | Self::DigitalOcean
            | Self::Hetzner
            | Self::Scaleway => &[],
        }
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// `first:second::last`, the shape all of them have.
const fn v6(first: u16, second: u16, last: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_open_only_what_is_guarded() {
        for preset in Preset::ALL {
            assert_eq!(Preset::parse(preset.as_str()), Some(preset));
            for address in preset.addresses() {
                assert!(METADATA_ADDRESSES.contains(address), "{preset:?} {address}");
            }
            for name in preset.names() {
                assert!(METADATA_NAMES.contains(name), "{preset:?} {name}");
            }
        }
    }
}
