//! The signed Merkle log: trees, tiles, checkpoints, notes, proofs and the offline verifier.
