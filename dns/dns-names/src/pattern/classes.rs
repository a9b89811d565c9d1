//! Which names patterns tell apart: every name belongs to the class of the patterns that match it, and one name stands for
//! each class.
//!
//! Names are read from their last label to their first, by all patterns at once. What is ahead of a pattern is a row of
//! [`Step`]s, so patterns are a small automaton, and what they do together is explored label by label: only the labels that
//! some pattern asks for there, and one that none does, lead to different places.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::NamePattern;
use super::matcher::{Depth, Glob, Matcher};
use crate::name::{MAX_LABEL, Name};

/// LIMIT: states of what stands inside of a label. Patterns of one place in a name rarely have more than a star or two.
const MAX_LABEL_STATES: usize = 10_000;

/// The names that the same patterns match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameClass {
    /// One of them, as short as they come.
    pub example: Name,
    /// The positions of the patterns, ascending.
    pub patterns: Vec<usize>,
}

impl NamePattern {
    /// One name for every class of names that `patterns` tell apart, the class that none matches among them; nothing where
    /// more than `most` states would have to be looked at, which takes patterns with stars inside of labels that overlap in
    /// many ways.
    ///
    /// Names of letters, digits, `-` and `_` are meant; what is written with other octets may belong to no class here.
    pub fn classes(patterns: &[Self], most: usize) -> Option<Vec<NameClass>> {
        let rows: Vec<Vec<Step<'_>>> = patterns.iter().map(Self::steps).collect();
        let start: State = (0..rows.len())
            .filter(|row| !matches!(patterns[*row].0.matcher, Matcher::Nothing))
            .map(|row| (row, 0))
            .collect();
        let mut found: BTreeMap<Vec<usize>, Name> = BTreeMap::new();
        let mut seen = BTreeSet::from([start.clone()]);
        let mut queue = VecDeque::from([(start, Vec::<String>::new())]);
        let mut root = None;
        while let Some((state, labels)) = queue.pop_front() {
            let class = accepting(&state, &rows);
            if labels.is_empty() {
                root = Some(class);
            } else if let Ok(name) =
                Name::from_labels(labels.iter().rev().map(|label| label.as_bytes()))
            {
                found.entry(class).or_insert(name);
            }
            for (label, next) in successors(&state, &rows)? {
                if seen.len() >= most {
                    return None;
                }
                if seen.insert(next.clone()) {
                    let mut labels = labels.clone();
                    labels.push(label);
                    queue.push_back((next, labels));
                }
            }
        }
        // The root is a name that nobody means, unless a pattern is about it alone.
        if let Some(class) = root {
            found.entry(class).or_insert_with(Name::root);
        }
        let class = |(patterns, example)| NameClass { example, patterns };
        Some(found.into_iter().map(class).collect())
    }

    /// What the pattern asks of a name's labels, from the last to the first.
    fn steps(&self) -> Vec<Step<'_>> {
        let literals = |name: &'_ Name| -> Vec<Step<'static>> {
            let mut labels: Vec<Step<'static>> = name
                .labels()
                .map(|label| Step::Label(label.to_owned()))
                .collect();
            labels.reverse();
            labels
        };
        let any = |depth: &Depth| match depth {
            Depth::One => Step::One,
            Depth::OneOrMore => Step::OneOrMore,
        };
        match &self.0.matcher {
            Matcher::Everything(_) => vec![Step::Rest],
            Matcher::Nothing => Vec::new(),
            Matcher::Exact(name) => literals(name),
            Matcher::Below { zone, depth, .. } => {
                let mut steps = literals(zone);
                steps.push(any(depth));
                steps
            }
            Matcher::Around { first, zone } => {
                let mut steps = literals(zone);
                steps.push(Step::OneOrMore);
                let first = first.split('.').rev();
                steps.extend(first.map(|label| Step::Label(label.to_owned())));
                steps
            }
            Matcher::Labels { leading, globs } => {
                let globs = globs.iter().rev();
                globs
                    .map(|glob| match glob.literal() {
                        Some(label) => Step::Label(label.to_owned()),
                        None => Step::Glob(glob),
                    })
                    .chain(leading.iter().map(any))
                    .collect()
            }
        }
    }
}

/// What a pattern asks of one label, or of several.
enum Step<'p> {
    Label(String),
    Glob(&'p Glob),
    One,
    OneOrMore,
    /// Whatever is left, nothing too.
    Rest,
}

/// Patterns that may still match, each with the step it is at; those that match no longer are left out.
type State = BTreeSet<(usize, usize)>;

/// The patterns that match a name which ends here.
fn accepting(state: &State, rows: &[Vec<Step<'_>>]) -> Vec<usize> {
    let mut accepting: Vec<usize> = state
        .iter()
        .filter(|(row, at)| match rows[*row].get(*at) {
            None | Some(Step::Rest) => true,
            Some(Step::Label(_) | Step::Glob(_) | Step::One | Step::OneOrMore) => false,
        })
        .map(|(row, _)| *row)
        .collect();
    accepting.dedup();
    accepting
}

/// The states behind one more label, each with a label that leads there.
fn successors(state: &State, rows: &[Vec<Step<'_>>]) -> Option<Vec<(String, State)>> {
    let mut by_label: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
    let mut globs: Vec<(&Glob, (usize, usize))> = Vec::new();
    let mut always: State = BTreeSet::new();
    for (row, at) in state.iter().copied() {
        let next = (row, at + 1);
        match rows[row].get(at) {
            None => {}
            Some(Step::Label(label)) => by_label.entry(label).or_default().push(next),
            Some(Step::Glob(glob)) => globs.push((glob, next)),
            Some(Step::One) => {
                always.insert(next);
            }
            Some(Step::OneOrMore) => always.extend([(row, at), next]),
            Some(Step::Rest) => {
                always.insert((row, at));
            }
        }
    }
    let matching = |label: &str| {
        let globs = globs.iter().filter(|(glob, _)| glob.matches(label));
        globs.map(|(_, next)| *next).collect::<Vec<_>>()
    };
    let literals: BTreeSet<&str> = by_label.keys().copied().collect();
    let parts: Vec<&Glob> = globs.iter().map(|(glob, _)| *glob).collect();
    let mut successors = Vec::new();
    for label in other_labels(&parts, &literals)? {
        let mut next = always.clone();
        next.extend(matching(&label));
        successors.push((label, next));
    }
    for (label, named) in &by_label {
        let mut next = always.clone();
        next.extend(named);
        next.extend(matching(label));
        successors.push(((*label).to_owned(), next));
    }
    Some(successors)
}

/// A label for each class that the globs tell apart, none of them a literal; the class that no glob matches too.
fn other_labels(globs: &[&Glob], literals: &BTreeSet<&str>) -> Option<Vec<String>> {
    let texts: Vec<Vec<u8>> = globs
        .iter()
        .map(|glob| glob.written().into_bytes())
        .collect();
    let mut alphabet: BTreeSet<u8> = texts.iter().flatten().copied().collect();
    alphabet.remove(&b'*');
    // Enough others that a label of them can be none of the literals.
    let others = b"xyzabcdefghijklmnopqrstuvw0123456789-_";
    let other = others.iter().find(|octet| !alphabet.contains(octet));
    alphabet.extend(other);
    let mut found: BTreeMap<Vec<usize>, String> = BTreeMap::new();
    let start: State = (0..texts.len())
        .flat_map(|glob| closure(&texts[glob], 0).map(move |at| (glob, at)))
        .collect();
    // Without the start, since no label is empty.
    let mut seen = BTreeSet::new();
    let mut queue = VecDeque::from([(start, String::new())]);
    while let Some((state, label)) = queue.pop_front() {
        let ends = |(glob, at): &&(usize, usize)| *at == texts[*glob].len();
        let mut class: Vec<usize> = state.iter().filter(ends).map(|(glob, _)| *glob).collect();
        class.dedup();
        let is_free = !literals.contains(label.as_str());
        if !label.is_empty() && is_free {
            found.entry(class).or_insert_with(|| label.clone());
        }
        if label.len() >= MAX_LABEL {
            continue;
        }
        for octet in &alphabet {
            let next: State = state
                .iter()
                .filter_map(|(glob, at)| match texts[*glob].get(*at) {
                    Some(b'*') => Some((*glob, *at)),
                    Some(wanted) if wanted == octet => Some((*glob, at + 1)),
                    Some(_) | None => None,
                })
                .flat_map(|(glob, at)| closure(&texts[glob], at).map(move |at| (glob, at)))
                .collect();
            if seen.len() >= MAX_LABEL_STATES {
                return None;
            }
            // A label that is a literal says nothing of its class: others of that class are looked for behind it.
            let mut label = label.clone();
            label.push(char::from(*octet));
            let is_literal = literals.contains(label.as_str());
            if seen.insert((next.clone(), is_literal)) {
                queue.push_back((next, label));
            }
        }
    }
    Some(found.into_values().collect())
}

/// The places in a glob's text that are reached without reading: a star may stand for nothing.
fn closure(text: &[u8], at: usize) -> impl Iterator<Item = usize> {
    let stars = text[at..].iter().take_while(|octet| **octet == b'*');
    at..=at + stars.count()
}

#[cfg(test)]
mod tests;
