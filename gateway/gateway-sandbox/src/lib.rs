//! The walls around a held command that are not BPF.
