//! The built programs.

use ebpf_abi::LAYOUT_VERSION;

/// `ebpf/prebuilt/egret.bpf.o`, aligned as the ELF reader wants it.
pub(crate) static OBJECT: &[u8] = aya::include_bytes_aligned!("../../prebuilt/egret.bpf.o");

/// What built it, written beside it by `cargo xtask ebpf-build`.
pub(crate) const RECORD: &str = include_str!("../../prebuilt/egret.bpf.o.toml");

/// The layout the object was built with.
pub(crate) fn recorded_layout() -> Option<u32> {
    RECORD
        .lines()
        .find_map(|line| line.strip_prefix("layout-version = "))?
        .trim()
        .parse()
        .ok()
}

/// Whether the object and this loader mean the same rows.
pub(crate) fn layout_agrees() -> bool {
    recorded_layout() == Some(LAYOUT_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_object_has_this_layout() {
        assert!(
            layout_agrees(),
            "run `cargo xtask ebpf-build`: {:?}",
            recorded_layout()
        );
    }
}
