//! The decision a packet or system call gets, for kernel and host.
