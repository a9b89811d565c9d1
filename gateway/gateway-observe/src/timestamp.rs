use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// A moment, written as RFC 3339 in UTC with microseconds: `2026-01-31T23:59:59.000001Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub SystemTime);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A clock before 1970 is wrong by so much that the exact error does not matter.
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let (year, month, day) = date(since.as_secs() / 86_400);
        let second_of_day = since.as_secs() % 86_400;
        let (hour, minute) = (second_of_day / 3_600, second_of_day / 60 % 60);
        let (second, micros) = (second_of_day % 60, since.subsec_micros());
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "RFC 3339, UTC, microseconds.",
            "type": "string",
            "format": "date-time",
        })
    }
}

/// Year, month and day of a day counted from 1 January 1970, in the Gregorian calendar. Years are counted from March
/// inside, so that the leap day comes last.
fn date(days: u64) -> (u64, u64, u64) {
    // 1 March 0000 is 719,468 days before; 400 years have 146,097 days.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use test_case::test_case;

    use super::Timestamp;

    #[test_case(0, 0, "1970-01-01T00:00:00.000000Z"; "the beginning")]
    #[test_case(951_827_696, 789, "2000-02-29T12:34:56.000789Z"; "a leap day of a century")]
    #[test_case(1_772_323_199, 999_999, "2026-02-28T23:59:59.999999Z"; "the last of february")]
    #[test_case(1_772_323_200, 0, "2026-03-01T00:00:00.000000Z"; "the first of march")]
    #[test_case(1_798_761_599, 0, "2026-12-31T23:59:59.000000Z"; "the last of december")]
    #[test_case(4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"; "a century without a leap day")]
    fn is_written_as_rfc_3339(seconds: u64, micros: u64, expected: &str) {
        let moment = UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros);
        assert_eq!(Timestamp(moment).to_string(), expected);
    }
}
