//! Attach points of the kernel programs, and nothing else: each turns its context into the words of `ebpf-logic`,
//! asks, and turns the answer back.
//!
//! Every context needs its own view ([`call::Caller`], [`packet::Sender`], [`socket::Maker`]), because the kernel
//! offers each program type other helpers.
#![no_std]
#![no_main]

mod call;
mod flow;
mod maps;
mod packet;
mod socket;
mod tables;

use aya_ebpf::macros::{cgroup_skb, cgroup_sock, cgroup_sock_addr};
use aya_ebpf::programs::{SkBuffContext, SockAddrContext, SockContext};
use ebpf_logic::PacketAction;

const PASS: i32 = 1;
/// EPERM for the system call that sent the packet.
const REJECT: i32 = 0;
/// Lost with a congestion mark, which no system call reports: UDP senders see success, TCP sends again.
const DROP: i32 = 2;

#[cgroup_sock_addr(connect4)]
pub fn connect4(ctx: SockAddrContext) -> i32 {
    call::connect4(&ctx)
}

#[cgroup_sock_addr(connect6)]
pub fn connect6(ctx: SockAddrContext) -> i32 {
    call::connect6(&ctx)
}

#[cgroup_sock_addr(sendmsg4)]
pub fn sendmsg4(ctx: SockAddrContext) -> i32 {
    call::sendmsg4(&ctx)
}

#[cgroup_sock_addr(sendmsg6)]
pub fn sendmsg6(ctx: SockAddrContext) -> i32 {
    call::sendmsg6(&ctx)
}

#[cgroup_sock_addr(recvmsg4)]
pub fn recvmsg4(ctx: SockAddrContext) -> i32 {
    call::undo4(&ctx)
}

#[cgroup_sock_addr(recvmsg6)]
pub fn recvmsg6(ctx: SockAddrContext) -> i32 {
    call::undo6(&ctx)
}

#[cgroup_sock_addr(getpeername4)]
pub fn getpeername4(ctx: SockAddrContext) -> i32 {
    call::undo4(&ctx)
}

#[cgroup_sock_addr(getpeername6)]
pub fn getpeername6(ctx: SockAddrContext) -> i32 {
    call::undo6(&ctx)
}

#[cgroup_skb(egress)]
pub fn egress(ctx: SkBuffContext) -> i32 {
    let sender = packet::Sender::new(&ctx);
    match ebpf_logic::egress(&tables::Tables, &sender, &packet::Bytes(&ctx)) {
        PacketAction::Pass => PASS,
        PacketAction::Reject => REJECT,
        PacketAction::Drop => DROP,
    }
}

#[cgroup_skb(ingress)]
pub fn ingress(ctx: SkBuffContext) -> i32 {
    ebpf_logic::ingress(&packet::Sender::new(&ctx));
    PASS
}

#[cgroup_sock(sock_create)]
pub fn sock_create(ctx: SockContext) -> i32 {
    ebpf_logic::socket_made(&socket::Maker(&ctx));
    PASS
}

/// Lets everything pass: never attached, only run beside `egress` to see what that costs.
#[cgroup_skb(egress)]
pub fn nothing(_: SkBuffContext) -> i32 {
    PASS
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here panics; the verifier would refuse an endless loop.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
