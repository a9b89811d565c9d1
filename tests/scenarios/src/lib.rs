//! Real clients, real sockets, real kernel.
