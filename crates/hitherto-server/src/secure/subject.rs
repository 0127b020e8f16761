//! The subject of a certificate in words, in the manner of RFC 4514: `CN=caller,O=Ward 7`.
//!
//! ```text
//! subject    SET SET ...             in the order of the certificate
//! SET        SEQUENCE, or several
//! SEQUENCE   OID, text
//! ```
//!
//! All of it is written: of two subjects that differ, so do the words.

/// The tags that a subject is made of.
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;

/// What the attributes are called that most subjects have, by the last number of their OID
/// below 2.5.4.
const NAMES: [(u8, &str); 6] = [(3, "CN"), (6, "C"), (7, "L"), (8, "ST"), (10, "O"), (11, "OU")];

/// Writes a subject, which comes without its own tag. `None` if it is empty or none.
pub fn in_words(mut subject: &[u8]) -> Option<String> {
    let mut words = Vec::new();
    while !subject.is_empty() {
        let mut attributes;
        (attributes, subject) = take(SET, subject)?;
        while !attributes.is_empty() {
            let attribute;
            (attribute, attributes) = take(SEQUENCE, attributes)?;
            let (oid, value) = take(OID, attribute)?;
            let (text, _) = take(*value.first()?, value)?;
            words.push(format!("{}={}", called(oid), escaped(text)));
        }
    }
    (!words.is_empty()).then(|| words.join(","))
}

/// What is inside of the first element, which must have this tag, and what follows it.
fn take(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(2)?;
    let (length, rest) = match head[1] {
        short @ ..0x80 => (usize::from(short), rest),
        long => {
            // No certificate is so long that its length would have more bytes.
            let count = usize::from(long & 0x7f);
            let (length, rest) = rest.split_at_checked(count).filter(|_| count <= 3)?;
            (length.iter().fold(0, |all, byte| all << 8 | usize::from(*byte)), rest)
        }
    };
    rest.split_at_checked(length).filter(|_| head[0] == tag)
}

/// An attribute's short name, or else its OID in hex.
fn called(oid: &[u8]) -> String {
    let known = match oid {
        [0x55, 0x04, last] => NAMES.iter().find(|(number, _)| number == last),
        _ => None,
    };
    known.map_or_else(|| format!("#{}", hex(oid)), |(_, name)| (*name).to_owned())
}

/// A value as text in which no part can be taken for another attribute.
fn escaped(text: &[u8]) -> String {
    let Ok(text) = str::from_utf8(text) else { return format!("#{}", hex(text)) };
    let mut words = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            ',' | '=' | '+' | '\\' | '"' | '#' => words.extend(['\\', letter]),
            letter if letter.is_control() => words.extend(letter.escape_default()),
            letter => words.push(letter),
        }
    }
    words
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_subject_has_no_words() {
        let whole = [&[SET, 12, SEQUENCE, 10, OID, 3, 0x55, 4, 3, 12, 3][..], b"ada"].concat();
        assert_eq!(in_words(&whole).unwrap(), "CN=ada");
        for end in 0..whole.len() {
            assert_eq!(in_words(&whole[..end]), None, "{end}");
        }
        assert_eq!(in_words(&[SET, 0x84, 255, 255, 255, 255, 0]), None);
        assert_eq!(in_words(&[SEQUENCE, 0]), None);
    }
}
