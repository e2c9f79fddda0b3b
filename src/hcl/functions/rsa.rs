//! Decryption with an RSA key, for texts that were encrypted for the file.
//!
//! Written here because the crates of note for it either decrypt in a time that tells of the key (which
//! matters to a server that answers strangers, and not here) or bring a whole library of ciphers.

use num_bigint::BigUint;

use super::encoding::from_base64;

/// The bytes that `cipher` (base64, PKCS #1 v1.5) stands for; the key is PEM in the form of PKCS #1.
pub fn decrypt(cipher: &str, key: &str) -> Result<Vec<u8>, String> {
    let cipher = from_base64(cipher).ok_or("the text is not base64")?;
    let key = Key::read(key)?;
    let length = usize::try_from(key.modulus.bits().div_ceil(8)).map_err(|_| "the key is too long")?;
    if key.modulus.bits() < 1024 {
        return Err("the key is too short to be safe: 1024 bits are the least".to_owned());
    }
    let number = BigUint::from_bytes_be(&cipher);
    if cipher.len() > length || number >= key.modulus {
        return Err("the text was not encrypted for this key".to_owned());
    }
    let plain = number.modpow(&key.exponent, &key.modulus).to_bytes_be();
    // 00 02, at least eight bytes that aren't 0, 00, the text. The first 00 is no part of a number.
    let wrong = || "the text was not encrypted for this key".to_owned();
    if plain.len() + 1 != length || plain.first() != Some(&2) {
        return Err(wrong());
    }
    let end = plain.iter().position(|byte| *byte == 0).filter(|end| *end >= 9).ok_or_else(wrong)?;
    Ok(plain[end + 1..].to_vec())
}

struct Key {
    modulus: BigUint,
    exponent: BigUint,
}

impl Key {
    fn read(text: &str) -> Result<Self, String> {
        let missing =
            || "there is no key in PEM, which begins with -----BEGIN RSA PRIVATE KEY-----".to_owned();
        let (_, rest) = text.split_once("-----BEGIN ").ok_or_else(missing)?;
        let (_, rest) = rest.split_once("-----").ok_or_else(missing)?;
        let (body, _) = rest.split_once("-----END ").ok_or_else(missing)?;
        if body.contains("ENCRYPTED") {
            return Err("the key has a password: take it off first".to_owned());
        }
        let letters: String =
            body.lines().filter(|line| !line.contains(':')).flat_map(str::split_whitespace).collect();
        let bytes = from_base64(&letters).ok_or_else(missing)?;
        Self::of(&bytes).ok_or_else(|| "the key is not one of RSA in the form of PKCS #1".to_owned())
    }

    /// SEQUENCE { version 0, modulus, public exponent, private exponent, … }
    fn of(bytes: &[u8]) -> Option<Self> {
        let (inner, _) = part(bytes, 0x30)?;
        let (version, rest) = part(inner, 0x02)?;
        let (modulus, rest) = part(rest, 0x02)?;
        let (_, rest) = part(rest, 0x02)?;
        let (exponent, _) = part(rest, 0x02)?;
        let number = BigUint::from_bytes_be;
        (version == [0]).then(|| Self { modulus: number(modulus), exponent: number(exponent) })
    }
}

/// The content of the DER value that comes next, and what comes after it.
fn part(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    if head[0] != tag {
        return None;
    }
    let (length, rest) = match head[1] {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let count = usize::from(long & 0x7f);
            let digits = rest.get(..count).filter(|_| (1..=4).contains(&count))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest.get(count..)?)
        }
    };
    Some((rest.get(..length)?, rest.get(length..)?))
}
