//! System calls: `bpf_sock_addr` as `ebpf-logic` wants it.

use core::ptr::{addr_of, addr_of_mut};

use aya_ebpf::bindings::{bpf_sock, bpf_sock_addr};
use aya_ebpf::helpers::generated::{bpf_get_current_ancestor_cgroup_id, bpf_get_socket_cookie};
use aya_ebpf::programs::SockAddrContext;
use aya_ebpf::EbpfContext;
use ebpf_abi::address::{Address, from_v4, to_v4};
use ebpf_logic::{CallAction, Maps, Socket, Target, Who};

use crate::flow::Row;
use crate::maps::FLOWS;
use crate::socket;
use crate::tables::{CGROUP_LEVEL, Tables};

const ALLOW: i32 = 1;
const DENY: i32 = 0;

#[inline(always)]
pub fn connect4(ctx: &SockAddrContext) -> i32 {
    let caller = Caller(ctx);
    let action = ebpf_logic::connect(&Tables, &caller, &caller.target(caller.address4()));
    caller.act4(action)
}

#[inline(always)]
pub fn connect6(ctx: &SockAddrContext) -> i32 {
    let caller = Caller(ctx);
    let action = ebpf_logic::connect(&Tables, &caller, &caller.target(caller.address6()));
    caller.act6(action)
}

#[inline(always)]
pub fn sendmsg4(ctx: &SockAddrContext) -> i32 {
    let caller = Caller(ctx);
    let action = ebpf_logic::sendmsg(&Tables, &caller, &caller.target(caller.address4()));
    caller.act4(action)
}

#[inline(always)]
pub fn sendmsg6(ctx: &SockAddrContext) -> i32 {
    let caller = Caller(ctx);
    let action = ebpf_logic::sendmsg(&Tables, &caller, &caller.target(caller.address6()));
    caller.act6(action)
}

/// `recvmsg` and `getpeername` of an IPv4 socket. Nothing is denied here.
#[inline(always)]
pub fn undo4(ctx: &SockAddrContext) -> i32 {
    let caller = Caller(ctx);
    if let Some((address, port)) = ebpf_logic::undo(&Tables, caller.cgroup(), &caller.address4(), caller.port()) {
        caller.write4(&address);
        caller.write_port(port);
    }
    ALLOW
}

/// The same for an IPv6 socket, which sees IPv4 as mapped addresses.
#[inline(always)]
pub fn undo6(ctx: &SockAddrContext) -> i32 {
    let caller = Caller(ctx);
    if let Some((address, port)) = ebpf_logic::undo(&Tables, caller.cgroup(), &caller.address6(), caller.port()) {
        caller.write6(&address);
        caller.write_port(port);
    }
    ALLOW
}

/// The process that made the call, and its socket.
struct Caller<'a>(&'a SockAddrContext);

impl Caller<'_> {
    #[inline(always)]
    fn target(&self, address: Address) -> Target {
        // SAFETY: the context is readable here.
        let protocol = unsafe { addr_of!((*self.raw()).protocol).read_volatile() };
        Target { address, port: self.port(), protocol: protocol as u8 }
    }

    #[inline(always)]
    fn address4(&self) -> Address {
        // SAFETY: the context is readable here.
        from_v4(unsafe { addr_of!((*self.raw()).user_ip4).read_volatile() }.to_ne_bytes())
    }

    #[inline(always)]
    fn address6(&self) -> Address {
        let mut address = [0; 16];
        // SAFETY: the context is readable here, four bytes at a time.
        let words = unsafe { addr_of!((*self.raw()).user_ip6) }.cast::<u32>();
        // SAFETY: the first of four words.
        let [a, b, c, d] = unsafe {
            [
                words.read_volatile(),
                words.add(1).read_volatile(),
                words.add(2).read_volatile(),
                words.add(3).read_volatile(),
            ]
        };
        let parts = [a.to_ne_bytes(), b.to_ne_bytes(), c.to_ne_bytes(), d.to_ne_bytes()];
        address.copy_from_slice(parts.as_flattened());
        address
    }

    #[inline(always)]
    fn port(&self) -> u16 {
        // SAFETY: the context is readable here.
        u16::from_be(unsafe { addr_of!((*self.raw()).user_port).read_volatile() } as u16)
    }

    #[inline(always)]
    fn act4(&self, action: CallAction) -> i32 {
        match action {
            CallAction::Allow => ALLOW,
            CallAction::Deny => DENY,
            CallAction::Redirect(address) => {
                self.write4(&address);
                self.write_port(Tables.interceptor_port());
                ALLOW
            }
        }
    }

    #[inline(always)]
    fn act6(&self, action: CallAction) -> i32 {
        match action {
            CallAction::Allow => ALLOW,
            CallAction::Deny => DENY,
            CallAction::Redirect(address) => {
                self.write6(&address);
                self.write_port(Tables.interceptor_port());
                ALLOW
            }
        }
    }

    #[inline(always)]
    fn write4(&self, address: &Address) {
        if let Some(octets) = to_v4(address) {
            // SAFETY: these hooks may write the address.
            unsafe { addr_of_mut!((*self.raw()).user_ip4).write_volatile(u32::from_ne_bytes(octets)) };
        }
    }

    #[inline(always)]
    fn write6(&self, address: &Address) {
        let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3] = *address;
        // SAFETY: these hooks may write the address, four bytes at a time.
        let words = unsafe { addr_of_mut!((*self.raw()).user_ip6) }.cast::<u32>();
        // SAFETY: four words.
        unsafe {
            words.write_volatile(u32::from_ne_bytes([a0, a1, a2, a3]));
            words.add(1).write_volatile(u32::from_ne_bytes([b0, b1, b2, b3]));
            words.add(2).write_volatile(u32::from_ne_bytes([c0, c1, c2, c3]));
            words.add(3).write_volatile(u32::from_ne_bytes([d0, d1, d2, d3]));
        }
    }

    #[inline(always)]
    fn write_port(&self, port: u16) {
        // SAFETY: these hooks may write the port.
        unsafe { addr_of_mut!((*self.raw()).user_port).write_volatile(u32::from(port.to_be())) };
    }

    #[inline(always)]
    fn socket(&self) -> *mut bpf_sock {
        // SAFETY: the context is readable here.
        unsafe { addr_of!((*self.raw()).__bindgen_anon_1.sk).read_volatile() }
    }

    #[inline(always)]
    const fn raw(&self) -> *mut bpf_sock_addr {
        self.0.sock_addr
    }
}

impl Socket for Caller<'_> {
    type Flow = Row;

    #[inline(always)]
    fn cgroup(&self) -> u64 {
        // SAFETY: takes a number.
        unsafe { bpf_get_current_ancestor_cgroup_id(CGROUP_LEVEL.load() as i32) }
    }

    #[inline(always)]
    fn flow(&self) -> Option<Row> {
        let sk = self.socket();
        if sk.is_null() { None } else { Row::new(FLOWS.get(sk)) }
    }

    #[inline(always)]
    fn make_flow(&self) -> Option<Row> {
        let sk = self.socket();
        if sk.is_null() { None } else { Row::new(FLOWS.get_or_make(sk)) }
    }

    #[inline(always)]
    fn receiver(&self, local: &(Address, u16), target: &Target) -> Option<u64> {
        socket::receiver(self.0.as_ptr(), local, target)
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
        let sk = self.socket();
        // SAFETY: a socket the kernel handed out; the verifier checks the offset.
        if sk.is_null() { 0 } else { unsafe { addr_of!((*sk).bound_dev_if).read_volatile() } }
    }

    #[inline(always)]
    fn cookie(&self) -> u64 {
        // SAFETY: the context of this program.
        unsafe { bpf_get_socket_cookie(self.0.as_ptr()) }
    }

    #[inline(always)]
    fn local_port(&self) -> u16 {
        let sk = self.socket();
        // SAFETY: as above.
        if sk.is_null() { 0 } else { unsafe { addr_of!((*sk).src_port).read_volatile() as u16 } }
    }

    #[inline(always)]
    fn who(&self) -> Who {
        Who { pid: self.0.tgid(), uid: self.0.uid(), comm: self.0.command().unwrap_or_default() }
    }
}
