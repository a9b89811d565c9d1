//! Calls that would go around the kernel programs, held and free.

use test_case::test_case;

use crate::held::{ESCAPEE, free, is_root, run};

fn attempt(number: i64, arguments: &[i64]) -> Vec<String> {
    let mut command = vec![ESCAPEE.to_owned(), "call".to_owned(), number.to_string()];
    command.extend(arguments.iter().map(i64::to_string));
    command
}

const STREAM: i64 = 1;
const RAW: i64 = 3;

#[test_case(libc::SYS_socket, &[17, RAW, 0]; "a packet socket")]
#[test_case(libc::SYS_socket, &[17 | (1 << 40), RAW, 0]; "a packet socket with a bit in the half the kernel ignores")]
#[test_case(libc::SYS_socket, &[40, STREAM, 0]; "a socket to the hypervisor")]
#[test_case(libc::SYS_socket, &[44, RAW, 0]; "an XDP socket")]
#[test_case(libc::SYS_socket, &[43, STREAM, 0]; "an SMC socket")]
#[test_case(libc::SYS_socket, &[2, STREAM, 256]; "an SMC socket as a protocol of the internet")]
#[test_case(libc::SYS_socket, &[33, 2, 2]; "an RxRPC socket")]
#[test_case(libc::SYS_socket, &[2, RAW, 1]; "a raw socket")]
#[test_case(libc::SYS_socket, &[10, RAW, 58]; "a raw IPv6 socket, as for router advertisements")]
#[test_case(libc::SYS_socket, &[31, RAW, 1]; "a Bluetooth socket")]
#[test_case(libc::SYS_bpf, &[7, 0, 0]; "a pinned BPF object")]
#[test_case(libc::SYS_bpf, &[34, 0, 0]; "detaching a BPF link")]
#[test_case(libc::SYS_io_uring_setup, &[1, 0]; "a ring, which makes sockets past a filter")]
#[test_case(libc::SYS_request_key, &[0, 0, 0, 0]; "the kernel's resolver upcall")]
#[test_case(libc::SYS_keyctl, &[9999]; "a key ring")]
#[test_case(libc::SYS_open_by_handle_at, &[-100, 0, 0]; "a file by its handle")]
#[test_case(libc::SYS_perf_event_open, &[0, 0, -1, -1, 0]; "the kernel's counters")]
#[test_case(libc::SYS_kexec_load, &[0, 1, 0, -1]; "another kernel")]
#[test_case(libc::SYS_init_module, &[0, 0, 0]; "a kernel module")]
#[test_case(libc::SYS_setns, &[-1, 0]; "another namespace")]
#[test_case(libc::SYS_mount, &[0, 0, 0, 0, 0]; "a mount")]
#[test_case(libc::SYS_umount2, &[0, 0]; "an unmount")]
#[test_case(libc::SYS_fsopen, &[0, 0]; "a new file system")]
#[test_case(libc::SYS_move_mount, &[-1, 0, -1, 0, 0]; "moving a mount")]
#[test_case(libc::SYS_open_tree, &[-1, 0, 0]; "a copy of mounts")]
#[test_case(libc::SYS_mount_setattr, &[-1, 0, 0, 0, 1]; "changing a mount")]
#[test_case(libc::SYS_pivot_root, &[0, 0]; "another root")]
#[test_case(libc::SYS_unshare, &[0x1000_0000]; "a user namespace")]
#[test_case(libc::SYS_unshare, &[0x4000_0000]; "a network namespace")]
#[test_case(libc::SYS_ioctl, &[0, 0x5412, 0]; "typing into the terminal")]
#[test_case(libc::SYS_ioctl, &[0, 0x5412 | (1 << 40), 0]; "typing into the terminal, with a bit in the half the kernel ignores")]
#[test_case(libc::SYS_ioctl, &[0, 0x541c, 0]; "pasting into a console")]
#[test_case(libc::SYS_ioctl, &[0, 0x4004_54ca, 0]; "taking hold of a tap")]
#[test_case(libc::SYS_ioctl, &[0, 0x4004_54ca | (1 << 40), 0]; "taking hold of a tap, with a bit in the half the kernel ignores")]
#[test_case(libc::SYS_ioctl, &[0, 0x4004_54d9, 0]; "a queue of a tap")]
#[test_case(libc::SYS_setsockopt, &[-1, 0, 35, 0, 0]; "a multicast group, which the kernel tells the network of")]
#[test_case(libc::SYS_setsockopt, &[-1, 0, 39, 0, 0]; "a source of a group")]
#[test_case(libc::SYS_setsockopt, &[-1, 0, 42, 0, 0]; "a group of any family")]
#[test_case(libc::SYS_setsockopt, &[-1, 0, 46, 0, 0]; "a source of a group of any family")]
#[test_case(libc::SYS_setsockopt, &[-1, 41, 20, 0, 0]; "an IPv6 group")]
#[test_case(libc::SYS_setsockopt, &[-1, 41, 27, 0, 0]; "an anycast group")]
#[test_case(libc::SYS_setsockopt, &[-1, 41, 42, 0, 0]; "an IPv6 group of any family")]
#[test_case(libc::SYS_setsockopt, &[-1, 41, 46 | (1 << 40), 0, 0]; "a source of an IPv6 group, with a bit in the half the kernel ignores")]
fn is_refused_and_only_to_the_held(number: i64, arguments: &[i64]) {
    if !is_root("is_refused_and_only_to_the_held") {
        return;
    }
    let command = attempt(number, arguments);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    assert_eq!(run(&command).stdout, "EPERM");
    assert_ne!(
        free(&command).stdout,
        "EPERM",
        "proves nothing: refused to everybody"
    );
}

#[test_case(libc::SYS_clone, &[0x1000_0000 | 17, 0, 0, 0, 0], "EPERM"; "a user namespace by clone")]
#[test_case(libc::SYS_clone3, &[0, 0], "ENOSYS"; "clone3, whose flags no filter can read")]
#[test_case(0x4000_0000 + 41, &[17, RAW, 0], "ENOSYS"; "a packet socket by the x32 ABI")]
#[test_case(0x4000_0000 + 321, &[7, 0, 0], "ENOSYS"; "bpf by the x32 ABI")]
#[test_case(libc::SYS_socket, &[1, STREAM, 0], "ok"; "a Unix socket works")]
#[test_case(libc::SYS_socket, &[2, STREAM, 0], "ok"; "an internet socket works")]
#[test_case(libc::SYS_socket, &[10, 2, 0], "ok"; "an IPv6 socket works")]
#[test_case(libc::SYS_socket, &[16, RAW, 0], "ok"; "reading interfaces works")]
#[test_case(libc::SYS_setsockopt, &[-1, 0, 36, 0, 0], "EBADF"; "leaving a group is not refused")]
#[test_case(libc::SYS_setsockopt, &[-1, 6, 42, 0, 0], "EBADF"; "options of other levels are not refused")]
#[test_case(libc::SYS_unshare, &[0x200], "ok"; "unsharing what is not a namespace works")]
fn is_answered(number: i64, arguments: &[i64], expected: &str) {
    if !is_root("is_answered") {
        return;
    }
    let command = attempt(number, arguments);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    assert_eq!(run(&command).stdout, expected);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_32_bit_entry_kills() {
    const SIGSYS: i32 = 31;
    if !is_root("the_32_bit_entry_kills") {
        return;
    }
    let outcome = run(&[ESCAPEE, "32-bit"]);
    assert_eq!(outcome.code, Some(128 + SIGSYS), "{outcome:?}");
}
