//! Fields of Protocol Buffers, in the one form that a record has: ascending numbers, each field
//! once, nothing that is the default, numbers as short as they can be.
//!
//! Any reader of Protocol Buffers can read it. They are written by hand because their encoders
//! promise no form, and equal records are to be equal bytes.

/// Wire types.
const VARINT: u64 = 0;
const BYTES: u64 = 2;

/// Appends a number, unless it is 0.
pub fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    if value != 0 {
        present(out, field, value);
    }
}

/// Appends a number, whatever it is.
pub fn present(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3 | VARINT);
    varint(out, value);
}

/// Appends bytes, whatever they are.
pub fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | BYTES);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends text, unless there is none.
pub fn text(out: &mut Vec<u8>, field: u64, value: &str) {
    if !value.is_empty() {
        bytes(out, field, value.as_bytes());
    }
}

/// Appends numbers of 64 bits, packed, unless there are none.
pub fn packed(out: &mut Vec<u8>, field: u64, values: &[u64]) {
    if !values.is_empty() {
        varint(out, field << 3 | BYTES);
        varint(out, 8 * values.len() as u64);
        values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// One field.
pub enum Value<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

impl<'b> Value<'b> {
    pub fn number(self) -> Option<u64> {
        match self {
            Value::Number(number) => Some(number),
            Value::Bytes(_) => None,
        }
    }

    pub fn bytes(self) -> Option<&'b [u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            Value::Number(_) => None,
        }
    }

    pub fn text(self) -> Option<String> {
        std::str::from_utf8(self.bytes()?).ok().map(str::to_owned)
    }

    pub fn packed(self) -> Option<Vec<u64>> {
        let (values, rest) = self.bytes()?.as_chunks::<8>();
        rest.is_empty().then(|| values.iter().map(|value| u64::from_le_bytes(*value)).collect())
    }
}

/// Takes the next field off the front; `None` if there is none, or none that is whole.
pub fn take<'b>(rest: &mut &'b [u8]) -> Option<(u64, Value<'b>)> {
    let key = take_varint(rest)?;
    let value = match key & 7 {
        VARINT => Value::Number(take_varint(rest)?),
        BYTES => {
            let length = usize::try_from(take_varint(rest)?).ok()?;
            let (bytes, after) = rest.split_at_checked(length)?;
            *rest = after;
            Value::Bytes(bytes)
        }
        _ => return None,
    };
    Some((key >> 3, value))
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
