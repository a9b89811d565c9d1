use ebpf_abi::address::Address;

/// Where something goes. ICMP has (type << 8 | code) as its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub address: Address,
    pub port: u16,
    pub protocol: u8,
}
