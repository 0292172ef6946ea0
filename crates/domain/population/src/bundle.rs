//! A transaction bundle of PUT entries. Loading one twice changes nothing, because every resource has
//! an id of its own that depends on nothing but its place in the population.

use crate::json::Json;
use crate::random::mix;

/// A bundle being written.
#[derive(Debug)]
pub(crate) struct Bundle {
    json: Json,
    entries: u32,
}

impl Bundle {
    /// Begins a bundle at the end of a buffer.
    pub(crate) fn begin(out: Vec<u8>) -> Self {
        let mut json = Json { out };
        json.raw("{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[");
        Self { json, entries: 0 }
    }

    /// Adds a resource; `body` writes what follows its type and id.
    pub(crate) fn put(&mut self, resource: &str, id: &str, body: impl FnOnce(&mut Json)) {
        self.entries += 1;
        self.json.object(|j| {
            j.joined("fullUrl", &["urn:uuid:", &uuid_of(resource, id)]);
            j.obj("resource", |j| {
                j.text("resourceType", resource);
                j.text("id", id);
                body(j);
            });
            j.obj("request", |j| {
                j.text("method", "PUT");
                j.joined("url", &[resource, "/", id]);
            });
        });
    }

    /// Ends the bundle: its bytes and the number of resources in it.
    pub(crate) fn finish(mut self) -> (Vec<u8>, u32) {
        self.json.raw("]}");
        (self.json.out, self.entries)
    }
}

// A UUID in the layout of version 8 (custom), so that it cannot be mistaken for a random one.
fn uuid_of(resource: &str, id: &str) -> String {
    let (mut high, mut low) = (0x2545_f491_4f6c_dd1d_u64, 0x9e37_79b9_7f4a_7c15_u64);
    for byte in resource.bytes().chain([b'/']).chain(id.bytes()) {
        high = mix(high ^ u64::from(byte)).wrapping_add(low);
        low = low.rotate_left(23) ^ high;
    }
    let low = mix(low);
    format!(
        "{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}
