//! Packets: `__sk_buff` as `ebpf-logic` wants it.

use core::ffi::c_void;
use core::ptr::addr_of;

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::bpf_sock;
use aya_ebpf::helpers::generated::{bpf_get_socket_cookie, bpf_sk_fullsock, bpf_skb_ancestor_cgroup_id};
use aya_ebpf::programs::SkBuffContext;
use ebpf_abi::address::{Address, from_v4};
use ebpf_logic::{Packet, Socket, Target, Who};

use crate::flow::Row;
use crate::maps::FLOWS;
use crate::socket;
use crate::tables::CGROUP_LEVEL;

const TCP_LISTEN: u32 = 10;
const AF_INET: u32 = 2;
const ETHERTYPE_IPV6: u32 = 0x86dd;

/// The packet's bytes, from the IP header on.
pub struct Bytes<'a>(pub &'a SkBuffContext);

/// The socket that sends, or receives.
pub struct Sender<'a> {
    ctx: &'a SkBuffContext,
    /// A full socket, or null: then it is being made, or on its way out.
    socket: *mut bpf_sock,
}

impl Packet for Bytes<'_> {
    #[inline(always)]
    fn load<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        self.0.load::<[u8; N]>(offset as usize).ok()
    }

    #[inline(always)]
    fn peek<const WORDS: usize>(&self) -> Option<[u32; WORDS]> {
        let skb = self.0.skb.skb;
        // SAFETY: the context is readable here.
        let (data, end) = unsafe { (addr_of!((*skb).data).read_volatile(), addr_of!((*skb).data_end).read_volatile()) };
        let (data, end) = (data as usize, end as usize);
        if data + WORDS * 4 > end {
            return None;
        }
        // SAFETY: the verifier saw the comparison. IP headers are aligned to words (`NET_IP_ALIGN`).
        Some(unsafe { (data as *const [u32; WORDS]).read_volatile() })
    }

    #[inline(always)]
    fn length(&self) -> u32 {
        self.0.len()
    }

    #[inline(always)]
    fn version(&self) -> u8 {
        // SAFETY: the context is readable here.
        let protocol = unsafe { addr_of!((*self.0.skb.skb).protocol).read_volatile() };
        if protocol == ETHERTYPE_IPV6.swap_bytes() >> 16 { 6 } else { 4 }
    }
}

impl<'a> Sender<'a> {
    #[inline(always)]
    pub fn new(ctx: &'a SkBuffContext) -> Self {
        // SAFETY: the context is readable here.
        let common = unsafe { addr_of!((*ctx.skb.skb).__bindgen_anon_2.sk).read_volatile() };
        let socket = if common.is_null() {
            core::ptr::null_mut()
        } else {
            // SAFETY: a socket the kernel handed out.
            unsafe { bpf_sk_fullsock(common) }
        };
        Self { ctx, socket }
    }
}

impl Socket for Sender<'_> {
    type Flow = Row;

    #[inline(always)]
    fn cgroup(&self) -> u64 {
        // SAFETY: the context of this program, and a number.
        unsafe { bpf_skb_ancestor_cgroup_id(self.ctx.skb.skb, CGROUP_LEVEL.load() as i32) }
    }

    #[inline(always)]
    fn flow(&self) -> Option<Row> {
        if self.socket.is_null() { None } else { Row::new(FLOWS.get(self.socket)) }
    }

    #[inline(always)]
    fn make_flow(&self) -> Option<Row> {
        if self.socket.is_null() { None } else { Row::new(FLOWS.get_or_make(self.socket)) }
    }

    #[inline(always)]
    fn receiver(&self, local: &(Address, u16), target: &Target) -> Option<u64> {
        match receiver_apart(self.ctx.as_ptr(), local, target) {
            0 => None,
            workload => Some(workload),
        }
    }

    #[inline(always)]
    fn is_listener(&self) -> bool {
        // SAFETY: a full socket; the verifier checks the offset.
        !self.socket.is_null() && unsafe { addr_of!((*self.socket).state).read_volatile() } == TCP_LISTEN
    }

    #[inline(always)]
    fn is_peer(&self, target: &Target) -> bool {
        let sk = self.socket;
        if sk.is_null() {
            return false;
        }
        // SAFETY: a full socket; the verifier checks the offsets.
        let (family, port, v4) = unsafe {
            (
                addr_of!((*sk).family).read_volatile(),
                addr_of!((*sk).dst_port).read_volatile(),
                addr_of!((*sk).dst_ip4).read_volatile(),
            )
        };
        if u16::from_be(port) != target.port {
            return false;
        }
        let address = if family == AF_INET { from_v4(v4.to_ne_bytes()) } else { peer6(sk) };
        address == target.address
    }

    #[inline(always)]
    fn bound_device(&self) -> u32 {
        0
    }

    #[inline(always)]
    fn cookie(&self) -> u64 {
        // SAFETY: the context of this program.
        unsafe { bpf_get_socket_cookie(self.ctx.as_ptr()) }
    }

    #[inline(always)]
    fn local_port(&self) -> u16 {
        0
    }

    /// The packet may be sent by an interrupt: the current task has nothing to do with it.
    #[inline(always)]
    fn who(&self) -> Who {
        Who::default()
    }
}

/// With a stack frame of its own: the packet's way through the decision leaves little. 0 is nobody; the verifier
/// refuses functions of the program that return nothing but have a stack pointer left in the register for it.
#[inline(never)]
fn receiver_apart(ctx: *mut c_void, local: &(Address, u16), target: &Target) -> u64 {
    socket::receiver(ctx, local, target).unwrap_or(0)
}

#[inline(always)]
fn peer6(sk: *mut bpf_sock) -> Address {
    // SAFETY: a full socket; the verifier checks the offsets.
    let words = unsafe { addr_of!((*sk).dst_ip6) }.cast::<u32>();
    // SAFETY: four words.
    let [a, b, c, d] = unsafe {
        [
            words.read_volatile(),
            words.add(1).read_volatile(),
            words.add(2).read_volatile(),
            words.add(3).read_volatile(),
        ]
    };
    let parts = [a.to_ne_bytes(), b.to_ne_bytes(), c.to_ne_bytes(), d.to_ne_bytes()];
    let mut address = [0; 16];
    address.copy_from_slice(parts.as_flattened());
    address
}
