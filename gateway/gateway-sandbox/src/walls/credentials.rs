use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use crate::identity::Identity;

/// Becomes a user for good: real, effective and saved ids, and their supplementary groups instead of ours.
pub(super) fn become_user(identity: &Identity) -> nix::Result<()> {
    let groups: Vec<Gid> = identity.groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}
