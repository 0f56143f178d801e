//! Bytes as text in lower-case hexadecimal digits (RFC 4648 §8).

/// Two digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
