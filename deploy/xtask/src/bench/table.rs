//! Figures, and how they are printed beside each other.

use std::fmt;

use serde::Serialize;

/// One number.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) measure: String,
    /// In what.
    pub(crate) unit: String,
    /// Of whom: `egret`, `without`, `unbound`, …
    pub(crate) subject: String,
    pub(crate) value: f64,
}

/// Something that could not be measured, and why.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Missing {
    pub(crate) what: String,
    pub(crate) why: String,
}

/// All figures in the order in which they were taken.
#[derive(Default)]
pub(crate) struct Table {
    figures: Vec<Figure>,
    missing: Vec<Missing>,
}

impl Table {
    pub(crate) fn add(&mut self, measure: &str, unit: &str, subject: &str, value: f64) {
        self.figures.push(Figure {
            measure: measure.to_owned(),
            unit: unit.to_owned(),
            subject: subject.to_owned(),
            value,
        });
    }

    /// Says, now and in the result, that something could not be measured.
    pub(crate) fn miss(&mut self, what: &str, why: &str) {
        crate::shell::say(&format!("not measured: {what}: {why}"));
        self.missing.push(Missing {
            what: what.to_owned(),
            why: why.to_owned(),
        });
    }

    pub(crate) fn figures(&self) -> &[Figure] {
        &self.figures
    }

    pub(crate) fn missing(&self) -> &[Missing] {
        &self.missing
    }
}

impl fmt::Display for Table {
    /// A line for each measure; the first subject is what the others are divided by.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |figure: &Figure| figure.measure.chars().count();
        let width = self.figures.iter().map(width).max().unwrap_or_default();
        let mut seen: Vec<&str> = Vec::new();
        for figure in &self.figures {
            if seen.contains(&figure.measure.as_str()) {
                continue;
            }
            seen.push(&figure.measure);
            write!(f, "{:<width$}  {:>9}", figure.measure, figure.unit)?;
            for other in self.figures.iter().filter(|o| o.measure == figure.measure) {
                write!(f, "  {} {}", other.subject, round(other.value))?;
                if other.subject != figure.subject && figure.value > 0.0 {
                    write!(f, " (x{:.2})", other.value / figure.value)?;
                }
            }
            writeln!(f)?;
        }
        for missing in &self.missing {
            writeln!(f, "not measured: {}: {}", missing.what, missing.why)?;
        }
        Ok(())
    }
}

fn round(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_of_one_measure_stand_in_one_line() {
        let mut table = Table::default();
        table.add("connects", "1/s", "without", 1000.0);
        table.add("connects", "1/s", "egret", 900.0);
        table.add("cached p50", "us", "egret", 12.345);
        assert_eq!(
            table.to_string(),
            "connects          1/s  without 1000  egret 900 (x0.90)\n\
             cached p50         us  egret 12.35\n"
        );
    }
}
