use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use dns_names::{Name, NamePattern};

/// Of so many patterns in one zone each is asked. More are looked for by their texts.
const FEW: usize = 16;

/// Patterns, and which of them a name matches, without asking each.
///
/// A pattern is filed under the deepest zone that holds all it covers, and a name asks the zones above it. Where many patterns
/// stand in one zone (`api-*-17.example.com`), a pattern is asked only of names that hold its text: of its literal texts the one
/// that the fewest of its neighbours have.
#[derive(Debug, Clone, Default)]
pub(crate) struct PatternIndex {
    patterns: Vec<NamePattern>,
    zones: HashMap<Name, Zone>,
}

/// The patterns of a zone, by their positions.
#[derive(Debug, Clone, Default)]
struct Zone {
    each: Vec<usize>,
    by_text: Option<ByText>,
}

/// Finds every text in one walk over a name.
#[derive(Debug, Clone)]
struct ByText {
    search: AhoCorasick,
    /// The patterns of each text.
    patterns: Vec<Vec<usize>>,
}

impl PatternIndex {
    pub(crate) fn build(patterns: Vec<NamePattern>) -> Self {
        let mut zones: HashMap<Name, Vec<usize>> = HashMap::new();
        for (position, pattern) in patterns.iter().enumerate() {
            if let Some(zone) = pattern.zone() {
                zones.entry(zone).or_default().push(position);
            }
        }
        let zones = zones
            .into_iter()
            .map(|(zone, positions)| (zone, Zone::build(positions, &patterns)))
            .collect();
        Self { patterns, zones }
    }

    pub(crate) fn patterns(&self) -> &[NamePattern] {
        &self.patterns
    }

    /// The positions of the patterns that match, each once, in no order.
    pub(crate) fn matching(&self, name: &Name) -> impl Iterator<Item = usize> {
        name.suffixes()
            .filter_map(|suffix| Some((suffix, self.zones.get(suffix)?)))
            .flat_map(|(suffix, zone)| {
                let above = above(name, suffix);
                let found = zone.by_text.as_ref().map(|by_text| by_text.found(above));
                zone.each.iter().copied().chain(found.into_iter().flatten())
            })
            .filter(|position| self.patterns[*position].matches(name))
    }
}

impl Zone {
    fn build(positions: Vec<usize>, patterns: &[NamePattern]) -> Self {
        let few = Self {
            each: positions,
            by_text: None,
        };
        if few.each.len() <= FEW {
            return few;
        }
        let texts: Vec<(usize, Vec<String>)> = few
            .each
            .iter()
            .map(|position| (*position, patterns[*position].texts()))
            .collect();
        let mut shared: HashMap<&str, usize> = HashMap::new();
        for text in texts.iter().flat_map(|(_, texts)| texts) {
            *shared.entry(text).or_default() += 1;
        }
        let mut each = Vec::new();
        let mut by_text: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (position, texts) in &texts {
            let rarest = texts
                .iter()
                .min_by_key(|text| (shared.get(text.as_str()), Reverse(text.len())));
            match rarest {
                Some(text) => by_text.entry(text).or_default().push(*position),
                None => each.push(*position),
            }
        }
        let search = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(by_text.keys());
        match search {
            Ok(search) => Self {
                each,
                by_text: Some(ByText {
                    search,
                    patterns: by_text.into_values().collect(),
                }),
            },
            // Only where the texts are longer than 2 GB together.
            Err(_) => few,
        }
    }
}

impl ByText {
    fn found(&self, above: &str) -> Vec<usize> {
        let mut found: Vec<usize> = self
            .search
            .find_overlapping_iter(above)
            .flat_map(|found| &self.patterns[found.pattern().as_usize()])
            .copied()
            .collect();
        // A name may hold a text twice.
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The text of a name above one of its suffixes, with the dot at its end.
fn above<'n>(name: &'n Name, suffix: &str) -> &'n str {
    let text = name.as_str();
    let length = if suffix == "." { 0 } else { suffix.len() };
    text.get(..text.len().saturating_sub(length))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use dns_names::Grammar;
    use test_case::test_case;

    use super::*;
    use crate::testing::{Random, seed};

    const GRAMMARS: &[Grammar] = &[
        Grammar::Native,
        Grammar::Cilium,
        Grammar::Calico,
        Grammar::ClusterNetworkPolicy,
    ];
    const LABELS: &[&str] = &[
        "a", "b", "ab", "ba", "aab", "a-b", "*", "**", "a*", "*a", "*b", "a*b", "*ab*", "*b*a",
        "a**b", "*-*",
    ];

    fn text(random: &mut Random, labels: &[&str]) -> String {
        let mut text: Vec<&str> = (0..=random.below(3)).map(|_| random.pick(labels)).collect();
        text.push("x");
        text.join(".")
    }

    /// Small alphabets, so that texts are shared, held twice and held in part.
    #[test]
    fn what_is_found_is_what_matches() {
        let seed = seed();
        let mut random = Random::new(seed);
        let (mut found, mut searched) = (0, 0);
        for _ in 0..200 {
            let count = 1 + random.below(60);
            let patterns: Vec<NamePattern> = std::iter::repeat_with(|| {
                let grammar = random.pick(GRAMMARS);
                NamePattern::parse(grammar, &text(&mut random, LABELS)).ok()
            })
            .flatten()
            .take(count)
            .collect();
            let index = PatternIndex::build(patterns);
            let zone = index.zones.get("x.");
            searched += usize::from(zone.is_some_and(|zone| zone.by_text.is_some()));
            for _ in 0..50 {
                let name = Name::parse(&text(&mut random, &LABELS[..6])).unwrap();
                let mut ours: Vec<usize> = index.matching(&name).collect();
                ours.sort_unstable();
                let patterns = index.patterns().iter().enumerate();
                let all: Vec<usize> = patterns
                    .filter(|(_, pattern)| pattern.matches(&name))
                    .map(|(position, _)| position)
                    .collect();
                assert_eq!(
                    ours,
                    all,
                    "EGRET_SEED={seed}: {name} in {:?}",
                    index.patterns()
                );
                found += all.len();
            }
        }
        assert!(
            found > 1_000 && searched > 50,
            "{found} matches, {searched} zones searched by text"
        );
    }

    #[test_case("api-x-17.example.com", &[17]; "the end of a label")]
    #[test_case("api-17-17.example.com", &[17]; "a text that stands twice")]
    #[test_case("api-x-170.example.com", &[]; "the beginning of another")]
    #[test_case("b.api-x-3.example.com", &[]; "a label more")]
    #[test_case("api-x-17.example.org", &[]; "another zone")]
    fn many_in_one_zone(name: &str, expected: &[usize]) {
        let patterns = (0..100)
            .map(|number| {
                NamePattern::parse(Grammar::Native, &format!("api-*-{number}.example.com")).unwrap()
            })
            .collect();
        let index = PatternIndex::build(patterns);
        let found: Vec<usize> = index.matching(&Name::parse(name).unwrap()).collect();
        assert_eq!(found, expected);
        let zone = &index.zones["example.com."];
        assert!(
            zone.each.is_empty(),
            "each is asked of every name: {:?}",
            zone.each
        );
    }
}
