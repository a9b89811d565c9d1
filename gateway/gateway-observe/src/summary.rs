use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::record::LimitEffect;
use crate::tally::MOST_GROUPS;
use crate::timestamp::Timestamp;
use crate::verdict::Verdict;

/// LIMIT: groups printed for people; the report has all that are told apart.
const MOST_PRINTED: usize = 20;

/// The last line of a report, and, displayed, the text at the end of a run.
///
/// The text is empty where nothing was denied, closed by a limit or lost. Else a line says how much, and each group has two or
/// three: what was denied, why, and what would allow it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct SummaryRecord {
    pub ts: Timestamp,
    /// With those that would have been denied, under `--audit` or by a staged or audit policy.
    pub allowed_flows: u64,
    pub denied_flows: u64,
    /// Likewise.
    pub allowed_queries: u64,
    pub denied_queries: u64,
    /// What nobody had room to note: the counts are too low by so many.
    pub lost: u64,
    /// What is counted here and not in the report, because it reached its limit or its disk was too slow.
    pub unwritten: u64,
    /// What was denied or would have been, in the order it came.
    pub denied: Vec<SummaryGroup>,
    /// Denials beyond the limit of groups.
    pub ungrouped: u64,
    /// What limits kept closed.
    pub limits: Vec<SummaryLimit>,
}

/// What one limit did.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct SummaryLimit {
    /// `allow` under `--audit`, where nothing is closed.
    pub verdict: Verdict,
    pub effect: LimitEffect,
    /// Of addresses.
    pub count: u64,
    /// Whose they are, the first few.
    pub names: Vec<String>,
    pub code: String,
    pub reason: String,
}

/// Equal denials.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct SummaryGroup {
    /// `deny`; `allow` where it only would have been denied.
    pub verdict: Verdict,
    /// A name, a destination, or a name and an address.
    pub what: String,
    pub count: u64,
    /// Names of the programs that tried, the first few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<String>,
    pub code: String,
    pub reason: String,
    /// `file:line:column` of the rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What would allow it, where a policy can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl SummaryRecord {
    fn write_section(
        &self,
        f: &mut fmt::Formatter<'_>,
        verdict: Verdict,
        head: &str,
    ) -> fmt::Result {
        let groups: Vec<&SummaryGroup> = self
            .denied
            .iter()
            .filter(|group| group.verdict == verdict)
            .collect();
        if groups.is_empty() {
            return Ok(());
        }
        let attempts: u64 = groups.iter().map(|group| group.count).sum();
        write!(f, "egret: {head}: {}", counted(groups.len(), "destination"))?;
        writeln!(f, ", {}", counted(attempts, "attempt"))?;
        for group in groups.iter().take(MOST_PRINTED) {
            write!(f, "{group}")?;
        }
        if groups.len() > MOST_PRINTED {
            let more = groups.len() - MOST_PRINTED;
            writeln!(f, "  and {more} more; `--report FILE` lists them")?;
        }
        Ok(())
    }
}

impl fmt::Display for SummaryRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_section(f, Verdict::Deny, "denied")?;
        self.write_section(f, Verdict::Allow, "would be denied")?;
        if self.ungrouped > 0 {
            writeln!(
                f,
                "egret: beyond that, {} of other destinations: only the first {MOST_GROUPS} are told apart",
                counted(self.ungrouped, "denial")
            )?;
        }
        for limit in &self.limits {
            write!(f, "{limit}")?;
        }
        if self.lost > 0 {
            writeln!(
                f,
                "egret: {} lost: the counts are too low",
                counted(self.lost, "event")
            )?;
        }
        if self.unwritten > 0 {
            writeln!(
                f,
                "egret: {} counted here and not written to the report, which is full or was too slow",
                counted(self.unwritten, "event")
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for SummaryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let would = match self.verdict {
            Verdict::Deny => "",
            Verdict::Allow => "would be ",
        };
        writeln!(
            f,
            "egret: {would}{}: {} {} of {}\n    {}",
            self.effect.as_str(),
            self.count,
            if self.count == 1 {
                "address"
            } else {
                "addresses"
            },
            printable(&self.names.join(", ")),
            printable(&self.reason)
        )
    }
}

impl fmt::Display for SummaryGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}", printable(&self.what))?;
        if self.count > 1 {
            write!(f, ", {} times", self.count)?;
        }
        if !self.programs.is_empty() {
            write!(f, ", by {}", printable(&self.programs.join(", ")))?;
        }
        writeln!(f, "\n    {}", printable(&self.reason))?;
        match &self.remedy {
            Some(remedy) => writeln!(f, "    to allow it: {}", printable(remedy)),
            None => Ok(()),
        }
    }
}

/// What a workload chose (a name, a program's name) must not drive the terminal it is shown on, nor turn the text around
/// it.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(misleads) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        if misleads(character) {
            clean.extend(character.escape_default());
        } else {
            clean.push(character);
        }
    }
    Cow::Owned(clean)
}

/// Control characters, and those that reorder, hide or break a line (Unicode's bidirectional and invisible formats, and its
/// line separators).
fn misleads(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

fn counted(count: impl TryInto<u64>, noun: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
