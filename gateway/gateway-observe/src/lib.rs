//! What happened, told: reports and summaries.
