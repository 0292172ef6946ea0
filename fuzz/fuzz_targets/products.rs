//! Any bytes as a file of a dictionary's release (the first byte says which): products or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use medication::dictionary::{dmd, rxnorm};

fuzz_target!(|bytes: &[u8]| {
    let Some((which, rest)) = bytes.split_first() else { return };
    let knowledge = medication::knowledge::builtin::built_in().unwrap();
    let file = match which % 4 {
        0 => {
            let mut release = dmd::Release::default();
            if release.read("f_vmp2.xml", rest).is_ok() {
                let _ = release.finish(knowledge);
            }
            return;
        }
        1 => rxnorm::File::Concepts,
        2 => rxnorm::File::Relationships,
        _ => rxnorm::File::Attributes,
    };
    let mut release = rxnorm::Release::default();
    if release.read(file, rest).is_ok() {
        let _ = release.finish(knowledge);
    }
});
