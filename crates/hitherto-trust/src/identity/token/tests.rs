use super::*;

#[test]
fn a_token_says_where_it_is_from_and_whether_it_is_whole() {
    let token = make("serving", &[7; SECRET_BYTES]);
    // As hashlib, base64 and zlib of Python have it.
    assert_eq!(token, "hth_4dc69fae_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc_4PwbGr");
    assert!(!is_damaged(token.as_bytes()));
    for end in PREFIX.len()..token.len() {
        assert!(is_damaged(&token.as_bytes()[..end]), "{end}");
    }
    for at in PREFIX.len()..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] ^= 1;
        assert!(is_damaged(&changed), "{at}");
    }
    for other in [&b""[..], b"0123456789abcdef", b"hth", b"\xff\xff"] {
        assert!(!is_damaged(other));
    }
}

#[test]
fn the_checksum_is_the_one_that_others_compute() {
    let sum = checksum("123456789");
    // CRC-32 of the usual nine digits is 0xcbf43926.
    let value = sum.bytes().fold(0_u64, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            _ => digit - b'a' + 36,
        };
        value * 62 + u64::from(digit)
    });
    assert_eq!(value, 0xcbf4_3926);
}

#[test]
fn a_digest_is_sha_256_in_hex() {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(Digest::of(b"abc").to_hex(), abc);
    assert_eq!(Digest::parse(abc), Some(Digest::of(b"abc")));
    assert_ne!(Digest::parse(abc), Some(Digest::of(b"abd")));
    for wrong in ["", "ba78", &abc.replace('b', "g"), &abc.replace("ba", "+a"), &format!("{abc}00")]
    {
        assert_eq!(Digest::parse(wrong), None, "{wrong}");
    }
}
