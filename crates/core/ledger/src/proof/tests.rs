//! Proofs against the recursive definition, against every flipped bit, and against the published suite of
//! good and bad proofs when its folder is given.

use std::path::Path;

use super::*;
use crate::edge::Edge;
use crate::hash::leaf_hash;
use crate::hash::tests::{naive_root, reference_entries};
use crate::note::{KeyKind, SigningKey};

struct Tree {
    leaves: Vec<Hash>,
    tiles: BTreeMap<Tile, Vec<u8>>,
}

impl Tree {
    fn new(leaves: Vec<Hash>) -> Self {
        let mut edge = Edge::empty();
        let mut tiles = BTreeMap::new();
        for leaf in &leaves {
            for tile in edge.append(*leaf).tiles {
                tiles.insert(
                    Tile {
                        level: tile.level,
                        index: tile.index,
                        width: 256,
                    },
                    tile.hashes,
                );
            }
        }
        tiles.extend(
            edge.partials()
                .map(|(tile, hashes)| (tile, hashes.to_vec())),
        );
        Self { leaves, tiles }
    }
    fn of(count: u64) -> Self {
        Self::new((0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect())
    }
    fn root(&self, size: u64) -> Hash {
        naive_root(&self.leaves[..size as usize])
    }
}

/// A partial tile of a smaller tree is the front of the tile now there.
impl HashReader for Tree {
    fn tile(&self, tile: Tile) -> Option<&[u8]> {
        let wider = self
            .tiles
            .range(tile..)
            .next()
            .filter(|(t, _)| t.level == tile.level && t.index == tile.index);
        wider.map(|(_, hashes)| hashes.as_slice())
    }
}

/// RFC 6962 section 2.1.1 word for word.
fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (inner, outer) = if index < split {
        (naive_path(index, &leaves[..split]), &leaves[split..])
    } else {
        (
            naive_path(index - split, &leaves[split..]),
            &leaves[..split],
        )
    };
    [inner, vec![naive_root(outer)]].concat()
}

/// RFC 6962 section 2.1.2 word for word.
fn naive_subproof(from: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if from == leaves.len() {
        return if whole {
            Vec::new()
        } else {
            vec![naive_root(leaves)]
        };
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (inner, outer) = if from <= split {
        (
            naive_subproof(from, &leaves[..split], whole),
            &leaves[split..],
        )
    } else {
        (
            naive_subproof(from - split, &leaves[split..], false),
            &leaves[..split],
        )
    };
    [inner, vec![naive_root(outer)]].concat()
}

#[test]
fn every_proof_of_small_trees_is_the_recursive_one() {
    let tree = Tree::of(40);
    for to in 1..=40_u64 {
        for index in 0..to {
            let proof = inclusion(index, to, &tree).unwrap();
            assert_eq!(
                proof,
                naive_path(index as usize, &tree.leaves[..to as usize])
            );
            verify_inclusion(
                tree.leaves[index as usize],
                index,
                to,
                tree.root(to),
                &proof,
            )
            .unwrap();
        }
        for from in 1..=to {
            let proof = consistency(from, to, &tree).unwrap();
            assert_eq!(
                proof,
                naive_subproof(from as usize, &tree.leaves[..to as usize], true)
            );
            verify_consistency((from, tree.root(from)), (to, tree.root(to)), &proof).unwrap();
        }
        assert_eq!(root(to, &tree), Ok(tree.root(to)));
    }
    let empty = (0, empty_root());
    assert!(verify_consistency(empty, (40, tree.root(40)), &[]).is_err());
    assert!(verify_consistency(empty, empty, &[]).is_err());
}

#[test]
fn questions_outside_the_tree_are_refused() {
    let tree = Tree::of(8);
    assert!(inclusion(8, 8, &tree).is_err());
    assert!(inclusion(0, 0, &tree).is_err());
    assert!(consistency(9, 8, &tree).is_err());
    assert!(inclusion_tiles(3, 3).is_err() && consistency_tiles(4, 3).is_err());
    assert!(matches!(
        inclusion(3, 300, &tree),
        Err(ProofError::MissingTile(_))
    ));
    assert!(verify_inclusion(tree.leaves[0], 8, 8, tree.root(8), &[]).is_err());
    assert!(inclusion(u64::MAX - 1, u64::MAX, &tree).is_err());
    assert!(
        verify_consistency(
            (1, tree.root(1)),
            (u64::MAX, tree.root(8)),
            &[tree.root(1); 64]
        )
        .is_err()
    );
}

#[test]
fn tiles_named_beforehand_are_enough() {
    let tree = Tree::of(70_000);
    for (index, size) in [
        (0, 70_000),
        (69_999, 70_000),
        (65_535, 65_536),
        (300, 1000),
        (12_345, 66_000),
    ] {
        let tiles = inclusion_tiles(index, size).unwrap();
        assert!(tiles.len() <= 4, "{tiles:?}");
        let held: BTreeMap<Tile, Vec<u8>> = tiles
            .iter()
            .map(|t| (*t, tree.tile(*t).unwrap().to_vec()))
            .collect();
        let proof = inclusion(index, size, &held).unwrap();
        let root_held: BTreeMap<Tile, Vec<u8>> = root_tiles(size)
            .iter()
            .map(|t| (*t, tree.tile(*t).unwrap().to_vec()))
            .collect();
        let root = root(size, &root_held).unwrap();
        assert_eq!(root, tree.root(size));
        verify_inclusion(tree.leaves[index as usize], index, size, root, &proof).unwrap();
    }
    let tiles = consistency_tiles(65_537, 70_000).unwrap();
    let held: BTreeMap<Tile, Vec<u8>> = tiles
        .iter()
        .map(|t| (*t, tree.tile(*t).unwrap().to_vec()))
        .collect();
    let proof = consistency(65_537, 70_000, &held).unwrap();
    verify_consistency(
        (65_537, tree.root(65_537)),
        (70_000, tree.root(70_000)),
        &proof,
    )
    .unwrap();
}

#[test]
fn proof_files_read_back_and_prove() {
    let tree = Tree::new(reference_entries().iter().map(|e| leaf_hash(e)).collect());
    let key = SigningKey::from_seed("a.example", KeyKind::Log, &[1; 32]).unwrap();
    let checkpoint = Checkpoint {
        origin: "a.example/x".to_owned(),
        size: 7,
        root: tree.root(7),
    };
    let note = Note::parse(&checkpoint.sign(&[&key]).unwrap()).unwrap();
    for extra in [None, Some(b"context".to_vec())] {
        let proof = TlogProof {
            extra,
            index: 4,
            hashes: inclusion(4, 7, &tree).unwrap(),
            checkpoint: note.clone(),
        };
        let text = proof.to_string();
        assert_eq!(text.parse(), Ok(proof.clone()));
        assert_eq!(proof.verify(tree.leaves[4]), Ok(checkpoint.clone()));
        assert!(proof.verify(tree.leaves[3]).is_err());
        let bad = [
            text.replace("@v1", "@v2"),
            text.replace("index 4", "index 04"),
            text.replace("index 4\n", ""),
            text.replace("index 4\n", "index 4\nextra AAAA\n"),
            text.replacen("\n\n", "\n", 1),
            text.trim_end().to_owned(),
            text.replace("\n7\n", "\n07\n"),
        ];
        for text in bad {
            assert!(text.parse::<TlogProof>().is_err(), "{text}");
        }
    }
    let single = Checkpoint {
        size: 1,
        root: tree.root(1),
        ..checkpoint
    };
    let note = Note::parse(&single.sign(&[&key]).unwrap()).unwrap();
    let proof = TlogProof {
        extra: None,
        index: 0,
        hashes: vec![],
        checkpoint: note,
    };
    assert_eq!(proof.to_string().parse(), Ok(proof.clone()));
    assert!(proof.verify(tree.leaves[0]).is_ok());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(96))]
    #[test]
    fn proofs_hold_and_no_flipped_bit_does(size in 2_u64..1500, a: proptest::sample::Index, b: proptest::sample::Index, at: proptest::sample::Index, bit in 0_usize..256) {
        let tree = Tree::of(size);
        let index = a.index(size as usize) as u64;
        let from = b.index(size as usize - 1) as u64 + 1;
        let (leaf, root, old) = (tree.leaves[index as usize], tree.root(size), tree.root(from));
        let flip = |hash: Hash| { let mut bytes = hash.0; bytes[bit / 8] ^= 1 << (bit % 8); Hash(bytes) };

        let mut proof = inclusion(index, size, &tree).unwrap();
        assert!(verify_inclusion(leaf, index, size, root, &proof).is_ok());
        assert!(verify_inclusion(flip(leaf), index, size, root, &proof).is_err());
        assert!(verify_inclusion(leaf, index, size, flip(root), &proof).is_err());
        assert!(verify_inclusion(leaf, index, size, root, &proof[1..]).is_err());
        assert!(verify_inclusion(leaf, index, size, root, &[&proof[..], &[root]].concat()).is_err());
        assert!(verify_inclusion(leaf, index ^ 1, size, root, &proof).is_err());
        let position = at.get_mut(&mut proof);
        *position = flip(*position);
        assert!(verify_inclusion(leaf, index, size, root, &proof).is_err());

        let mut proof = consistency(from, size, &tree).unwrap();
        let holds = |proof: &[Hash], old, root| verify_consistency((from, old), (size, root), proof).is_ok();
        assert!(holds(&proof, old, root));
        assert!(!holds(&proof, flip(old), root) && !holds(&proof, old, flip(root)));
        assert!(!holds(&[&proof[..], &[root]].concat(), old, root) && !holds(&proof[1..], old, root));
        let position = at.get_mut(&mut proof);
        *position = flip(*position);
        assert!(!holds(&proof, old, root));
    }
}

/// The suite's bad hashes may have any length; each stands for a hash that no tree has. An empty one
/// cannot be said with our types and counts as refused: [`Hash`] has 32 bytes.
fn suite_hash(value: &serde_json::Value) -> Hash {
    let bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
    Hash::from_slice(&bytes).unwrap_or_else(|| Hash::of(&bytes))
}

fn check_suite_file(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap();
    let case: serde_json::Value = serde_json::from_str(&text).unwrap();
    let proof: Vec<Hash> = case["proof"]
        .as_array()
        .map(|list| list.iter().map(suite_hash).collect())
        .unwrap_or_default();
    let number = |name: &str| case[name].as_u64().unwrap();
    let empty = ["root", "root1", "root2", "leafHash"]
        .iter()
        .any(|name| case[*name] == "");
    let holds = if empty {
        false
    } else if case["leafIdx"].is_null() {
        let (from, to) = (
            (number("size1"), suite_hash(&case["root1"])),
            (number("size2"), suite_hash(&case["root2"])),
        );
        verify_consistency(from, to, &proof).is_ok()
    } else {
        let leaf = suite_hash(&case["leafHash"]);
        verify_inclusion(
            leaf,
            number("leafIdx"),
            number("treeSize"),
            suite_hash(&case["root"]),
            &proof,
        )
        .is_ok()
    };
    assert_eq!(
        holds,
        case["wantErr"] == false,
        "{}: {}",
        path.display(),
        case["desc"]
    );
    holds
}

#[test]
fn the_published_suite_of_proofs() {
    let Some(suites) = option_env_at_run("THERIAC_SUITES") else {
        println!(
            "did not run: THERIAC_SUITES does not name the folder of suites (merkle-proofs/testdata)"
        );
        return;
    };
    let mut verdicts = [0, 0];
    for kind in ["inclusion", "consistency"] {
        let folder = Path::new(&suites).join("merkle-proofs/testdata").join(kind);
        for group in std::fs::read_dir(&folder).unwrap().flatten() {
            let files = if group.path().is_dir() {
                std::fs::read_dir(group.path())
                    .unwrap()
                    .flatten()
                    .map(|f| f.path())
                    .collect()
            } else {
                vec![group.path()]
            };
            for file in files
                .iter()
                .filter(|file| file.extension().is_some_and(|e| e == "json"))
            {
                verdicts[usize::from(check_suite_file(file))] += 1;
            }
        }
    }
    assert!(
        verdicts[0] > 100 && verdicts[1] > 5,
        "too few cases: {verdicts:?}"
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment where suites are"
)]
fn option_env_at_run(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
