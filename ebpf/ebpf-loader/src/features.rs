//! What the programs need from the kernel, as data: the loader asks for it, the documentation prints it.

use aya::maps::MapType;
use aya::programs::ProgramType;
use aya::sys::{BpfHelper, is_helper_supported, is_map_supported, is_program_supported};

/// One thing the kernel has to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// What it is called.
    pub name: &'static str,
    /// The first kernel that had it. A hint for people: what counts is the probe, for distributions backport.
    pub since: &'static str,
    /// What Egret cannot do without it.
    pub without: &'static str,
    pub need: Need,
}

/// How a feature is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A program type.
    Program(Place),
    /// A map type.
    Map(Table),
    /// A helper, in programs of this type.
    Helper(Place, Helper),
}

/// Program types in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// cgroup socket address hooks: connect, sendmsg, recvmsg, getpeername.
    Call,
    /// cgroup skb hooks: egress, ingress.
    Packet,
    /// cgroup sock hooks: socket creation.
    Socket,
}

/// Map types in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    Hash,
    Prefixes,
    SocketStorage,
    RingBuffer,
}

/// Helpers in use that not every kernel with the program types has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helper {
    CurrentAncestorCgroup,
    PacketAncestorCgroup,
    SocketStorage,
    LookupTcp,
    LookupUdp,
    BootClock,
    CoarseClock,
    RingBuffer,
    Command,
    SocketCookie,
}

/// A feature this kernel does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub feature: Feature,
}

/// Everything the programs need. There is no way to hold a workload with less: without one of these, nothing is
/// loaded, and nothing runs open.
pub const FEATURES: &[Feature] = &[
    Feature {
        name: "cgroup socket address programs",
        since: "4.17 (recvmsg 5.2, getpeername 5.8)",
        without: "no verdict at connect and sendmsg, no DNS redirect",
        need: Need::Program(Place::Call),
    },
    Feature {
        name: "cgroup packet programs",
        since: "4.10",
        without: "no verdict on packets: raw sockets and old sockets are free",
        need: Need::Program(Place::Packet),
    },
    Feature {
        name: "cgroup socket programs",
        since: "4.10",
        without: "sockets of one workload do not know each other on loopback",
        need: Need::Program(Place::Socket),
    },
    Feature {
        name: "hash maps",
        since: "3.19",
        without: "no tables",
        need: Need::Map(Table::Hash),
    },
    Feature {
        name: "longest-prefix maps",
        since: "4.11",
        without: "no CIDR rules, no port ranges",
        need: Need::Map(Table::Prefixes),
    },
    Feature {
        name: "socket storage",
        since: "5.2 (inherited by accepted sockets: 5.4)",
        without: "no established flows: replies of servers are cut",
        need: Need::Map(Table::SocketStorage),
    },
    Feature {
        name: "ring buffer",
        since: "5.8",
        without: "no events",
        need: Need::Map(Table::RingBuffer),
    },
    Feature {
        name: "bpf_get_current_ancestor_cgroup_id in socket address programs",
        since: "5.7",
        without: "a workload cannot be told by its cgroup at system calls",
        need: Need::Helper(Place::Call, Helper::CurrentAncestorCgroup),
    },
    Feature {
        name: "bpf_get_current_ancestor_cgroup_id in socket programs",
        since: "5.7",
        without: "a new socket cannot be told by its cgroup",
        need: Need::Helper(Place::Socket, Helper::CurrentAncestorCgroup),
    },
    Feature {
        name: "bpf_skb_ancestor_cgroup_id in packet programs",
        since: "4.20",
        without: "a packet cannot be told by its cgroup",
        need: Need::Helper(Place::Packet, Helper::PacketAncestorCgroup),
    },
    Feature {
        name: "bpf_sk_storage_get in socket address programs",
        since: "5.8",
        without: "no established flows",
        need: Need::Helper(Place::Call, Helper::SocketStorage),
    },
    Feature {
        name: "bpf_sk_storage_get in packet programs",
        since: "5.2",
        without: "no established flows",
        need: Need::Helper(Place::Packet, Helper::SocketStorage),
    },
    Feature {
        name: "bpf_sk_storage_get in socket programs",
        since: "5.9",
        without: "sockets of one workload do not know each other on loopback",
        need: Need::Helper(Place::Socket, Helper::SocketStorage),
    },
    Feature {
        name: "bpf_sk_lookup_tcp in socket address programs",
        since: "4.20",
        without: "a workload cannot reach its own servers on loopback",
        need: Need::Helper(Place::Call, Helper::LookupTcp),
    },
    Feature {
        name: "bpf_sk_lookup_udp in packet programs",
        since: "5.1",
        without: "a workload cannot reach its own servers on loopback",
        need: Need::Helper(Place::Packet, Helper::LookupUdp),
    },
    Feature {
        name: "bpf_ktime_get_boot_ns",
        since: "5.8",
        without: "leases do not count time spent suspended",
        need: Need::Helper(Place::Packet, Helper::BootClock),
    },
    Feature {
        name: "bpf_ktime_get_coarse_ns",
        since: "5.11",
        without: "idle UDP flows are never forgotten",
        need: Need::Helper(Place::Packet, Helper::CoarseClock),
    },
    Feature {
        name: "bpf_ringbuf_output in packet programs",
        since: "5.8",
        without: "no events",
        need: Need::Helper(Place::Packet, Helper::RingBuffer),
    },
    Feature {
        name: "bpf_get_current_comm in socket address programs",
        since: "5.7",
        without: "events do not name the command",
        need: Need::Helper(Place::Call, Helper::Command),
    },
    Feature {
        name: "bpf_get_socket_cookie in packet programs",
        since: "4.12",
        without: "events do not name the socket",
        need: Need::Helper(Place::Packet, Helper::SocketCookie),
    },
];

/// Asks the kernel for everything in [`FEATURES`]. Needs the right to load programs; without it, everything seems
/// missing, so ask for that right first.
pub fn missing_features() -> Vec<Missing> {
    FEATURES
        .iter()
        .filter(|feature| !is_there(feature.need))
        .map(|&feature| Missing { feature })
        .collect()
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Feature {
            name,
            since,
            without,
            need: _,
        } = self.feature;
        write!(f, "{name} (since Linux {since}); without: {without}")
    }
}

/// A probe that fails for another reason counts as "there": the load itself then says what is wrong.
fn is_there(need: Need) -> bool {
    match need {
        Need::Program(place) => is_program_supported(program_type(place)).unwrap_or(true),
        Need::Map(table) => is_map_supported(map_type(table)).unwrap_or(true),
        Need::Helper(place, helper) => {
            is_helper_supported(program_type(place), helper_number(helper)).unwrap_or(true)
        }
    }
}

const fn program_type(place: Place) -> ProgramType {
    match place {
        Place::Call => ProgramType::CgroupSockAddr,
        Place::Packet => ProgramType::CgroupSkb,
        Place::Socket => ProgramType::CgroupSock,
    }
}

const fn map_type(table: Table) -> MapType {
    match table {
        Table::Hash => MapType::Hash,
        Table::Prefixes => MapType::LpmTrie,
        Table::SocketStorage => MapType::SkStorage,
        Table::RingBuffer => MapType::RingBuf,
    }
}

const fn helper_number(helper: Helper) -> BpfHelper {
    match helper {
        Helper::CurrentAncestorCgroup => BpfHelper::BPF_FUNC_get_current_ancestor_cgroup_id,
        Helper::PacketAncestorCgroup => BpfHelper::BPF_FUNC_skb_ancestor_cgroup_id,
        Helper::SocketStorage => BpfHelper::BPF_FUNC_sk_storage_get,
        Helper::LookupTcp => BpfHelper::BPF_FUNC_sk_lookup_tcp,
        Helper::LookupUdp => BpfHelper::BPF_FUNC_sk_lookup_udp,
        Helper::BootClock => BpfHelper::BPF_FUNC_ktime_get_boot_ns,
        Helper::CoarseClock => BpfHelper::BPF_FUNC_ktime_get_coarse_ns,
        Helper::RingBuffer => BpfHelper::BPF_FUNC_ringbuf_output,
        Helper::Command => BpfHelper::BPF_FUNC_get_current_comm,
        Helper::SocketCookie => BpfHelper::BPF_FUNC_get_socket_cookie,
    }
}
