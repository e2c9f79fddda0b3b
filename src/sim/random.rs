//! Chance that depends on a seed and on what it is asked for, never on the order of the asking: two runs
//! with one seed agree even where their requests arrive in another order.

use sha2::{Digest, Sha256};

/// The seed, and the numbers drawn from it.
#[derive(Clone, Copy, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number in `0.0..1.0` that belongs to `what`.
    pub fn fraction(self, what: &str) -> f64 {
        let bytes = self.bytes(what);
        let bits = u64::from_le_bytes([
            bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
        ]);
        // 53 bits fill a double's mantissa.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let fraction = (bits >> 11) as f64 / (1u64 << 53) as f64;
        fraction
    }

    /// A number in `low..high` that belongs to `what`.
    pub fn between(self, what: &str, low: f64, high: f64) -> f64 {
        low + (high - low) * self.fraction(what)
    }

    /// A UUID (version 4 in form) that belongs to `what`.
    pub fn uuid(self, what: &str) -> String {
        let bytes = self.bytes(what);
        let mut id = [0u8; 16];
        id.copy_from_slice(&bytes[8..24]);
        uuid::Builder::from_random_bytes(id).into_uuid().to_string()
    }

    fn bytes(self, what: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.0.to_le_bytes());
        hash.update(what.as_bytes());
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_belong_to_what_they_are_asked_for() {
        let chance = Chance::new(7);
        assert_eq!(chance.uuid("a"), Chance::new(7).uuid("a"));
        assert_ne!(chance.uuid("a"), chance.uuid("b"));
        assert_ne!(chance.uuid("a"), Chance::new(8).uuid("a"));
        let x = chance.between("a", 2.0, 3.0);
        assert!((2.0..3.0).contains(&x));
    }
}
