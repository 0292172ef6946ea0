//! Attacks, each with the verdict and the index it must come to.

use super::*;

type Attack = (&'static str, fn(&mut Kept), Verdict, Option<u64>);

/// Attacks on one log that its own folder shows.
const ATTACKS: &[Attack] = &[
    (
        "edit a leaf",
        |log| log.edit(333),
        Verdict::Altered,
        Some(333),
    ),
    (
        "edit the first leaf",
        |log| log.edit(0),
        Verdict::Altered,
        Some(0),
    ),
    (
        "edit a leaf and build the tiles anew (fork without the key)",
        |log| {
            log.edit(333);
            log.build_tiles();
        },
        Verdict::Altered,
        Some(300),
    ),
    (
        "delete a leaf",
        |log| {
            log.leaves.remove(333);
            log.payloads.remove(333);
        },
        Verdict::Altered,
        Some(333),
    ),
    (
        "delete a leaf and build the tiles anew",
        |log| {
            log.leaves.remove(333);
            log.payloads.remove(333);
            log.build_tiles();
        },
        Verdict::Altered,
        Some(300),
    ),
    (
        "swap two leaves",
        |log| {
            log.leaves.swap(20, 600);
            log.payloads.swap(20, 600);
        },
        Verdict::Altered,
        Some(20),
    ),
    (
        "insert white space into a leaf",
        |log| log.leaves[5].insert(1, b' '),
        Verdict::Altered,
        Some(5),
    ),
    (
        "truncate the tail, keep the checkpoints",
        |log| log.truncate(650),
        Verdict::Incomplete,
        Some(650),
    ),
    (
        "truncate entries only",
        |log| log.leaves.truncate(650),
        Verdict::Incomplete,
        Some(650),
    ),
    (
        "edit a payload",
        |log| log.payloads[44] = Some(b"other".to_vec()),
        Verdict::Altered,
        Some(44),
    ),
    (
        "swap two payloads",
        |log| log.payloads.swap(44, 45),
        Verdict::Altered,
        Some(44),
    ),
    (
        "lose a payload whose key was not erased",
        |log| log.payloads[44] = None,
        Verdict::Incomplete,
        Some(44),
    ),
    (
        "lose a whole tile of leaves",
        |log| {
            log.tiles.remove(&Tile {
                level: 0,
                index: 1,
                width: 256,
            });
        },
        Verdict::Incomplete,
        Some(256),
    ),
    (
        "flip a bit of a tile above",
        |log| {
            log.tiles
                .get_mut(&Tile {
                    level: 1,
                    index: 0,
                    width: 2,
                })
                .unwrap()[40] ^= 1;
        },
        Verdict::Altered,
        Some(256),
    ),
    (
        "cut a tile above",
        |log| {
            log.tiles
                .get_mut(&Tile {
                    level: 1,
                    index: 0,
                    width: 2,
                })
                .unwrap()
                .truncate(32);
        },
        Verdict::Incomplete,
        Some(256),
    ),
    (
        "flip a bit of a leaf tile",
        |log| {
            log.tiles
                .get_mut(&Tile {
                    level: 0,
                    index: 1,
                    width: 256,
                })
                .unwrap()[320] ^= 1;
        },
        Verdict::Altered,
        Some(266),
    ),
    (
        "lose the newest checkpoint",
        |log| log.newest = None,
        Verdict::Incomplete,
        None,
    ),
    (
        "put an older checkpoint in front",
        |log| log.newest = Some(log.stored[3].clone()),
        Verdict::Incomplete,
        Some(200),
    ),
    (
        "lose the last stored checkpoint",
        |log| {
            log.stored.pop();
        },
        Verdict::Incomplete,
        Some(COUNT),
    ),
    (
        "lose all stored checkpoints",
        |log| log.stored.clear(),
        Verdict::Incomplete,
        Some(COUNT),
    ),
    (
        "swap two stored checkpoints",
        |log| log.stored.swap(3, 4),
        Verdict::Altered,
        Some(200),
    ),
    (
        "change a stored checkpoint's size",
        |log| log.stored[3] = log.stored[3].replacen("\n200\n", "\n201\n", 1),
        Verdict::Altered,
        Some(201),
    ),
    (
        "break a stored checkpoint",
        |log| log.stored[3].truncate(40),
        Verdict::Altered,
        None,
    ),
    (
        "change the newest checkpoint's size",
        |log| {
            log.newest = log
                .newest
                .take()
                .map(|note| note.replacen("\n700\n", "\n699\n", 1));
        },
        Verdict::Altered,
        Some(699),
    ),
    (
        "sign anew with an unknown key",
        |log| log.sign(&signer(9)),
        Verdict::Untrusted,
        Some(COUNT),
    ),
    (
        "edit, build and sign with an unknown key",
        |log| {
            log.edit(333);
            log.build_tiles();
            log.sign(&signer(9));
        },
        Verdict::Untrusted,
        Some(COUNT),
    ),
    (
        "put another log's checkpoint in front",
        |log| {
            let mut other = log.state(COUNT);
            other.origin = origin(9, 1);
            log.newest = Some(other.sign(&[&signer(1)]).unwrap());
        },
        Verdict::Altered,
        Some(COUNT),
    ),
];

#[test]
fn every_attack_is_told_by_verdict_and_index() {
    for (name, attack, verdict, index) in ATTACKS {
        let mut log = sound();
        attack(&mut log);
        let report = judge(vec![log], &[]);
        assert_eq!(
            summary(&report),
            (*verdict, *index),
            "{name}: {:#?}",
            report.findings
        );
    }
}

/// Attacks by somebody who has the log's key: nothing in the folder shows them, only what others keep.
const KEY_ATTACKS: &[Attack] = &[
    (
        "replace by an older prefix",
        |log| {
            log.truncate(500);
            log.sign(&signer(1));
        },
        Verdict::Incomplete,
        Some(500),
    ),
    (
        "fork",
        |log| {
            log.edit(333);
            log.build_tiles();
            log.sign(&signer(1));
        },
        Verdict::Altered,
        Some(300),
    ),
    (
        "fork and go on",
        |log| {
            log.truncate(400);
            let more = log.leaves[..300].to_vec();
            log.leaves.extend(more);
            let payloads = log.payloads[..300].to_vec();
            log.payloads.extend(payloads);
            log.build_tiles();
            log.sign(&signer(1));
        },
        Verdict::Altered,
        None,
    ),
];

#[test]
fn forks_and_rollbacks_with_the_key_show_against_what_others_keep() {
    for (name, attack, verdict, index) in KEY_ATTACKS {
        let honest = sound();
        let kept = [honest.state(300), honest.state(COUNT)];
        let mut forged = honest.clone();
        attack(&mut forged);
        let held = judge(vec![forged.clone()], &kept);
        let mut behind_head = forged.clone();
        let lines: Vec<String> = kept
            .iter()
            .map(|c| HeadLine(c.clone()).to_string())
            .collect();
        behind_head.head = Some(lines.join("\n") + "\n");
        let head = judge(vec![behind_head], &[]);
        let instance = judge(vec![forged, instance_log(&kept)], &[]);
        for (who, report) in [("held", held), ("head", head), ("instance", instance)] {
            let (found, at) = summary(&report);
            assert_eq!(
                found, *verdict,
                "{name} against {who}: {:#?}",
                report.findings
            );
            assert!(
                index.is_none() || at == *index,
                "{name} against {who}: {:#?}",
                report.findings
            );
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    /// One flipped bit anywhere in what is stored is found.
    #[test]
    fn any_flipped_bit_is_found(what in 0_u8..4, at: proptest::sample::Index, byte: proptest::sample::Index, bit in 0_u8..8) {
        let mut log = sound();
        let bytes = match what {
            0 => at.get_mut(&mut log.leaves),
            1 => log.payloads[at.index(COUNT as usize)].as_mut().unwrap(),
            2 => log.tiles.values_mut().nth(at.index(4)).unwrap(),
            _ => {
                let count = log.stored.len();
                let note = &mut log.stored[at.index(count)];
                let mut bytes = core::mem::take(note).into_bytes();
                *byte.get_mut(&mut bytes) ^= 1 << bit;
                *note = String::from_utf8_lossy(&bytes).into_owned();
                assert_ne!(judge(vec![log], &[]).verdict(), Verdict::Sound);
                return Ok(());
            }
        };
        *byte.get_mut(bytes) ^= 1 << bit;
        assert_eq!(judge(vec![log], &[]).verdict(), Verdict::Altered);
    }
}
