use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dns_names::{Name, Resolution};

/// A point in time: since boot, suspend included (CLOCK_BOOTTIME).
pub type Time = Duration;

/// The names one answer is about: the question, then every alias target. Never empty; cloning is a reference count.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Names(Arc<[Name]>);

impl Names {
    pub fn of(resolution: &Resolution) -> Self {
        Self(resolution.chain.as_slice().into())
    }

    pub fn question(&self) -> &Name {
        &self.0[0]
    }

    /// The question first, then each alias target.
    pub fn chain(&self) -> &[Name] {
        &self.0
    }
}

/// That names stand for an address, until a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub names: Names,
    pub ip: IpAddr,
    /// The last moment it is live.
    pub expires_at: Time,
    pub standing: Standing,
    /// The last answer that gave it; what is idle longest is evicted first.
    pub seen_at: Time,
}

impl Lease {
    /// Live while its age is at most its TTL: the last moment counts.
    pub fn is_live(&self, now: Time) -> bool {
        now <= self.expires_at
    }

    /// When it leaves the store: at its expiry, or sooner when nobody's policy wants it.
    fn leaves_at(&self, memory: Duration) -> Time {
        match self.standing {
            Standing::Allowed => self.expires_at.saturating_add(memory),
            Standing::Remembered { until } => self.expires_at.min(until),
        }
    }
}

/// Whether some policy wants a lease's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Allowed,
    /// No policy wants them yet: kept for a moment, so that a policy that arrives after the look-up works.
    Remembered {
        until: Time,
    },
}

impl Standing {
    pub fn wanted(self) -> Wanted {
        match self {
            Self::Allowed => Wanted::Yes,
            Self::Remembered { .. } => Wanted::No,
        }
    }
}

/// Whether some policy wants names, as the caller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Yes,
    No,
}

/// How TTLs become expiries: `now + max(TTL, min_ttl) + grace`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    pub min_ttl: Duration,
    /// Covers the way from here to the client and its first packet; with none, an address with TTL 0 is never usable.
    pub grace: Duration,
    /// How long names nobody wants are remembered.
    pub moment: Duration,
    /// How long a lease is remembered after its end, for the flows that began under it: when the rules change they are
    /// judged again, and outlive its expiry but not its rules. It is not live in that time and opens nothing new.
    pub memory: Duration,
}

impl Timing {
    /// TTLs as they are, for tests of policies: live while age ≤ TTL, to the second.
    pub const EXACT: Self = Self {
        min_ttl: Duration::ZERO,
        grace: Duration::ZERO,
        moment: Duration::from_secs(30),
        memory: Duration::ZERO,
    };
}

impl Default for Timing {
    /// A day of memory: longer than most connections live, and bounded by the limits besides. Five seconds of grace: a client that waits for both families before it connects, and retries once, takes up to
    /// that long (the stub resolvers' usual time-out).
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(5),
            memory: Duration::from_secs(24 * 60 * 60),
            ..Self::EXACT
        }
    }
}

/// How much is kept. What is over a limit is evicted, idlest first, and reported; nothing is dropped silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Addresses of one question, each counted once per chain it came by.
    pub per_name: usize,
    /// Leases some policy wants.
    pub allowed: usize,
    /// Leases nobody wants yet.
    pub remembered: usize,
}

impl Default for Limits {
    /// 1,000 addresses for one name as in Cilium's `tofqdns-endpoint-max-ip-per-hostname`; 100,000 in all, the largest
    /// table the kernel side is measured at; remembered ones are a convenience and stay below a tenth of that.
    fn default() -> Self {
        Self {
            per_name: 1000,
            allowed: 100_000,
            remembered: 8192,
        }
    }
}

/// Which limit an eviction keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Limit {
    /// [`Limits::per_name`].
    PerName,
    /// [`Limits::allowed`].
    Allowed,
    /// [`Limits::remembered`].
    Remembered,
}

impl Limits {
    /// How many a limit leaves.
    pub fn of(&self, limit: Limit) -> usize {
        match limit {
            Limit::PerName => self.per_name,
            Limit::Allowed => self.allowed,
            Limit::Remembered => self.remembered,
        }
    }
}

/// A lease that was given up before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eviction {
    pub names: Names,
    pub ip: IpAddr,
    pub limit: Limit,
    /// Whether some policy wanted its names.
    pub wanted: Wanted,
    /// The last moment it was live; in the past where it was only remembered for the flows that began under it.
    pub expires_at: Time,
}

/// What an answer changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Addresses whose leases are not what they were, in order; new, prolonged or evicted.
    pub changed: BTreeSet<IpAddr>,
    /// Leases that were held before; what an answer itself has too many of is not among them, as it was never held.
    pub evicted: Vec<Eviction>,
    /// Addresses of the answer that are not held, because it alone is over a limit. They must not be handed out.
    pub refused: BTreeMap<IpAddr, Limit>,
}

/// Everything that was answered and is still live.
///
/// Keyed by (names, address): the same address under another name, or by another chain, is another lease. A later
/// answer prolongs a lease and never shortens it, since clients of the earlier one still count on it.
#[derive(Debug, Clone)]
pub struct Leases {
    timing: Timing,
    limits: Limits,
    by_address: BTreeMap<IpAddr, BTreeMap<Names, Held>>,
    /// By the time it leaves the store.
    leaving: BTreeSet<(Time, IpAddr, Names)>,
    /// Idlest first, as are the two below.
    idle_allowed: BTreeSet<(Time, IpAddr, Names)>,
    idle_remembered: BTreeSet<(Time, IpAddr, Names)>,
    by_question: HashMap<Name, BTreeSet<(Time, IpAddr, Names)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    expires_at: Time,
    standing: Standing,
    seen_at: Time,
}

impl Leases {
    pub fn new(timing: Timing, limits: Limits) -> Self {
        Self {
            timing,
            limits,
            by_address: BTreeMap::new(),
            leaving: BTreeSet::new(),
            idle_allowed: BTreeSet::new(),
            idle_remembered: BTreeSet::new(),
            by_question: HashMap::new(),
        }
    }

    /// Takes in what an answer says, `age` after it was read (an answer from a cache is older than its TTLs).
    ///
    /// What no policy wants is [remembered](Standing::Remembered) for a moment.
    pub fn observe(
        &mut self,
        resolution: &Resolution,
        age: Duration,
        wanted: Wanted,
        now: Time,
    ) -> Observed {
        let names = Names::of(resolution);
        let mut observed = Observed::default();
        // The same ones each time, in whatever order a server gives them: what was handed out stays open.
        let mut addresses = resolution.addresses.clone();
        addresses.sort_unstable_by_key(|address| address.ip);
        let (most, limit) = self.most_of_one_answer(wanted);
        let over = addresses.split_off(addresses.len().min(most));
        observed
            .refused
            .extend(over.iter().map(|address| (address.ip, limit)));
        for address in &addresses {
            let ttl = Duration::from_secs(address.ttl.into()).saturating_sub(age);
            let lasts = ttl
                .max(self.timing.min_ttl)
                .saturating_add(self.timing.grace);
            let expires_at = now.saturating_add(lasts);
            if self.hold(&names, address.ip, expires_at, wanted, now) {
                observed.changed.insert(address.ip);
            }
        }
        self.enforce_limits(names.question(), &mut observed);
        // Only where another answer came at the very same moment.
        for eviction in observed.evicted.iter().filter(|one| one.names == names) {
            if addresses.iter().any(|address| address.ip == eviction.ip) {
                observed.refused.insert(eviction.ip, eviction.limit);
            }
        }
        observed
    }

    /// How many addresses one answer may give, and which limit says so.
    fn most_of_one_answer(&self, wanted: Wanted) -> (usize, Limit) {
        let (total, limit) = match wanted {
            Wanted::Yes => (self.limits.allowed, Limit::Allowed),
            Wanted::No => (self.limits.remembered, Limit::Remembered),
        };
        if total < self.limits.per_name {
            (total, limit)
        } else {
            (self.limits.per_name, Limit::PerName)
        }
    }

    /// Asks anew which leases are wanted, after policies changed. Returns the addresses whose leases' standing changed.
    pub fn reconsider(&mut self, wanted: impl Fn(&Names) -> Wanted, now: Time) -> Observed {
        let mut observed = Observed::default();
        let held: Vec<Lease> = self.iter().collect();
        for lease in held {
            let wanted = wanted(&lease.names);
            if wanted != lease.standing.wanted() {
                let standing = self.standing(wanted, now);
                self.put(
                    &lease.names,
                    lease.ip,
                    Held {
                        standing,
                        expires_at: lease.expires_at,
                        seen_at: lease.seen_at,
                    },
                );
                observed.changed.insert(lease.ip);
            }
        }
        self.enforce_totals(&mut observed);
        observed
    }

    /// Forgets what is no longer live at `now`, nor remembered. Returns the addresses that lost a lease.
    pub fn expire(&mut self, now: Time) -> BTreeSet<IpAddr> {
        let mut changed = BTreeSet::new();
        while let Some((_, ip, names)) = self.leaving.first().filter(|(at, ..)| *at < now).cloned()
        {
            self.remove(&names, ip);
            changed.insert(ip);
        }
        changed
    }

    /// When [`Leases::expire`] has something to do next.
    pub fn poll_timeout(&self) -> Option<Time> {
        // The last moment counts as live: one step of the clock later it does not.
        self.leaving
            .first()
            .map(|(at, ..)| at.saturating_add(Duration::from_nanos(1)))
    }

    /// The lease of these names on one address.
    pub fn get(&self, names: &Names, ip: IpAddr) -> Option<Lease> {
        let held = self.by_address.get(&ip)?.get(names)?;
        Some(held.lease(names, ip))
    }

    /// The leases on one address, in order of their names.
    pub fn of(&self, ip: IpAddr) -> impl Iterator<Item = Lease> {
        self.by_address
            .get(&ip)
            .into_iter()
            .flatten()
            .map(move |(names, held)| held.lease(names, ip))
    }

    /// Every address with a lease, in order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.by_address.keys().copied()
    }

    /// Every lease, by address and names.
    pub fn iter(&self) -> impl Iterator<Item = Lease> {
        self.by_address
            .iter()
            .flat_map(|(ip, leases)| leases.iter().map(|(names, held)| held.lease(names, *ip)))
    }

    /// What it keeps to.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub fn len(&self) -> usize {
        self.leaving.len()
    }

    pub fn is_empty(&self) -> bool {
        self.leaving.is_empty()
    }

    fn standing(&self, wanted: Wanted, now: Time) -> Standing {
        match wanted {
            Wanted::Yes => Standing::Allowed,
            Wanted::No => Standing::Remembered {
                until: now.saturating_add(self.timing.moment),
            },
        }
    }

    /// Whether anything a fold looks at changed.
    fn hold(
        &mut self,
        names: &Names,
        ip: IpAddr,
        expires_at: Time,
        wanted: Wanted,
        now: Time,
    ) -> bool {
        let known = self
            .by_address
            .get(&ip)
            .and_then(|leases| leases.get(names))
            .copied();
        let expires_at = known.map_or(expires_at, |held| held.expires_at.max(expires_at));
        let standing = self.standing(wanted, now);
        self.put(
            names,
            ip,
            Held {
                expires_at,
                standing,
                seen_at: now,
            },
        );
        known.is_none_or(|held| held.expires_at != expires_at || held.standing.wanted() != wanted)
    }

    fn put(&mut self, names: &Names, ip: IpAddr, held: Held) {
        self.remove(names, ip);
        let lease = held.lease(names, ip);
        let idle = (held.seen_at, ip, names.clone());
        self.leaving
            .insert((lease.leaves_at(self.timing.memory), ip, names.clone()));
        self.by_question
            .entry(names.question().clone())
            .or_default()
            .insert(idle.clone());
        match held.standing {
            Standing::Allowed => self.idle_allowed.insert(idle),
            Standing::Remembered { .. } => self.idle_remembered.insert(idle),
        };
        self.by_address
            .entry(ip)
            .or_default()
            .insert(names.clone(), held);
    }

    fn remove(&mut self, names: &Names, ip: IpAddr) {
        let Some(leases) = self.by_address.get_mut(&ip) else {
            return;
        };
        let Some(held) = leases.remove(names) else {
            return;
        };
        if leases.is_empty() {
            self.by_address.remove(&ip);
        }
        self.leaving.remove(&(
            held.lease(names, ip).leaves_at(self.timing.memory),
            ip,
            names.clone(),
        ));
        let idle = (held.seen_at, ip, names.clone());
        self.idle_allowed.remove(&idle);
        self.idle_remembered.remove(&idle);
        if let Some(of_name) = self.by_question.get_mut(names.question()) {
            of_name.remove(&idle);
            if of_name.is_empty() {
                self.by_question.remove(names.question());
            }
        }
    }

    fn enforce_limits(&mut self, question: &Name, observed: &mut Observed) {
        while let Some((_, ip, names)) = self
            .by_question
            .get(question)
            .filter(|of_name| of_name.len() > self.limits.per_name)
            .and_then(|of_name| of_name.first().cloned())
        {
            self.evict(names, ip, Limit::PerName, observed);
        }
        self.enforce_totals(observed);
    }

    fn enforce_totals(&mut self, observed: &mut Observed) {
        while self.idle_remembered.len() > self.limits.remembered
            && let Some((_, ip, names)) = self.idle_remembered.first().cloned()
        {
            self.evict(names, ip, Limit::Remembered, observed);
        }
        while self.idle_allowed.len() > self.limits.allowed
            && let Some((_, ip, names)) = self.idle_allowed.first().cloned()
        {
            self.evict(names, ip, Limit::Allowed, observed);
        }
    }

    fn evict(&mut self, names: Names, ip: IpAddr, limit: Limit, observed: &mut Observed) {
        let held = self
            .by_address
            .get(&ip)
            .and_then(|leases| leases.get(&names));
        let expires_at = held.map_or(Time::ZERO, |held| held.expires_at);
        let wanted = held.map_or(Wanted::No, |held| held.standing.wanted());
        self.remove(&names, ip);
        observed.changed.insert(ip);
        observed.evicted.push(Eviction {
            names,
            ip,
            limit,
            wanted,
            expires_at,
        });
    }
}

impl Held {
    fn lease(self, names: &Names, ip: IpAddr) -> Lease {
        let Self {
            expires_at,
            standing,
            seen_at,
        } = self;
        Lease {
            names: names.clone(),
            ip,
            expires_at,
            standing,
            seen_at,
        }
    }
}

#[cfg(test)]
mod tests;
