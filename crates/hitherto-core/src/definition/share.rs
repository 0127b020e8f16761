//! Shares of something, written in percent.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A share, to a hundredth of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share {
    hundredths: u32,
}

impl Share {
    /// As a number: 1 is the whole.
    pub fn as_f64(self) -> f64 {
        f64::from(self.hundredths) / 10_000.0
    }
}

impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "is no share; write a number of percent, such as 5% or 0.25%";
        let number = text.strip_suffix('%').ok_or(expected)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
        if !is_number(whole) || !is_number(part) || part.len() > 2 {
            return Err(expected);
        }
        let whole: u32 = whole.parse().map_err(|_| expected)?;
        let hundredths: u32 = format!("{part:0<2}").parse().map_err(|_| expected)?;
        let hundredths = whole.checked_mul(100).and_then(|whole| whole.checked_add(hundredths));
        Ok(Self { hundredths: hundredths.ok_or(expected)? })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.hundredths / 100, self.hundredths % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, part) if part % 10 == 0 => write!(f, "{whole}.{}%", part / 10),
            (whole, part) => write!(f, "{whole}.{part:02}%"),
        }
    }
}

impl TryFrom<String> for Share {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_read_as_they_are_written() {
        for text in ["0%", "5%", "0.25%", "12.5%", "0.05%", "250%"] {
            assert_eq!(text.parse::<Share>().map(|share| share.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("5.00%".parse::<Share>().unwrap().as_f64(), 0.05);
        for text in ["", "5", "%", "-1%", "1.234%", "1,5%", "five%", "99999999999%", "1e2%"] {
            assert!(text.parse::<Share>().is_err(), "{text:?}");
        }
    }
}
