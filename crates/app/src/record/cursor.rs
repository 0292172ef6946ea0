//! Page cursors: opaque, URL-safe, signed under a key of the tenant and bound to what they page
//! through, so that an edited cursor, or one of another tenant or search, is refused. They hold a
//! position only, never a value that was not in the answer already.

use hmac::{Hmac, KeyInit as _, Mac as _};
use kernel::TenantId;
use sha2::{Digest as _, Sha256};

use crate::error::QueryError;
use crate::settings::Settings;

const MAC_BYTES: usize = 16;

/// What a cursor pages through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    digest: [u8; 32],
}

impl Binding {
    /// Binds to a kind of page (`search`, `history`, `audit`), what it is of, and its parameters in
    /// whatever order.
    pub fn new<'a>(
        kind: &str,
        of: &str,
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut pairs: Vec<(&str, &str)> = parameters.into_iter().collect();
        pairs.sort_unstable();
        let mut hash = Sha256::new();
        for part in [kind, of]
            .into_iter()
            .chain(pairs.into_iter().flat_map(|(name, value)| [name, value]))
        {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self {
            digest: hash.finalize().into(),
        }
    }
}

fn mac(settings: &Settings, tenant: TenantId, binding: &Binding, payload: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of any length; the construction cannot fail.
    let mut mac = match Hmac::<Sha256>::new_from_slice(settings.secret.as_slice()) {
        Ok(mac) => mac,
        Err(_) => Hmac::<Sha256>::new(&Default::default()),
    };
    mac.update(b"theriac cursor v1\0");
    mac.update(tenant.as_uuid().as_bytes());
    mac.update(&binding.digest);
    mac.update(payload);
    mac
}

/// Signs a position.
pub fn seal<T: serde::Serialize>(
    settings: &Settings,
    tenant: TenantId,
    binding: &Binding,
    position: &T,
) -> Result<String, serde_json::Error> {
    let mut bytes = serde_json::to_vec(position)?;
    let tag = mac(settings, tenant, binding, &bytes)
        .finalize()
        .into_bytes();
    bytes.extend(tag.iter().take(MAC_BYTES));
    Ok(data_encoding::BASE64URL_NOPAD.encode(&bytes))
}

/// Opens a cursor made by [`seal`] with the same binding.
pub fn open<T: serde::de::DeserializeOwned>(
    settings: &Settings,
    tenant: TenantId,
    binding: &Binding,
    cursor: &str,
) -> Result<T, QueryError> {
    if cursor.len() > 4096 {
        return Err(QueryError::Cursor);
    }
    let bytes = data_encoding::BASE64URL_NOPAD
        .decode(cursor.as_bytes())
        .map_err(|_| QueryError::Cursor)?;
    let split = bytes
        .len()
        .checked_sub(MAC_BYTES)
        .ok_or(QueryError::Cursor)?;
    let (payload, tag) = bytes.split_at_checked(split).ok_or(QueryError::Cursor)?;
    mac(settings, tenant, binding, payload)
        .verify_truncated_left(tag)
        .map_err(|_| QueryError::Cursor)?;
    serde_json::from_slice(payload).map_err(|_| QueryError::Cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(n: u128) -> TenantId {
        TenantId::from_uuid(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn only_the_same_tenant_secret_and_search_open_it() {
        let settings = Settings::with_secret([7; 32]);
        let binding = Binding::new("search", "Patient", [("name", "ann"), ("_count", "2")]);
        let cursor = seal(&settings, tenant(1), &binding, &42u32).unwrap();
        assert_eq!(open::<u32>(&settings, tenant(1), &binding, &cursor), Ok(42));
        let swapped = Binding::new("search", "Patient", [("_count", "2"), ("name", "ann")]);
        assert_eq!(open::<u32>(&settings, tenant(1), &swapped, &cursor), Ok(42));
        let others = [
            Binding::new("search", "Observation", [("name", "ann"), ("_count", "2")]),
            Binding::new("history", "Patient", [("name", "ann"), ("_count", "2")]),
            Binding::new("search", "Patient", [("name", "bob"), ("_count", "2")]),
            Binding::new("search", "Patient", [("name", "ann_count"), ("", "2")]),
        ];
        for other in others {
            assert_eq!(
                open::<u32>(&settings, tenant(1), &other, &cursor),
                Err(QueryError::Cursor)
            );
        }
        assert!(open::<u32>(&settings, tenant(2), &binding, &cursor).is_err());
        let foreign = Settings::with_secret([8; 32]);
        assert!(open::<u32>(&foreign, tenant(1), &binding, &cursor).is_err());
    }

    #[test]
    fn every_edit_is_refused() {
        let settings = Settings::with_secret([7; 32]);
        let binding = Binding::new("search", "Patient", []);
        let cursor = seal(&settings, tenant(1), &binding, &"position").unwrap();
        for place in 0..cursor.len() {
            let mut bytes = cursor.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let edited = String::from_utf8(bytes).unwrap();
            assert!(open::<String>(&settings, tenant(1), &binding, &edited).is_err());
        }
        for bad in [
            "",
            "A",
            "!!!",
            &"A".repeat(5000),
            &cursor[..cursor.len() - 4],
        ] {
            assert!(open::<String>(&settings, tenant(1), &binding, bad).is_err());
        }
    }
}
