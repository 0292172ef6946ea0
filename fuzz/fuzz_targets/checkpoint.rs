//! Any text as a signed note, a checkpoint, a tile path and a leaf: refused or printed back unchanged.
#![no_main]

use ledger::tile::Tile;
use ledger::{Checkpoint, Leaf, Note, Policy};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Leaf::parse(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(note) = Note::parse(text) {
        assert_eq!(note.to_string(), text);
        let _ = Checkpoint::of_note(&note);
    }
    if let Ok(tile) = Tile::parse(text) {
        assert_eq!(tile.to_string(), text);
    }
    let _ = text.parse::<Policy>();
});
