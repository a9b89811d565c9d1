//! Which system calls a command cannot make: seccomp filters, in force for it and everything it starts.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, sock_filter,
};

use crate::spec::NestedSandboxes;

/// Address families a socket may have; every other is refused. An allow-list, because every family that is neither
/// local nor IP leaves by a way that no hook of a cgroup sees: AF_PACKET, AF_XDP, AF_VSOCK (to the hypervisor),
/// AF_SMC, AF_RXRPC, AF_TIPC, AF_BLUETOOTH, AF_CAN, AF_PPPOX …
pub const FAMILIES: &[(i32, &str)] = &[
    (libc::AF_UNIX, "local"),
    (libc::AF_INET, "held by the kernel programs"),
    (libc::AF_INET6, "held by the kernel programs"),
    (
        libc::AF_NETLINK,
        "getaddrinfo reads interfaces; changes need dropped capabilities",
    ),
    (libc::AF_ALG, "the kernel's ciphers; leads nowhere"),
];

/// `open_tree_attr`: newer than the constants of the C library.
const SYS_OPEN_TREE_ATTR: i64 = 467;

/// System calls refused with EPERM whatever their arguments.
pub const DENIED: &[(i64, &str)] = &[
    (
        libc::SYS_bpf,
        "pins and programs can be opened and detached without any capability",
    ),
    (
        libc::SYS_io_uring_setup,
        "a ring makes sockets of any family past this filter",
    ),
    (
        libc::SYS_io_uring_enter,
        "as io_uring_setup, on a ring somebody hands in",
    ),
    (libc::SYS_io_uring_register, "as io_uring_enter"),
    (
        libc::SYS_request_key,
        "has the kernel start a host process, which may resolve a name for it",
    ),
    (libc::SYS_add_key, "key rings are shared with the host"),
    (libc::SYS_keyctl, "key rings are shared with the host"),
    (
        libc::SYS_open_by_handle_at,
        "opens files around the mount namespace",
    ),
    (
        libc::SYS_perf_event_open,
        "reads other processes and the kernel",
    ),
    (libc::SYS_kexec_load, "another kernel"),
    (libc::SYS_kexec_file_load, "another kernel"),
    (libc::SYS_init_module, "code in the kernel"),
    (libc::SYS_finit_module, "code in the kernel"),
    (libc::SYS_delete_module, "code out of the kernel"),
];

/// System calls refused with EPERM unless nested sandboxes are allowed.
pub const DENIED_UNLESS_NESTED: &[(i64, &str)] = &[
    (libc::SYS_setns, "enters namespaces"),
    (libc::SYS_mount, "changes what is seen"),
    (libc::SYS_umount2, "changes what is seen"),
    (libc::SYS_pivot_root, "changes what is seen"),
    (libc::SYS_move_mount, "changes what is seen"),
    (libc::SYS_open_tree, "a detached copy of mounts"),
    (SYS_OPEN_TREE_ATTR, "a detached copy of mounts"),
    (libc::SYS_fsopen, "a new file system"),
    (libc::SYS_fsconfig, "a new file system"),
    (libc::SYS_fsmount, "a new file system"),
    (libc::SYS_fspick, "changes a mounted file system"),
    (libc::SYS_mount_setattr, "changes what is seen"),
];

/// AF_SMC by another door (Linux 6.11): a protocol of the internet families whose data may go by RDMA, past every packet
/// hook.
const IPPROTO_SMC: u64 = 256;

/// Joining a group has the kernel tell the network of it (IGMP, MLD), from a socket of its own that no hook of a cgroup
/// sees, with the group's and the sources' addresses as the caller chose them: `setsockopt` levels and options
/// (include/uapi/linux/in.h, in6.h). What changes a membership needs one.
const GROUP_MEMBERSHIP: &[(i32, &[i32])] = &[
    (
        libc::IPPROTO_IP,
        &[
            libc::IP_ADD_MEMBERSHIP,
            libc::IP_ADD_SOURCE_MEMBERSHIP,
            libc::MCAST_JOIN_GROUP,
            libc::MCAST_JOIN_SOURCE_GROUP,
        ],
    ),
    (
        libc::IPPROTO_IPV6,
        &[
            libc::IPV6_ADD_MEMBERSHIP,
            IPV6_JOIN_ANYCAST,
            libc::MCAST_JOIN_GROUP,
            libc::MCAST_JOIN_SOURCE_GROUP,
        ],
    ),
];
/// Not among the constants of the C library's binding.
const IPV6_JOIN_ANYCAST: i32 = 27;

/// `TIOCSTI` and `TIOCLINUX` put characters into the terminal's input, where the shell around Egret would read them.
const TERMINAL_INPUT: &[u64] = &[0x5412, 0x541c];

/// `TUNSETIFF` and `TUNSETQUEUE` (include/uapi/linux/if_tun.h) take hold of a tap that somebody left for its owner, or for
/// root, without any capability: what is written to it enters the network past every hook of a cgroup. Refused to nested
/// sandboxes too, because the tap may be the host's.
const TAPS: &[u64] = &[0x4004_54ca, 0x4004_54d9];

/// Every flag of `clone` and `unshare` that makes a namespace: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID,
/// NEWNET (include/uapi/linux/sched.h).
const CLONE_NAMESPACES: &[u64] = &[
    0x0002_0000,
    0x0200_0000,
    0x0400_0000,
    0x0800_0000,
    0x1000_0000,
    0x2000_0000,
    0x4000_0000,
];
/// CLONE_NEWTIME: `unshare` only. For `clone` this bit is a part of the exit signal.
const UNSHARE_TIME: u64 = 0x80;

/// The x32 ABI's calls have this bit, and numbers that none of the rules would match (arch/x86/include/uapi/asm/unistd.h).
const X32_BIT: u32 = 0x4000_0000;

/// Why the filter is not in force.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    #[error("failed to compile the filter")]
    Compile(#[source] BackendError),
    #[error("failed to put the filter in force")]
    Apply(#[source] seccompiler::Error),
}

/// Puts the filters in force for this thread and all it starts, and sets no_new_privs: set-user-id programs such as
/// `sudo` gain nothing inside.
pub(super) fn apply(nested: NestedSandboxes) -> Result<(), FilterError> {
    for program in programs(nested).map_err(FilterError::Compile)? {
        seccompiler::apply_filter(&program).map_err(FilterError::Apply)?;
    }
    Ok(())
}

/// The filters; the strictest answer of all of them counts. Calls of another architecture (32-bit programs on a 64-bit
/// kernel) kill the process: their numbers mean other calls.
fn programs(nested: NestedSandboxes) -> Result<Vec<BpfProgram>, BackendError> {
    // clone3 has its flags in memory, where no filter can read them, and one of them (CLONE_INTO_CGROUP) starts a process
    // in any cgroup whose directory can be opened, read-only mount or not. The C libraries then use clone.
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    Ok(vec![
        compile(refused(nested)?, libc::EPERM)?,
        compile(clone3, libc::ENOSYS)?,
        foreign_numbers(),
    ])
}

fn refused(nested: NestedSandboxes) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = DENIED
        .iter()
        .map(|(call, _why)| (*call, Vec::new()))
        .collect();
    let other_family = FAMILIES
        .iter()
        .map(|(family, _why)| low_half(0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs())))
        .collect::<Result<Vec<_>, _>>()?;
    let smc = low_half(2, SeccompCmpOp::Eq, IPPROTO_SMC)?;
    let refused_sockets = vec![
        SeccompRule::new(other_family)?,
        SeccompRule::new(vec![smc])?,
    ];
    rules.insert(libc::SYS_socket, refused_sockets.clone());
    rules.insert(libc::SYS_socketpair, refused_sockets);
    let requests = TERMINAL_INPUT
        .iter()
        .chain(TAPS)
        .map(|request| SeccompRule::new(vec![low_half(1, SeccompCmpOp::Eq, *request)?]))
        .collect::<Result<Vec<_>, _>>()?;
    rules.insert(libc::SYS_ioctl, requests);
    rules.insert(libc::SYS_setsockopt, group_membership()?);
    if nested == NestedSandboxes::Closed {
        rules.extend(
            DENIED_UNLESS_NESTED
                .iter()
                .map(|(call, _why)| (*call, Vec::new())),
        );
        rules.insert(libc::SYS_clone, with_any_bit(CLONE_NAMESPACES)?);
        let mut unshare = CLONE_NAMESPACES.to_vec();
        unshare.push(UNSHARE_TIME);
        rules.insert(libc::SYS_unshare, with_any_bit(&unshare)?);
    }
    Ok(rules)
}

fn group_membership() -> Result<Vec<SeccompRule>, BackendError> {
    let pairs = GROUP_MEMBERSHIP
        .iter()
        .flat_map(|(level, options)| options.iter().map(move |option| (*level, *option)));
    pairs
        .map(|(level, option)| {
            SeccompRule::new(vec![
                low_half(1, SeccompCmpOp::Eq, u64::from(level.unsigned_abs()))?,
                low_half(2, SeccompCmpOp::Eq, u64::from(option.unsigned_abs()))?,
            ])
        })
        .collect()
}

fn with_any_bit(bits: &[u64]) -> Result<Vec<SeccompRule>, BackendError> {
    bits.iter()
        .map(|bit| {
            let set = low_half(0, SeccompCmpOp::MaskedEq(*bit), *bit)?;
            SeccompRule::new(vec![set])
        })
        .collect()
}

/// A condition on the low 32 bits of an argument: the kernel ignores the rest of an `int`, so a rule must, too.
fn low_half(index: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, op, value)
}

fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno.unsigned_abs()),
        arch,
    )?
    .try_into()
}

/// ENOSYS for every number with the x32 bit, as from a kernel without x32. seccompiler compares numbers for equality
/// only, so this one is written out.
fn foreign_numbers() -> BpfProgram {
    const LOAD_NUMBER: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS, at offset 0: seccomp_data.nr
    const JUMP_IF_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        instruction(LOAD_NUMBER, 0, 0, 0),
        instruction(JUMP_IF_AT_LEAST, 0, 1, X32_BIT),
        instruction(
            RETURN,
            0,
            0,
            u32::from(SeccompAction::Errno(libc::ENOSYS.unsigned_abs())),
        ),
        instruction(RETURN, 0, 0, u32::from(SeccompAction::Allow)),
    ]
}

#[cfg(test)]
mod tests {
    use super::{DENIED, DENIED_UNLESS_NESTED, programs};
    use crate::spec::NestedSandboxes;

    #[test]
    fn the_filters_compile() {
        assert_eq!(programs(NestedSandboxes::Closed).unwrap().len(), 3);
        assert_eq!(programs(NestedSandboxes::Allowed).unwrap().len(), 3);
    }

    #[test]
    fn no_call_has_two_lines() {
        let mut calls: Vec<i64> = DENIED
            .iter()
            .chain(DENIED_UNLESS_NESTED)
            .map(|(call, _)| *call)
            .collect();
        let all = calls.len();
        calls.sort_unstable();
        calls.dedup();
        assert_eq!(calls.len(), all);
    }
}
