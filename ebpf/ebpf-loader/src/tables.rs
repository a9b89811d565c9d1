//! The maps, by name and row.

use std::io;

use aya::Ebpf;
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap, MapData, MapError, PerCpuArray};
use ebpf_abi::Row;
use ebpf_abi::globals::maps;
use ebpf_abi::plan::Write;

use crate::datapath::ApplyError;

/// Every map user space writes. Rows travel as bytes: `ebpf-abi` knows their layout.
pub(crate) struct Tables {
    workloads: HashMap<MapData, [u8; 8], [u8; 8]>,
    learned: HashMap<MapData, [u8; 20], [u8; 96]>,
    prefixes: LpmTrie<MapData, [u8; 20], [u8; 8]>,
    ports: LpmTrie<MapData, [u8; 8], [u8; 8]>,
    slots: HashMap<MapData, [u8; 32], u32>,
    origins: HashMap<MapData, u32, [u8; 32]>,
    epoch: Array<MapData, u32>,
    dropped: PerCpuArray<MapData, u64>,
}

impl Tables {
    /// Takes the maps out of a loaded object.
    pub(crate) fn take(object: &mut Ebpf) -> Result<Self, MapError> {
        let mut take = |name: &'static str| {
            object.take_map(name).ok_or_else(|| MapError::InvalidName {
                name: name.to_owned(),
            })
        };
        Ok(Self {
            workloads: take(maps::WORKLOADS)?.try_into()?,
            learned: take(maps::LEARNED)?.try_into()?,
            prefixes: take(maps::PREFIXES)?.try_into()?,
            ports: take(maps::PORTS)?.try_into()?,
            slots: take(maps::SLOTS)?.try_into()?,
            origins: take(maps::ORIGINS)?.try_into()?,
            epoch: take(maps::EPOCH)?.try_into()?,
            dropped: take(maps::DROPPED)?.try_into()?,
        })
    }

    /// Writes one row, or removes one. Removing what is not there is done.
    pub(crate) fn write(&mut self, write: &Write) -> Result<(), ApplyError> {
        match write {
            Write::ListStands(_) | Write::ListFalls(_) => Ok(()),
            Write::Port(key, row) => {
                let place = trie_key(key.bits, key.to_bytes());
                match row {
                    Some(row) => done(maps::PORTS, self.ports.insert(&place, row.to_bytes(), 0)),
                    None => gone(maps::PORTS, self.ports.remove(&place)),
                }
            }
            Write::Prefix(key, row) => {
                let place = trie_key(key.bits, key.to_bytes());
                match row {
                    Some(row) => done(
                        maps::PREFIXES,
                        self.prefixes.insert(&place, row.to_bytes(), 0),
                    ),
                    None => gone(maps::PREFIXES, self.prefixes.remove(&place)),
                }
            }
            Write::Learned(key, row) => match row {
                Some(row) => done(
                    maps::LEARNED,
                    self.learned.insert(key.to_bytes(), row.to_bytes(), 0),
                ),
                None => gone(maps::LEARNED, self.learned.remove(&key.to_bytes())),
            },
            Write::Slot(key, slot) => match slot {
                Some(slot) => done(
                    maps::SLOTS,
                    self.slots.insert(key.to_bytes(), u32::from(*slot), 0),
                ),
                None => gone(maps::SLOTS, self.slots.remove(&key.to_bytes())),
            },
            Write::Origin(slot, origin) => match origin {
                Some(origin) => done(
                    maps::ORIGINS,
                    self.origins.insert(u32::from(*slot), origin.to_bytes(), 0),
                ),
                None => gone(maps::ORIGINS, self.origins.remove(&u32::from(*slot))),
            },
            Write::Workload(key, row) => match row {
                Some(row) => done(
                    maps::WORKLOADS,
                    self.workloads.insert(key.to_bytes(), row.to_bytes(), 0),
                ),
                None => gone(maps::WORKLOADS, self.workloads.remove(&key.to_bytes())),
            },
            Write::Epoch(epoch) => done(maps::EPOCH, self.epoch.set(0, epoch, 0)),
        }
    }

    /// Events that found the ring full, over all CPUs.
    pub(crate) fn dropped(&self) -> Result<u64, MapError> {
        Ok(self.dropped.get(&0, 0)?.iter().sum())
    }
}

/// A key of a prefix table as aya wants it: the bits that count, and the rest of our key.
fn trie_key<const ALL: usize, const DATA: usize>(bits: u32, bytes: [u8; ALL]) -> Key<[u8; DATA]> {
    const {
        assert!(
            ALL == DATA + 4,
            "the first four bytes are the bits that count"
        )
    };
    let mut data = [0; DATA];
    data.iter_mut()
        .zip(bytes.iter().skip(4))
        .for_each(|(to, from)| *to = *from);
    Key::new(bits, data)
}

fn done(table: &'static str, result: Result<(), MapError>) -> Result<(), ApplyError> {
    result.map_err(|error| ApplyError::Write {
        table,
        source: io_error(error),
    })
}

fn gone(table: &'static str, result: Result<(), MapError>) -> Result<(), ApplyError> {
    match result {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(error) => {
            let source = io_error(error);
            if source.kind() == io::ErrorKind::NotFound {
                Ok(())
            } else {
                Err(ApplyError::Write { table, source })
            }
        }
        Ok(()) => Ok(()),
    }
}

fn io_error(error: MapError) -> io::Error {
    if let MapError::SyscallError(call) = error {
        call.io_error
    } else {
        io::Error::other(error)
    }
}

#[cfg(test)]
mod tests {
    use aya::Ebpf;
    use aya::maps::Map;
    use ebpf_abi::capacity;
    use ebpf_abi::globals::maps;

    use crate::object;

    /// The ledger counts by these numbers: what it lets through, the kernel must have room for.
    #[test]
    fn the_tables_have_the_capacity_that_is_counted_by() {
        let root = nix::unistd::geteuid().is_root();
        assert!(
            root || std::env::var_os("CI").is_none(),
            "making tables needs root, and CI is set"
        );
        if !root {
            return;
        }
        let loaded = Ebpf::load(object::OBJECT).unwrap();
        for (name, rows) in [
            (maps::WORKLOADS, capacity::WORKLOADS),
            (maps::LEARNED, capacity::LEARNED),
            (maps::PREFIXES, capacity::PREFIXES),
            (maps::PORTS, capacity::PORTS),
            (maps::SLOTS, capacity::SLOTS),
            (maps::ORIGINS, capacity::SLOTS),
        ] {
            let map = loaded.map(name).unwrap();
            let (Map::HashMap(table) | Map::LpmTrie(table)) = map else {
                panic!("{name} is {map:?}");
            };
            let found = table.info().unwrap().max_entries();
            assert_eq!(usize::try_from(found).unwrap(), rows, "{name}");
        }
    }
}
