//! Sockets: the one being made, and the one on this machine that would receive something.

use core::ffi::c_void;

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::bpf_sock_tuple;
use aya_ebpf::helpers::generated::{
    bpf_get_current_ancestor_cgroup_id, bpf_sk_lookup_tcp, bpf_sk_lookup_udp, bpf_sk_release,
};
use aya_ebpf::programs::SockContext;
use ebpf_abi::address::{Address, to_v4};
use ebpf_logic::{Flow, Socket, Target, Who, protocol};

use crate::flow::Row;
use crate::maps::FLOWS;
use crate::tables::CGROUP_LEVEL;

/// `BPF_F_CURRENT_NETNS`: the namespace of the context's socket.
const CURRENT_NETNS: u64 = u64::MAX;

/// A socket of a process that is just calling `socket`.
pub struct Maker<'a>(pub &'a SockContext);

impl Socket for Maker<'_> {
    type Flow = Row;

    #[inline(always)]
    fn cgroup(&self) -> u64 {
        // SAFETY: takes a number.
        unsafe { bpf_get_current_ancestor_cgroup_id(CGROUP_LEVEL.load() as i32) }
    }

    #[inline(always)]
    fn flow(&self) -> Option<Row> {
        Row::new(FLOWS.get(self.0.sock))
    }

    #[inline(always)]
    fn make_flow(&self) -> Option<Row> {
        Row::new(FLOWS.get_or_make(self.0.sock))
    }

    #[inline(always)]
    fn receiver(&self, _: &(Address, u16), _: &Target) -> Option<u64> {
        None
    }

    #[inline(always)]
    fn is_listener(&self) -> bool {
        false
    }

    #[inline(always)]
    fn is_peer(&self, _: &Target) -> bool {
        false
    }

    #[inline(always)]
    fn bound_device(&self) -> u32 {
        0
    }

    #[inline(always)]
    fn cookie(&self) -> u64 {
        0
    }

    #[inline(always)]
    fn local_port(&self) -> u16 {
        0
    }

    #[inline(always)]
    fn who(&self) -> Who {
        Who { pid: self.0.tgid(), ..Who::default() }
    }
}

/// The workload of the socket that would receive what goes from `local` to `target` on this machine; `None` where
/// there is no such socket, or it belongs to no workload.
#[inline(always)]
pub fn receiver(ctx: *mut c_void, local: &(Address, u16), target: &Target) -> Option<u64> {
    let (source, source_port) = local;
    let [sh, sl] = source_port.to_be_bytes();
    let [dh, dl] = target.port.to_be_bytes();
    let mut tuple = Tuple([0; 36]);
    let length = match to_v4(&target.address) {
        Some([d0, d1, d2, d3]) => {
            let [s0, s1, s2, s3] = to_v4(source).unwrap_or_default();
            let short = [s0, s1, s2, s3, d0, d1, d2, d3, sh, sl, dh, dl];
            tuple.0[..12].copy_from_slice(&short);
            12
        }
        None => {
            tuple.0[..16].copy_from_slice(source);
            tuple.0[16..32].copy_from_slice(&target.address);
            tuple.0[32..].copy_from_slice(&[sh, sl, dh, dl]);
            36
        }
    };
    let raw = core::ptr::from_mut(&mut tuple).cast::<bpf_sock_tuple>();
    // SAFETY: the context of this program, and a tuple of that length.
    let found = unsafe {
        match target.protocol {
            protocol::TCP => bpf_sk_lookup_tcp(ctx, raw, length, CURRENT_NETNS, 0),
            protocol::UDP => bpf_sk_lookup_udp(ctx, raw, length, CURRENT_NETNS, 0),
            _ => return None,
        }
    };
    if found.is_null() {
        return None;
    }
    let workload = Row::new(FLOWS.get(found)).map(Flow::workload);
    // SAFETY: the reference the look-up took; not used after this.
    unsafe { bpf_sk_release(found.cast()) };
    workload
}

/// Aligned as the kernel's tuple.
#[repr(C, align(8))]
struct Tuple([u8; 36]);
