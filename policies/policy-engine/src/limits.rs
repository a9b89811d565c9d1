/// Policies one workload may be selected by. The goal of the structures is 10,000; this is where a mistake (a generator
/// that loops) is likelier than a need.
pub const MAX_POLICIES: usize = 20_000;
/// Rules of all policies that select one workload: a kernel reason is a rule, and reports must stay readable by number.
pub const MAX_RULES: usize = 65_536;
/// Name patterns of those rules: each costs an index entry of some hundred bytes.
pub const MAX_PATTERNS: usize = 262_144;
/// Prefixes and single addresses the rules name, guards included: the order of the kernel's prefix table.
pub const MAX_PREFIXES: usize = 262_144;
/// Blocks that hold in a prefix, summed over all prefixes: what wide blocks over many narrow ones cost in memory, 4 octets
/// each. A thousand rules about all addresses may stand over sixteen thousand prefixes.
pub const MAX_OVERLAPS: usize = 1 << 24;
/// Rows of one port list: 65,536 would name every port of one protocol singly.
pub const MAX_PORT_ROWS: usize = 16_384;
/// Different port lists of one ruleset, folded ones included: combinations of overlapping name rules multiply, and an
/// answer must not be able to fill memory.
pub const MAX_LISTS: usize = 65_536;

/// A policy set is larger than what is compiled. The last good ruleset stays in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    #[error("{got} policies select this workload, the limit is {MAX_POLICIES}")]
    Policies { got: usize },
    #[error("the policies that select this workload have {got} rules, the limit is {MAX_RULES}")]
    Rules { got: usize },
    #[error(
        "the policies that select this workload have {got} name patterns, the limit is {MAX_PATTERNS}"
    )]
    Patterns { got: usize },
    #[error(
        "the policies that select this workload name {got} prefixes, the limit is {MAX_PREFIXES}"
    )]
    Prefixes { got: usize },
    #[error("wide blocks stand over narrow ones in more than {MAX_OVERLAPS} places")]
    Overlaps,
    #[error("the ports of one destination need {got} rows, the limit is {MAX_PORT_ROWS}")]
    PortRows { got: usize },
    #[error("the rules give more than {MAX_LISTS} different port lists")]
    Lists,
}
