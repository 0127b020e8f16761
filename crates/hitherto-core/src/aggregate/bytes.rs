//! The few shapes that bytes of states are made of. Whatever takes bytes off the front
//! answers `None` where they are not what was written, reads nothing that is not there, and
//! takes one form of everything, so that equal states have equal bytes.
//!
//! ```text
//! unsigned    7 bits a byte, the lowest first; the top bit says that another follows
//! signed      0, -1, 1, -2, .. as 0, 1, 2, 3, ..
//! text        its length, then its bytes
//! ```

/// Appends an unsigned number.
pub fn put_unsigned(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a signed number.
pub fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_unsigned(out, ((number << 1) ^ (number >> 63)) as u64);
}

/// Appends bytes with their length.
pub fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_unsigned(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// Takes so many bytes.
pub fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(count)?;
    *bytes = tail;
    Some(head)
}

/// Takes as many bytes as an array has.
pub fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = bytes.split_first_chunk()?;
    *bytes = tail;
    Some(*head)
}

/// Takes an unsigned number.
pub fn take_unsigned(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = take_array(bytes)?;
        let part = u64::from(byte & 0x7F);
        if part << shift >> shift != part {
            return None;
        }
        number |= part << shift;
        if byte < 0x80 {
            // A last byte of zero would be a second form of the same number.
            return (byte != 0 || shift == 0).then_some(number);
        }
    }
    None
}

/// Takes a signed number.
pub fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    let number = take_unsigned(bytes)?;
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}

/// Takes bytes with their length, of at most `limit` bytes.
pub fn take_text<'a>(bytes: &mut &'a [u8], limit: usize) -> Option<&'a [u8]> {
    let count = usize::try_from(take_unsigned(bytes)?).ok()?;
    if count > limit { None } else { take(bytes, count) }
}
