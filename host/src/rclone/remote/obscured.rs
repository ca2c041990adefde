//! Values that `rclone obscure` has encrypted with a public key. Servers and messages show their
//! plain form.

use aes::Aes256;
use aes::cipher::{BlockEncrypt, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The key, which isn't secret.
///
/// Source: `cryptKey` in rclone's fs/config/obscure/obscure.go.
const OBSCURE_KEY: [u8; 32] = [
    0x9c, 0x93, 0x5b, 0x48, 0x73, 0x0a, 0x55, 0x4d, 0x6b, 0xfd, 0x7c, 0x63, 0xc8, 0x86, 0xa9, 0x2b,
    0xd3, 0x90, 0x19, 0x8e, 0xb8, 0x12, 0x8a, 0xfb, 0xf4, 0xde, 0x16, 0x2b, 0x8b, 0x95, 0xf6, 0x38,
];

/// Length of an AES block, and of the initial counter.
const AES_BLOCK_BYTES: usize = 16;

/// Decrypts an obscured value: an initial counter, and a text in AES-CTR. `None` if it isn't
/// obscured.
pub fn reveal(value: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(value).ok()?;
    let (begin, hidden) = bytes.split_first_chunk::<AES_BLOCK_BYTES>()?;
    let (cipher, begin) = (Aes256::new(&OBSCURE_KEY.into()), u128::from_be_bytes(*begin));
    let plain = hidden.chunks(AES_BLOCK_BYTES).zip(0_u128..).flat_map(|(chunk, at)| {
        let mut block = begin.wrapping_add(at).to_be_bytes().into();
        cipher.encrypt_block(&mut block);
        chunk.iter().zip(block).map(|(hidden, mask)| hidden ^ mask).collect::<Vec<_>>()
    });
    let plain = String::from_utf8(plain.collect()).ok()?;
    (!plain.is_empty() && !plain.contains(char::is_control)).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rclone_obscured_is_plain_again_and_nothing_else_is() {
        for (obscured, plain) in [
            ("ONKXQqMMbNUfa8HvukeLBYFQwnSehpAGSlV2Tl0", "davpassword99"),
            (
                "3VcvRDFlOOh3jOJwiPHArY4UlcQYYPySaMXeolLNSsEQW3kgpk4CBha2Us-0QdN9RU03CNjFZ_9MussPOaI",
                "a longer password, of more than two blocks: ü",
            ),
        ] {
            assert_eq!(reveal(obscured).as_deref(), Some(plain));
        }
        for other in
            ["", "plain", "p4ss word", "AAAAAAAAAAAAAAAAAAAAAA", "QUtJQVBMQUtCT1hBS0lBUExBS0JPWA"]
        {
            assert_eq!(reveal(other), None, "{other}");
        }
    }
}
