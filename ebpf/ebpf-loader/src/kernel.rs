//! The programs in the kernel.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use aya::maps::{MapError, RingBuf};
use aya::programs::links::{CgroupAttachMode, FdLink, LinkError};
use aya::programs::{
    CgroupSkb, CgroupSkbAttachType, CgroupSock, CgroupSockAddr, Program, ProgramError,
};
use aya::{Ebpf, EbpfError, EbpfLoader};
use ebpf_abi::globals;
use ebpf_abi::plan::{Batch, Ledger, WorkloadId};

use crate::datapath::{ApplyError, Datapath};
use crate::events::Events;
use crate::features::{Missing, missing_features};
use crate::object;
use crate::tables::Tables;

/// Attach points, in the order they are attached: the walls on packets stand before a system call is answered.
const PROGRAMS: [&str; 11] = [
    "egress",
    "ingress",
    "sock_create",
    "connect4",
    "connect6",
    "sendmsg4",
    "sendmsg6",
    "recvmsg4",
    "recvmsg6",
    "getpeername4",
    "getpeername6",
];

/// What is constant for a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Port the interceptor has on slot addresses.
    pub interceptor_port: u16,
    /// Depth of the workloads' cgroups below the v2 root; see [`cgroup_level`](crate::cgroup_level).
    pub cgroup_level: u32,
}

/// Loaded programs, their links and tables. Dropping it detaches and forgets everything, pins included.
pub struct Kernel {
    object: Ebpf,
    tables: Tables,
    ledger: Ledger,
    events: Option<Events>,
    links: Vec<FdLink>,
    pins: Vec<PathBuf>,
}

/// Why the programs are not in the kernel.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Loading programs needs root, or `CAP_BPF`, `CAP_NET_ADMIN` and `CAP_PERFMON`.
    #[error("no permission to load kernel programs")]
    Permission(#[source] io::Error),
    /// The kernel lacks something.
    #[error("this kernel lacks {}", list(.0))]
    Missing(Vec<Missing>),
    /// The embedded object is of another version of this project.
    #[error("the embedded programs have another layout: run `cargo xtask ebpf-build`")]
    Layout,
    #[error("the embedded programs cannot be read")]
    Object(#[source] EbpfError),
    #[error("the kernel refused the program `{name}`")]
    Program {
        name: &'static str,
        #[source]
        source: ProgramError,
    },
    #[error("the embedded programs do not have `{name}`")]
    NoProgram { name: &'static str },
    #[error("the tables cannot be used")]
    Tables(#[source] MapError),
}

/// Why a cgroup is not held. Programs attached before the failing one stay until the [`Kernel`] is dropped.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    #[error("the kernel refused to attach `{name}` to the cgroup")]
    Attach {
        name: &'static str,
        #[source]
        source: ProgramError,
    },
    #[error("the kernel has no links for cgroup programs (since Linux 5.7)")]
    NoLink(#[source] LinkError),
}

/// Why links are not pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    #[error("cannot use `{path}` for pins", path = .path.display())]
    Directory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the kernel refused to pin a link")]
    Pin(#[source] aya::pin::PinError),
}

impl Kernel {
    /// Asks what the kernel offers, loads the programs and makes empty tables: every workload is unknown, and unknown
    /// is denied.
    ///
    /// # Errors
    ///
    /// See [`LoadError`]; nothing stays in the kernel.
    pub fn load(options: &Options) -> Result<Self, LoadError> {
        if !object::layout_agrees() {
            return Err(LoadError::Layout);
        }
        Self::load_object(object::OBJECT, options)
    }

    /// Loads another object than the embedded one: a fresh build, before it is committed.
    ///
    /// # Errors
    ///
    /// As [`Self::load`]; an object of another layout is not found out.
    pub fn load_object(bytes: &[u8], options: &Options) -> Result<Self, LoadError> {
        let mut object = EbpfLoader::new()
            .override_global(globals::INTERCEPTOR_PORT, &options.interceptor_port, true)
            .override_global(globals::CGROUP_LEVEL, &options.cgroup_level, true)
            .load(bytes)
            .map_err(explain)?;
        for name in PROGRAMS {
            let program = object
                .program_mut(name)
                .ok_or(LoadError::NoProgram { name })?;
            load_program(program).map_err(|source| refused(name, source))?;
        }
        let tables = Tables::take(&mut object).map_err(LoadError::Tables)?;
        let events = object
            .take_map(globals::maps::EVENTS)
            .ok_or_else(|| MapError::InvalidName {
                name: globals::maps::EVENTS.to_owned(),
            })
            .and_then(RingBuf::try_from)
            .map(Events::new)
            .map_err(LoadError::Tables)?;
        Ok(Self {
            object,
            tables,
            ledger: Ledger::new(),
            events: Some(events),
            links: Vec::new(),
            pins: Vec::new(),
        })
    }

    /// Holds a cgroup and everything below it. Attach before the first process enters: sockets made earlier have no
    /// mark of their workload and are not known on loopback.
    ///
    /// # Errors
    ///
    /// See [`AttachError`].
    pub fn attach(&mut self, cgroup: BorrowedFd<'_>) -> Result<(), AttachError> {
        for name in PROGRAMS {
            let Some(program) = self.object.program_mut(name) else {
                continue;
            };
            let link = attach_program(program, cgroup)
                .map_err(|source| AttachError::Attach { name, source })?;
            self.links.push(link.map_err(AttachError::NoLink)?);
        }
        Ok(())
    }

    /// Lets go of every cgroup; the tables stay. Only when what ran in them is gone: it would be free.
    pub fn detach(&mut self) {
        self.unpin();
        self.links.clear();
    }

    /// Pins the links into a fresh directory of a bpffs, so that they outlive this process if it is killed; a clean
    /// end removes them. Whoever can open a pin can detach it: the workload must not see that bpffs.
    ///
    /// # Errors
    ///
    /// See [`PinError`]; the links hold all the same, for as long as the process lives.
    pub fn pin(&mut self, directory: &Path) -> Result<(), PinError> {
        let fail = |source| PinError::Directory {
            path: directory.to_owned(),
            source,
        };
        fs::create_dir_all(directory).map_err(fail)?;
        self.pins.push(directory.to_owned());
        for (number, link) in std::mem::take(&mut self.links).into_iter().enumerate() {
            let path = directory.join(format!("link-{number}"));
            let pinned = link.pin(&path).map_err(PinError::Pin)?;
            self.pins.push(path);
            self.links.push(pinned.into());
        }
        Ok(())
    }

    /// The events, once: whoever takes them reads them.
    pub const fn events(&mut self) -> Option<Events> {
        self.events.take()
    }

    /// Events that were lost because nobody took them in time.
    ///
    /// # Errors
    ///
    /// The counter cannot be read.
    pub fn dropped_events(&self) -> Result<u64, MapError> {
        self.tables.dropped()
    }

    /// How many instructions the verifier walked for each program (since Linux 5.16; else nothing). It gives up at a
    /// million, and other kernels walk more.
    ///
    /// # Errors
    ///
    /// A program's information cannot be read.
    pub fn verifier_effort(&self) -> Result<Vec<(&'static str, u32)>, ProgramError> {
        let mut effort = Vec::new();
        for name in PROGRAMS {
            let Some(program) = self.object.program(name) else {
                continue;
            };
            if let Some(count) = program.info()?.verified_instruction_count() {
                effort.push((name, count));
            }
        }
        Ok(effort)
    }

    /// What a slot stands for, as it was last written.
    pub fn slot(&self, slot: u16) -> Option<(WorkloadId, SocketAddr)> {
        self.ledger.slot(slot)
    }

    /// Addresses the tables hold open for names, over all rulesets.
    pub fn learned_count(&self) -> usize {
        self.ledger.learned_count()
    }
}

impl Kernel {
    /// The program of this name, loaded, for runs without any socket.
    pub(crate) fn packet_program(
        &mut self,
        name: &'static str,
    ) -> Result<&mut CgroupSkb, LoadError> {
        let program = self
            .object
            .program_mut(name)
            .ok_or(LoadError::NoProgram { name })?;
        let program =
            <&mut CgroupSkb>::try_from(program).map_err(|source| refused(name, source))?;
        if program.fd().is_err() {
            program.load().map_err(|source| refused(name, source))?;
        }
        Ok(program)
    }
}

impl Datapath for Kernel {
    fn apply(&mut self, batch: &Batch) -> Result<(), ApplyError> {
        let writes = self.ledger.stage(batch).map_err(ApplyError::Plan)?;
        for write in &writes {
            self.tables.write(write)?;
            self.ledger.wrote(write);
        }
        Ok(())
    }
}

impl Kernel {
    fn unpin(&mut self) {
        // Files first, then their directory, which was noted before them.
        for path in std::mem::take(&mut self.pins).iter().rev() {
            let removed = if path.is_dir() {
                fs::remove_dir(path)
            } else {
                fs::remove_file(path)
            };
            // A pin that stays keeps the wall up, not down.
            drop(removed);
        }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.unpin();
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            object: _,
            tables: _,
            ledger,
            events: _,
            links,
            pins,
        } = self;
        f.debug_struct("Kernel")
            .field("learned", &ledger.learned_count())
            .field("links", &links.len())
            .field("pins", pins)
            .finish_non_exhaustive()
    }
}

fn load_program(program: &mut Program) -> Result<(), ProgramError> {
    if let Ok(program) = <&mut CgroupSockAddr>::try_from(&mut *program) {
        return program.load();
    }
    if let Ok(program) = <&mut CgroupSock>::try_from(&mut *program) {
        return program.load();
    }
    <&mut CgroupSkb>::try_from(program)?.load()
}

fn attach_program(
    program: &mut Program,
    cgroup: BorrowedFd<'_>,
) -> Result<Result<FdLink, LinkError>, ProgramError> {
    // The kernel takes no flags for cgroup links and always allows several.
    let mode = CgroupAttachMode::Single;
    if let Ok(program) = <&mut CgroupSockAddr>::try_from(&mut *program) {
        let id = program.attach(cgroup, mode)?;
        return Ok(program.take_link(id)?.try_into());
    }
    if let Ok(program) = <&mut CgroupSock>::try_from(&mut *program) {
        let id = program.attach(cgroup, mode)?;
        return Ok(program.take_link(id)?.try_into());
    }
    let program = <&mut CgroupSkb>::try_from(program)?;
    let direction = program
        .expected_attach_type()
        .unwrap_or(CgroupSkbAttachType::Egress);
    let id = program.attach(cgroup, direction, mode)?;
    Ok(program.take_link(id)?.try_into())
}

/// An object that cannot be loaded: the right is missing, or a feature, or it is broken.
fn explain(error: EbpfError) -> LoadError {
    match permission(&error) {
        Some(denied) => LoadError::Permission(denied),
        None => missing().unwrap_or(LoadError::Object(error)),
    }
}

fn refused(name: &'static str, source: ProgramError) -> LoadError {
    match permission(&source) {
        Some(denied) => LoadError::Permission(denied),
        None => missing().unwrap_or(LoadError::Program { name, source }),
    }
}

fn missing() -> Option<LoadError> {
    let missing = missing_features();
    (!missing.is_empty()).then_some(LoadError::Missing(missing))
}

/// `EPERM` anywhere among the causes. (`EACCES` is the verifier's refusal.)
fn permission(error: &(dyn std::error::Error + 'static)) -> Option<io::Error> {
    const EPERM: i32 = 1;
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>()
            && io.raw_os_error() == Some(EPERM)
        {
            return Some(io::Error::from_raw_os_error(EPERM));
        }
        cause = error.source();
    }
    None
}

fn list(missing: &[Missing]) -> String {
    missing
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
