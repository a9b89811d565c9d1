//! Classes of names, written with as few patterns as they need.

use std::collections::BTreeSet;

use dns_names::{NameClass, NamePattern};

use super::Names;

/// Patterns, and the classes of names that they tell apart.
#[derive(Debug)]
pub(super) struct Patterns {
    patterns: Vec<NamePattern>,
    classes: Vec<NameClass>,
    /// By pattern: the classes of the names it matches.
    members: Vec<BTreeSet<usize>>,
}

impl Patterns {
    pub(super) fn new(patterns: Vec<NamePattern>, classes: Vec<NameClass>) -> Self {
        let mut members = vec![BTreeSet::new(); patterns.len()];
        for (at, class) in classes.iter().enumerate() {
            for pattern in &class.patterns {
                members[*pattern].insert(at);
            }
        }
        Self {
            patterns,
            classes,
            members,
        }
    }

    pub(super) fn classes(&self) -> &[NameClass] {
        &self.classes
    }

    /// Some classes: those patterns that match nothing else, and what is left as a pattern without others.
    pub(super) fn regions(&self, chosen: &BTreeSet<usize>) -> Vec<Names> {
        if chosen.len() == self.classes.len() {
            return self.names(&[], &[], chosen).into_iter().collect();
        }
        let mut whole: Vec<usize> = (0..self.patterns.len())
            .filter(|at| !self.members[*at].is_empty() && self.members[*at].is_subset(chosen))
            .collect();
        whole.sort_by_key(|at| std::cmp::Reverse(self.members[*at].len()));
        let in_whole: BTreeSet<usize> = whole
            .iter()
            .flat_map(|at| self.members[*at].iter().copied())
            .collect();
        // First what no pattern alone stands for: it may well be more than that.
        let mut left = chosen.clone();
        let mut regions = Vec::new();
        while let Some(class) = left.difference(&in_whole).next().copied() {
            let (all_of, except) = self.around(class, chosen);
            let covered = self.covered(&all_of, &except);
            left = &left - &covered;
            left.remove(&class);
            regions.extend(self.names(&all_of, &except, &covered));
        }
        for pattern in whole {
            if !self.members[pattern].is_disjoint(&left) {
                left = &left - &self.members[pattern];
                regions.extend(self.names(&[pattern], &[], &self.members[pattern]));
            }
        }
        regions.sort_unstable();
        regions
    }

    fn names(
        &self,
        all_of: &[usize],
        except: &[usize],
        covered: &BTreeSet<usize>,
    ) -> Option<Names> {
        let patterns = |of: &[usize]| of.iter().map(|at| self.patterns[*at].clone()).collect();
        Some(Names {
            all_of: patterns(all_of),
            except: patterns(except),
            example: self.classes[*covered.first()?].example.clone(),
        })
    }

    /// The classes of names that all of some patterns match and none of others.
    fn covered(&self, all_of: &[usize], except: &[usize]) -> BTreeSet<usize> {
        let is_in = |at: &usize, class: &NameClass| class.patterns.binary_search(at).is_ok();
        let classes = self.classes.iter().enumerate().filter(|(_, class)| {
            all_of.iter().all(|at| is_in(at, class)) && !except.iter().any(|at| is_in(at, class))
        });
        classes.map(|(at, _)| at).collect()
    }

    /// Patterns that all match a class, and others that none of it matches, which together cover chosen classes alone.
    fn around(&self, class: usize, chosen: &BTreeSet<usize>) -> (Vec<usize>, Vec<usize>) {
        let own = &self.classes[class].patterns;
        let size = |at: &usize| self.members[*at].len();
        let mut all_of: Vec<usize> = own.iter().copied().min_by_key(size).into_iter().collect();
        let mut except: Vec<usize> = Vec::new();
        loop {
            let covered = self.covered(&all_of, &except);
            let Some(wrong) = (&covered - chosen).first().copied() else {
                break;
            };
            let theirs = &self.classes[wrong].patterns;
            let others = theirs.iter().filter(|at| own.binary_search(at).is_err());
            // The widest that takes nothing away that is meant; else the narrowest.
            let apart = |at: &&usize| self.members[**at].is_disjoint(chosen);
            let out = others
                .clone()
                .filter(apart)
                .max_by_key(|at| size(at))
                .or_else(|| others.min_by_key(|at| size(at)));
            match out {
                Some(out) => except.push(*out),
                // What it matches less than this class does.
                None => {
                    let more = own.iter().find(|at| theirs.binary_search(at).is_err());
                    let Some(more) = more else { break };
                    all_of.push(*more);
                }
            }
        }
        except.sort_unstable();
        (all_of, except)
    }
}
