//! The signature of a webhook's delivery: whether it is GitHub's.
//!
//! Source: GitHub's page "Validating webhook deliveries".

use ring::hmac;

use super::webhook::Refusal;

/// The secrets that a delivery may be signed with.
#[derive(Debug, Clone)]
pub struct Secrets {
    current: hmac::Key,
    previous: Option<hmac::Key>,
}

/// Which secret signed a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// The current one.
    Current,
    /// The one it replaces: the hook on GitHub still has it.
    Previous,
}

impl Secrets {
    /// Of the secret, and the one before it while a rotation is under way.
    pub fn new(current: &str, previous: Option<&str>) -> Self {
        let key = |secret: &str| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Self { current: key(current), previous: previous.map(key) }
    }

    /// Which secret signed the body, byte for byte as it came. `signatures` are the values of
    /// `X-Hub-Signature-256`; `sha1` says whether `X-Hub-Signature` is there.
    ///
    /// The comparison takes the same time wherever the first wrong byte stands: `ring::hmac::verify` computes the
    /// whole code and compares it with ring's constant-time comparison, as its documentation promises. What is
    /// looked at before it (the header's prefix, length and alphabet) is the sender's own and tells nothing of the
    /// secret, and both secrets are always tried.
    pub fn verify<'h>(
        &self,
        mut signatures: impl Iterator<Item = &'h [u8]>,
        sha1: bool,
        body: &[u8],
    ) -> Result<Signed, Refusal> {
        let Some(signature) = signatures.next() else {
            return Err(if sha1 { Refusal::OnlySha1 } else { Refusal::Unsigned });
        };
        if signatures.next().is_some() {
            return Err(Refusal::Malformed);
        }
        let tag = signature.strip_prefix(b"sha256=").and_then(bytes_of_hex).ok_or(Refusal::Malformed)?;
        let signs = |key: &hmac::Key| hmac::verify(key, body, &tag).is_ok();
        let current = signs(&self.current);
        let previous = self.previous.as_ref().is_some_and(signs);
        match (current, previous) {
            (true, _) => Ok(Signed::Current),
            (false, true) => Ok(Signed::Previous),
            (false, false) => Err(Refusal::Forged),
        }
    }
}

/// 64 hexadecimal digits as 32 bytes.
fn bytes_of_hex(digits: &[u8]) -> Option<[u8; 32]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = [0; 32];
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example on GitHub's page "Validating webhook deliveries".
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn verify(secrets: &Secrets, signatures: &[&str], body: &[u8]) -> Result<Signed, Refusal> {
        secrets.verify(signatures.iter().map(|signature| signature.as_bytes()), true, body)
    }

    #[test]
    fn only_the_right_signature_passes() {
        let secrets = Secrets::new(SECRET, None);
        let digits = &SIGNATURE["sha256=".len()..];
        let upper = format!("sha256={}", digits.to_uppercase());
        let other = format!("sha256={}", "0".repeat(64));
        let cases: [(&[&str], Result<Signed, Refusal>); 12] = [
            (&[SIGNATURE], Ok(Signed::Current)),
            (&[&upper], Ok(Signed::Current)),
            (&[], Err(Refusal::OnlySha1)),
            (&[""], Err(Refusal::Malformed)),
            (&["sha256="], Err(Refusal::Malformed)),
            (&[digits], Err(Refusal::Malformed)),
            (&[&SIGNATURE[..70]], Err(Refusal::Malformed)),
            (&[&format!("{SIGNATURE}0")], Err(Refusal::Malformed)),
            (&[&SIGNATURE.replace('7', "g")], Err(Refusal::Malformed)),
            (&[&SIGNATURE.replace("sha256", "sha1")], Err(Refusal::Malformed)),
            (&[&other], Err(Refusal::Forged)),
            (&[SIGNATURE, SIGNATURE], Err(Refusal::Malformed)),
        ];
        for (signatures, expected) in cases {
            assert_eq!(verify(&secrets, signatures, BODY), expected, "{signatures:?}");
        }
        assert_eq!(verify(&secrets, &[SIGNATURE], b"Hello, World?"), Err(Refusal::Forged));
        assert_eq!(secrets.verify(std::iter::empty(), false, BODY), Err(Refusal::Unsigned));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let secrets = Secrets::new(SECRET, None);
        let tag = bytes_of_hex(&SIGNATURE.as_bytes()[7..]).unwrap();
        for bit in 0..256 {
            let mut bent = tag;
            bent[bit / 8] ^= 1 << (bit % 8);
            let hex = bent.map(|byte| format!("{byte:02x}")).concat();
            assert_eq!(
                verify(&secrets, &[&format!("sha256={hex}")], BODY),
                Err(Refusal::Forged),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn the_previous_secret_is_good_while_it_is_named() {
        let rotated = Secrets::new("the new one", Some(SECRET));
        assert_eq!(verify(&rotated, &[SIGNATURE], BODY), Ok(Signed::Previous));
        assert_eq!(verify(&Secrets::new("the new one", None), &[SIGNATURE], BODY), Err(Refusal::Forged));
    }
}
